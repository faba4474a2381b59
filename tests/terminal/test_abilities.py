"""What a terminal answers when it is asked for its keyboard protocol."""

import os
import sys
import threading
from collections.abc import Iterator

import pytest

from tests.support.systems import lacks

if sys.platform == "win32" or lacks("pty", "termios"):
    pytest.skip("this system has no pseudo-terminals", allow_module_level=True)

import pty
import termios

from tests.terminal.old_terminal import cursor_after
from voicecli.terminal.abilities import reports_key_releases

PATIENTLY_S = 20.0


@pytest.fixture
def terminal() -> Iterator[tuple[int, int]]:
    """The terminal's own end, and the program's."""
    ends = pty.openpty()
    yield ends
    for end in ends:
        os.close(end)


@pytest.mark.parametrize(
    ("answers", "speaks"),
    [
        ([b"\x1b[?0u\x1b[?62;4c"], True),
        ([b"\x1b[?1", b"u", b"\x1b[?62;4", b"c"], True),
        ([b"typed\x1b[?0u\x1b[?1;2c"], True),
        ([b"\x1b[?1;2c"], False),
        ([b"you typed this\x1b[?1;2c"], False),
    ],
)
def test_the_answer(terminal: tuple[int, int], answers: list[bytes], speaks: bool) -> None:
    screen, program = terminal
    before = termios.tcgetattr(program)

    asked = b""

    def answer() -> None:
        nonlocal asked
        while not asked.endswith(b"\x1b[c"):
            asked += os.read(screen, 100)
        for part in answers:
            os.write(screen, part)

    thread = threading.Thread(target=answer, daemon=True)
    thread.start()
    assert reports_key_releases(program, program, within_s=PATIENTLY_S) is speaks
    thread.join()
    assert cursor_after(asked.decode(), column=12) == 12
    assert termios.tcgetattr(program) == before


def test_one_that_answers_nothing(terminal: tuple[int, int]) -> None:
    assert not reports_key_releases(terminal[1], terminal[1], within_s=0.01)


def test_what_is_no_terminal() -> None:
    reading, writing = os.pipe()
    assert not reports_key_releases(reading, writing)
    os.close(reading)
    os.close(writing)
