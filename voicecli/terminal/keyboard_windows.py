"""The keyboard of a Windows console, whose escape sequences are read as those of any terminal."""

import asyncio
import threading
from collections.abc import Callable
from contextlib import suppress
from typing import Protocol

from voicecli.terminal.key_decoder import Key
from voicecli.terminal.key_feed import PASTE_OFF, PASTE_ON, KeyFeed

__all__ = ["Console", "ConsoleKeyboard"]

_PASTE_START, _PASTE_END = "\x1b[200~", "\x1b[201~"
_MOST_TYPED = 8
"""Characters that come at once, of which one may be typing: more than these are pasted, unless one key is held."""


class Console(Protocol):
    """What a `ConsoleKeyboard` reads; see `WindowsConsole`."""

    def take(self) -> None: ...

    def give_back(self) -> None: ...

    def read(self) -> str | None: ...


class ConsoleKeyboard:
    """A `Keyboard` of a console.

    Args:
        write: takes escape codes for the same console.
    """

    def __init__(self, console: Console, write: Callable[[str], object], on_key: Callable[[Key], None]) -> None:
        self._console = console
        self._write = write
        self._on_key = on_key
        self._feed: KeyFeed | None = None  # while it is open

    def open(self) -> None:
        self._console.take()
        self._write(PASTE_ON)
        feed = self._feed = KeyFeed(self._on_key, on_kitty=lambda: None)
        arguments = (asyncio.get_running_loop(), feed)
        threading.Thread(target=self._read_on, args=arguments, name="voicecli-keyboard", daemon=True).start()

    def close(self) -> None:
        feed, self._feed = self._feed, None
        if feed is None:
            return
        feed.stop()
        with suppress(OSError):  # the console is gone: there is nothing to give back
            self._write(PASTE_OFF)
        self._console.give_back()

    def _read_on(self, loop: asyncio.AbstractEventLoop, feed: KeyFeed) -> None:
        while (text := self._console.read()) is not None:
            with suppress(RuntimeError):  # the loop is closed
                loop.call_soon_threadsafe(self._take, feed, text)

    def _take(self, feed: KeyFeed, text: str) -> None:
        if feed is self._feed:
            feed.take(_marked(text))


def _marked(text: str) -> str:
    """Mark what was pasted, as old consoles do not: by how much of it comes at once."""
    if len(text) <= _MOST_TYPED or "\x1b" in text or len(set(text)) == 1:
        return text
    return f"{_PASTE_START}{text}{_PASTE_END}"
