"""Finds words in what was said."""

import sqlite3
import unicodedata
from collections.abc import Iterable, Iterator, Sequence

from voicecli.text import valid_text

__all__ = ["excerpt", "found_turns", "words_of"]

_AROUND = 40  # letters on each side of the first word that was found
_CYRILLIC = "\u0400"  # the first letter after those of Latin and Greek
_TYPED = dict(zip("\u2018\u2019\u201c\u201d\u2010\u2011", "''\"\"--", strict=True))
_FROM = """
    SELECT turns.number FROM turns JOIN conversations ON conversations.number = turns.conversation
    {where} ORDER BY conversations.started_at DESC, conversations.number DESC, turns.position LIMIT ?
"""


def words_of(texts: Sequence[str]) -> list[str]:
    """The words that are looked for, each once."""
    return list(dict.fromkeys(word for text in texts for word in _text(text).split()))


def found_turns(connection: sqlite3.Connection, words: Sequence[str], limit: int, *, full_text: bool) -> list[int]:
    """The numbers of the turns that have all of these words, those of the last conversation first.

    By the index, words that begin so count. What it does not find is looked for letter by letter: it knows no words
    of scripts that are written without spaces.

    Args:
        words: of `words_of`; not none.
        limit: no more turns than so many; -1 for all.
    """
    if full_text:
        # In quotation marks nothing in them has a meaning.
        quoted = " ".join(f'"{word.replace(chr(34), chr(34) * 2)}"*' for word in words)
        where = "WHERE turns.number IN (SELECT rowid FROM words WHERE words MATCH ?)"
        if unknown := [word for word in words if not word.isalnum()]:  # of "C++" the index knows "C"
            _make_function(connection, unknown)
            where += " AND has_all(turns.text)"
        if found := connection.execute(_FROM.format(where=where), (quoted, limit)).fetchall():
            return [number for (number,) in found]
    _make_function(connection, words)
    return [number for (number,) in connection.execute(_FROM.format(where="WHERE has_all(turns.text)"), (limit,))]


def _make_function(connection: sqlite3.Connection, words: Sequence[str]) -> None:
    """Let SQL ask whether a text has all of these words, whatever stands before and behind them."""
    plain = list(map(_plain, words))

    def has_all(text: str) -> bool:
        within = _plain(text)
        return all(word in within for word in plain)

    connection.create_function("has_all", 1, has_all, deterministic=True)


def excerpt(text: str, words: Sequence[str]) -> tuple[tuple[str, bool], ...]:
    """The part of a text in which words are first found, in pieces, each with whether it is such a word."""
    text = " ".join(text.split())
    places = sorted(set(_places(_plain(text), map(_plain, words))))
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


def _text(text: str) -> str:
    return unicodedata.normalize("NFC", valid_text(text))


def _places(plain: str, words: Iterable[str]) -> Iterator[tuple[int, int]]:
    for word in words:
        at = plain.find(word)
        while at >= 0:
            yield at, at + len(word)
            at = plain.find(word, at + len(word))


def _plain(text: str) -> str:
    """The text without case of letters and accents, and with typewriter's quotation marks, as long as before.

    Accents are those of Latin and Greek letters; in other scripts such marks make another letter of it.
    """
    if text.isascii():  # what most of it is, a hundred times faster
        return text.lower()
    return "".join(map(_plain_letter, text))


def _plain_letter(letter: str) -> str:
    if letter in _TYPED:
        return _TYPED[letter]
    base = unicodedata.normalize("NFD", letter)[0]
    return (base if base < _CYRILLIC else letter).casefold()[0]
