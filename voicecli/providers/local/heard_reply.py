"""The reply that the user hears: an estimate, as the engine is not told what is played."""

import re
from collections.abc import Callable
from dataclasses import dataclass

__all__ = ["HeardReply"]

# A player begins, and after a pause goes on, a little later than it could.
_START_S = 0.3
# An answer to a question begins while it is asked, or within this time, even if the reply goes on meanwhile.
_ANSWER_S = 2.0
_QUESTION = re.compile(r"\?\W*$")  # before quotation marks, an emoji ...


@dataclass(slots=True)
class _Piece:
    """A piece of the text: whether a question ends with it, and when its sound does."""

    asks: bool
    until: float


class HeardReply:
    """Follows the sound of the replies as it is given out, and whether it is still heard.

    Args:
        clock: the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = 0.0
        self._paused_at: float | None = None
        self._text = ""
        self._pieces: list[_Piece] = []  # the last one that was heard, and those after it

    @property
    def is_heard(self) -> bool:
        """Whether something of a reply is still to be heard."""
        return self._now < self._until

    @property
    def asks(self) -> bool:
        """Whether what is heard now, or was heard last, is a question, as far as it is known."""
        now = self._now
        for index, piece in enumerate(self._pieces):
            if piece.until > now or index == len(self._pieces) - 1:
                before = self._pieces[index - 1] if index else None
                return piece.asks or (before is not None and before.asks and now - before.until < _ANSWER_S)
        return False

    def add(self, text: str, duration_ms: float) -> None:
        """More of a reply was given out.

        Args:
            text: all of it so far.
            duration_ms: of the sound that is new.
        """
        if duration_ms:
            self._until = max(self._until, self._now + _START_S) + duration_ms / 1000
        if text != self._text:
            self._text = text
            while len(self._pieces) > 1 and self._pieces[1].until <= self._now:
                del self._pieces[0]
            self._pieces.append(_Piece(_QUESTION.search(text) is not None, self._until))
        elif self._pieces:
            self._pieces[-1].until = self._until

    def pause(self) -> None:
        """The user began to speak: what plays the reply pauses it, until it is cut or goes on."""
        if self._paused_at is None and self.is_heard:
            self._paused_at = self._clock()

    def resume(self) -> None:
        """It goes on."""
        if self._paused_at is not None:
            for_s = self._clock() - self._paused_at
            self._paused_at = None
            self._until += for_s
            for piece in self._pieces:
                piece.until += for_s

    def stop(self) -> None:
        """It was cut."""
        self._until, self._paused_at = 0.0, None
        self._text = ""
        self._pieces.clear()

    @property
    def _now(self) -> float:
        """The time; while it is paused that of the pause."""
        return self._clock() if self._paused_at is None else self._paused_at
