"""Captions as the live view shows them: what is being said, what was, and the microphone. Pure."""

from collections.abc import Callable, Sequence
from dataclasses import replace
from time import monotonic

from rich.text import Text

from voicecli.captions import Caption
from voicecli.terminal.fit import UNICODE, Glyphs, tail, wrap
from voicecli.terminal.printable import printable
from voicecli.terminal.render_status import device_forms, fit_segments

__all__ = ["CaptionModel", "draw_caption", "draw_caption_footer", "draw_note"]

_WIDE_ENOUGH = 24  # columns, for a time before the words
_FULL_FROM_ROWS = 6  # on a lower screen the footer is the status alone
_CHANNEL_STYLE = "cyan"


class CaptionModel:
    """What there is to show.

    Args:
        title: of who transcribes.
        clock: tells the time, in seconds.

    Attributes:
        microphone, bands: its name, and the levels of what it hears, 0 to 1.
        muted: whether it is.
        state: "loading", "listening", "ending" or "ended".
    """

    def __init__(self, title: str, *, clock: Callable[[], float] = monotonic) -> None:
        self.title = title
        self.microphone = ""
        self.bands: Sequence[float] = ()
        self.muted = False
        self.state = "loading"
        self.clock = clock
        self._since: float | None = None
        self._partial: dict[str, Caption] = {}
        self._lines: list[Caption | str] = []
        self._count = 0

    @property
    def count(self) -> int:
        """How many captions are final."""
        return self._count

    @property
    def partial(self) -> list[Caption]:
        """What is being said, as far as it is known."""
        return list(self._partial.values())

    @property
    def elapsed_s(self) -> float:
        """How long it has been listening, in seconds."""
        return 0.0 if self._since is None else self.clock() - self._since

    def listen(self) -> None:
        """Know that what is said is heard from now on."""
        self.state, self._since = "listening", self.clock()

    def apply(self, caption: Caption) -> None:
        """Take a caption; a final one replaces what was known of it."""
        if caption.final:
            self._partial.pop(caption.id, None)
            self._lines.append(caption)
            self._count += 1
        elif self.state != "ended":
            self._partial[caption.id] = caption

    def note(self, text: str) -> None:
        """Tell something beside the captions."""
        self._lines.append(text)

    def take_lines(self) -> list[Caption | str]:
        """Captions that are final, and notes, for the scrollback; each is returned once."""
        lines, self._lines = self._lines, []
        return lines

    def finish(self) -> None:
        """It is over: what is not final stays as it is known."""
        self.state = "ended"
        for caption in self.partial:
            self.apply(replace(caption, final=True))


def draw_caption(caption: Caption, width: int) -> Text:
    """A caption as it goes into the scrollback, at this many columns: its time, then its words, indented."""
    time = _time_text(caption.start_ms) if width >= _WIDE_ENOUGH else ""
    indent = " " * (len(time) + 2 if time else 0)
    name = f"{caption.speaker}: " if caption.speaker else ""
    words = name + printable(caption.text)
    line = Text()
    for at, (start, stop) in enumerate(wrap(words, width - len(indent))):
        line.append("\n" if at else "").append(f"{time}  " if not at and time else indent, "dim")
        split = min(max(len(name), start), stop)
        line.append(words[start:split], _CHANNEL_STYLE).append(words[split:stop])
    return line


def draw_note(text: str, width: int) -> Text:
    """A note as it goes into the scrollback."""
    shown = printable(text)
    return Text("\n".join(shown[start:stop] for start, stop in wrap(shown, width)), style="yellow")


def draw_caption_footer(model: CaptionModel, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """What is being said, the status line and the keys: none wider than the screen, at most half of its rows."""
    lines = [_status_line(model, width, glyphs), _hint_line(model)]
    rows = height // 2 - len(lines) - 1
    if height < _FULL_FROM_ROWS:
        lines = lines[:1]
    elif rows > 0:
        lines = [*_partial_lines(model, width, rows, glyphs), Text(""), *lines]
    for line in lines:
        line.truncate(width)
    return lines


def _partial_lines(model: CaptionModel, width: int, rows: int, glyphs: Glyphs) -> list[Text]:
    # Terminals wrap what is as wide as they were when they are made narrower: the words leave some room for that.
    room = width - width // 10
    lines: list[Text] = []
    for caption in model.partial:
        lines += draw_caption(caption, room).split("\n")
    if len(lines) > rows:  # the end of it is what is being said
        lines = lines[-rows:]
        first = lines[0].plain
        lines[0] = Text(tail(f"{glyphs.ellipsis} {first.strip()}", room, glyphs))
    for line in lines:
        line.stylize("dim")
    return lines


def _status_line(model: CaptionModel, width: int, glyphs: Glyphs) -> Text:
    words, style = {
        "loading": ("Loading", "yellow"),
        "listening": ("Hearing", "cyan") if model.partial else ("Listening", "blue"),
        "ending": ("Ending", "dim"),
        "ended": ("Ended", "dim"),
    }[model.state]
    state = [Text(shown, f"bold {style}") for shown in (f"{glyphs.bullet} {words.ljust(9)}", words)]
    microphone = device_forms("mic", model.microphone, model.bands, model.muted, glyphs)
    time = [Text(_time_text(int(model.elapsed_s * 1000)), style="dim")]
    title = [Text(printable(model.title), style="dim")]
    return fit_segments([forms for forms in (state, microphone, time, title) if forms], width)


def _hint_line(model: CaptionModel) -> Text:
    if model.state in ("ending", "ended"):
        return Text("")
    mute = "unmute" if model.muted else "mute"
    return Text.assemble(("m", "bold dim"), (f" {mute}  ", "dim"), ("q", "bold dim"), (" end", "dim"))


def _time_text(ms: int) -> str:
    seconds = max(0, ms) // 1000
    hours = f"{seconds // 3600}:" if seconds >= 3600 else ""
    return f"{hours}{seconds // 60 % 60:02}:{seconds % 60:02}"
