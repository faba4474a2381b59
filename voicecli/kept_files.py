"""Files that voicecli keeps: replaced as a whole, known by their checksums, locked against other processes."""

import contextlib
import hashlib
import os
import shutil
import stat
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

__all__ = ["UNFINISHED", "locked", "move_file", "remove_path", "replace_file", "sha256_of"]

UNFINISHED = ".unfinished-"
"""How the names of files begin that are being written; a process that is killed leaves them."""

_POLL_S = 0.05
_HELD_S = 2.0  # that others may hold a file


def replace_file(path: Path, content: bytes, *, mode: int | None = None) -> None:
    """Put a file in place of another, or of none: all of it or nothing, also when the disk is full or Ctrl-C comes.

    A symbolic link stays, and what it leads to is written, as are a device and a pipe. The folder is made, for this
    user alone, if it is not there.

    Args:
        mode: its permissions; None leaves them as they are, and gives a new file to this user alone.

    Raises:
        OSError: it cannot be written, and is as it was.
        RuntimeError: links lead in a circle.
    """
    import tempfile  # not worth its time to those who only read

    if path.exists() and not path.is_file():
        _write_through(path, content)
        return
    path = path.resolve()
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor, name = tempfile.mkstemp(prefix=UNFINISHED, dir=path.parent)  # with permissions 0600
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        if mode is None and path.exists():
            mode = stat.S_IMODE(path.stat().st_mode)
        if mode is not None:
            os.chmod(name, mode)
        move_file(Path(name), path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise


def move_file(source: Path, target: Path) -> None:
    """Move a file to a place in the same file system, over the file that is there.

    On Windows that fails while another process has one of them open, which a virus scanner or an indexer does for a
    moment: it is tried again for 2 s. Raises OSError.
    """
    _patiently(lambda: os.replace(source, target))


def _patiently(change: Callable[[], None]) -> None:
    tries = int(_HELD_S / _POLL_S) if sys.platform == "win32" else 0
    for _ in range(tries):
        try:
            return change()
        except PermissionError:
            time.sleep(_POLL_S)
    return change()


def _write_through(path: Path, content: bytes) -> None:
    """Write to what is no file. Raises OSError; also where nobody reads a pipe, which would be waited for."""
    flags = os.O_WRONLY | getattr(os, "O_NONBLOCK", 0) | getattr(os, "O_BINARY", 0)
    descriptor = os.open(path, flags)
    with os.fdopen(descriptor, "wb") as file:
        if sys.platform != "win32":
            os.set_blocking(descriptor, True)
        file.write(content)


@contextlib.contextmanager
def locked(path: Path, in_vain: Callable[[], None]) -> Iterator[None]:
    """Hold the lock that this file is. It is waited for in steps, so that Ctrl-C is heard everywhere.

    Args:
        in_vain: is called after each step without success, every 50 ms; what it raises ends the waiting.

    Raises:
        OSError: the file cannot be made.
        NotImplementedError: the file system knows no locks.
    """
    import filelock

    lock = filelock.FileLock(path)
    while not lock.is_locked:
        try:
            lock.acquire(timeout=_POLL_S)
        except filelock.Timeout:
            in_vain()
    try:
        yield
    finally:
        lock.release()


def sha256_of(path: Path) -> str:
    """The file's checksum, in hexadecimal; a gigabyte takes some 1.1 s. Raises OSError."""
    with path.open("rb") as content:
        return hashlib.file_digest(content, "sha256").hexdigest()


def remove_path(path: Path) -> None:
    """Remove a file, a link, or a folder with all that is in it, as patiently as `move_file`. Raises OSError."""
    if path.is_dir() and not path.is_symlink():
        _patiently(lambda: shutil.rmtree(path))
    else:
        _patiently(path.unlink)
