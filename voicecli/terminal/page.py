"""What a live view shows, and what its keys do: the page of a conversation, and the seam for others."""

from typing import Protocol

from rich.console import RenderableType
from rich.text import Text

from voicecli.terminal.entries import Entry
from voicecli.terminal.fit import Glyphs
from voicecli.terminal.key_bindings import Controls, KeyCommands
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.render_entry import draw_entry
from voicecli.terminal.render_footer import draw_footer
from voicecli.terminal.view_model import AudioStatus, ViewModel

__all__ = ["ConversationPage", "Page"]


class Page(Protocol):
    """A model of the screen with its drawing and its keys. Nothing here may wait."""

    @property
    def asleep(self) -> bool:
        """Whether hardly anything is to be seen, so that it need not be drawn often."""

    @property
    def types(self) -> bool:
        """Whether a line is being typed."""

    def clock(self) -> float:
        """The time in seconds, monotonic."""

    def heard(self, audio: AudioStatus) -> None:
        """Take note of what the sound devices do now."""

    def scrolled(self, width: int, glyphs: Glyphs) -> list[RenderableType]:
        """What goes into the scrollback since the last call."""

    def footer(self, width: int, height: int, glyphs: Glyphs) -> list[Text]:
        """The lines below, none wider than that."""

    def press(self, key: Key) -> None:
        """Take a key."""

    def tick(self) -> None:
        """Time has passed: called about every 80 ms."""

    def end(self) -> None:
        """The user wants to end."""

    def clear_line(self) -> None:
        """Ctrl-C while a line is being typed."""

    def finish(self) -> None:
        """Nothing more comes. Idempotent."""


class ConversationPage:
    """The page of a conversation."""

    def __init__(self, view: ViewModel, controls: Controls) -> None:
        self._view = view
        self._commands = KeyCommands(view, controls)
        self._printed: Entry | None = None  # the last one

    @property
    def asleep(self) -> bool:
        return self._view.asleep

    @property
    def types(self) -> bool:
        return self._view.editor is not None

    def clock(self) -> float:
        return self._view.clock()

    def heard(self, audio: AudioStatus) -> None:
        self._view.audio = audio

    def scrolled(self, width: int, glyphs: Glyphs) -> list[RenderableType]:
        drawn = []
        for entry in self._view.take_entries():
            drawn.append(draw_entry(entry, width, glyphs, self._printed))
            self._printed = entry
        return drawn

    def footer(self, width: int, height: int, glyphs: Glyphs) -> list[Text]:
        return draw_footer(self._view, width, height, glyphs, self._printed)

    def press(self, key: Key) -> None:
        self._commands.press(key)

    def tick(self) -> None:
        self._commands.tick()

    def end(self) -> None:
        self._commands.end()

    def clear_line(self) -> None:
        self._commands.clear_line()

    def finish(self) -> None:
        self._view.finish()
