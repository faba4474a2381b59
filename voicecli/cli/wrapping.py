"""Running text in lines as wide as a terminal."""

import textwrap

__all__ = ["wrapped"]


def wrapped(text: str, width: int, indent: str = "", hanging: str | None = None) -> list[str]:
    """The text in lines, broken between words; a word that is wider, as an address, stays whole for whoever copies it.

    Args:
        indent: what the first line begins with.
        hanging: what the others begin with; None for the same.
    """
    return textwrap.wrap(
        text,
        width,
        initial_indent=indent,
        subsequent_indent=indent if hanging is None else hanging,
        break_long_words=False,
        break_on_hyphens=False,
    )
