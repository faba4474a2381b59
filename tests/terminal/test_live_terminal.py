"""The live view in a real terminal: tmux, driven by keys and read from its screen."""

import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.support.terminal import Tmux, needs_tmux

pytestmark = needs_tmux


@pytest.fixture
def tmux(tmp_path: Path) -> Iterator[Tmux]:
    terminal = Tmux(tmp_path / "socket")
    yield terminal
    terminal.close()


def test_a_conversation_is_seen_growing_and_stays_in_the_scrollback(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo")
    tmux.wait_for("Listening       mic ▂▅▇▄▂ A microphone")
    tmux.keys("s")
    tmux.wait_for("● You\n  How is the wea\n\n● Hearing you")
    tmux.keys("s")
    assert tmux.wait_for("● You\n  How is the weather?\n").count("● You") == 1
    tmux.wait_for("Thinking ")
    tmux.keys("s")
    tmux.wait_for("● Assistant\n  It is sunny and\n\n● Speaking")
    tmux.keys("s")
    tmux.wait_for("in Paris.\n\n● Speaking")
    tmux.keys("s")
    tmux.wait_for("● Assistant\n  It is sunny and warm and warm")
    tmux.wait_for("● Listening")
    tmux.keys("s")
    tmux.wait_for("● get_weather city=Par\\x1b[31mis ✗")
    tmux.keys("t")
    tmux.wait_for("enter send")
    tmux.keys("quite so m", "Left", "s")
    tmux.wait_for("> quite so sm")
    tmux.keys("Enter")
    screen = tmux.wait_for("● You\n  quite so sm\n")
    assert "muted" not in screen, "typed letters are no commands"
    tmux.keys("m")
    tmux.wait_for("microphone muted True")
    tmux.wait_for("mic MUTED")
    tmux.keys("?")
    tmux.wait_for("mute the microphone, or unmute it")
    tmux.keys("q")
    screen = tmux.wait_for("status 0")
    assert "1 turn in " in screen
    assert screen.count("● Assistant") == 1
    tmux.check_given_back()


def test_push_to_talk_by_taps(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo", "push")
    tmux.wait_for("Ready")
    tmux.keys("Space")
    tmux.wait_for("talking True")
    tmux.wait_for("Hearing you")
    tmux.keys("Space")
    tmux.wait_for("talking False")
    tmux.keys("q")
    tmux.wait_for("status 0")


def test_a_resized_terminal_shows_one_footer(tmux: Tmux) -> None:
    def footers(status: str, hints: int) -> Callable[[str], bool]:
        return lambda screen: (
            (status in screen)
            and (screen.count("Listening"), screen.count("m mute"), screen.count("t type")) == (1, hints, hints)
        )

    tmux.run("tests.terminal.live_demo")
    tmux.wait_for("A speaker")
    for columns, rows in ((30, 10), (120, 40), (20, 4), (50, 12)):
        tmux.resize(columns, rows)
        status = "● Listening       m" if columns >= 40 else "Listening  m"
        tmux.wait(footers(status, hints=int(rows > 5)))
    tmux.keys("C-c")
    tmux.wait_for("status 0")
    tmux.check_given_back()


def test_a_window_that_is_dragged_while_somebody_speaks_leaves_nothing_behind(tmux: Tmux) -> None:
    tmux.resize(100, 24)
    tmux.run("tests.terminal.live_demo", "long")
    tmux.process()
    speak(tmux)
    for columns in [*range(99, 59, -2), *range(61, 81, 2)]:
        tmux.resize(columns, 24)
        time.sleep(0.1)  # the view draws again meanwhile, in the middle of the dragging
    tmux.wait_for("m mute")
    everything = tmux.screen("-S", "-")
    assert [everything.count(words) for words in ("Assistant", "Speaking", "m mute")] == [1, 1, 1]
    tmux.keys("q")
    tmux.wait_for("status 0")


def speak(tmux: Tmux) -> None:
    """Go on to the middle of the demo's reply."""
    for words in ("Hearing you", "Thinking", "Speaking", "in Paris.\n\n● Speaking"):
        tmux.keys("s")
        tmux.wait_for(words)


def test_ending_in_the_middle_of_a_reply_leaves_its_words(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo")
    speak(tmux)
    tmux.keys("q")
    screen = tmux.wait_for("status 0")
    assert "in Paris. …\n" in screen
    assert "1 turn in " in screen


def test_the_last_words_of_a_process_that_is_killed_are_its_open_ones(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo")
    process = tmux.process()
    speak(tmux)
    os.kill(process, signal.SIGTERM)
    screen = tmux.wait_for("status 143")
    assert "● Assistant\n  It is sunny and warm" in screen
    assert "Speaking" not in screen
    tmux.check_given_back()


@pytest.mark.parametrize(("name", "status"), [("SIGTERM", 143), ("SIGHUP", 129), ("SIGQUIT", 131)])
def test_the_terminal_is_given_back_when_the_process_is_killed(tmux: Tmux, name: str, status: int) -> None:
    tmux.run("tests.terminal.live_demo")
    process = tmux.process()
    tmux.wait_for("Listening")
    os.kill(process, signal.Signals[name])
    tmux.wait_for(f"status {status}")
    tmux.check_given_back()


def test_the_terminal_is_given_back_after_a_defect(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo", "crash")
    tmux.wait_for("RuntimeError: the demo crashed")
    tmux.wait_for("status 1")
    tmux.check_given_back()


def test_the_first_interrupt_asks_and_the_second_forces(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo", "stubborn")
    tmux.process()
    tmux.keys("C-c")
    tmux.wait_for("asked to end")
    assert "status" not in tmux.wait_for("● Ending")
    tmux.keys("C-c")
    tmux.wait(lambda screen: "KeyboardInterrupt" in screen and screen.rstrip().endswith("$"))
    tmux.check_given_back()


def test_an_interrupt_clears_the_line_then_leaves_it_then_ends(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo")
    tmux.wait_for("Listening")
    tmux.keys("t")
    tmux.wait_for("enter send")
    tmux.keys("quite wrong")
    tmux.wait_for("> quite wrong")
    tmux.keys("C-c")
    tmux.wait(lambda screen: "quite wrong" not in screen and "enter send" in screen)
    tmux.keys("so", "C-c", "C-c")
    tmux.wait_for("m mute")
    assert "asked to end" not in tmux.screen()
    tmux.keys("C-c")
    tmux.wait_for("asked to end")
    tmux.wait_for("status 0")
    tmux.check_given_back()


def test_an_interrupt_ends_a_program_that_hangs_while_a_line_is_typed(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo", "hang")
    tmux.wait_for("Listening")
    tmux.keys("t")
    tmux.wait_for("it hangs")

    def ended(screen: str) -> bool:
        tmux.keys("C-c")  # those that come at the same moment are one
        return "KeyboardInterrupt" in screen

    tmux.wait(ended)
    tmux.wait(lambda screen: screen.rstrip().endswith("$"))
    tmux.check_given_back()


def test_a_stopped_program_gives_the_terminal_back_and_takes_it_again(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo")
    tmux.wait_for("Listening")
    tmux.keys("C-z")
    assert "q end" not in tmux.wait_for("Stopped")
    tmux.keys("fg", "Enter")
    tmux.wait_for("Listening")
    tmux.keys("m")
    tmux.wait_for("mic MUTED")
    tmux.keys("q")
    tmux.wait_for("0 turns in ")
    tmux.check_given_back()


def test_ascii_where_the_terminal_has_no_more(tmux: Tmux) -> None:
    tmux.run("tests.terminal.live_demo", environment="PYTHONIOENCODING=ascii")
    assert tmux.wait_for("* Listening       mic .=*-. A microphone").isascii()
    tmux.keys("q")
    tmux.wait_for("status 0")


@pytest.mark.parametrize(("environment", "coloured"), [("NO_COLOR=1", False), ("TERM=xterm-256color", True)])
def test_no_colour_where_none_is_wanted(tmux: Tmux, environment: str, coloured: bool) -> None:
    tmux.run("tests.terminal.live_demo", environment=environment)
    tmux.wait_for("Listening")
    assert ("\x1b[34m" in tmux.screen("-e")) is coloured
    tmux.keys("q")
    tmux.wait_for("status 0")


def test_a_pipe_gets_no_live_view() -> None:
    command = [sys.executable, "-m", "tests.terminal.live_demo"]
    result = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    assert (result.stdout, result.stderr.strip()) == ("", "no live view here")
