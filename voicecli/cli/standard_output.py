"""Standard output, kept for what the command itself writes: whatever else is written there goes to standard error.

Programs read JSON lines from it, or sound. A tool that prints, a child process of it, a C library that reports, must
not get between.
"""

import contextlib
import os
import shutil
import sys
import time
from collections.abc import Iterator
from typing import TextIO

__all__ = [
    "columns",
    "diverted",
    "drop",
    "expect_json_lines",
    "give_back",
    "json_lines_expected",
    "keep",
    "own_descriptor",
    "own_stdout",
    "started",
]

_STDOUT, _STDERR = 1, 2


class _Kept:
    """Standard output while it is kept.

    Attributes:
        json_lines: whether a program reads JSON lines there.
        own: leads there; all else that did, `sys.stdout` and descriptor 1 first of all, leads to standard error.
        descriptor: leads there, too; -1 where descriptor 1 was closed.
    """

    def __init__(self) -> None:
        self.since = time.monotonic()
        self.json_lines = False
        self._before, self._before_first = sys.stdout, sys.__stdout__
        sys.stdout.flush()
        self._is_real = _is_real(sys.stdout)
        self.descriptor = -1
        with contextlib.suppress(OSError):
            self.descriptor = os.dup(_STDOUT)  # not inherited by children
        self._divert()
        other: TextIO
        if self._is_real and self.descriptor >= 0:
            # On a console of Windows this is one for text, as `sys.stdout` was.
            errors, encoding = self._before.errors, self._before.encoding
            self.own: TextIO = open(self.descriptor, "w", buffering=1, encoding=encoding, errors=errors, closefd=False)  # noqa: SIM115
            other = open(_STDOUT, "w", buffering=1, encoding=encoding, errors="backslashreplace", closefd=False)  # noqa: SIM115
            sys.__stdout__ = other  # type: ignore[misc]
        else:
            self.own = self._before
            other = sys.stderr
        self._other = sys.stdout = other

    def _divert(self) -> None:
        try:
            os.dup2(_STDERR, _STDOUT)
        except OSError:  # there is no standard error either
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), _STDOUT)

    def drop(self) -> None:
        """Let what cannot be written go nowhere, and all that follows."""
        if self.descriptor >= 0:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), self.descriptor)

    def end(self) -> None:
        for stream in (self._other, self.own):
            with contextlib.suppress(OSError, ValueError):
                stream.flush()
        if sys.stdout is self._other:
            sys.stdout = self._before
        sys.__stdout__ = self._before_first  # type: ignore[misc]
        if self.own is not self._before:
            with contextlib.suppress(OSError):
                self.own.close()  # else whoever keeps it would write to the next file of that number
        if self.descriptor >= 0:
            os.dup2(self.descriptor, _STDOUT)
            os.close(self.descriptor)


_kept: _Kept | None = None


def keep() -> None:
    """Keep standard output from now on: only `own_stdout` and `own_descriptor` lead there. Idempotent."""
    global _kept
    if _kept is None:
        _kept = _Kept()


def expect_json_lines() -> None:
    """Note that a program reads JSON lines, as settings say that the command line does not."""
    if _kept is not None:
        _kept.json_lines = True


def json_lines_expected() -> bool:
    """Return whether `expect_json_lines` was called since standard output was kept."""
    return _kept is not None and _kept.json_lines


def give_back() -> None:
    """Undo `keep`. A process that ends does not: C libraries write what they have gathered when it does."""
    global _kept
    if _kept is not None:
        kept, _kept = _kept, None
        kept.end()


@contextlib.contextmanager
def diverted() -> Iterator[None]:
    """Keep standard output for a while, unless it is kept already."""
    if _kept is not None:
        yield
        return
    keep()
    try:
        yield
    finally:
        give_back()


def drop() -> None:
    """Write nothing more to standard output: nobody reads it, or it has no room."""
    if _kept is not None:
        _kept.drop()
    elif _is_real(sys.stdout):
        with open(os.devnull, "wb") as nowhere:
            os.dup2(nowhere.fileno(), _STDOUT)


def own_stdout() -> TextIO:
    """Standard output for what the command itself writes."""
    return sys.stdout if _kept is None else _kept.own


def own_descriptor() -> int:
    """The file descriptor of standard output, for sound."""
    return _STDOUT if _kept is None or _kept.descriptor < 0 else _kept.descriptor


def started() -> float:
    """When standard output was kept, which is when the command began, by `time.monotonic`; else now."""
    return time.monotonic() if _kept is None else _kept.since


def columns(stream: TextIO | None = None) -> int:
    """The width of the terminal that a stream is; None for standard output."""
    try:
        return os.get_terminal_size((stream or own_stdout()).fileno()).columns or shutil.get_terminal_size().columns
    except (OSError, ValueError):
        return shutil.get_terminal_size().columns


def _is_real(stream: TextIO) -> bool:
    """True when a stream writes to descriptor 1, rather than stands in for it, as in tests and notebooks."""
    try:
        return stream.fileno() == _STDOUT
    except (AttributeError, OSError, ValueError):
        return False
