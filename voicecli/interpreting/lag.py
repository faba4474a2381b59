"""How far a translation is behind what is said. Pure: no clock, no I/O."""

__all__ = ["Lag"]

_QUIET_S = 0.7
"""Shorter pauses lie within a sentence."""
_OVER_S = 1.5
"""The translation is over when nothing of it has been heard for so long."""
_LONGEST_S = 60.0


class Lag:
    """Measures, whenever the speaker pauses, how much later the translation of what was said has ended, too.

    That is the time between the end of the words and the end of the translated ones, as they are heard. Within long
    speech there is no end to measure. Times are in seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._spoke_until: float | None = None
        self._translated_until: float | None = None
        self._measured: float | None = None

    def spoke(self, now: float) -> None:
        """Speech was heard until now."""
        if self._spoke_until is not None and now - self._spoke_until > _QUIET_S:
            self._measured = self.seconds(now)
            self._translated_until = None
        self._spoke_until = now

    def translated(self, until: float) -> None:
        """A translation was heard, or is to be heard, until then."""
        if self._spoke_until is not None:
            self._translated_until = until

    def seconds(self, now: float) -> float | None:
        """The lag that was measured last; None before the first time."""
        spoke, translated = self._spoke_until, self._translated_until
        if spoke is None or translated is None or now - spoke <= _QUIET_S or now - translated <= _OVER_S:
            return self._measured
        lag = translated - spoke
        return lag if 0 < lag < _LONGEST_S else self._measured
