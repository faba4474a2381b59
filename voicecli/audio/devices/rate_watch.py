"""Finds out that a stream does not run at the rate it was opened at: a headset may change it, and nobody tells."""

from collections import deque

__all__ = ["MOST_REOPENINGS", "SETTLED_TICKS", "RateWatch"]

SETTLED_TICKS = 15
"""After so many ticks of the watchdog (1.5 s) a Bluetooth headset has changed to the profile for calls, if it does."""

MOST_REOPENINGS = 3
"""So often a stream is opened anew for its rate; a device whose clock is always wrong is then left alone."""

_QUARTER_S = 0.25
_FAST_QUARTERS, _SLOW_QUARTERS = 4, 8  # only a wrong clock makes a stream too fast for a second
_OFF = 0.10  # a clock of a sound card is right to a thousandth; the nearest rates in use are a twelfth apart
_STEADY = 0.10  # so much may the halves differ, for blocks that just miss one; starved for a second, they do by more
_LONGEST_S = 2.0  # after more time between two looks this computer slept, or was held up


class RateWatch:
    """Compares what a stream delivers, or takes, with the clock.

    A stream is wrong when it is more than 10 % too fast in each quarter of a second, four times in a row, or too slow
    eight times, in the later four as much as in the earlier. A busy computer lets blocks come late and then more of
    them, or loses some, and not every driver tells: with PulseAudio a stream was seen to take 49, 76, 84 and 69 % of
    its blocks, without an xrun, as a language model began to answer.
    """

    def __init__(self) -> None:
        self._begin_s = self._frames = 0.0
        self._xruns = -1
        self._off: deque[tuple[float, float]] = deque(maxlen=_SLOW_QUARTERS)  # in a row: seconds, frames
        self._way = 0  # of those: 1 too fast, -1 too slow
        self.begin(0.0, 0, 0)

    def begin(self, now_s: float, frames: int, xruns: int) -> None:
        """The stream was opened, or has not flowed."""
        self._begin_s, self._frames, self._xruns = now_s, frames, xruns
        self._off.clear()

    def is_off(self, now_s: float, frames: int, xruns: int, sample_rate: int) -> bool:
        """Look at the stream; True once it has been off for long enough.

        Args:
            now_s: the time, in seconds of any monotonic clock.
            frames, xruns: how many passed so far, and how many gaps the device has told of, which excuse it.
            sample_rate: that it was opened at, in Hz.
        """
        elapsed = now_s - self._begin_s
        if elapsed < _QUARTER_S:
            return False
        if elapsed > _LONGEST_S:
            self.begin(now_s, frames, xruns)
        passed, excused = frames - self._frames, xruns != self._xruns
        if not passed:
            return False  # blocks may come in bunches; one that has stopped is the watchdog's matter
        self._begin_s, self._frames, self._xruns = now_s, frames, xruns
        if excused:
            return False
        ratio = passed / (elapsed * sample_rate)
        way = (ratio > 1 + _OFF) - (ratio < 1 - _OFF)
        if way != self._way:
            self._off.clear()
        self._way = way
        if way:
            self._off.append((elapsed, passed))
        if way > 0:
            return len(self._off) >= _FAST_QUARTERS
        return len(self._off) == _SLOW_QUARTERS and _is_steady(list(self._off))


def _is_steady(quarters: list[tuple[float, float]]) -> bool:
    middle = len(quarters) // 2
    rates = [
        sum(frames for _, frames in half) / sum(seconds for seconds, _ in half)
        for half in (quarters[:middle], quarters[middle:])
    ]
    return max(rates) <= min(rates) * (1 + _STEADY)
