"""How late a reply's audio comes, and how long it is therefore held back.

Held back for long enough, a reply has no gap; but its listener waits. What pays depends on the network, and on how
fast the provider makes speech: `LearnedStart` finds it out.
"""

import itertools
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["GAP_COST_MS", "GAP_COST_PER_MS", "LearnedStart", "StartRule"]

GAP_COST_PER_MS = 2.0
"""What a millisecond of silence within a reply costs its listener, in milliseconds of a slower answer."""
GAP_COST_MS = 150.0
"""What each such silence costs besides, for the word it breaks."""

Floats = npt.NDArray[np.float64]


class StartRule(Protocol):
    """Decides when a reply begins to sound, and when it goes on after it ran dry. Times are in ms."""

    def begin(self) -> None:
        """A new reply comes."""

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        """A chunk of it came, so long after its first one."""

    def hold_ms(self, waiting_ms: float, underruns: int) -> float:
        """For how long to hold the reply back, unless something else arrives.

        Asked after each arrival while the reply is silent. A complete reply is never held back.

        Args:
            waiting_ms: how much audio waits to be played.
            underruns: how often the reply ran dry; 0 while it has not sounded.
        """

    def finish(self) -> None:
        """The reply is complete, or was cut off."""


class LearnedStart:
    """Does what would have served the replies before best.

    A handful of rules stand ready, from hasty to patient. Each finished reply is played again under every one of them,
    on paper, and what a listener would have suffered is added up; the rule with the least begins the next reply. So
    each conversation finds its own balance between a quick answer and a whole one, after a reply or two.
    """

    def __init__(self) -> None:
        self._suffered = np.array([rule.expected for rule in _RULES]) * _EXPECTED_REPLIES
        self._rule = _RULES[int(self._suffered.argmin())]
        self._arrivals: list[tuple[float, float]] = []

    def begin(self) -> None:
        self._rule = _RULES[int(self._suffered.argmin())]
        self._arrivals = []

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        self._arrivals.append((at_ms, audio_ms))

    def hold_ms(self, waiting_ms: float, underruns: int) -> float:
        if underruns:
            return 0.0 if waiting_ms >= self._rule.again_at(underruns) else _LONGEST_HOLD_MS
        at_ms, first_ms = self._arrivals[-1][0], self._arrivals[0][1]
        if waiting_ms >= self._rule.start_at + _OF_FIRST * first_ms + _PER_ELAPSED * at_ms:
            return 0.0
        return max(0.0, _LONGEST_HOLD_MS - at_ms)

    def finish(self) -> None:
        if len(self._arrivals) > 1:  # one chunk is never late
            reply = _Replay.of(self._arrivals)
            suffered = np.array([reply.suffering(rule) for rule in _RULES])
            # What it suffers under any rule says nothing about them; one dreadful reply does not outweigh all others.
            self._suffered = self._suffered * _REMEMBERED + np.minimum(suffered - suffered.min(), _MOST_LEARNT_MS)
            self._arrivals = []


class _Rule(NamedTuple):
    """When to start and to go on, by how much audio waits. In ms of audio.

    Attributes:
        start_at: what must wait for a reply to begin, besides what `_OF_FIRST` and `_PER_ELAPSED` ask.
        again_after: what must wait for it to go on when it ran dry for the first time.
        expected: what a reply suffers under the rule on networks of all sorts, beyond what it suffers under the best of
            these rules, in ms of a slower answer.
    """

    start_at: float
    again_after: float
    expected: float

    def again_at(self, underruns: int) -> float:
        return min(_MOST_AGAIN_MS, self.again_after * _AGAIN_GROWTH ** (underruns - 1))


class _Replay(NamedTuple):
    """A reply that has come, to be played again under any rule.

    Attributes:
        at: when each chunk came, in ms from the first.
        received: how much audio there was with it, in ms.
        before: how much there was before it.
        late: how much later it came than it was needed by who had played from the first chunk on.
    """

    at: Floats
    received: Floats
    before: Floats
    late: Floats

    @classmethod
    def of(cls, arrivals: list[tuple[float, float]]) -> "_Replay":
        at, audio = np.array(arrivals).T
        received = audio.cumsum()
        before = received - audio
        return cls(at, received, before, at - before)

    def suffering(self, rule: _Rule) -> float:
        """What the listener would have suffered, in ms of a slower answer."""
        asked = rule.start_at + _OF_FIRST * self.received[0] + _PER_ELAPSED * self.at
        chunk = self._first(self.received >= asked)
        delay = suffering = float(self.at[chunk])  # of what sounds, behind the first chunk's arrival
        for underruns in itertools.count(1):
            too_late = self.late[chunk + 1 :] > delay
            if not too_late.any():
                break
            dry = chunk + 1 + int(too_late.argmax())
            chunk = dry + self._first(self.received[dry:] - self.before[dry] >= rule.again_at(underruns))
            gap = float(self.at[chunk] - self.before[dry]) - delay
            suffering += GAP_COST_MS + GAP_COST_PER_MS * gap
            delay += gap
        return suffering

    @staticmethod
    def _first(fulfilled: npt.NDArray[np.bool_]) -> int:
        """The first chunk that fulfils a rule, or else the last: with it the reply is complete."""
        return int(fulfilled.argmax()) if fulfilled.any() else len(fulfilled) - 1


# The figures below were found with benchmarks/jitter.py, on other seeds than it reports (from 0 and from 5000 on):
# rules and weights by an evolution strategy over all of them, then rounded; what is expected is the mean of 400
# conversations on each of its six networks. The two hastiest are favoured by 30 and 20 ms, lest replies wait where
# silences cannot be foreseen and waiting does not help.
_RULES = (
    _Rule(30, 40, expected=90),
    _Rule(40, 70, expected=89),
    _Rule(90, 110, expected=115),
    _Rule(120, 110, expected=123),
    _Rule(160, 120, expected=134),
    _Rule(210, 130, expected=154),
    _Rule(280, 160, expected=187),
    _Rule(360, 200, expected=229),
    _Rule(470, 300, expected=300),
)
_OF_FIRST = 0.6  # of the first chunk: how fast audio comes only those after it tell, however large it is
_PER_ELAPSED = 0.55  # of each ms since the first chunk: what comes slowly now will go on to come slowly
_AGAIN_GROWTH = 1.2  # what ran dry once will do so again; twice, and the last hold was too short
_MOST_AGAIN_MS = 1000.0
_LONGEST_HOLD_MS = 6000.0  # a reply that neither goes on nor ends is not kept from the listener for ever
_REMEMBERED = 0.97  # of what was suffered, from reply to reply
_EXPECTED_REPLIES = 12.0  # how many replies it takes to outweigh what is expected
_MOST_LEARNT_MS = 2000.0  # from one reply about one rule
