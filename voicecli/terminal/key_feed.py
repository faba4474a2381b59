"""Keys out of what a terminal sends, with the pause that tells the Escape key from the beginning of a sequence."""

import asyncio
from collections.abc import Callable

from voicecli.terminal.key_decoder import Key, KeyDecoder
from voicecli.terminal.key_signals import deliver

__all__ = ["ASK_KITTY", "KITTY_OFF", "KITTY_ON", "PASTE_OFF", "PASTE_ON", "KeyFeed"]

# A terminal sends an escape sequence at once; over a slow line its parts are seldom further apart. Much longer
# would make the Escape key lag.
_ESCAPE_WAIT_S = 0.05
PASTE_ON, PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
"""Pasted text is marked as such, and no more."""
ASK_KITTY = "\x1b7\x1b[?u\x1b8"
"""Asks whether the terminal speaks kitty's protocol. Some take the question for "restore the cursor": it is saved
before, and restored behind it."""
KITTY_ON, KITTY_OFF = "\x1b[>27u", "\x1b[<u"
"""Tell escape from sequences (1), report repeat and release (2), of all keys (8), and the text they type (16)."""


class KeyFeed:
    """Hands on the keys in what a terminal sends. Everything is called in the event loop.

    Args:
        on_key: is called for each key; those that stand for a signal become one.
        on_kitty: is called once, before the keys that came with it, when the terminal says that it speaks kitty's
            keyboard protocol.
    """

    def __init__(self, on_key: Callable[[Key], None], on_kitty: Callable[[], None]) -> None:
        self._on_key = on_key
        self._on_kitty = on_kitty
        self._decoder = KeyDecoder()
        self._told_kitty = False
        self._flush: asyncio.TimerHandle | None = None

    def take(self, text: str) -> None:
        """Take what came; a sequence may end in what comes next."""
        self.stop()
        keys = self._decoder.feed(text)
        if self._decoder.speaks_kitty and not self._told_kitty:
            self._told_kitty = True
            self._on_kitty()
        deliver(keys, self._on_key)
        if self._decoder.waiting:
            self._flush = asyncio.get_running_loop().call_later(_ESCAPE_WAIT_S, self._flush_keys)

    def stop(self) -> None:
        """Wait for nothing more; allowed in a signal handler."""
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None

    def _flush_keys(self) -> None:
        self._flush = None
        deliver(self._decoder.flush(), self._on_key)
