"""Finds out that a stream does not run at the rate it was opened at: a headset may change it, and nobody tells."""

__all__ = ["MOST_REOPENINGS", "SETTLED_TICKS", "RateWatch"]

SETTLED_TICKS = 15
"""After so many ticks of the watchdog (1.5 s) a Bluetooth headset has changed to the profile for calls, if it does."""

MOST_REOPENINGS = 3
"""So often a stream is opened anew for its rate; a device whose clock is always wrong is then left alone."""

_QUARTER_S = 0.25
_QUARTERS = 4
_OFF = 0.10  # a clock of a sound card is right to a thousandth; the nearest rates in use are a twelfth apart
_LONGEST_S = 2.0  # after more time between two looks this computer slept, or was held up


class RateWatch:
    """Compares what a stream delivers, or takes, with the clock.

    A stream is wrong when in each quarter of a second, four times in a row, it is off by more than 10 %, and always the
    same way: a busy computer lets blocks come late and then more of them, or loses some, but not so steadily.
    """

    def __init__(self) -> None:
        self._begin_s = self._frames = 0.0
        self._xruns = -1
        self._off = 0  # quarters in a row: more than zero too fast, less too slow
        self.begin(0.0, 0, 0)

    def begin(self, now_s: float, frames: int, xruns: int) -> None:
        """The stream was opened, or has not flowed."""
        self._begin_s, self._frames, self._xruns, self._off = now_s, frames, xruns, 0

    def is_off(self, now_s: float, frames: int, xruns: int, sample_rate: int) -> bool:
        """Look at the stream; True once it has been off for a second.

        Args:
            now_s: the time, in seconds of any monotonic clock.
            frames, xruns: how many passed so far, and how many gaps the device has told of, which excuse it.
            sample_rate: that it was opened at, in Hz.
        """
        elapsed = now_s - self._begin_s
        if elapsed < _QUARTER_S:
            return False
        passed, excused = frames - self._frames, xruns != self._xruns
        off = self._off
        if excused or not passed or elapsed > _LONGEST_S:
            off = 0
        else:
            ratio = passed / (elapsed * sample_rate)
            way = (ratio > 1 + _OFF) - (ratio < 1 - _OFF)
            off = way if way * off <= 0 else off + way
        self.begin(now_s, frames, xruns)
        self._off = off
        return abs(off) >= _QUARTERS
