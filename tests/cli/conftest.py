import json
import signal
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.commands import CAN_FORK, Commands
from tests.support.commands import clean_environment as clean_environment

ROOT = Path(__file__).parent.parent.parent
DATA = ROOT / "tests" / "data"


@dataclass(frozen=True)
class Result:
    code: int
    stdout: bytes
    stderr: str

    @property
    def lines(self) -> list[str]:
        return self.stdout.decode().splitlines()


Voice = Callable[..., Result]


@pytest.fixture(scope="session")
def commands() -> Iterator[Commands]:
    """Starts commands of this session."""
    commands = Commands(fork=CAN_FORK)
    yield commands
    commands.close()


@pytest.fixture
def voice(tmp_path: Path, tmp_path_factory: pytest.TempPathFactory, commands: Commands) -> Voice:
    """Runs `voice` as a shell would, in an empty directory, and as if for the first time."""
    state = {"XDG_STATE_HOME": str(tmp_path_factory.mktemp("state"))}

    def run(*args: str, stdin: bytes = b"", timeout: float = 110, **environment: str) -> Result:
        with commands.start(*args, folder=tmp_path, **state | environment) as process:
            try:
                stdout, stderr = process.communicate(stdin, timeout)
            except BaseException:
                process.kill()
                raise
        assert process.returncode is not None
        return Result(process.returncode, stdout, stderr.decode())

    return run


def interrupted(
    commands: Commands, arguments: list[str], output: Path, awaited: str | None, **environment: str
) -> tuple[int, str]:
    """Ask the question with this command, and press Ctrl-C when the event comes, or when the output has been opened.

    Returns:
        The exit status, and what went to standard error.
    """
    with commands.start(*arguments, "--json", "-o", str(output), folder=ROOT, **environment) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write((DATA / "question.wav").read_bytes())  # and the pipe stays open, as a live one would
        process.stdin.flush()
        if awaited is None:
            # It is in Python's hands once it has opened the output.
            while not output.exists() and process.poll() is None:
                time.sleep(0)
        else:
            for line in process.stdout:
                if json.loads(line)["type"] == awaited:
                    break
        process.send_signal(signal.SIGINT)
        _, message = process.communicate(timeout=30)
    assert process.returncode is not None
    return process.returncode, message.decode()
