"""Pipes that nobody reads any more, which each system tells in its own way."""

import errno
import sys

__all__ = ["is_closed_pipe"]


def is_closed_pipe(error: BaseException) -> bool:
    """True for the error of writing to a pipe whose reader has gone: EPIPE, on Windows most often EINVAL.

    On Windows a name that cannot be is told by EINVAL, too; then the error has that name.
    """
    if isinstance(error, BrokenPipeError):
        return True
    return (
        sys.platform == "win32"
        and isinstance(error, OSError)
        and error.errno == errno.EINVAL
        and error.filename is None
    )
