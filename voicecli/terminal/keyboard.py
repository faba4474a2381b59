"""The keyboard of a terminal, read without waiting for Enter, and given back as it was."""

import sys
from collections.abc import Callable
from typing import Protocol, TextIO

from voicecli.terminal.key_decoder import Key

__all__ = ["Keyboard", "open_keyboard"]


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

    return ConsoleKeyboard(on_key)
