"""Forks commands from a process that has loaded their modules once: `python -m tests.support.fork_server`.

Loading them is most of what a short command costs. A fork has its own arguments, environment, directory, paths of
packages, streams and end as a process that was started anew. It differs in what Python and its libraries read while
they load: the environment (`commands.py` compares it), and the seed of hashes, which all forks of a server share.
"""

import gc
import importlib
import io
import json
import os
import runpy
import signal
import socket
import sys
from typing import Any

from tests.support.commands import MOST_BYTES

assert sys.platform == "linux"  # tells mypy, too

__all__ = ["LOADED"]

LOADED = (
    *("voicecli.cli.app", "voicecli.cli.chat", "voicecli.cli.run", "voicecli.cli.daily_notices", "voicecli.cli.lists"),
    *("voicecli.cli.event_lines", "voicecli.cli.layers", "voicecli.cli.prepare", "voicecli.audio.files.ffmpeg"),
    *("voicecli.providers.openai.codec", "voicecli.providers.openai.errors", "voicecli.providers.gemini.codec"),
    *("voicecli.connection.websocket", "voicecli.history.log", "voicecli.terminal.summary", "rich.console", "asyncio"),
)
"""Modules that commands with a provider over the network load, with all that they load. None opens a sound device."""

_DESCRIPTORS = 4
"""The socket for a command's number and status, and its three streams."""


def main() -> None:
    for module in LOADED:
        importlib.import_module(module)
    gc.collect()
    gc.freeze()  # else each fork's first collection copies all pages
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the tests, and ends the server by ending them
    _serve(socket.socket(fileno=int(sys.argv[1])))
    runpy.run_module("voicecli", run_name="__main__", alter_sys=True)


def _serve(control: socket.socket) -> None:
    """Serve until nobody can ask any more. Returns only in a process that is to become a command."""
    while True:
        message, descriptors, _, _ = socket.recv_fds(control, 1, _DESCRIPTORS)
        if not message:
            sys.exit()
        threads = len(os.listdir("/proc/self/task"))
        assert threads == 1, f"the fork server has {threads} threads, and a fork only one of them"
        if os.fork() == 0:
            control.close()
            reply, *streams = descriptors
            return _watch(socket.socket(fileno=reply), streams)
        for descriptor in descriptors:
            os.close(descriptor)
        while _reap():
            pass


def _reap() -> bool:
    """Take note of the end of a process that has watched a command; False where none has ended."""
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _watch(reply: socket.socket, streams: list[int]) -> None:
    """Fork a command, and tell its status when it has ended. Returns in the command's process only.

    The ended process is kept until the other side hangs up: a signal to its number reaches nobody else.
    """
    request = json.loads(reply.recv(MOST_BYTES))
    child = os.fork()
    if child == 0:
        return _become(request, reply, streams)
    for descriptor in (0, 1, 2, *streams):
        os.close(descriptor)
    ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert ended is not None
    status = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
    try:
        reply.sendall(json.dumps({"status": status}).encode())
        reply.recv(1)
    finally:
        os.waitpid(child, 0)
        os._exit(0)


def _become(request: dict[str, Any], reply: socket.socket, streams: list[int]) -> None:
    """Give this process what the command is to have, as Python does when it starts; tell the process's number."""
    os.chdir(os.fsencode(request["folder"]))
    own = os.environ["PYTHONPATH"].split(os.pathsep)
    os.environ.clear()
    os.environ.update(request["environment"])
    paths = os.environ["PYTHONPATH"].split(os.pathsep)
    there = {name.partition(".")[0] for path in paths if path not in own for name in os.listdir(path)}
    assert not (loaded := there & sys.modules.keys()), f"PYTHONPATH has what is loaded already: {loaded}"
    for number, (name, mode) in enumerate((("stdin", "r"), ("stdout", "w"), ("stderr", "w"))):
        os.dup2(streams[number], number)
        stream = _stream(number, mode)
        setattr(sys, name, stream)
        setattr(sys, f"__{name}__", stream)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv = ["voicecli", *request["arguments"]]
    sys.path[: 1 + len(own)] = [os.getcwd(), *paths]
    sys.path_importer_cache.clear()
    reply.sendall(json.dumps({"pid": os.getpid()}).encode())
    reply.close()
    os.closerange(3, max(map(int, os.listdir("/proc/self/fd"))) + 1)


def _stream(number: int, mode: str) -> io.TextIOWrapper:
    """A standard stream as Python opens it; what the environment says of it, as the server's own has it."""
    own = (sys.__stdin__, sys.__stdout__, sys.__stderr__)[number]
    assert isinstance(own, io.TextIOWrapper)
    raw = io.FileIO(number, mode, closefd=False)
    raw.name = own.name
    buffered = not own.write_through
    buffer: Any = io.BufferedReader(raw) if number == 0 else io.BufferedWriter(raw) if buffered else raw
    stream = io.TextIOWrapper(
        buffer,
        encoding=own.encoding,
        errors=own.errors,
        newline="\n",
        line_buffering=buffered and (number == 2 or raw.isatty()),
        write_through=not buffered,
    )
    stream.mode = mode  # type: ignore[misc]  # as Python does
    return stream


if __name__ == "__main__":
    main()
