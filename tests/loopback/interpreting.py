"""What the loopback interpreters share: what they say when, and whether their input flows."""

import itertools
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Literal

from tests.loopback.gemini_session import tone
from voicecli.pcm16 import PcmFormat, peak

__all__ = ["Flow", "Interpreting", "Said", "Sentence"]

_LOUD = 500
_PAUSE_MS = 300
"""A stretch of speech ends with so much quiet."""
_WORD_MS = 200
_EARLY_MS = 700
"""How far audio may be ahead of the clock: what was held back while the socket opened, and a busy loop."""
_GAP_MS = 700
"""How long nothing may come after the end of the last chunk."""


@dataclass(frozen=True, kw_only=True)
class Sentence:
    """A stretch of speech, and what comes of it.

    Attributes:
        heard_s, lag_s: how long after its end its words come, and the translation begins, in seconds of audio.
    """

    source: str = "Good morning."
    target: str = "Buenos días."
    heard_s: float = 0.2
    lag_s: float = 1.0


@dataclass(frozen=True)
class Said:
    """A piece of output: `audio` goes with the word of a translation."""

    side: Literal["source", "target"]
    text: str
    audio: bytes = b""


class Interpreting:
    """Interprets by a script: each stretch of loud audio is the next sentence. Its clock is the audio that came.

    Args:
        rate: of the input, in Hz.
        sentences: may be shared by several; after the last one nothing is understood.

    Attributes:
        heard: all audio.
        clock_ms: how much that was.
    """

    def __init__(self, rate: int, sentences: deque[Sentence]) -> None:
        self.heard = bytearray()
        self.clock_ms = 0.0
        self._rate = rate
        self._sentences = sentences
        self._speaking = False
        self._quiet_ms = 0.0
        self._due: list[tuple[float, int, Said]] = []
        self._order = itertools.count()

    def hear(self, audio: bytes) -> list[Said]:
        """Take audio; what is due by then."""
        ms = PcmFormat(self._rate).duration_ms(len(audio))
        self.heard += audio
        self.clock_ms += ms
        if peak(audio) > _LOUD:
            self._speaking, self._quiet_ms = True, 0.0
        elif self._speaking:
            self._quiet_ms += ms
            if self._quiet_ms >= _PAUSE_MS:
                self._end_of_speech(self.clock_ms - self._quiet_ms)
        return list(self._take(self.clock_ms))

    def end(self) -> None:
        """Nothing more will be heard: speech ends with it."""
        if self._speaking:
            self._end_of_speech(self.clock_ms)

    def wait(self, ms: float) -> list[Said]:
        """Let time pass without audio; what is due by then."""
        self.clock_ms += ms
        return list(self._take(self.clock_ms))

    @property
    def owes(self) -> bool:
        """Whether anything is still to be said."""
        return bool(self._due)

    def flush(self) -> list[Said]:
        """All that is still to be said."""
        self.end()
        return list(self._take(float("inf")))

    def _end_of_speech(self, at_ms: float) -> None:
        self._speaking = False
        if not self._sentences:
            return
        sentence = self._sentences.popleft()
        for place, word in enumerate(_deltas(sentence.source)):
            self._due.append((at_ms + sentence.heard_s * 1000 + place * 50, next(self._order), Said("source", word)))
        for place, word in enumerate(_deltas(sentence.target)):
            due = at_ms + sentence.lag_s * 1000 + place * _WORD_MS
            self._due.append((due, next(self._order), Said("target", word, tone(_WORD_MS))))

    def _take(self, until_ms: float) -> Iterator[Said]:
        self._due.sort()
        while self._due and self._due[0][0] <= until_ms:
            yield self._due.pop(0)[2]


class Flow:
    """Whether audio comes as it is spoken: no faster, and without a gap.

    Attributes:
        violations: what was not so.
    """

    def __init__(self, now: float) -> None:
        self.violations: list[str] = []
        self._began = self._until = now
        self._sent_ms = 0.0

    def came(self, ms: float, now: float) -> None:
        """So much audio came."""
        self.look(now)
        self._sent_ms += ms
        ahead_ms = self._sent_ms - (now - self._began) * 1000
        if ahead_ms > _EARLY_MS + ms:
            self.violations.append(f"audio came {ahead_ms:.0f} ms too early")
            self._began -= ahead_ms / 1000  # told once
        self._until = max(self._until, now) + ms / 1000

    def look(self, now: float) -> None:
        """Whether it comes still."""
        gap_ms = (now - self._until) * 1000
        if gap_ms > _GAP_MS:
            self.violations.append(f"no audio, and no silence, for {gap_ms:.0f} ms")
            self._until = now


def _deltas(text: str) -> Iterable[str]:
    """The words, each with the blank before it."""
    return [word if not place else f" {word}" for place, word in enumerate(text.split())]
