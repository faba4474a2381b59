"""The end of a terminal: drawn again and again, and left as it was."""

import os
from typing import TextIO

from tests.terminal.stage import read
from voicecli.terminal.screen import Screen


def test_the_screen_is_left_as_it_was(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    screen = Screen(stream)
    screen.close()
    assert read(user_end) == ""
    screen.draw("", ["one", "two"])
    written = read(user_end)
    assert written.endswith("\r\x1b[1A\x1b[?2026l"), "the cursor waits where the footer begins"
    assert "\x1b[?7lone\r\ntwo\x1b[?7h" in written
    screen.draw("", ["one", "two"])
    assert read(user_end) == "", "the same picture is not written twice"
    screen.draw("said\n", ["one", "two"])
    assert "\r\x1b[K\x1b[C\x1b[J\rsaid\r\n" in read(user_end), "never cleared from the first place"
    screen.close()
    screen.close()
    assert read(user_end) == "\x1b[?2026l\x1b[?7h\r\x1b[K\x1b[C\x1b[J\r\x1b[?25h"


def test_a_terminal_that_does_not_read_stops_nothing_and_loses_no_words(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    screen = Screen(stream)
    for number in range(2_000):
        screen.draw(f"turn {number}\n", [f"footer {number}", "x" * 60])
    assert not screen.flush()
    for number in range(100):
        screen.draw("", [f"skipped {number}"])
    written = ""
    while not screen.flush():
        written += read(user_end)
    screen.draw("", ["latest"])
    written += read(user_end)
    assert [line for line in written.split() if line.isdecimal()] != []
    assert all(f"turn {number}\r\n" in written for number in range(2_000))
    assert "skipped" not in written
    assert "latest" in written
    screen.close()


def test_a_terminal_that_has_gone_is_no_error(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    screen = Screen(stream)
    screen.draw("", ["one"])
    os.close(user_end)
    screen.draw("more\n", ["two"])
    assert screen.flush()
    screen.close()
