"""Runs `voice` in a process of its own, as a shell would: forked from one that has loaded it, or started anew."""

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from pathlib import Path
from typing import IO, Self

__all__ = ["CAN_FORK", "MOST_BYTES", "Commands", "Forked", "clean_environment", "is_read_at_start"]

CAN_FORK = sys.platform == "linux" and hasattr(os, "fork")

ROOT = Path(__file__).parents[2]
MOST_BYTES = 1 << 20
"""More than a message between a command's process and the tests' can have."""

_PATIENCE_S = 60
# With these, libraries start no threads while they load: those would not be there in a fork.
_FORK_ALONE = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
_READ_AT_START = (
    *("PYTHON", "LC_", "LANG", "OPENBLAS_", "OMP_", "NPY_", "NUMPY_"),
    *("TYPER_", "_TYPER_", "WEBSOCKETS_"),
)

# What a developer has set must not decide the tests.
_FOREIGN = ("VOICE_", "OPENAI_", "AZURE_", "GEMINI_", "GOOGLE_")


def clean_environment(**extra: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
    return kept | {"PYTHONPATH": str(ROOT), "TERM": "dumb", "COLUMNS": "200"} | extra


def is_read_at_start(name: str) -> bool:
    """True for variables that Python, or a module that the fork server loads, reads once and keeps to."""
    return name.startswith(_READ_AT_START) and name != "PYTHON_KEYRING_BACKEND"


def _socket_pair() -> tuple[socket.socket, socket.socket]:
    """The two ends of a connection on which a message stays one."""
    if sys.platform != "linux":
        raise NotImplementedError("commands are forked on Linux only")
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def _send_descriptors(connection: socket.socket, descriptors: list[int]) -> None:
    if sys.platform != "linux":
        raise NotImplementedError("commands are forked on Linux only")
    socket.send_fds(connection, [b"f"], descriptors)


def _is_taken_by_forks(paths: str) -> bool:
    """True for a PYTHONPATH of ours with packages besides, but with nothing that Python runs when it starts."""
    folders = [Path(path) for path in paths.split(os.pathsep)]
    at_start = [folder / f"{name}.py" for folder in folders for name in ("sitecustomize", "usercustomize")]
    return ROOT in folders and all(map(Path.is_absolute, folders)) and not any(map(Path.exists, at_start))


class Commands:
    """Starts commands. With `fork` they are forked, where nothing in their environment is read at the start only."""

    def __init__(self, fork: bool) -> None:
        """Start the process to fork from, if one is wanted: `server`."""
        self._environment = clean_environment()
        self._control: socket.socket | None = None
        if fork:
            self._control, theirs = _socket_pair()
            with theirs:
                self.server = subprocess.Popen(
                    [sys.executable, "-m", "tests.support.fork_server", str(theirs.fileno())],
                    stdin=subprocess.DEVNULL,
                    pass_fds=[theirs.fileno()],
                    cwd=ROOT,
                    env=self._environment | _FORK_ALONE,
                )

    def start(self, *args: str, folder: Path, **environment: str) -> "subprocess.Popen[bytes] | Forked":
        """Start a command with pipes for its three streams, in this environment on top of a clean one."""
        clean = clean_environment(**environment)
        if self._control is not None and self._fixed(clean) == self._fixed(self._environment):
            return Forked(self._control, {"arguments": args, "environment": clean, "folder": str(folder)})
        return subprocess.Popen(
            [sys.executable, "-m", "voicecli", *args],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=folder,
            env=clean,
        )

    def close(self) -> None:
        if self._control is not None:
            self._control.close()
            assert self.server.wait(_PATIENCE_S) == 0

    def _fixed(self, environment: Mapping[str, str]) -> dict[str, str]:
        fixed = {name: value for name, value in environment.items() if is_read_at_start(name)}
        if _is_taken_by_forks(fixed["PYTHONPATH"]):
            del fixed["PYTHONPATH"]
        return fixed


class Forked:
    """A forked command, with what tests need of `subprocess.Popen`."""

    def __init__(self, control: socket.socket, request: Mapping[str, object]) -> None:
        """Start it.

        Raises:
            RuntimeError: the fork server has ended, or did not start the command; standard error has its traceback.
        """
        self.returncode: int | None = None
        self._reply, reply = _socket_pair()
        (stdin, own_stdin), (own_stdout, stdout), (own_stderr, stderr) = os.pipe(), os.pipe(), os.pipe()
        self.stdin: IO[bytes] = open(own_stdin, "wb")  # noqa: SIM115
        self.stdout: IO[bytes] = open(own_stdout, "rb")  # noqa: SIM115
        self.stderr: IO[bytes] = open(own_stderr, "rb")  # noqa: SIM115
        theirs = [reply.detach(), stdin, stdout, stderr]
        try:
            with contextlib.suppress(ConnectionError):  # told below
                try:
                    _send_descriptors(control, theirs)
                finally:
                    for descriptor in theirs:
                        os.close(descriptor)
                self._reply.send(json.dumps(request).encode())
            self.pid = self._told("pid", _PATIENCE_S)
        except BaseException:
            self._close()
            raise

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        if self.returncode is None:
            self.returncode = self._told("status", timeout)
        return self.returncode

    def send_signal(self, sig: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, sig)

    def kill(self) -> None:
        if sys.platform != "win32":
            self.send_signal(signal.SIGKILL)

    def communicate(self, input: bytes | None = None, timeout: float | None = None) -> tuple[bytes, bytes]:
        outputs: dict[IO[bytes], bytes] = {}

        def write() -> None:
            with contextlib.suppress(BrokenPipeError):  # it reads no more
                self.stdin.write(input or b"")
            with contextlib.suppress(BrokenPipeError):
                self.stdin.close()

        def read(stream: IO[bytes]) -> None:
            outputs[stream] = stream.read()

        end = None if timeout is None else time.monotonic() + timeout
        threads = [
            threading.Thread(target=write, daemon=True),
            *(threading.Thread(target=read, args=(stream,), daemon=True) for stream in (self.stdout, self.stderr)),
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(None if end is None else max(0, end - time.monotonic()))
            if thread.is_alive():
                assert timeout is not None
                raise subprocess.TimeoutExpired("voice", timeout)
        self.wait(None if end is None else max(0, end - time.monotonic()))
        return outputs[self.stdout], outputs[self.stderr]

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        """Close the pipes, wait for the command to end, and give its number back."""
        self._close(wait=True)

    def _close(self, wait: bool = False) -> None:
        with contextlib.suppress(BrokenPipeError):
            self.stdin.close()
        self.stdout.close()
        self.stderr.close()
        if wait:
            self.wait()
        self._reply.close()

    def _told(self, what: str, timeout: float | None) -> int:
        self._reply.settimeout(timeout)
        told: dict[str, int] = {}
        try:
            told = json.loads(self._reply.recv(MOST_BYTES) or "{}")
        except ConnectionError:
            pass
        except (BlockingIOError, TimeoutError) as error:
            raise subprocess.TimeoutExpired("voice", timeout or 0) from error
        if what not in told:
            raise RuntimeError(
                f"the fork server has ended, or did not start the command: {told} in place of the {what}"
            )
        return told[what]
