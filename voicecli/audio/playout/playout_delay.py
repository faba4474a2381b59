"""Playout delay: how long a reply is held back, before it starts and after an underrun.

Held back for long enough, a reply has no gap; but its listener waits. The best balance depends on the network, and on
how fast the provider makes speech: `AdaptiveDelay` learns it.
"""

import itertools
from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

__all__ = ["GAP_COST_MS", "GAP_COST_PER_MS", "AdaptiveDelay", "DelayPolicy"]

GAP_COST_PER_MS = 2.0
"""Cost of a millisecond of silence within a reply, in milliseconds of a slower answer."""
GAP_COST_MS = 150.0
"""Cost of each such silence besides, for the word it breaks."""

Floats = npt.NDArray[np.float64]


class DelayPolicy(Protocol):
    """Decides when a reply starts, and when it goes on after an underrun. Times are in ms."""

    def begin(self) -> None:
        """Know that a new reply comes."""

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        """Take note of a chunk.

        Args:
            at_ms: when it came, from the first chunk on.
            audio_ms: its duration.
        """

    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        """The time to hold the reply back, in ms, unless something else arrives.

        Asked after each arrival while the reply is not playing. A complete reply is never held back.

        Args:
            waiting_ms: how much audio waits to be played.
            underruns: of the reply so far; 0 before it has started.
        """

    def finish(self) -> None:
        """Know that the reply is complete, or was cut off."""


class AdaptiveDelay:
    """Delay policy that does what would have cost the listener of the earlier replies least.

    A handful of rules stand ready, from hasty to patient. Each finished reply is replayed under every one of them, and
    the cost to its listener is added up; the rule with the lowest cost serves the next reply. So each conversation
    finds its own balance between a quick answer and an unbroken one, after a reply or two.
    """

    def __init__(self) -> None:
        self._costs = np.array([rule.prior_cost for rule in _RULES]) * _PRIOR_REPLIES
        self._rule = _RULES[int(self._costs.argmin())]
        self._arrivals: list[tuple[float, float]] = []

    def begin(self) -> None:
        self._rule = _RULES[int(self._costs.argmin())]
        self._arrivals = []

    def arrived(self, at_ms: float, audio_ms: float) -> None:
        self._arrivals.append((at_ms, audio_ms))

    def delay_ms(self, waiting_ms: float, underruns: int) -> float:
        if underruns:
            return 0.0 if waiting_ms >= self._rule.resume_at(underruns) else _MAX_DELAY_MS
        at_ms, first_ms = self._arrivals[-1][0], self._arrivals[0][1]
        if waiting_ms >= self._rule.start_at + _OF_FIRST_CHUNK * first_ms + _PER_ELAPSED_MS * at_ms:
            return 0.0
        return max(0.0, _MAX_DELAY_MS - at_ms)

    def finish(self) -> None:
        if len(self._arrivals) > 1:  # one chunk is never late
            reply = _Replay.of(self._arrivals)
            costs = np.array([reply.cost(rule) for rule in _RULES])
            # Cost under any rule says nothing about the rules; one dreadful reply does not outweigh all others.
            self._costs = self._costs * _REMEMBERED + np.minimum(costs - costs.min(), _MAX_LEARNT_MS)
            self._arrivals = []


class _Rule(NamedTuple):
    """The waits of audio at which to start and to resume, in ms of audio.

    Attributes:
        start_at: what must wait for a reply to start, besides what `_OF_FIRST_CHUNK` and `_PER_ELAPSED_MS` ask.
        resume_after: what must wait for it to go on after its first underrun.
        prior_cost: the cost of a reply on networks of all sorts, beyond its cost under the best of these rules.
    """

    start_at: float
    resume_after: float
    prior_cost: float

    def resume_at(self, underruns: int) -> float:
        return min(_MAX_RESUME_MS, self.resume_after * _RESUME_GROWTH ** (underruns - 1))


class _Replay(NamedTuple):
    """A reply that has come, to be played again under any rule.

    Attributes:
        at: when each chunk came, in ms from the first.
        received: how much audio there was with it, in ms.
        before: how much there was before it.
        lateness: how much later it came than it was needed, had the first chunk been played at once.
    """

    at: Floats
    received: Floats
    before: Floats
    lateness: Floats

    @classmethod
    def of(cls, arrivals: list[tuple[float, float]]) -> "_Replay":
        at, audio = np.array(arrivals).T
        received = audio.cumsum()
        before = received - audio
        return cls(at, received, before, at - before)

    def cost(self, rule: _Rule) -> float:
        """Cost to the listener under a rule, in ms of a slower answer."""
        needed = rule.start_at + _OF_FIRST_CHUNK * self.received[0] + _PER_ELAPSED_MS * self.at
        chunk = self._first(self.received >= needed)
        delay = cost = float(self.at[chunk])  # of playout, behind the first chunk's arrival
        for underruns in itertools.count(1):
            too_late = self.lateness[chunk + 1 :] > delay
            if not too_late.any():
                break
            underrun = chunk + 1 + int(too_late.argmax())
            waiting = self.received[underrun:] - self.before[underrun]
            chunk = underrun + self._first(waiting >= rule.resume_at(underruns))
            gap = float(self.at[chunk] - self.before[underrun]) - delay
            cost += GAP_COST_MS + GAP_COST_PER_MS * gap
            delay += gap
        return cost

    @staticmethod
    def _first(fulfilled: npt.NDArray[np.bool_]) -> int:
        """The first chunk that fulfils a rule, or else the last: with it the reply is complete."""
        return int(fulfilled.argmax()) if fulfilled.any() else len(fulfilled) - 1


# The figures below were found with benchmarks/jitter.py, on other seeds than it reports (from 0 and from 5000 on):
# rules and weights by an evolution strategy over all of them, then rounded; the prior cost is the mean of 400
# conversations on each of its six networks. The two hastiest are favoured by 30 and 20 ms, lest replies wait where
# gaps cannot be foreseen and waiting does not help.
_RULES = (
    _Rule(30, 40, prior_cost=90),
    _Rule(40, 70, prior_cost=89),
    _Rule(90, 110, prior_cost=115),
    _Rule(120, 110, prior_cost=123),
    _Rule(160, 120, prior_cost=134),
    _Rule(210, 130, prior_cost=154),
    _Rule(280, 160, prior_cost=187),
    _Rule(360, 200, prior_cost=229),
    _Rule(470, 300, prior_cost=300),
)
_OF_FIRST_CHUNK = 0.6  # however large it is, only the chunks after it tell how fast audio comes
_PER_ELAPSED_MS = 0.55  # of each ms since the first chunk: audio that comes slowly now will go on to come slowly
_RESUME_GROWTH = 1.2  # a reply with one underrun will have others; with two, the last delay was too short
_MAX_RESUME_MS = 1000.0
_MAX_DELAY_MS = 6000.0  # a reply that neither goes on nor ends is not kept from the listener for ever
_REMEMBERED = 0.97  # of the costs, from reply to reply
_PRIOR_REPLIES = 12.0  # how many replies it takes to outweigh the prior costs
_MAX_LEARNT_MS = 2000.0  # from one reply about one rule
