"""Ids of conversations: short, easy to read and to type, and never given twice.

An id is made of the number that the database counts up, so that none comes again when its conversation is deleted. The
numbers are spread as wide as they can be, for a beginning of an id to be enough to name it.
"""

import re

__all__ = ["LATEST", "POSSIBLE", "id_of", "may_be_id"]

LATEST = "latest"
"""The id that stands for the conversation that began last."""

# No vowels, that no id is a word; no l and y, and no 0 and 1, that none is mistaken for another.
_LETTERS, _DIGITS = "bcdfghjkmnpqrstvwxz", "23456789"
_PAIR = len(_LETTERS) * len(_DIGITS)

POSSIBLE = _PAIR**3
"""The number of ids: 3.5 million."""

_STEP = 2_170_417
"""The golden section of them, without a divisor in common with their number: each number gets an id of its own."""


def id_of(number: int, offset: int = 0) -> str:
    """The id of a conversation, such as "k7m2q9".

    Args:
        number: it is the how manieth of its database, from 1 on.
        offset: differs from database to database, for a new one not to begin with the ids of the last.
    """
    place = (offset + number * _STEP) % POSSIBLE
    pairs = (place // _PAIR**2, place // _PAIR % _PAIR, place % _PAIR)
    return "".join(_LETTERS[pair // len(_DIGITS)] + _DIGITS[pair % len(_DIGITS)] for pair in pairs)


def may_be_id(text: str) -> bool:
    """Return whether this is written like an id, or a beginning of one."""
    pair = "[a-z][2-9]"
    return bool(re.fullmatch(rf"{LATEST}|({pair}){{1,3}}|({pair}){{0,2}}[a-z]", text.casefold()))
