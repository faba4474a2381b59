"""The page of captions in the live view: what is being said, what was, and the microphone. Pure."""

from collections.abc import Callable
from dataclasses import replace
from time import monotonic
from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from voicecli.captions import Caption
from voicecli.terminal.fit import Glyphs, tail, wrap
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.printable import printable
from voicecli.terminal.render_status import device_forms, fitted
from voicecli.terminal.view_model import AudioStatus

__all__ = ["CaptionControls", "CaptionPage"]

_WIDE_ENOUGH = 24  # columns, for a time before the words
_FULL_FROM_ROWS = 6  # on a lower screen the footer is the status alone
_CHANNEL_STYLE = "cyan"


class CaptionControls(Protocol):
    """What the keys do."""

    def mute(self, muted: bool) -> None: ...
    def end(self) -> None: ...


class CaptionPage:
    """Captions, a `Page` of the live view.

    Args:
        title: of who transcribes.
        clock: tells the time, in seconds.

    Attributes:
        muted: whether the microphone is.
        state: "loading", "listening", "ending" or "ended".
    """

    asleep = types = False

    def __init__(self, title: str, controls: CaptionControls, *, clock: Callable[[], float] = monotonic) -> None:
        self.muted = False
        self.state = "loading"
        self._title = title
        self._controls = controls
        self._clock = clock
        self._audio = AudioStatus()
        self._since: float | None = None
        self._partial: dict[str, Caption] = {}
        self._lines: list[Caption | str] = []

    def listen(self) -> None:
        """Know that what is said is heard from now on."""
        self.state, self._since = "listening", self._clock()

    def apply(self, caption: Caption) -> None:
        """Take a caption; a final one replaces what was known of it."""
        if caption.final:
            self._partial.pop(caption.id, None)
            self._lines.append(caption)
        elif self.state != "ended":
            self._partial[caption.id] = caption

    def note(self, text: str) -> None:
        """Tell something beside the captions."""
        self._lines.append(text)

    # -- Page

    def clock(self) -> float:
        return self._clock()

    def heard(self, audio: AudioStatus) -> None:
        self._audio = audio

    def scrolled(self, width: int, glyphs: Glyphs) -> list[RenderableType]:
        lines, self._lines = self._lines, []
        return [_draw_note(line, width) if isinstance(line, str) else _draw_caption(line, width) for line in lines]

    def footer(self, width: int, height: int, glyphs: Glyphs) -> list[Text]:
        """What is being said, the status line and the keys: none wider than the screen, at most half of its rows."""
        lines = [self._status_line(width, glyphs), self._hint_line()]
        rows = height // 2 - len(lines) - 1
        if height < _FULL_FROM_ROWS:
            lines = lines[:1]
        elif rows > 0:
            lines = [*self._partial_lines(width, rows, glyphs), Text(""), *lines]
        for line in lines:
            line.truncate(width)
        return lines

    def press(self, key: Key) -> None:
        if key.action != "press":
            return
        if key.name == "m":
            self.muted = not self.muted
            self._controls.mute(self.muted)
        elif key.name == "q":
            self.end()

    def tick(self) -> None:
        """Nothing happens by time alone."""

    def end(self) -> None:
        if self.state != "ended":
            self.state = "ending"
        self._controls.end()

    def clear_line(self) -> None:
        """Nothing is typed here."""

    def finish(self) -> None:
        """What is not final stays as it is known."""
        self.state = "ended"
        for caption in list(self._partial.values()):
            self.apply(replace(caption, final=True))

    # -- drawing

    def _partial_lines(self, width: int, rows: int, glyphs: Glyphs) -> list[Text]:
        # Terminals wrap what is as wide as they were when they are made narrower: the words leave some room for that.
        room = width - width // 10
        lines = [line for caption in self._partial.values() for line in _draw_caption(caption, room).split("\n")]
        if len(lines) > rows:  # the end of it is what is being said
            lines = lines[-rows:]
            lines[0] = Text(tail(f"{glyphs.ellipsis} {lines[0].plain.strip()}", room, glyphs))
        for line in lines:
            line.stylize("dim")
        return lines

    def _status_line(self, width: int, glyphs: Glyphs) -> Text:
        words, style = {
            "loading": ("Loading", "yellow"),
            "listening": ("Hearing", "cyan") if self._partial else ("Listening", "blue"),
            "ending": ("Ending", "dim"),
            "ended": ("Ended", "dim"),
        }[self.state]
        state = [Text(shown, f"bold {style}") for shown in (f"{glyphs.bullet} {words.ljust(9)}", words)]
        audio = self._audio
        microphone = device_forms("mic", audio.microphone, audio.microphone_bands, self.muted, glyphs)
        elapsed_s = 0.0 if self._since is None else self._clock() - self._since
        time = [Text(_time_text(int(elapsed_s * 1000)), style="dim")]
        title = [Text(printable(self._title), style="dim")]
        return fitted([forms for forms in (state, microphone, time, title) if forms], width)

    def _hint_line(self) -> Text:
        if self.state in ("ending", "ended"):
            return Text("")
        mute = "unmute" if self.muted else "mute"
        return Text.assemble(("m", "bold dim"), (f" {mute}  ", "dim"), ("q", "bold dim"), (" end", "dim"))


def _draw_caption(caption: Caption, width: int) -> Text:
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


def _draw_note(text: str, width: int) -> Text:
    """A note as it goes into the scrollback."""
    shown = printable(text)
    return Text("\n".join(shown[start:stop] for start, stop in wrap(shown, width)), style="yellow")


def _time_text(ms: int) -> str:
    seconds = max(0, ms) // 1000
    hours = f"{seconds // 3600}:" if seconds >= 3600 else ""
    return f"{hours}{seconds // 60 % 60:02}:{seconds % 60:02}"
