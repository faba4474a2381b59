"""The keyboard of a POSIX terminal, in a mode in which each key is read as it is pressed."""

import asyncio
import codecs
import os
import select
import sys
import termios
from collections.abc import Callable

from voicecli.terminal.key_decoder import Key
from voicecli.terminal.key_feed import ASK_KITTY, KITTY_OFF, KITTY_ON, PASTE_OFF, PASTE_ON, KeyFeed
from voicecli.terminal.screen import open_nonblocking

assert sys.platform != "win32"  # tells mypy, too

__all__ = ["TerminalKeyboard"]

_READ_SIZE = 4096


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
        self._feed = KeyFeed(on_key, self._speak_kitty)
        self._utf8 = codecs.getincrementaldecoder("utf-8")(errors="replace")
        self._before: list[int | list[bytes | int]] | None = None
        self._kitty = False
        self._loop: asyncio.AbstractEventLoop | None = None

    def open(self) -> None:
        self._feed = KeyFeed(self._on_key, self._speak_kitty)
        self._before = termios.tcgetattr(self._fd)
        mode = termios.tcgetattr(self._fd)
        # No echo, no waiting for Enter; and no Ctrl-S, which would stop the screen and, with it, the program.
        mode[0] &= ~(termios.IXON | termios.ICRNL)
        mode[3] &= ~(termios.ECHO | termios.ICANON | termios.IEXTEN)
        mode[6][termios.VMIN], mode[6][termios.VTIME] = 1, 0
        termios.tcsetattr(self._fd, termios.TCSADRAIN, mode)
        os.write(self._out_fd, (PASTE_ON + ASK_KITTY).encode())
        self._own_fd = open_nonblocking(self._fd, os.O_RDONLY)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self._own_fd, self._read)

    def close(self) -> None:
        if self._before is None:
            return
        before, self._before = self._before, None
        self._feed.stop()
        self._stop_reading()
        try:
            os.write(self._out_fd, ((KITTY_OFF if self._kitty else "") + PASTE_OFF).encode())
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
        self._feed.take(self._utf8.decode(data))

    def _speak_kitty(self) -> None:
        self._kitty = True
        os.write(self._out_fd, KITTY_ON.encode())
