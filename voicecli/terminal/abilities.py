"""Abilities of a terminal: whether it tells of keys that are held and released."""

import os
import re
import select
import sys
import time

from voicecli.terminal.key_feed import ASK_KITTY

__all__ = ["reports_key_releases"]

_KITTY = re.compile(rb"\x1b\[\?\d+u")
_DONE = re.compile(rb"\x1b\[\?[\d;]*c")
_ASK = ASK_KITTY.encode() + b"\x1b[c"
"""Kitty's question, and one that every terminal answers: what has come before that answer is all that comes."""


def reports_key_releases(fd: int, out_fd: int, *, within_s: float = 0.3) -> bool:
    """Ask whether the terminal speaks kitty's keyboard protocol; what is typed meanwhile is lost. Blocks.

    Args:
        fd, out_fd: of the terminal, to read from and to write to.
        within_s: the longest to wait for the answer, in seconds.
    """
    if sys.platform == "win32":  # not where a console makes escape sequences of keys
        return False
    import termios
    import tty

    try:
        before = termios.tcgetattr(fd)
    except termios.error:
        return False
    answer = b""
    try:
        tty.setcbreak(fd, termios.TCSANOW)
        os.write(out_fd, _ASK)
        end = time.monotonic() + within_s
        while not _DONE.search(answer) and select.select([fd], [], [], max(end - time.monotonic(), 0))[0]:
            if not (more := os.read(fd, 1024)):
                break
            answer += more
    except OSError:
        return False
    finally:
        termios.tcsetattr(fd, termios.TCSAFLUSH, before)
    return _KITTY.search(answer) is not None
