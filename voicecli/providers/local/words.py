"""Words as they are compared: lower case, without punctuation."""

import re

__all__ = ["plain_words", "without_ending"]

_WORD = re.compile(r"[a-z0-9]+(?:['-][a-z0-9]+)*")
_ENDING = " \t\n.,;:?!…-–—"  # noqa: RUF001 - what recognizers end a text with


def plain_words(text: str) -> list[str]:
    """The words of an English text; "Mm-hmm, it's ..." gives mm-hmm, it's."""
    return _WORD.findall(text.lower().replace("’", "'"))  # noqa: RUF001


def without_ending(text: str) -> str:
    """The text without the marks at its end: a recognizer guesses them, and ends a fifth of complete questions by a
    comma or by nothing."""
    return text.rstrip(_ENDING)
