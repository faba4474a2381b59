"""Writes to a terminal that scrolls as usual, with a few lines at its end that are drawn again and again."""

import os
import sys
from collections.abc import Sequence
from contextlib import suppress
from typing import TextIO

from voicecli.terminal.console_writer import ConsoleWriter

__all__ = ["Screen", "open_nonblocking"]

_HIDE_CURSOR, _SHOW_CURSOR = "\x1b[?25l", "\x1b[?25h"
# "Synchronized output": all of it is shown at once, where the terminal can.
_BEGIN, _END = "\x1b[?2026h", "\x1b[?2026l"
# From the screen's first place, tmux takes clearing for "clear the screen", and keeps a copy of it in its history.
_CLEAR_BELOW = "\r\x1b[K\x1b[C\x1b[J\r"
# A line whose width was misjudged must not become two.
_WRAP_OFF, _WRAP_ON = "\x1b[?7l", "\x1b[?7h"


class Screen:
    """A terminal's end.

    Between pictures the cursor stands at the beginning of the footer: whatever a resize does to the lines, clearing
    from there clears all of the footer, and what another program writes there stays readable.

    Args:
        stream: the terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._fd = -1
        self._writer: ConsoleWriter | None = None
        self._encoding = stream.encoding or "utf-8"
        self._waiting = b""
        self._footer: list[str] = []
        self._size = (0, 0)
        self._shown = False

    @property
    def size(self) -> tuple[int, int]:
        """Columns and rows, now."""
        try:
            columns, rows = os.get_terminal_size(self._stream.fileno())
        except OSError:
            return 80, 24
        return columns or 80, rows or 24  # 0 is what a terminal without a window says

    def draw(self, text: str, footer: Sequence[str]) -> None:
        """Add `text` to the scrollback, and show the footer's lines below. Does not wait for a slow terminal.

        Args:
            text: whole lines, each with its line feed, or "".
            footer: at most as many lines as the screen has rows, none wider than it.
        """
        size = self.size
        if not self.flush() and not text:
            return  # the terminal does not keep up: it gets a later picture instead of this one
        if not text and self._shown and list(footer) == self._footer and size == self._size:
            return
        self._footer, self._size, self._shown = list(footer), size, True
        up = f"\x1b[{len(footer) - 1}A" if len(footer) > 1 else ""
        lines = "\n".join(footer)
        picture = f"{_BEGIN}{_HIDE_CURSOR}{_CLEAR_BELOW}{text}{_WRAP_OFF}{lines}{_WRAP_ON}\r{up}{_END}"
        self._waiting += picture.encode(self._encoding, "replace")
        self.flush()

    def flush(self) -> bool:
        """Write what waits as far as the terminal takes it now; whether it took all."""
        while self._waiting:
            try:
                self._waiting = self._waiting[self._write(self._waiting) :]
            except BlockingIOError:
                return False
            except OSError:
                self._waiting = b""  # the terminal is gone; SIGHUP tells everybody
        return True

    def close(self) -> None:
        """Take the footer away and leave the cursor where it was. Idempotent, and allowed in a signal handler."""
        if self._shown:
            self._shown = False
            # What waits may have stopped in the middle of a sequence: a cancel character (0x18) ends that.
            cut = "\x18" if self._waiting else ""
            self._waiting = b""
            last = f"{cut}{_END}{_WRAP_ON}{_CLEAR_BELOW}{_SHOW_CURSOR}".encode()
            with suppress(OSError):
                if self._writer is not None:
                    self._writer.finish(last)
                else:
                    self._write(last)
            self._writer = None
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _write(self, data: bytes) -> int:
        if sys.platform == "win32":
            if self._writer is None:
                self._writer = ConsoleWriter(self._stream.buffer)
            return self._writer.write(data)
        if self._fd < 0:
            self._stream.flush()
            self._fd = open_nonblocking(self._stream.fileno(), os.O_WRONLY)
        return os.write(self._fd, data)


def open_nonblocking(fd: int, access: int) -> int:
    """Open the terminal again, set not to wait; `fd` itself shares that setting with other programs.

    Args:
        access: os.O_RDONLY or os.O_WRONLY.

    Returns:
        A descriptor to be closed; one that waits where the terminal cannot be opened.
    """
    if sys.platform != "win32":
        with suppress(OSError):  # a terminal of another container's or user's
            return os.open(os.ttyname(fd), access | os.O_NOCTTY | os.O_NONBLOCK)
    return os.dup(fd)
