"""Named pipes, which Windows has not in its folders: tests that use these are skipped there."""

import os
import sys
from pathlib import Path

__all__ = ["make_named_pipe", "open_reading_end"]


def make_named_pipe(path: Path) -> None:
    if sys.platform == "win32":
        raise NotImplementedError("Windows has no named pipes in folders")
    os.mkfifo(path)


def open_reading_end(path: Path) -> int:
    """Open a named pipe to read from it, though nobody writes yet; its descriptor, whose reads wait for words."""
    if sys.platform == "win32":
        raise NotImplementedError("Windows has no named pipes in folders")
    reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
    os.set_blocking(reading, True)
    return reading
