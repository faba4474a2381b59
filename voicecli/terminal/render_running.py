"""Drawing of the words being said: in full and wrapped, with what was heard of them told from what is to come. Pure."""

from dataclasses import dataclass

from rich.text import Text

from voicecli.terminal.entries import Utterance
from voicecli.terminal.fit import Glyphs, tail, wrap
from voicecli.terminal.printable import printable
from voicecli.terminal.render_entry import SPEAKERS, label
from voicecli.terminal.view_model import ViewModel

__all__ = ["running_line", "running_lines"]

_INDENT = "  "
_NARROW = 22  # cells for words; below it, who speaks is told by the state
_TO_COME = "dim"


@dataclass(frozen=True, slots=True)
class _Line:
    """A line of somebody's words.

    Attributes:
        start, stop: where it is in the text.
        heard: how much of the text was heard.
    """

    text: str
    start: int
    stop: int
    heard: int

    def draw(self, mark: str) -> Text:
        split = min(max(self.heard, self.start), self.stop)
        return Text.assemble(
            mark.ljust(len(_INDENT)), self.text[self.start : split], (self.text[split : self.stop], _TO_COME)
        )


def running_lines(view: ViewModel, width: int, rows: int, glyphs: Glyphs) -> list[Text]:
    """The words being said, under who says them. Of long ones so many rows as there are, around what is being heard.

    Args:
        rows: at most so many lines; at least 2.
    """
    lines: list[Text | _Line] = []
    focus = -1  # the line that is being heard
    for words, heard in view.running:
        lines.append(label(words, glyphs))
        text = _shown(words.text)
        # What may still change, and what was not heard yet, is not certain.
        known = len(text) if heard is None and (words.final or words.role == "assistant") else 0
        known = len(_shown(heard)) if heard else known
        body = [_Line(text, start, stop, known) for start, stop in wrap(text, width - len(_INDENT))]
        if heard is not None and known < len(text) and focus < 0:
            focus = len(lines) + next((at for at, line in enumerate(body) if known < line.stop), len(body) - 1)
        lines += body
    focus = len(lines) - 1 if focus < 0 else focus
    first = min(max(focus - rows // 2, 0), max(len(lines) - rows, 0))
    shown = lines[first : first + rows]
    last = len(shown) - 1 if first + rows < len(lines) else -1
    return [
        line.draw(glyphs.ellipsis[: len(_INDENT) - 1] if place == last or (first and not place) else "")
        if isinstance(line, _Line)
        else line
        for place, line in enumerate(shown)
    ]


def running_line(words: Utterance, width: int, glyphs: Glyphs) -> Text:
    """The end of the words in one line, for a low screen."""
    name = f"{SPEAKERS[words.role][0]}: " if width >= _NARROW else ""
    return Text(name + tail(printable(words.text.strip()), width - len(name), glyphs), style=_TO_COME)


def _shown(text: str) -> str:
    return "\n".join(map(printable, text.lstrip().splitlines()))
