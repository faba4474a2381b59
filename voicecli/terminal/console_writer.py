"""Writes to a console of Windows without waiting for it: while text is selected in one, it takes nothing."""

import queue
from contextlib import suppress
from typing import BinaryIO

from voicecli.threads import Worker

__all__ = ["ConsoleWriter"]

_LAST_S = 1.0  # for what is written last


class ConsoleWriter:
    """Writes on a thread, one piece after the other. What cannot be written is lost: the console is gone then."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._worker = Worker("console")
        self._busy = False

    def write(self, data: bytes) -> int:
        """Have all of it written, and return its size. Raises BlockingIOError while the piece before is under way."""
        if self._busy:
            raise BlockingIOError
        self._busy = True
        self._worker.submit(lambda: self._put(data))
        return len(data)

    def finish(self, data: bytes) -> None:
        """Write the last piece, behind all others, and return once it is written, or after a second."""
        done: queue.SimpleQueue[None] = queue.SimpleQueue()
        self._worker.submit(lambda: self._put(data))
        self._worker.submit(lambda: done.put(None))
        self._worker.stop()
        with suppress(queue.Empty):
            done.get(timeout=_LAST_S)

    def _put(self, data: bytes) -> None:
        with suppress(OSError, ValueError):
            self._stream.write(data)
            self._stream.flush()
        self._busy = False
