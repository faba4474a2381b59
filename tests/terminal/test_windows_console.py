"""Keys and modes of a Windows console: its calls are simulated, record by record."""

import asyncio
import atexit
import io
import queue
import sys
import threading
from collections.abc import Callable
from ctypes import sizeof
from typing import Any

import pytest

from voicecli.terminal.console_writer import ConsoleWriter
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.keyboard_windows import ConsoleKeyboard
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.screen import Screen
from voicecli.terminal.windows_console import InputRecord, WindowsConsole, enable_escape_codes

# PROCESSED, LINE, ECHO, MOUSE, INSERT, QUICK_EDIT, EXTENDED: what a new window of conhost has.
NEW_WINDOW = 0x0001 | 0x0002 | 0x0004 | 0x0010 | 0x0020 | 0x0040 | 0x0080
QUICK_EDIT, EXTENDED, PROCESSED, SEQUENCES = 0x0040, 0x0080, 0x0001, 0x0200
STDIN, STDOUT, EVENT = 3, 7, 99


class Kernel32:
    """The calls, as the console's documentation has them.

    Args:
        refuses: flags that this version of Windows does not know.
    """

    def __init__(self, refuses: int = 0) -> None:
        self.modes = {STDIN: NEW_WINDOW, STDOUT: 0x0003}
        self.written = ""
        self._refuses = refuses
        self._typed: queue.SimpleQueue[list[InputRecord] | None] = queue.SimpleQueue()
        self._next: list[InputRecord] = []
        self.flushed = False
        self.ended = threading.Event()

    def types(self, text: str, *, at_once: bool = True) -> None:
        """Press keys: each code unit has a record for the press and one for the release."""
        content = text.encode("utf-16-le")
        units = [int.from_bytes(content[at : at + 2], "little") for at in range(0, len(content), 2)]
        records = [
            InputRecord(event_type=1, key_down=down, repeat_count=1, char=unit) for unit in units for down in (1, 0)
        ]
        for read in [records] if at_once else [[record] for record in records]:
            self._typed.put(read)

    def sends(self, record: InputRecord) -> None:
        self._typed.put([record])

    def GetConsoleMode(self, handle: Any, mode: Any) -> int:  # noqa: N802
        if handle.value not in self.modes:
            return 0
        mode._obj.value = self.modes[handle.value]
        return 1

    def SetConsoleMode(self, handle: Any, mode: int) -> int:  # noqa: N802
        if mode & self._refuses:
            return 0
        before = self.modes[handle.value]
        if handle.value == STDIN and not mode & EXTENDED:
            mode = mode & ~QUICK_EDIT | before & QUICK_EDIT  # stays as it is
        self.modes[handle.value] = mode
        return 1

    def CreateEventW(self, *arguments: object) -> int:  # noqa: N802
        return EVENT

    def SetEvent(self, event: Any) -> int:  # noqa: N802
        assert event.value == EVENT
        self._typed.put(None)
        return 1

    def CloseHandle(self, handle: Any) -> int:  # noqa: N802
        self.ended.set()
        return 1

    def FlushConsoleInputBuffer(self, handle: Any) -> int:  # noqa: N802
        self.flushed = True
        return 1

    def WaitForMultipleObjects(self, count: int, handles: Any, every: bool, limit: int) -> int:  # noqa: N802
        assert list(handles) == [EVENT, STDIN]
        records = self._typed.get()
        self._next = records or []
        return 0 if records is None else 1

    def ReadConsoleInputW(self, handle: Any, records: Any, most: int, count: Any) -> int:  # noqa: N802
        for place, record in enumerate(self._next):
            records[place] = record
        count._obj.value = len(self._next)
        return 1


class Typing:
    """A keyboard on a simulated console, and the keys that came."""

    def __init__(self, kernel32: Kernel32) -> None:
        self.kernel32 = kernel32
        self.written: list[str] = []
        self._keys: asyncio.Queue[Key] = asyncio.Queue()
        self.keyboard = ConsoleKeyboard(
            WindowsConsole(STDIN, kernel32), self.written.append, lambda key: self._keys.put_nowait(key)
        )
        self.keyboard.open()

    async def keys(self, count: int) -> list[Key]:
        return [await asyncio.wait_for(self._keys.get(), 30) for _ in range(count)]

    async def close(self) -> None:
        self.keyboard.close()
        self.keyboard.close()
        assert await asyncio.to_thread(self.kernel32.ended.wait, 30), "the thread goes on reading"
        assert self._keys.empty()


def test_a_record_is_as_large_as_the_system_has_it() -> None:
    assert sizeof(InputRecord) == 20


async def test_keys_are_those_of_any_terminal() -> None:
    typing = Typing(Kernel32())
    typing.kernel32.types("m? \r\x7f\x01\x1b[D\x1b[3~\x1b[1;5C\x1b[200~pasted\rtext\x1b[201~é\U0001f600\x1b")
    assert await typing.keys(13) == [
        Key("m", "m"),
        Key("?", "?"),
        Key("space", " "),
        Key("enter"),
        Key("backspace"),
        Key("ctrl+a"),
        Key("left"),
        Key("delete"),
        Key("ctrl+right"),
        Key("paste", "pasted\rtext"),
        Key("é", "é"),
        Key("\U0001f600", "\U0001f600"),
        Key("escape"),
    ]
    await typing.close()
    assert typing.written == ["\x1b[?2004h", "\x1b[?2004l"]
    assert typing.kernel32.flushed


@pytest.mark.parametrize("sequence", ["\x1b[1;3D", "\x1bb"])
async def test_a_sequence_that_comes_in_parts_keeps_the_line(sequence: str) -> None:
    typing, line = Typing(Kernel32()), LineEditor()
    typing.kernel32.types("two w" + sequence, at_once=False)
    for key in await typing.keys(6):
        assert key.name != "escape", "it would throw the line away"
        line.press(key)
    assert (line.text, line.cursor) == ("two w", 4)
    await typing.close()


@pytest.mark.parametrize("text", ["quit now, please", "one\rtwo\rthree", "mmmmmmmmx"])
async def test_what_an_old_console_pastes_is_no_command(text: str) -> None:
    typing = Typing(Kernel32())
    typing.kernel32.types(text)
    assert await typing.keys(1) == [Key("paste", text)]
    await typing.close()


async def test_a_key_that_is_held_is_no_paste() -> None:
    typing = Typing(Kernel32())
    typing.kernel32.types("x" * 20)
    assert await typing.keys(20) == [Key("x", "x")] * 20
    typing.kernel32.sends(InputRecord(event_type=1, key_down=1, repeat_count=3, char=ord("y")))
    assert await typing.keys(3) == [Key("y", "y")] * 3
    await typing.close()


async def test_what_is_no_letter_is_passed_over_and_what_alt_composes_is_not() -> None:
    typing = Typing(Kernel32())
    typing.kernel32.sends(InputRecord(event_type=2, key_down=1, char=ord("x")))  # the mouse
    typing.kernel32.sends(InputRecord(event_type=1, key_down=1, repeat_count=1, key_code=0x10))  # Shift alone
    typing.kernel32.sends(InputRecord(event_type=1, key_down=0, repeat_count=1, key_code=0x12, char=ord("ß")))
    assert await typing.keys(1) == [Key("ß", "ß")]
    await typing.close()


@pytest.mark.parametrize("before", [NEW_WINDOW, NEW_WINDOW & ~EXTENDED, 0x0007])
@pytest.mark.parametrize("refuses", [0, SEQUENCES])
async def test_a_click_stops_nothing_and_the_console_is_given_back(before: int, refuses: int) -> None:
    kernel32 = Kernel32(refuses)
    kernel32.modes[STDIN] = before
    typing = Typing(kernel32)
    mode = kernel32.modes[STDIN]
    assert not mode & QUICK_EDIT
    assert mode & PROCESSED, "Ctrl-C must work although the event loop hangs"
    assert bool(mode & SEQUENCES) != bool(refuses)
    assert not mode & 0x0006, "a line would be waited for"
    await typing.close()
    assert kernel32.modes[STDIN] | EXTENDED == before | EXTENDED


async def test_what_is_no_console_is_an_error_of_the_system() -> None:
    kernel32 = Kernel32()
    del kernel32.modes[STDIN]
    with pytest.raises(OSError, match="no console"):
        Typing(kernel32)


def test_the_mode_of_the_output_is_restored_at_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    at_end: list[Callable[[], object]] = []
    monkeypatch.setattr(atexit, "register", lambda call, *arguments: at_end.append(lambda: call(*arguments)))
    kernel32 = Kernel32()
    assert enable_escape_codes(STDOUT, kernel32)
    assert enable_escape_codes(STDOUT, kernel32)
    assert kernel32.modes[STDOUT] == 0x0007
    for call in at_end:
        call()
    assert kernel32.modes[STDOUT] == 0x0003
    assert not enable_escape_codes(STDIN + 100, kernel32)
    assert not enable_escape_codes(STDOUT, Kernel32(refuses=0x0004))


class Stopped(io.BytesIO):
    """A console in which somebody selects text: it takes nothing until that is over."""

    def __init__(self) -> None:
        super().__init__()
        self.goes_on = threading.Event()

    def write(self, data: Any) -> int:
        assert self.goes_on.wait(30)
        return super().write(data)


def test_a_console_that_is_stopped_holds_nothing_up() -> None:
    console = Stopped()
    writer = ConsoleWriter(console)
    assert writer.write(b"one") == 3
    with pytest.raises(BlockingIOError):
        writer.write(b"two")
    console.goes_on.set()
    writer.finish(b"last")
    assert console.getvalue() == b"onelast"


def test_a_console_that_stays_stopped_does_not_hold_up_the_end() -> None:
    console = Stopped()
    writer = ConsoleWriter(console)
    writer.write(b"one")
    writer.finish(b"last")  # else this test would not end in time
    console.goes_on.set()


def test_pictures_are_left_out_while_the_console_is_stopped(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    console = Stopped()
    screen = Screen(io.TextIOWrapper(console, encoding="utf-8"))
    screen.draw("said\n", ["one"])
    for footer in ("two", "three", "four"):
        screen.draw("", [footer])
    screen.draw("more\n", ["five"])
    assert not screen.flush()
    console.goes_on.set()
    while not screen.flush():
        pass
    screen.close()
    shown = console.getvalue().decode()
    assert [word for word in ("said", "one", "two", "three", "four", "more", "five") if word in shown] == [
        "said",
        "one",
        "two",
        "more",
        "five",
    ]
    assert shown.endswith("\x1b[?25h")
