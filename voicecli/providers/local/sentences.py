"""Segmentation of the model's text, as it arrives, into pieces for speech synthesis."""

import re

__all__ = ["SentenceSplitter"]

_TITLES = {"capt", "col", "dr", "gen", "gov", "jr", "lt", "mr", "mrs", "ms", "prof", "rev", "sen", "sgt", "sr"}
_OTHERS = {"a.m", "approx", "e.g", "etc", "fig", "i.e", "inc", "ltd", "mt", "no", "p.m", "st", "vs"}
_ABBREVIATIONS = _TITLES | _OTHERS
_SENTENCE_END = re.compile("[.!?\u2026]+[\"'\u201d\u2019)\\]*_]*(?=\\s)|[\u3002\uff01\uff1f]|\n+")
_CLAUSE_END = re.compile("[,;:](?=\\s)|\\s[\u2013\u2014-](?=\\s)")
_CONJUNCTION = re.compile(r"\s(?=(?:although|and|because|but|or|since|so|that|when|where|which|while|who)\s)")
_LAST_WORD = re.compile("[^\\s(\"'\u201c\u2018]+$")

# A first piece of some 15 characters (0.9 s of sound) outlasts the making of the second: its words, and a tenth of its
# sound's length until that begins.
_FIRST_CLAUSE_CHARS = 15
_FIRST_PHRASE_CHARS = 25  # without a comma, before a conjunction
_LONG_SENTENCE_CHARS = 90
_LONGEST_PIECE_CHARS = 240


class SentenceSplitter:
    """Splits text that comes in deltas of any size into sentences, or into clauses where a sentence is long.

    The first piece may be a short clause, so that speech can begin early. Joined, the pieces are the text.
    """

    def __init__(self) -> None:
        self._text = ""
        self._first = True

    def push(self, delta: str) -> list[str]:
        """Take a delta; the pieces that it completes."""
        self._text += delta
        pieces = []
        while (end := self._end()) is not None:
            pieces.append(self._text[:end])
            self._text = self._text[end:]
            self._first = False
        return pieces

    def flush(self) -> str:
        """End the text; the last piece, possibly ""."""
        rest, self._text = self._text, ""
        return rest

    def _end(self) -> int | None:
        if not self._text.strip():
            return None
        for match in _SENTENCE_END.finditer(self._text):
            if self._text[: match.start()].strip() and self._ends_sentence(match):
                return match.end()
        clause_from = _FIRST_CLAUSE_CHARS if self._first else _LONG_SENTENCE_CHARS
        clause = _CLAUSE_END.search(self._text, clause_from)
        if clause is not None:
            return clause.end()
        if self._first and (phrase := _CONJUNCTION.search(self._text, _FIRST_PHRASE_CHARS)) is not None:
            return phrase.start()
        if len(self._text) > _LONGEST_PIECE_CHARS:
            space = self._text.rfind(" ", 1, _LONGEST_PIECE_CHARS)
            return space if space > 0 else _LONGEST_PIECE_CHARS
        return None

    def _ends_sentence(self, match: re.Match[str]) -> bool:
        if match.group() != ".":
            return True
        word = _LAST_WORD.search(self._text[: match.start()])
        if word is None:
            return True
        name = word.group()
        if name.lower() in _ABBREVIATIONS:
            return False
        is_initial = len(name) == 1 and name.isupper() and name != "I"
        begins_list_item = name.isdigit() and not self._text[: word.start()].strip()
        return not (is_initial or begins_list_item)
