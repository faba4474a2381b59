"""Drawing of the footer: a line of words, the status line, and the keys that work now. Pure."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from voicecli.events import ApprovalRequest
from voicecli.terminal.fit import UNICODE, Glyphs, head, tail
from voicecli.terminal.key_hints import key_hints
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.printable import printable
from voicecli.terminal.render_entry import SPEAKERS, argument_words, call_words
from voicecli.terminal.render_status import status_line
from voicecli.terminal.view_model import ViewModel

__all__ = ["draw_footer"]

_FULL_FROM_ROWS = 6  # on a lower screen the footer is the status alone
_NARROW = 22  # cells for words; below it, who speaks is told by the state


def draw_footer(view: ViewModel, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The footer's lines for a screen of this size: none is wider, and some rows are left for the conversation."""
    # Terminals wrap what is as wide as they were when they are made narrower: the words leave some room for that.
    top = _top_line(view, width - width // 10, glyphs)
    lines = [top, status_line(view, width, glyphs), _hint_line(view, width)]
    if height < _FULL_FROM_ROWS:
        lines = lines[:2] if view.editor is not None and height > 1 else lines[1:2]
    for line in lines:
        line.truncate(width)  # on the narrowest screens
    return lines


def _top_line(view: ViewModel, width: int, glyphs: Glyphs) -> Text:
    """The first line: what is being typed, asked of the user, run or said."""
    if view.editor is not None:
        return _typed_line(view.editor, width, glyphs)
    if view.approvals:
        return Text(_question(view.approvals[0], width, glyphs), style="bold yellow")
    if view.asleep:
        return Text(head(_how_to_wake(view), width, glyphs), style="dim")
    if tools := view.running_tools:
        run, seconds = tools[-1], f" {view.clock() - tools[-1].since:.0f} s"
        call = head(call_words(run.name, run.arguments), max(width - len(seconds), 1), glyphs)
        return Text(call + seconds, style="dim")
    if (partial := view.partial) is not None:
        label = f"{SPEAKERS[partial.role][0]}: " if width >= _NARROW else ""
        return Text(label + tail(printable(partial.text.strip()), width - len(label), glyphs), style="dim")
    return Text("")


def _how_to_wake(view: ViewModel) -> str:
    key = f"press Space to {'talk' if view.push_to_talk else 'wake it'}"
    return f"The microphone is muted: {key}" if view.microphone_muted else f'Say "{view.wake_word}", or {key}'


def _question(request: ApprovalRequest, width: int, glyphs: Glyphs) -> str:
    """The question to the user: of a long one the arguments are cut, and not what they are for."""
    what, where = f"Allow {printable(request.name)}", f" on {printable(request.server)}?"
    arguments = printable(" ".join(argument_words(request.arguments)))
    shown = head(arguments, width - cell_len(what + where) - 1, glyphs)
    return head(f"{what}{' ' if shown else ''}{shown}{where}", width, glyphs)


def _typed_line(editor: LineEditor, width: int, glyphs: Glyphs) -> Text:
    before = tail(printable(editor.text[: editor.cursor]), width - 4, glyphs)
    after = printable(editor.text[editor.cursor :]) or " "
    line = Text.assemble(("> ", "bold cyan"), before)
    line.append(after[0], style="reverse")
    line.append(head(after[1:], max(width - line.cell_len, 0), glyphs))
    return line


def _hint_line(view: ViewModel, width: int) -> Text:
    """The keys that work now: with words as far as they fit, then keys alone."""
    hints = key_hints(view)
    worded = len(hints)
    while worded and len(_hint_words(hints, worded)) > width:
        worded -= 1
    line = Text(style="dim")
    for index, (key, what) in enumerate(hints):
        piece = f"{key} {what}" if index < worded else key
        if line.cell_len + len(piece) + 2 * bool(line) > width:
            break
        line.append("  " if line else "").append(key, style="bold").append(piece[len(key) :])
    return line


def _hint_words(hints: Sequence[tuple[str, str]], worded: int) -> str:
    return "  ".join(f"{key} {what}" if index < worded else key for index, (key, what) in enumerate(hints))
