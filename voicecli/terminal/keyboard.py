"""The keyboard of a terminal, read without waiting for Enter, and given back as it was."""

import sys
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from typing import Protocol, TextIO

from voicecli.terminal.key_decoder import Key
from voicecli.threads import TooLateError, call_within

__all__ = ["Keyboard", "open_keyboard"]

_WRITE_S = 1.0


class Keyboard(Protocol):
    """A source of keys."""

    def open(self) -> None:
        """Read keys from now on; called in the event loop. May be called again after `close()`."""

    def close(self) -> None:
        """Give the terminal back. Idempotent, and allowed in a signal handler."""


def open_keyboard(stdin: TextIO, stdout: TextIO, on_key: Callable[[Key], None]) -> Keyboard:
    """The keyboard of this terminal; not read before its `open()`.

    Args:
        on_key: called in the event loop for each key.
    """
    if sys.platform != "win32":
        from voicecli.terminal.keyboard_posix import TerminalKeyboard

        return TerminalKeyboard(stdin.fileno(), stdout.fileno(), on_key)
    from voicecli.terminal.keyboard_windows import ConsoleKeyboard
    from voicecli.terminal.windows_console import WindowsConsole

    return ConsoleKeyboard(WindowsConsole(stdin.fileno()), partial(_write, stdout), on_key)


def _write(stream: TextIO, codes: str) -> None:
    """Write escape codes to a console, which takes nothing while text is selected in it."""

    def write() -> None:
        stream.write(codes)
        stream.flush()

    with suppress(TooLateError):
        call_within(_WRITE_S, write)
