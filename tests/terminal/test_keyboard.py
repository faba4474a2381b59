"""Keyboards of POSIX terminals."""

import asyncio
import os
import select
import sys
import threading
from collections.abc import Callable, Iterator

import pytest

from tests.support.systems import lacks

if sys.platform == "win32" or lacks("pty", "termios"):
    pytest.skip("this system has no pseudo-terminals", allow_module_level=True)

import pty
import termios

from tests.terminal.old_terminal import cursor_after
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.keyboard import Keyboard, open_keyboard


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The two ends of a pseudo-terminal: what the user's side reads and writes, and the program's."""
    user, program = pty.openpty()
    yield user, program
    os.close(user)
    os.close(program)


def keyboard_of(program: int, on_key: Callable[[Key], None]) -> Keyboard:
    with open(program, "w", closefd=False) as stream:
        return open_keyboard(stream, stream, on_key)


async def test_the_keyboard_reads_without_enter_and_gives_the_terminal_back(terminal: tuple[int, int]) -> None:
    user, program = terminal
    keys: asyncio.Queue[Key] = asyncio.Queue()
    keyboard = keyboard_of(program, keys.put_nowait)
    before = termios.tcgetattr(program)
    for _ in range(2):  # it can be taken again, as after Ctrl-Z
        keyboard.open()
        written = os.read(user, 100)
        assert written.startswith(b"\x1b[?2004h")
        assert b"\x1b[?u" in written
        assert cursor_after(written.decode(), column=12) == 12
        assert not termios.tcgetattr(program)[3] & (termios.ECHO | termios.ICANON)
        assert termios.tcgetattr(program)[3] & termios.ISIG, "Ctrl-C must work although the event loop hangs"
        os.write(user, "mé".encode()[:2])
        assert await asyncio.wait_for(keys.get(), 10) == Key("m", "m")
        os.write(user, "é".encode()[1:] + b"\x1b")
        assert await asyncio.wait_for(keys.get(), 10) == Key("é", "é")
        assert await asyncio.wait_for(keys.get(), 10) == Key("escape")
        keyboard.close()
        keyboard.close()
        assert os.read(user, 100) == b"\x1b[?2004l"
        assert termios.tcgetattr(program) == before


@pytest.mark.parametrize("opened_again", [True, False])
async def test_another_reader_of_the_terminal_holds_nothing_up(
    terminal: tuple[int, int], monkeypatch: pytest.MonkeyPatch, opened_again: bool
) -> None:
    def refused(fd: int) -> str:
        raise OSError

    if not opened_again:
        monkeypatch.setattr(os, "ttyname", refused)
    user, program = terminal
    keys: asyncio.Queue[Key] = asyncio.Queue()
    keyboard = keyboard_of(program, keys.put_nowait)
    keyboard.open()
    assert os.get_blocking(program), "the shell has it, too"
    loop = asyncio.get_running_loop()
    rescue = threading.Timer(5, os.write, (user, b"late"))
    rescue.start()
    began = loop.time()
    os.write(user, b"x")
    assert select.select([program], [], [], 10)[0]
    loop.call_soon(os.read, program, 10)  # between the keyboard's being told of the key and its reading it
    for _ in range(3):
        await asyncio.sleep(0)
    rescue.cancel()
    assert loop.time() - began < 4
    assert keys.empty()
    os.write(user, b"m")
    assert await asyncio.wait_for(keys.get(), 10) == Key("m", "m")
    keyboard.close()


async def test_the_keyboard_asks_for_releases_only_where_they_are_known(terminal: tuple[int, int]) -> None:
    user, program = terminal
    keys: asyncio.Queue[Key] = asyncio.Queue()
    keyboard = keyboard_of(program, keys.put_nowait)
    keyboard.open()
    os.read(user, 100)
    os.write(user, b"\x1b[?0u")
    asked = await asyncio.to_thread(os.read, user, 100)
    assert asked == b"\x1b[>27u"
    os.write(user, b"\x1b[32;1:3u")
    assert await asyncio.wait_for(keys.get(), 10) == Key("space", "", "release")
    keyboard.close()
    assert os.read(user, 100) == b"\x1b[<u\x1b[?2004l"
