"""Word error rate: how much of a known text a transcript gets wrong."""

import re

__all__ = ["word_error_rate", "words"]


def words(text: str) -> list[str]:
    """The words of a text, without case and punctuation."""
    return re.findall(r"[a-z0-9']+", text.lower().replace("\u2019", "'"))


def word_error_rate(said: str, heard: str) -> float:
    """Wrong, missing and added words, by the number of those that were said."""
    expected, found = words(said), words(heard)
    row = list(range(len(found) + 1))
    for count, word in enumerate(expected, 1):
        before, row[0] = row[0], count
        for place, other in enumerate(found, 1):
            before, row[place] = row[place], min(before + (word != other), row[place] + 1, row[place - 1] + 1)
    return row[-1] / len(expected)
