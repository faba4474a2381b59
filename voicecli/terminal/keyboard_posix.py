"""The keyboard of a POSIX terminal, in a mode in which each key is read as it is pressed."""

import asyncio
import codecs
import os
import select
import sys
import termios
from collections.abc import Callable

from voicecli.terminal.key_decoder import Key, KeyDecoder
from voicecli.terminal.key_signals import deliver
from voicecli.terminal.screen import open_nonblocking

assert sys.platform != "win32"  # tells mypy, too

__all__ = ["TerminalKeyboard"]

# A terminal sends an escape sequence at once; over a slow line its parts are seldom further apart. Much longer
# would make the Escape key lag.
_ESCAPE_WAIT_S = 0.05
_READ_SIZE = 4096
_PASTE_ON, _PASTE_OFF = "\x1b[?2004h", "\x1b[?2004l"
_ASK_KITTY = "\x1b[?u"
# Tell escape from sequences (1), report repeat and release (2), of all keys (8), and the text they type (16).
_KITTY_ON, _KITTY_OFF = "\x1b[>27u", "\x1b[<u"


class TerminalKeyboard:
    """The keyboard of a POSIX terminal.

    Args:
        fd: read from.
        out_fd: of the same terminal, takes escape codes.
    """

    def __init__(self, fd: int, out_fd: int, on_key: Callable[[Key], None]) -> None:
        self._fd = fd
        self._own_fd = -1  # the same terminal, while it is open here: others read it, too, and take keys away
        self._out_fd = out_fd
        self._on_key = on_key
        self._decoder = KeyDecoder()
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._before: list[int | list[bytes | int]] | None = None
        self._kitty = False
        self._loop: asyncio.AbstractEventLoop | None = None
        self._flush: asyncio.TimerHandle | None = None

    def open(self) -> None:
        self._before = termios.tcgetattr(self._fd)
        mode = termios.tcgetattr(self._fd)
        # No echo, no waiting for Enter; and no Ctrl-S, which would stop the screen and, with it, the program.
        mode[0] &= ~(termios.IXON | termios.ICRNL)
        mode[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
        os.write(self._out_fd, (_PASTE_ON + _ASK_KITTY).encode())
        self._own_fd = open_nonblocking(self._fd, os.O_RDONLY)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._own_fd, self._read)

    def close(self) -> None:
        if self._before is None:
            return
        before, self._before = self._before, None
        if self._flush is not None:
            self._flush.cancel()
        self._stop_reading()
        try:
            os.write(self._out_fd, ((_KITTY_OFF if self._kitty else "") + _PASTE_OFF).encode())
            # What was typed and not read is not for the shell.
            termios.tcsetattr(self._fd, termios.TCSAFLUSH, before)
        except (OSError, termios.error):
            pass  # the terminal is gone: there is nothing to give back
        self._kitty = False

    def _stop_reading(self) -> None:
        own_fd, self._own_fd = self._own_fd, -1
        if own_fd >= 0:
            if self._loop is not None:
                self._loop.remove_reader(own_fd)
            os.close(own_fd)

    def _read(self) -> None:
        try:
            if os.get_blocking(self._own_fd) and not select.select([self._own_fd], [], [], 0)[0]:
                return
            data = os.read(self._own_fd, _READ_SIZE)
        except BlockingIOError:
            return  # somebody else was quicker
        except (OSError, ValueError):
            data = b""
        if not data:  # the terminal was closed; SIGHUP tells everybody
            self._stop_reading()
            return
        if self._flush is not None:
            self._flush.cancel()
            self._flush = None
        keys = self._decoder.feed(self._utf8.decode(data))
        if self._decoder.speaks_kitty and not self._kitty:
            self._kitty = True
            os.write(self._out_fd, _KITTY_ON.encode())
        deliver(keys, self._on_key)
        if self._decoder.waiting and self._loop is not None:
            self._flush = self._loop.call_later(_ESCAPE_WAIT_S, self._flush_keys)

    def _flush_keys(self) -> None:
        self._flush = None
        deliver(self._decoder.flush(), self._on_key)
