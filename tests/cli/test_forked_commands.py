"""Commands of tests are forked where they can be: a fork is like a process that was started."""

import json
import signal
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from tests.support.commands import CAN_FORK, ROOT, Commands, Forked, clean_environment, is_read_at_start

if sys.platform != "linux" or not CAN_FORK:
    pytest.skip("commands are forked on Linux only", allow_module_level=True)

LOOK = """
import gc, io, json, os, random, resource, signal, sys, threading, warnings

def _stream(file: io.TextIOWrapper) -> object:
    return [file.encoding, file.errors, file.line_buffering, file.write_through, file.mode, file.fileno(),
            file.isatty(), type(file.buffer).__name__, file.name]

seen = {
    "arguments": sys.argv[1:],
    "paths": sys.path,
    "environment": dict(os.environ),
    "folder": os.getcwd(),
    "streams": [_stream(file) for file in (sys.stdin, sys.stdout, sys.stderr)],
    "streams at the start": [sys.stdin is sys.__stdin__, sys.stdout is sys.__stdout__, sys.stderr is sys.__stderr__],
    "handlers": [repr(signal.getsignal(number)).partition(" at ")[0] for number in sorted(signal.valid_signals())],
    "blocked": sorted(signal.pthread_sigmask(signal.SIG_BLOCK, [])),
    "threads": [thread.name for thread in threading.enumerate()],
    "flags": str(sys.flags),
    "warnings": [str(entry) for entry in warnings.filters],
    "open": [n for n in os.listdir("/proc/self/fd") if int(n) > 2 and os.path.exists(f"/proc/self/fd/{n}")],
    "group": [os.getpgid(0), os.getsid(0)],
    "limits": [resource.getrlimit(resource.RLIMIT_NOFILE), resource.getrlimit(resource.RLIMIT_CORE)],
    "main": sys.modules["__main__"].__spec__ and sys.modules["__main__"].__spec__.name,
    "gc": gc.isenabled(),
}
print(json.dumps({"seen": seen, "random": random.random()}), file=sys.stderr)
"""


def look(commands: Commands, folder: Path, **environment: str) -> dict[str, Any]:
    (folder / "look.py").write_text(LOOK)
    arguments = ["chat", "-p", "local", "-i", str(ROOT / "tests/data/question.wav"), "--tools", "look.py"]
    with commands.start(*arguments, folder=folder, **environment) as process:
        stdout, stderr = process.communicate(b"", 60)
    assert process.returncode == 3, stderr.decode()
    assert b"no public function" in stderr
    looked: dict[str, Any] = json.loads(stderr.splitlines()[0])
    return looked | {"stdout": stdout, "forked": isinstance(process, Forked)}


def test_a_fork_is_like_a_process_that_was_started(commands: Commands, tmp_path: Path) -> None:
    (site := tmp_path / "site").mkdir()
    environment = {"CITY": "Orl\udce9ans", "VOICECLI_STATE": str(tmp_path), "PYTHONPATH": f"{site}:{ROOT}"}
    forked, other = (look(commands, tmp_path, **environment) for _ in range(2))
    with closing(Commands(fork=False)) as without:
        started = look(without, tmp_path, **environment)
    assert (forked["forked"], started["forked"]) == (True, False)
    for name in started["seen"]:
        assert (name, forked["seen"][name]) == (name, started["seen"][name])
    assert forked["random"] != other["random"]


def test_what_is_read_at_the_start_only_starts_a_process(commands: Commands, tmp_path: Path) -> None:
    assert look(commands, tmp_path, PYTHONIOENCODING="latin-1")["seen"]["streams"][0][0] == "iso8859-1"
    (tmp_path / "sitecustomize.py").write_text("import os; os.environ['CITY'] = 'Paris'")
    assert look(commands, tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path}")["seen"]["environment"]["CITY"] == "Paris"


def test_a_package_in_place_of_one_that_is_loaded_starts_nothing(commands: Commands, tmp_path: Path) -> None:
    (tmp_path / "site" / "rich").mkdir(parents=True)
    with pytest.raises(RuntimeError, match="did not start the command"):
        commands.start("list-providers", folder=tmp_path, PYTHONPATH=f"{ROOT}:{tmp_path / 'site'}")


def test_the_modules_read_nothing_else_while_they_are_loaded() -> None:
    """Else a fork would go by the environment of the server."""
    code = (
        "import importlib, os\n"
        "from tests.support.fork_server import LOADED\n"
        "names = set()\n"
        "class Watched(type(os.environ)):\n"
        "    def __getitem__(self, name):\n"
        "        names.add(name)\n"
        "        return super().__getitem__(name)\n"
        "    def __contains__(self, name):\n"
        "        names.add(name)\n"
        "        return super().__contains__(name)\n"
        "os.environ.__class__ = Watched\n"
        "for module in LOADED: importlib.import_module(module)\n"
        "print(*names)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, cwd=ROOT, env=clean_environment())
    assert done.returncode == 0, done.stderr.decode()
    read = done.stdout.decode().split()
    assert "TYPER_USE_RICH" in read
    assert [name for name in read if not is_read_at_start(name)] == []


def test_a_command_that_is_killed(commands: Commands, tmp_path: Path) -> None:
    with commands.start("send-text", folder=tmp_path, VOICE_PROVIDER="local") as process:
        assert process.poll() is None, "it waits for its input"
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(0.01)
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
        process.send_signal(signal.SIGKILL)  # reaches nobody


def test_a_server_that_has_failed_is_told(tmp_path: Path) -> None:
    """Nothing is started in its place."""
    commands = Commands(fork=True)
    with pytest.raises(RuntimeError, match="did not start the command"):
        commands.start("list-providers", folder=tmp_path / "none")
    assert look(commands, tmp_path)["forked"]
    commands.server.kill()
    commands.server.wait(30)
    with pytest.raises(RuntimeError, match="has ended"):
        commands.start("list-providers", folder=tmp_path)
    with pytest.raises(AssertionError):
        commands.close()
