"""Finds words in what was said."""

import sqlite3
import unicodedata
from collections.abc import Iterator, Sequence

from voicecli.text import valid_text

__all__ = ["excerpt", "found_turns", "words_of"]

_AROUND = 40  # letters on each side of the first word that was found
_FROM = """
    SELECT turns.number FROM turns JOIN conversations ON conversations.number = turns.conversation
    {where} ORDER BY conversations.started_at DESC, conversations.number DESC, turns.position LIMIT ?
"""


def words_of(texts: Sequence[str]) -> list[str]:
    """The words that are looked for, as they are compared: without case of letters, without accents."""
    return [_plain(word) for text in texts for word in valid_text(text).split()]


def found_turns(connection: sqlite3.Connection, words: Sequence[str], limit: int, *, full_text: bool) -> list[int]:
    """The numbers of the turns that have all of these words, those of the last conversation first.

    By the index, words that begin so count. What it does not find is looked for letter by letter: it knows no words
    of scripts that are written without spaces.

    Args:
        words: of `words_of`; not none.
        limit: no more turns than so many.
    """
    if full_text:
        # In quotation marks nothing in them has a meaning.
        quoted = " ".join(f'"{word.replace(chr(34), chr(34) * 2)}"*' for word in words)
        where = "WHERE turns.number IN (SELECT rowid FROM words WHERE words MATCH ?)"
        if found := connection.execute(_FROM.format(where=where), (quoted, limit)).fetchall():
            return [number for (number,) in found]
    connection.create_function("plain", 1, _plain, deterministic=True)
    where = "WHERE " + " AND ".join(["instr(plain(turns.text), ?)"] * len(words))
    return [number for (number,) in connection.execute(_FROM.format(where=where), (*words, limit))]


def excerpt(text: str, words: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The part of a text in which words are first found, in pieces, each with whether it is such a word."""
    text = " ".join(text.split())
    places = sorted(set(_places(_plain(text), words)))
    first = places[0][0] if places else 0
    begin = text.rfind(" ", 0, max(first - _AROUND, 0)) + 1 if first > _AROUND else 0
    end = text.find(" ", first + _AROUND)
    end = len(text) if end < 0 else end
    pieces, at = [("… ", False)] if begin else [], begin
    for start, stop in places:
        if start >= at and stop <= end:
            pieces += [(text[at:start], False), (text[start:stop], True)]
            at = stop
    pieces += [(text[at:end], False), (" …" if end < len(text) else "", False)]
    return tuple(piece for piece in pieces if piece[0])


def _places(plain: str, words: Sequence[str]) -> Iterator[tuple[int, int]]:
    for word in words:
        at = plain.find(word)
        while at >= 0:
            yield at, at + len(word)
            at = plain.find(word, at + len(word))


def _plain(text: str) -> str:
    """The text without accents and case of letters, as long as before."""
    if text.isascii():  # what most of it is, a hundred times faster
        return text.lower()
    return "".join(unicodedata.normalize("NFD", letter)[0].casefold()[0] for letter in text)
