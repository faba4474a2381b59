"""Drawing of the footer: what is being said and done, the status line, and the keys that work now. Pure."""

from collections.abc import Sequence

from rich.cells import cell_len
from rich.text import Text

from voicecli.terminal.entries import ApprovalQuestion, Entry
from voicecli.terminal.fit import UNICODE, Glyphs, head, tail, wrap
from voicecli.terminal.key_hints import key_hints
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.printable import printable
from voicecli.terminal.render_entry import REMARK_STYLES, argument_words, call_words, question_words, stands_apart
from voicecli.terminal.render_running import running_line, running_lines
from voicecli.terminal.render_status import status_line
from voicecli.terminal.view_model import ViewModel

__all__ = ["draw_footer"]

_FULL_FROM_ROWS = 6  # on a lower screen the footer is the status alone
_LEAST_BODY = 3  # rows for what is being said; on a lower or narrower screen it is one line
_LEAST_WIDTH = 24
_MOST_REMARKS = 4  # lines, the newest; all are printed later


def draw_footer(
    view: ViewModel, width: int, height: int, glyphs: Glyphs = UNICODE, after: Entry | None = None
) -> list[Text]:
    """The footer's lines for a screen of this size: none is wider, and half of the rows are left for the conversation.

    Args:
        after: the last entry above it.
    """
    lines = [status_line(view, width, glyphs), _hint_line(view, width)]
    # Terminals wrap what is as wide as they were when they are made narrower: the words leave some room for that.
    room = width - width // 10
    if view.editor is not None:
        lines = [_typed_line(view.editor, room, glyphs), *lines]
    if height < _FULL_FROM_ROWS:
        lines = lines[:2] if view.editor is not None and height > 1 else lines[-2:-1]
    elif (left := height // 2 - len(lines)) > _LEAST_BODY and width >= _LEAST_WIDTH:
        body = _body(view, room, left - 1, glyphs, after)
        lines = [*body, Text(""), *lines]
    elif left > 0:
        lines = [_body_line(view, room, glyphs, after), *lines]
    for line in lines:
        line.truncate(width)  # on the narrowest screens
    return lines


def _body(view: ViewModel, width: int, rows: int, glyphs: Glyphs, after: Entry | None) -> list[Text]:
    """So many lines at most of what is said, run, asked of the user, and told beside the conversation."""
    remarks = [
        Text(text[start:stop], style=REMARK_STYLES[remark.kind])
        for remark in view.waiting_remarks
        for text in ["\n".join(map(printable, remark.text.split("\n")))]
        for start, stop in wrap(text, width)
    ][-_MOST_REMARKS:]
    rest = [*remarks, *_tool_lines(view, width, glyphs), *_question_lines(view, width, rows, glyphs, after)][-rows:]
    running = view.running
    if not running:
        return rest
    space = [Text("")] if stands_apart(running[0][0], after) else []
    gap = [Text("")] if rest else []
    left = rows - len(space) - len(gap) - len(rest)
    return [*space, *running_lines(view, width, left, glyphs), *gap, *rest] if left > 1 else rest


def _body_line(view: ViewModel, width: int, glyphs: Glyphs, after: Entry | None) -> Text:
    """The same in one line: the most urgent of it."""
    if lines := [*_tool_lines(view, width, glyphs), *_question_lines(view, width, 1, glyphs, after)]:
        return lines[-1]
    if view.waiting_remarks:
        remark = view.waiting_remarks[-1]
        return Text(head(printable(remark.text), width, glyphs), style=REMARK_STYLES[remark.kind])
    if view.partial is not None:
        return running_line(view.partial, width, glyphs)
    return Text("")


def _tool_lines(view: ViewModel, width: int, glyphs: Glyphs) -> list[Text]:
    """The latest tool that runs."""
    if not view.running_tools:
        return []
    run = view.running_tools[-1]
    seconds = f" {view.clock() - run.since:.0f} s"
    call = head(call_words(run), max(width - len(seconds) - 2, 1), glyphs)
    return [Text.assemble((f"{glyphs.bullet} ", "yellow"), (call + seconds, "dim"))]


def _question_lines(view: ViewModel, width: int, rows: int, glyphs: Glyphs, after: Entry | None) -> list[Text]:
    """The question to the user, in so many lines at most, unless it stands just above; asleep, how to wake it."""
    if view.asleep:
        return [Text(head(_how_to_wake(view), width, glyphs), style="dim")]
    request = view.questions.first
    if request is None:
        return []
    count = f" (1 of {len(view.questions)})" if len(view.questions) > 1 else ""
    question = head(question_words(request.name, request.server) + count, width, glyphs)
    text = "\n".join(map(printable, argument_words(request.arguments, exact=True)))
    if after == ApprovalQuestion(request.name, request.arguments, request.server):
        if len(wrap(text, max(width - 2, 1))) < rows:
            return [Text(count.strip(), style="dim")] if count else []
        return [Text(question, style="bold yellow")]  # the line above may have left the screen
    if rows == 1 or not text:
        rest = head(" ".join(text.split("\n")), max(width - cell_len(question) - 1, 0), glyphs)
        return [Text.assemble((question, "bold yellow"), f" {rest}" if rest else "")]
    lines = [text[start:stop] for start, stop in wrap(text, width - 2)]
    if len(lines) > (room := rows - 1):  # all of it stands above: its end matters as much as its beginning
        kept = (room - 1) // 2
        above = head(f"{glyphs.ellipsis} {len(lines) - room + 1} lines, which stand above", width - 2, glyphs)
        lines = [*lines[: room - 1 - kept], above, *lines[len(lines) - kept :]]
    return [Text(question, style="bold yellow"), *(Text(f"  {line}") for line in lines)]


def _how_to_wake(view: ViewModel) -> str:
    key = f"press Space to {'talk' if view.push_to_talk else 'wake it'}"
    return f"The microphone is muted: {key}" if view.microphone_muted else f'Say "{view.wake_word}", or {key}'


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
