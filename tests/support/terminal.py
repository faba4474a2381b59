"""A real terminal for tests: tmux, driven by keys and read from its screen."""

import os
import shlex
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tests.support.systems import lacks

__all__ = ["Tmux", "needs_tmux"]

PROJECT = Path(__file__).parents[2]
PATIENCE_S = 30

needs_tmux = pytest.mark.skipif(shutil.which("tmux") is None or lacks("termios"), reason="needs tmux")


class Tmux:
    """A terminal with a shell in it."""

    def __init__(self, socket: Path) -> None:
        self._tmux = ["tmux", "-S", str(socket), "-f", os.devnull]
        clean = {name: value for name, value in os.environ.items() if name not in {"TMUX", "NO_COLOR", "ENV"}}
        shell = ["env", "PS1=$ ", "LC_ALL=C.UTF-8", "sh"]
        command = [
            *self._tmux,
            "-u",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            "-c",
            str(PROJECT),
            shlex.join(shell),
        ]
        subprocess.run(command, check=True, env=clean)
        self.wait(lambda screen: "$" in screen)

    def keys(self, *keys: str) -> None:
        """Press keys, by tmux's names for them."""
        subprocess.run([*self._tmux, "send-keys", *keys], check=True)

    def run(self, module: str, *arguments: str, environment: Mapping[str, str] | str = "") -> None:
        """Start a Python module in the shell; its exit status follows its output."""
        if not isinstance(environment, str):
            environment = shlex.join(f"{name}={value}" for name, value in environment.items())
        if "status " in self.screen():  # of a module before, which is not to be taken for this one's
            self.keys("clear", "Enter")
            self.wait(lambda screen: "status " not in screen)
        command = f"clear; {environment} {shlex.quote(sys.executable)} -m {module} {shlex.join(arguments)}"
        self.keys(f"{command}; echo status $?", "Enter")

    def resize(self, columns: int, rows: int) -> None:
        subprocess.run([*self._tmux, "resize-window", "-x", str(columns), "-y", str(rows)], check=True)

    def screen(self, *options: str) -> str:
        return self._ask("capture-pane", "-p", *options)

    def wait(self, condition: Callable[[str], bool]) -> str:
        """Wait until the screen is so, and return what it shows."""
        end = time.monotonic() + PATIENCE_S
        while not condition(screen := self.screen()):
            assert time.monotonic() < end, f"the screen still shows:\n{screen}"
            time.sleep(0.02)
        return screen

    def wait_for(self, text: str) -> str:
        return self.wait(lambda screen: text in screen)

    def process(self) -> int:
        """The demo's process, which it tells once it is connected."""
        return int(self.wait_for("process ").partition("process ")[2].partition(".")[0])

    def check_given_back(self) -> None:
        """The terminal obeys as before: it echoes, shows the cursor, wraps lines, and the footer is gone."""
        self.keys("stty -a", "Enter")
        screen = self.wait_for("icanon")
        assert "-icanon" not in screen
        assert "-echo " not in screen
        assert "-ixon" not in screen
        assert "q end" not in screen
        assert self._ask("display-message", "-p", "#{cursor_flag}#{wrap_flag}").strip() == "11"

    def close(self) -> None:
        subprocess.run([*self._tmux, "kill-server"], check=True)

    def _ask(self, *command: str) -> str:
        return subprocess.run([*self._tmux, *command], check=True, capture_output=True, text=True).stdout
