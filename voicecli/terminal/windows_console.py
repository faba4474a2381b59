"""The console of Windows, by its own calls: what is typed as escape sequences, and its modes, given back as they were.

https://learn.microsoft.com/en-us/windows/console/console-functions
"""

import atexit
import codecs
import re
import sys
from ctypes import Structure, byref, c_int32, c_uint16, c_uint32, c_void_p, sizeof
from typing import Any

__all__ = ["FileName", "InputRecord", "WindowsConsole", "enable_escape_codes", "is_mintty_pipe", "pipe_name"]

# https://learn.microsoft.com/en-us/windows/console/setconsolemode
_LINE_INPUT, _ECHO_INPUT = 0x0002, 0x0004
_QUICK_EDIT, _EXTENDED_FLAGS = 0x0040, 0x0080
_VIRTUAL_TERMINAL_INPUT = 0x0200
_VIRTUAL_TERMINAL_PROCESSING = 0x0004
_KEY_EVENT, _ALT = 1, 0x12
_FOREVER = 0xFFFFFFFF
_FILE_NAME_INFO = 2
_MINTTY_PIPE = re.compile(r"\\(?:msys|cygwin)-[0-9a-f]+-pty\d+-(?:from|to)-master(?:-nat)?", re.IGNORECASE)
_RECORDS = 4_096  # a paste comes as one key after the other, all at once


class InputRecord(Structure):
    """INPUT_RECORD with a KEY_EVENT_RECORD in it: 20 bytes."""

    _fields_ = (
        ("event_type", c_uint16),
        ("padding", c_uint16),
        ("key_down", c_int32),
        ("repeat_count", c_uint16),
        ("key_code", c_uint16),
        ("scan_code", c_uint16),
        ("char", c_uint16),
        ("control_keys", c_uint32),
    )


class FileName(Structure):
    """FILE_NAME_INFO: its length in bytes, and code units of UTF-16."""

    _fields_ = (("size", c_uint32), ("name", c_uint16 * 1_024))


class WindowsConsole:
    """The console of this process.

    While it is taken, keys arrive without waiting for Enter, as the escape sequences that terminals send; and a click
    into the window does not stop the program, as it does while QuickEdit selects text. Ctrl-C stays a signal.

    Args:
        descriptor: of standard input.
        kernel32: the library with the calls; None for that of the system.
    """

    def __init__(self, descriptor: int, kernel32: Any = None) -> None:
        self._kernel32 = _kernel32() if kernel32 is None else kernel32
        self._input = _handle(descriptor)
        self._before: int | None = None
        self._stop: c_void_p | None = None
        self._utf16 = codecs.getincrementaldecoder("utf-16-le")(errors="replace")

    def take(self) -> None:
        """Change the modes. Raises OSError where there is no console."""
        mode = c_uint32()
        if not self._kernel32.GetConsoleMode(self._input, byref(mode)):
            raise OSError("standard input is no console")
        self._before = mode.value
        ours = mode.value & ~(_LINE_INPUT | _ECHO_INPUT | _QUICK_EDIT) | _EXTENDED_FLAGS
        # Before Windows 10 a console knows no escape sequences, and is left with its letters.
        if not self._kernel32.SetConsoleMode(self._input, ours | _VIRTUAL_TERMINAL_INPUT):
            self._kernel32.SetConsoleMode(self._input, ours)
        self._stop = c_void_p(self._kernel32.CreateEventW(None, True, False, None))

    def give_back(self) -> None:
        """Restore the modes, and end `read`. Idempotent, and allowed in a signal handler."""
        before, self._before = self._before, None
        if before is None:
            return
        self._kernel32.SetEvent(self._stop)
        # What was typed and not read is not for the shell.
        self._kernel32.FlushConsoleInputBuffer(self._input)
        # Without this flag QuickEdit would stay as we have set it.
        self._kernel32.SetConsoleMode(self._input, before | _EXTENDED_FLAGS)

    def read(self) -> str | None:
        """Wait for what is typed, and return it; None once the console is given back, or gone. Called on a thread."""
        stop = self._stop
        handles = (c_void_p * 2)(stop, self._input)
        records = (InputRecord * _RECORDS)()
        count = c_uint32()
        while True:
            # 0 tells of the first of them: the event.
            if self._kernel32.WaitForMultipleObjects(2, handles, False, _FOREVER) != 1:
                self._kernel32.CloseHandle(stop)
                return None
            if not self._kernel32.ReadConsoleInputW(self._input, records, _RECORDS, byref(count)):
                return None
            if text := self._text(records[: count.value]):
                return text

    def _text(self, records: list[InputRecord]) -> str:
        units = bytearray()
        for record in records:
            # What is composed with Alt and digits comes when Alt is let go.
            if record.event_type == _KEY_EVENT and record.char and (record.key_down or record.key_code == _ALT):
                units += record.char.to_bytes(2, "little") * max(record.repeat_count, 1)
        return self._utf16.decode(bytes(units))


def enable_escape_codes(descriptor: int, kernel32: Any = None) -> bool:
    """Have the console that a file descriptor leads to obey escape codes, until the program ends.

    Returns:
        False where it cannot: before Windows 10.
    """
    kernel32 = _kernel32() if kernel32 is None else kernel32
    output, mode = _handle(descriptor), c_uint32()
    if not kernel32.GetConsoleMode(output, byref(mode)):
        return False
    if mode.value & _VIRTUAL_TERMINAL_PROCESSING:
        return True
    if not kernel32.SetConsoleMode(output, mode.value | _VIRTUAL_TERMINAL_PROCESSING):
        return False
    atexit.register(kernel32.SetConsoleMode, output, mode.value)  # some shells leave it as it is left to them
    return True


def pipe_name(descriptor: int, kernel32: Any = None) -> str:
    """The name of the pipe, or the file, that a file descriptor leads to; "" for what has none."""
    kernel32 = _kernel32() if kernel32 is None else kernel32
    found = FileName()
    if not kernel32.GetFileInformationByHandleEx(
        _handle(descriptor), _FILE_NAME_INFO, byref(found), c_uint32(sizeof(found))
    ):
        return ""
    return bytes(found.name)[: found.size].decode("utf-16-le", "replace")


def is_mintty_pipe(name: str) -> bool:
    """True for the name of a pipe between mintty and what runs in it: of MSYS2, which Git Bash is, and Cygwin."""
    return _MINTTY_PIPE.fullmatch(name) is not None


def _handle(descriptor: int) -> c_void_p:
    if sys.platform == "win32":
        import msvcrt

        return c_void_p(msvcrt.get_osfhandle(descriptor))
    return c_void_p(descriptor)  # in tests


def _kernel32() -> Any:
    if sys.platform == "win32":
        from ctypes import WinDLL

        library = WinDLL("kernel32")
        library.CreateEventW.restype = c_void_p  # else the upper half of a handle is lost
        return library
    raise OSError("only Windows has such a console")
