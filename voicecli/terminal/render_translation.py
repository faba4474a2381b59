"""Drawing of what an interpreter hears and says: side by side, or on a narrow screen one below the other. Pure."""

from collections.abc import Sequence
from itertools import zip_longest
from typing import TypeVar

from rich.console import Group, RenderableType
from rich.text import Text

from voicecli.terminal.entries import Header, Remark
from voicecli.terminal.fit import Glyphs, wrap
from voicecli.terminal.printable import printable
from voicecli.terminal.render_entry import draw_entry
from voicecli.terminal.render_status import device_forms, fitted
from voicecli.terminal.translation_view import Block, TranslationView

__all__ = ["KEYS", "draw_block", "draw_scrolled", "draw_translation_footer"]

T = TypeVar("T")

_SIDE_BY_SIDE_FROM = 70  # columns
_HEARD, _TRANSLATED = "dim", ""
_GAP = 3
_LEAST_ROWS = 6  # on a lower screen the footer is the status alone
_STATE_CELLS = len("Reconnecting 1")
_STATE_STYLES = {
    "Connecting": "yellow",
    "Listening": "blue",
    "Hearing": "cyan",
    "Translating": "green",
    "Muted": "red",
    "Ending": "dim",
    "Ended": "dim",
}
KEYS = (
    ("m", "mute the microphone, or unmute it"),
    ("s", "speaker off, or on again"),
    ("q or Ctrl-C", "end; what was said last is still translated, for at most 5 s"),
)


def draw_scrolled(
    entry: Header | Block | Remark, view: TranslationView, width: int, glyphs: Glyphs, *, after: object
) -> RenderableType:
    """The entry as it goes into the scrollback.

    Args:
        after: the entry before it; None for nothing.
    """
    if isinstance(entry, Block):
        lines = draw_block(entry, width, both=view.both)
        return Group(*([Text()] if after is not None else []), *lines)
    return draw_entry(entry, width, glyphs)


def draw_block(block: Block, width: int, *, both: bool = True, rows: int | None = None) -> list[Text]:
    """The lines of a block: what was said, and its translation.

    Args:
        both: whether what was said is shown, too.
        rows: how many lines at most; of more, the last ones are shown.
    """
    if not both:
        return _last([Text(line, _TRANSLATED) for line in _lines(block.text("assistant"), width)], rows)
    if width < _SIDE_BY_SIDE_FROM:
        heard = [Text(line, _HEARD) for line in _lines(block.text("user"), width)]
        translated = [Text(f"  {line}", _TRANSLATED) for line in _lines(block.text("assistant"), width - 2)]
        if rows is None:
            return [*heard, *translated]
        room = max(rows - min(len(heard), rows // 2), 0)
        translated = _last(translated, room)
        return [*_last(heard, rows - len(translated)), *translated]
    column = (width - _GAP) // 2
    left, right = _lines(block.text("user"), column), _lines(block.text("assistant"), column)
    if rows is not None:
        left, right = _last(left, rows), _last(right, rows)
    lines = []
    for heard_line, translated_line in zip_longest(left, right, fillvalue=""):
        cell = Text(heard_line, _HEARD)
        cell.pad_right(column + _GAP - cell.cell_len)
        lines.append(Text.assemble(cell, (translated_line, _TRANSLATED)))
    return lines


def draw_translation_footer(view: TranslationView, width: int, height: int, glyphs: Glyphs) -> list[Text]:
    """The footer's lines: the block that goes on, the status, and the keys."""
    lines = [_status(view, width, glyphs), _hints(view, width)]
    if height < _LEAST_ROWS:
        lines = lines[:1]
    else:
        # Terminals wrap what is as wide as they were when they are made narrower: the words leave some room for that.
        room = width - width // 10 if width < _SIDE_BY_SIDE_FROM else width
        body = draw_block(view.running, room, both=view.both, rows=max(height // 2 - 3, 1))
        lines = [Text(""), *body, *([Text("")] if body else []), *lines]
    for line in lines:
        line.truncate(width)
    return lines


def _status(view: TranslationView, width: int, glyphs: Glyphs) -> Text:
    state, audio = view.state, view.audio
    style = f"bold {_STATE_STYLES.get(state, 'yellow')}"
    words = state.ljust(_STATE_CELLS)
    to = [Text.assemble(("to ", "dim"), view.to)]
    position = [Text.assemble(("at ", "dim"), view.position_words)] if view.position_words else []
    mic = device_forms("mic", audio.microphone, audio.microphone_bands, view.microphone_muted, glyphs)
    muted = view.speaker_muted and view.has_speaker
    speaker = device_forms("spk", audio.speaker, audio.speaker_bands, muted, glyphs)
    lag = [] if view.lag_s is None else [Text.assemble(("lag ", "dim"), f"{view.lag_s:.1f} s")]
    cost = [Text(view.cost_words, "dim")] if view.cost_words else []
    echo = [Text(f"echo {audio.echo}", "dim")] if audio.echo else []
    segments = (
        [Text(f"{glyphs.bullet} {words}", style), Text(state, style)],
        to,
        position,
        lag,
        mic,
        speaker,
        cost,
        echo,
    )
    return fitted([list(forms) for forms in segments if forms], width)


def _hints(view: TranslationView, width: int) -> Text:
    hints = [("m", "unmute" if view.microphone_muted else "mute"), ("q", "end")]
    if view.has_speaker:
        hints.append(("s", "speaker on" if view.speaker_muted else "speaker off"))
    hints.append(("?", "help"))
    line = Text(style="dim")
    for key, what in [] if view.state in {"Ending", "Ended"} else hints:
        if line.cell_len + len(f"  {key} {what}") > width:
            break
        line.append("  " if line else "").append(key, style="bold").append(f" {what}")
    return line


def _lines(text: str, cells: int) -> list[str]:
    shown = "\n".join(map(printable, text.split("\n")))
    return [shown[start:stop] for start, stop in wrap(shown, cells)] if shown else []


def _last(items: Sequence[T], rows: int | None) -> list[T]:
    if rows is None:
        return list(items)
    return list(items[-rows:]) if rows > 0 else []
