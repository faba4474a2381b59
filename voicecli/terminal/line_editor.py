"""A line of text being typed: pure, keys in, text and cursor out."""

import unicodedata

from voicecli.terminal.key_decoder import Key

__all__ = ["LineEditor"]

_JOINER = "\u200d"


class LineEditor:
    """One line with a cursor, edited by the keys that shells use.

    Attributes:
        text: the line so far.
        cursor: where the next character goes, 0 to len(text).
    """

    def __init__(self) -> None:
        self.text = ""
        self.cursor = 0

    def press(self, key: Key) -> bool:
        """Edit; False when the key means nothing to a line."""
        match key.name:
            case "left" | "ctrl+b":
                self.cursor = self._previous(self.cursor)
            case "right" | "ctrl+f":
                self.cursor = self._next(self.cursor)
            case "home" | "ctrl+a":
                self.cursor = 0
            case "end" | "ctrl+e":
                self.cursor = len(self.text)
            case "ctrl+left" | "alt+left" | "alt+b":
                self.cursor = self._word_start()
            case "ctrl+right" | "alt+right" | "alt+f":
                self.cursor = self._word_end()
            case "backspace" | "ctrl+h":
                self._delete(self._previous(self.cursor), self.cursor)
            case "delete" | "ctrl+d":
                self._delete(self.cursor, self._next(self.cursor))
            case "ctrl+w" | "ctrl+backspace" | "alt+backspace":
                self._delete(self._word_start(), self.cursor)
            case "ctrl+u":
                self._delete(0, self.cursor)
            case "ctrl+k":
                self._delete(self.cursor, len(self.text))
            case _ if key.text:
                self._insert(key.text)
            case _:
                return False
        return True

    def _insert(self, text: str) -> None:
        """A line stays one line, whatever is pasted into it."""
        line = " ".join(text.splitlines())
        self.text = self.text[: self.cursor] + line + self.text[self.cursor :]
        self.cursor += len(line)

    def _delete(self, start: int, end: int) -> None:
        self.text = self.text[:start] + self.text[end:]
        self.cursor = start

    def _previous(self, at: int) -> int:
        at = max(at - 1, 0)
        while at > 0 and self._joined(at):
            at -= 1
        return at

    def _next(self, at: int) -> int:
        at = min(at + 1, len(self.text))
        while at < len(self.text) and self._joined(at):
            at += 1
        return at

    def _joined(self, at: int) -> bool:
        """True where the character and the one before it are one, to the eye."""
        char, before = self.text[at], self.text[at - 1]
        return unicodedata.category(char) in {"Mn", "Me", "Mc"} or _JOINER in (char, before)

    def _word_start(self) -> int:
        at = self.cursor
        while at > 0 and self.text[at - 1].isspace():
            at -= 1
        while at > 0 and not self.text[at - 1].isspace():
            at -= 1
        return at

    def _word_end(self) -> int:
        at = self.cursor
        while at < len(self.text) and self.text[at].isspace():
            at += 1
        while at < len(self.text) and not self.text[at].isspace():
            at += 1
        return at
