"""Redirection of file descriptor 2, to keep C libraries from writing over the terminal."""

import contextlib
import logging
import os
import sys
import tempfile
import threading
from collections.abc import Iterator
from typing import IO, TextIO

__all__ = ["quiet_stderr", "trim_stderr"]

_log = logging.getLogger(__name__)
_STDERR = 2
_MOST_KEPT = 64 * 1024  # bytes on the disk; a conversation may last for hours beside a driver that complains


class _Redirection:
    """Leads file descriptor 2 to a temporary file as long as it has users; the last one restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._users = 0
        self._saved = -1
        self._file: IO[bytes] | None = None
        self._python: TextIO | None = None  # what was `sys.stderr`
        self._detour: TextIO | None = None  # what is it meanwhile; made once, as somebody may keep it

    def begin(self) -> None:
        text = ""
        with self._lock:
            self._users += 1
            if self._users == 1:
                self._redirect()
            else:
                text = self._take_if_much()
        _report(text)

    def trim(self) -> None:
        """Hand on what was written so far, when it is much."""
        with self._lock:
            text = self._take_if_much()
        _report(text)

    def end(self) -> None:
        text = ""
        with self._lock:
            self._users -= 1
            if self._users == 0:
                text = self._restore()
        _report(text)

    def _redirect(self) -> None:
        try:
            self._saved = os.dup(_STDERR)
            self._file = file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 - closed by `_restore`
            self._keep_python()
            os.dup2(file.fileno(), _STDERR)
        except OSError:  # there is no descriptor 2 to spoil, or no place for a file
            self._restore()

    def _keep_python(self) -> None:
        """Let what Python writes go where it did."""
        with contextlib.suppress(AttributeError, OSError, ValueError):  # there is none, or it is no file
            if sys.stderr.fileno() != _STDERR:
                return
            if self._detour is None:
                self._detour = open(os.dup(_STDERR), "w", buffering=1, errors="replace", closefd=False)  # noqa: SIM115
            os.dup2(_STDERR, self._detour.fileno())
            self._python, sys.stderr = sys.stderr, self._detour

    def _restore(self) -> str:
        if self._saved >= 0:
            os.dup2(self._saved, _STDERR)
            os.close(self._saved)
            self._saved = -1
        if self._python is not None:
            if sys.stderr is self._detour:
                sys.stderr = self._python
            self._python = None
        text = ""
        if self._file is not None:
            text = self._take()
            self._file.close()
            self._file = None
        return text

    def _take_if_much(self) -> str:
        if self._file is None or os.fstat(self._file.fileno()).st_size <= _MOST_KEPT:
            return ""
        return self._take()

    def _take(self) -> str:
        """Empty the file; what was written since the last time, at most the first 64 KB of it.

        Descriptor 2 has its position in common with the file: what is written from now on begins at 0. A message that
        comes just meanwhile may be damaged or lost.
        """
        assert self._file is not None
        self._file.seek(0)
        text = self._file.read(_MOST_KEPT).decode(errors="replace").strip()
        self._file.seek(0)
        self._file.truncate()
        return text


def _report(text: str) -> None:
    if text:
        _log.debug("Kept from the terminal: %s", text)


_redirection = _Redirection()


@contextlib.contextmanager
def quiet_stderr() -> Iterator[None]:
    """Send what is written to file descriptor 2 to the debug log instead; what is written to `sys.stderr` passes.

    ALSA and PortAudio report from C, in the middle of a line of a live view. Uses may overlap, also between threads.
    """
    _redirection.begin()
    try:
        yield
    finally:
        _redirection.end()


def trim_stderr() -> None:
    """Pass on to the log what has gathered while `quiet_stderr` is in use, when that is much. Call it now and then."""
    _redirection.trim()
