"""A view for tests: events go in, the clock is set by hand, lines come out."""

import io
import os
import select
from dataclasses import replace

from rich.console import Console

from voicecli.events import AssistantState, Event, SessionStarted, StateChanged, TranscriptUpdate, UserState
from voicecli.terminal.fit import UNICODE, Glyphs
from voicecli.terminal.render_entry import draw_entry
from voicecli.terminal.render_footer import draw_footer
from voicecli.terminal.view_model import AudioStatus, ViewModel

__all__ = ["DEVICES", "STARTED", "Stage", "assistant", "now", "read", "user"]

STARTED = SessionStarted("s", "m", "v", 24_000, 24_000)
DEVICES = AudioStatus("Built-in Microphone", "Headphones", (0.0, 0.5, 1.0), (0.2,), echo="gate")


def user(text: str, *, final: bool = True, item_id: str = "u1") -> TranscriptUpdate:
    return TranscriptUpdate("user", item_id, text, final)


def assistant(text: str, *, final: bool = True, item_id: str = "a1", interrupted: bool = False) -> TranscriptUpdate:
    return TranscriptUpdate("assistant", item_id, text, final, interrupted)


def now(assistant: AssistantState, *, user: UserState = "silent") -> StateChanged:
    """The event that the assistant does this now."""
    return StateChanged(user, assistant)


class Stage:
    """A view whose clock the test sets."""

    def __init__(
        self, *events: Event, push_to_talk: bool = False, playing: bool = False, max_cost: float | None = None
    ) -> None:
        self.now = 0.0
        self.view = ViewModel(push_to_talk=push_to_talk, max_cost=max_cost, clock=lambda: self.now)
        self.happen(STARTED, now("listening"), *events, playing=playing)

    def happen(self, *events: Event, playing: bool | None = None) -> None:
        for event in events:
            self.view.apply(event)
        if playing is not None:
            self.view.audio = replace(self.view.audio, playing=playing)

    def footer(self, width: int = 80, height: int = 24, glyphs: Glyphs = UNICODE) -> list[str]:
        return [line.plain for line in draw_footer(self.view, width, height, glyphs)]

    def status(self, width: int = 80, height: int = 24, glyphs: Glyphs = UNICODE) -> str:
        """The status line."""
        return self.footer(width, height, glyphs)[-2]

    def hints(self, width: int = 80) -> str:
        """The line of keys."""
        return self.footer(width)[-1]

    def said(self, width: int = 80, height: int = 24) -> list[str]:
        """What the footer shows above the empty line before the status."""
        return self.footer(width, height)[:-3]

    def scrolled(self, width: int = 80, glyphs: Glyphs = UNICODE) -> list[str]:
        """The lines that went to the scrollback since the last call, without the empty ones."""
        console = Console(width=width, file=io.StringIO(), legacy_windows=False)
        with console.capture() as capture:
            for entry in self.view.take_entries():
                console.print(draw_entry(entry, width, glyphs), highlight=False)
        return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def read(fd: int) -> str:
    """All that has been written to a pseudo-terminal so far."""
    data = b""
    while select.select([fd], [], [], 0)[0]:
        data += os.read(fd, 65_536)
    return data.decode()
