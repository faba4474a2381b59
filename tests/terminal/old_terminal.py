"""A terminal that takes every `CSI ... u` for "restore the cursor", as some do that know no keyboard protocol."""

import re

__all__ = ["cursor_after"]

_STEP = re.compile(r"\x1b7|\x1b8|\x1b\[([\x30-\x3f]*)([\x40-\x7e])|([^\x1b])")


def cursor_after(written: str, column: int) -> int:
    """The column of the cursor after this was written, from another column on."""
    saved = at = 0
    at = column
    for step in _STEP.finditer(written):
        if step[0] == "\x1b7":
            saved = at
        elif step[0] == "\x1b8" or step[2] == "u":
            at = saved
        elif step[3]:
            at += 1
    return at
