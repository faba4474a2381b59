"""Capture of what tools print while the live view has the terminal: whole lines, for the view to show."""

import asyncio
import codecs
import io
import os
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any, TextIO, cast

__all__ = ["printed_lines"]

_LONGEST = 4_096  # characters of a line without an end, which is shown then all the same
_STDOUT = 1
_READ_SIZE = 4_096
_LAST_LINES_S = 0.2  # for what is in the pipe at the end; a child of a tool may hold it open for ever


@contextmanager
def printed_lines(tell: Callable[[list[str]], None]) -> Iterator[None]:
    """While it is open, what is written to `sys.stdout` and `sys.stderr` goes line by line to `tell` instead.

    So does what other programs, and C libraries, write to file descriptor 1; what they write to 2 is not caught. Must
    be entered where an event loop runs.

    Args:
        tell: called on that loop with the lines since the last call, without their ends, whichever threads have printed
            them; from each thread in order. What a carriage return would overwrite, such as a bar that grows, is left
            out.
    """
    loop = asyncio.get_running_loop()
    out, err = _Lines(sys.stdout, loop, tell), _Lines(sys.stderr, loop, tell)
    sys.stdout, sys.stderr = cast(TextIO, out), cast(TextIO, err)
    pipe = _Pipe(out)
    try:
        yield
    finally:
        pipe.close()
        # Whoever keeps one of them writes to what it stood for from now on; whoever has put their own there keeps it.
        if sys.stdout is cast(TextIO, out):
            sys.stdout = out.original
        if sys.stderr is cast(TextIO, err):
            sys.stderr = err.original
        out.end(tell)
        err.end(tell)


class _Lines(io.TextIOBase):
    """Text stream in place of another, handing whole lines on."""

    encoding = "utf-8"
    errors = "strict"

    def __init__(self, original: TextIO, loop: asyncio.AbstractEventLoop, tell: Callable[[list[str]], None]) -> None:
        self.original = original
        self.buffer = _Bytes(self)
        self._loop = loop
        self._tell: Callable[[list[str]], None] | None = tell
        self._lines: list[str] = []  # that the loop has not taken yet
        self._lock = threading.RLock()
        # By thread, so that those which print at once do not get into each other's lines.
        self._begun: dict[int, str] = {}

    def writable(self) -> bool:
        return True

    def fileno(self) -> int:
        """The original's, for those who hand it to other programs."""
        return self.original.fileno()

    def reconfigure(self, **_: object) -> None:
        """Without effect: text is text here."""

    def write(self, text: str) -> int:
        with self._lock:
            if self._tell is None:
                return self.original.write(text)
            *lines, rest = (self._begun.pop(threading.get_ident(), "") + text).split("\n")
            while len(rest := _last_written(rest)) > _LONGEST:
                lines.append(rest[:_LONGEST])
                rest = rest[_LONGEST:]
            if rest:
                self._begun[threading.get_ident()] = rest
            if lines and not self._lines:
                with suppress(RuntimeError):  # the loop is closed: nobody is there to be told
                    self._loop.call_soon_threadsafe(self._hand_over, self._tell)
            self._lines += [_last_written(line).rstrip("\r") for line in lines]
        return len(text)

    def _hand_over(self, tell: Callable[[list[str]], None]) -> None:
        with self._lock:
            lines, self._lines = self._lines, []
        if lines:
            tell(lines)

    def flush(self) -> None:
        """A line is told when it is whole, and not before."""
        if self._tell is None:
            self.original.flush()

    def end(self, tell: Callable[[list[str]], None]) -> None:
        """Tell what has no end of line, on the loop; from now on pass everything on."""
        with self._lock:
            self._tell = None
            begun, self._begun = self._begun, {}
            self._lines += [line.rstrip("\r") for line in begun.values()]
        self._loop.call_soon(self._hand_over, tell)


class _Pipe:
    """Leads file descriptor 1 to a text stream, by a thread."""

    def __init__(self, lines: _Lines) -> None:
        self._lines = lines
        self._saved = -1
        with suppress(OSError):  # there is no descriptor 1 to lead elsewhere
            self._saved = os.dup(_STDOUT)
            self._reading, writing = os.pipe()
            os.dup2(writing, _STDOUT)
            os.close(writing)
            self._thread = threading.Thread(target=self._read, name="voicecli-printed", daemon=True)
            self._thread.start()

    def close(self) -> None:
        """Restore the descriptor; whoever has inherited the pipe can go on writing to it."""
        if self._saved >= 0:
            os.dup2(self._saved, _STDOUT)
            os.close(self._saved)
            self._saved = -1
            self._thread.join(_LAST_LINES_S)

    def _read(self) -> None:
        decoder = codecs.getincrementaldecoder("utf-8")(errors="replace")
        with suppress(OSError, ValueError):  # what it is passed on to is closed
            while data := os.read(self._reading, _READ_SIZE):
                self._lines.write(decoder.decode(data))
        os.close(self._reading)


class _Bytes(io.RawIOBase):
    """Byte stream beneath a text stream."""

    def __init__(self, text: _Lines) -> None:
        self._text = text

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        self._text.write(bytes(data).decode("utf-8", "replace"))
        return len(data)


def _last_written(line: str) -> str:
    """The line as its carriage returns leave it; one at its end may belong to the line's end."""
    return line[line.rfind("\r", 0, len(line) - 1) + 1 :] if "\r" in line else line
