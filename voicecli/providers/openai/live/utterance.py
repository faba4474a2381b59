"""What one speaker says without a long pause, put together from fragments of its transcript."""

from bisect import insort
from dataclasses import dataclass, field

from voicecli.providers.fields import number
from voicecli.providers.openai.fields import Frame, delta

__all__ = ["Fragment", "Utterance", "fragment_of"]

_AHEAD_MS = 3_600_000
"""No clock is so far ahead of the output that has come."""
_PAUSE_MS = 200
"""Fragments stand on a grid of 200 ms; the first one after a longer gap has no space of its own in front."""


@dataclass(frozen=True, slots=True, order=True)
class Fragment:
    """About a word of a transcript.

    Attributes:
        start_ms, end_ms: on the session's clock.
        text: with the space in front that belongs to it.
    """

    start_ms: int
    end_ms: int
    text: str = field(compare=False)


def fragment_of(frame: Frame, now_ms: float) -> Fragment | None:
    """The fragment that an event holds; None for one without text. Without times that can be it is of now."""
    text = delta(frame)
    if not text:
        return None
    start, end = number(frame, "start_ms"), number(frame, "end_ms")
    if start is None or not 0 <= start <= now_ms + _AHEAD_MS:
        start = round(now_ms)
    return Fragment(start, end if end is not None and start <= end <= now_ms + _AHEAD_MS else start, text)


class Utterance:
    """Fragments of one speaker, in the order of their times, whatever the order in which they came.

    Attributes:
        item_id: its name in the transcript.
    """

    def __init__(self, item_id: str) -> None:
        self.item_id = item_id
        self._fragments: list[Fragment] = []

    def add(self, fragment: Fragment) -> None:
        insort(self._fragments, fragment)

    @property
    def empty(self) -> bool:
        return not self._fragments

    @property
    def times(self) -> tuple[int, int]:
        """Where it begins and ends on the session's clock, in ms."""
        if not self._fragments:
            return 0, 0
        return self._fragments[0].start_ms, max(fragment.end_ms for fragment in self._fragments)

    @property
    def end_ms(self) -> int:
        return self.times[1]

    def text(self, before_ms: float | None = None) -> str:
        """The words; of those that begin before a time only, where one is given."""
        said, end_ms = "", 0
        for fragment in self._fragments:
            if before_ms is not None and fragment.start_ms >= before_ms:
                break
            gap = said and fragment.start_ms - end_ms >= _PAUSE_MS
            if gap and not said[-1].isspace() and not fragment.text[0].isspace() and _spaced(said[-1]):
                said += " "
            said, end_ms = said + fragment.text, fragment.end_ms
        return said.strip()


def _spaced(character: str) -> bool:
    """Whether a space follows it between two words: not so in Chinese and Japanese."""
    return not "\u2e80" <= character <= "\uffef"
