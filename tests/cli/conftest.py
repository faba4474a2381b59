import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data"

# What a developer has set must not decide the tests.
_FOREIGN = ("VOICE_", "OPENAI_", "AZURE_", "GEMINI_", "GOOGLE_")


@dataclass(frozen=True)
class Result:
    code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.decode().splitlines()


Voice = Callable[..., Result]


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"} | extra


@pytest.fixture
def voice(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory) -> Voice:
    """Runs `voice` as a shell would, in an empty directory, and as if for the first time."""
    state = {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}

    def run(*args: str, stdin: bytes | None = None, timeout: float = 110, **environment: str) -> Result:
        done = subprocess.run(
            [sys.executable, "-m", "voicecli", *args],
            input=stdin if stdin is not None else b"",
            capture_output=True,
            timeout=timeout,
            cwd=tmp_path,
            env=clean_environment(**state | environment),
        )
        return Result(done.returncode, done.stdout, done.stderr.decode())

    return run


def interrupted(command: list[str], output: Path, awaited: str | None, **environment: str) -> tuple[int, str]:
    """Ask the question with this command, and press Ctrl-C when the event comes, or when the output has been opened.

    Returns:
        The exit status, and what went to standard error.
    """
    with subprocess.Popen(
        [sys.executable, "-m", "voicecli", *command, "--json", "-o", str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(**environment),
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((DATA / "question.wav").read_bytes())  # and the pipe stays open, as a live one would
        process.stdin.flush()
        if awaited is None:
            # It is in Python's hands once it has opened the output.
            while not output.exists() and process.poll() is None:
                os.sched_yield()
        else:
            for line in process.stdout:
                if json.loads(line)["type"] == awaited:
                    break
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
    return process.returncode, message.decode()
