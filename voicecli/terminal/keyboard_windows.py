"""The keyboard of a Windows console, by prompt_toolkit, which knows its many kinds."""

import sys
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from prompt_toolkit.input import Input, create_input
from prompt_toolkit.key_binding import KeyPress
from prompt_toolkit.keys import Keys

from voicecli.terminal.key_decoder import Key
from voicecli.terminal.key_signals import deliver

__all__ = ["ConsoleKeyboard", "enable_escape_codes"]

_NAMES = {
    Keys.ControlM: "enter",
    Keys.ControlJ: "enter",
    Keys.ControlI: "tab",
    Keys.ControlH: "backspace",
    Keys.ControlBackslash: "ctrl+\\",
    Keys.BracketedPaste: "paste",
}
# https://learn.microsoft.com/en-us/windows/console/setconsolemode
_VIRTUAL_TERMINAL_PROCESSING = 0x0004


class ConsoleKeyboard:
    """A `Keyboard` of prompt_toolkit's.

    Args:
        console: read instead of the program's console.
    """

    def __init__(self, on_key: Callable[[Key], None], console: Input | None = None) -> None:
        self._on_key = on_key
        self._console = console
        self._open = ExitStack()

    def open(self) -> None:
        if self._console is None:
            self._console = create_input()
        self._open.enter_context(self._console.raw_mode())
        self._open.enter_context(self._console.attach(self._read))

    def close(self) -> None:
        self._open.close()

    def _read(self) -> None:
        if self._console is not None:
            # A lone Escape is one: a console does not send it in parts.
            deliver(_keys([*self._console.read_keys(), *self._console.flush_keys()]), self._on_key)


def _keys(presses: Iterable[KeyPress]) -> Iterable[Key]:
    for press in presses:
        if not isinstance(press.key, Keys):
            yield Key("space" if press.key == " " else press.key, press.key)
        elif press.key in _NAMES:
            yield Key(_NAMES[press.key], press.data if press.key is Keys.BracketedPaste else "")
        else:
            yield Key(press.key.value.replace("c-", "ctrl+"))


def enable_escape_codes(descriptor: int) -> bool:
    """Have the console that a file descriptor leads to obey escape codes; False where it cannot (before Windows 10)."""
    if sys.platform == "win32":
        import msvcrt
        from ctypes import byref, c_ulong, c_void_p, windll

        output, mode = c_void_p(msvcrt.get_osfhandle(descriptor)), c_ulong()
        known = windll.kernel32.GetConsoleMode(output, byref(mode))
        return bool(known and windll.kernel32.SetConsoleMode(output, mode.value | _VIRTUAL_TERMINAL_PROCESSING))
    return True
