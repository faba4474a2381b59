"""Context for the model in parts: of one, the service takes 500 tokens at most."""

import re

from voicecli.text import valid_text

__all__ = ["LONGEST_TOOL_OUTPUT", "split", "tokens_at_most"]

LONGEST_TOOL_OUTPUT = 2_000
"""How much of what a tool returned is told as context, in characters; the backend has all of it."""
_MOST_TOKENS = 450
"""Of the 500 allowed: the service may count a few for its own markup."""
_PIECE = re.compile(r"\s*(?:[A-Za-z0-9]+|[^\sA-Za-z0-9])\s*")


def tokens_at_most(text: str) -> int:
    """A cautious estimate of the tokens of a text, without its model's vocabulary: for English about twice too many.

    A token of letters or digits is taken to have two of them, another character of ASCII to be one. Of others, each
    is taken for a token for each byte of UTF-8 but the first: a letter with an accent for one, a Chinese one for two,
    an emoji for three.
    """
    return sum(map(_weight, _PIECE.findall(text)))


def split(text: str, most: int = _MOST_TOKENS) -> list[str]:
    """A text in parts of at most so many tokens, cut between words where there are any; none for one without words."""
    parts: list[str] = []
    part, size = "", 0
    for piece in _PIECE.findall(valid_text(text)):
        for bit in _bits(piece, most):
            weight = _weight(bit)
            if part and size + weight > most:
                parts.append(part.strip())
                part, size = "", 0
            part, size = part + bit, size + weight
    return [*parts, part.strip()] if part.strip() else parts


def _weight(piece: str) -> int:
    bare = piece.strip()
    blanks = len(piece) - len(bare)
    spare = max(blanks - 1, 0) // 2  # one belongs to the word that follows
    if not bare.isascii():
        return spare + sum(max(len(character.encode()) - 1, 1) for character in bare)
    return spare + (len(bare) + 1) // 2


def _bits(piece: str, most: int) -> list[str]:
    """A word that is too long for one part by itself, cut."""
    length = 2 * most
    return [piece[start : start + length] for start in range(0, len(piece), length)] if len(piece) > length else [piece]
