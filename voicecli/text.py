"""Text that can be encoded, whatever JSON and the names of files hold beside it; errors in words; and likely names."""

import re
from collections.abc import Iterable

__all__ = ["LONGEST_TEXT", "described", "is_valid_text", "nearest", "valid_text", "without_controls"]

_CONTROL = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f]")

LONGEST_TEXT = 1_000_000
"""Characters that may be said at once: a quarter of a million tokens, more than any speech-to-speech model holds."""


def described(error: BaseException) -> str:
    """An error in words, even one that cannot tell them itself."""
    try:
        words = str(error)
    except Exception:
        words = ""
    return f"{type(error).__name__}: {words}" if words else type(error).__name__


def valid_text(text: str) -> str:
    """The text as it can be sent, shown and stored: surrogate pairs are joined, lone surrogates replaced by U+FFFD.

    A delta of streamed text may end between the two halves of a pair: join the deltas first.
    """
    if text.isascii():
        return text
    return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")


def is_valid_text(text: str) -> bool:
    """True when text can be encoded: Python puts a lone surrogate where the bytes of an argument are no UTF-8."""
    return text.isascii() or not any("\ud800" <= char <= "\udfff" for char in text)


def without_controls(text: str) -> str:
    """The text for a file that people look at: U+FFFD for control characters, but tabs and ends of lines."""
    lines = text.replace("\r\n", "\n").replace("\r", "\n")
    return _CONTROL.sub("\ufffd", lines)


def nearest(name: str, names: Iterable[str], *, likeness: float = 0.6) -> str:
    """The name most like one that there is not; "" where none is.

    Args:
        likeness: how much of both must be the same, 0 to 1.
    """
    import difflib  # not worth its time to those who mistype nothing

    return next(iter(difflib.get_close_matches(name, names, 1, likeness)), "")
