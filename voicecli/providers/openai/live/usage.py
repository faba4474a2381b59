"""What a Live session costs: the time by its clock, and the tokens of its backend."""

from voicecli.events import Usage
from voicecli.pricing import Prices, with_cost
from voicecli.providers.fields import at, number
from voicecli.providers.openai.fields import Frame

__all__ = ["SessionTime", "backend_usage", "seconds_of"]


class SessionTime:
    """The seconds that a session is billed for.

    Args:
        prices: of the Live model.
    """

    def __init__(self, prices: Prices | None) -> None:
        self.prices = prices
        self._told_s = 0.0
        self._owed_s = 0.0  # of sessions before this one, what was not told of them

    def restart(self, lasted_s: float) -> None:
        """A session is over, whose last seconds may not have been told.

        Args:
            lasted_s: by the output that came.
        """
        self._owed_s += max(lasted_s - self._told_s, 0.0)
        self._told_s = 0.0

    def report(self, seconds: float) -> Usage | None:
        """The session has lasted so long; the usage to tell of it, or None where it is known."""
        if seconds <= self._told_s and not self._owed_s:
            return None
        seconds = max(seconds, self._told_s)
        before, self._told_s = self._told_s, seconds
        owed, self._owed_s = self._owed_s, 0.0
        usage = with_cost(Usage(session_seconds=seconds), self.prices, seconds_before=before)
        if owed and usage.cost_usd is not None:
            # The cost is told, the seconds are those of the present session only.
            extra = with_cost(Usage(session_seconds=owed), self.prices).cost_usd
            usage += Usage(cost_usd=extra)
        return usage


def seconds_of(frame: Frame) -> float:
    """The cumulative seconds in an event; 0 where it tells none."""
    value = at(frame, "usage").get("seconds")
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < 1e9:
        return float(value)
    return float(number(at(frame, "usage"), "seconds") or 0)


def backend_usage(usage: object) -> Usage:
    """The tokens of a response of the backend; the zero Usage where it tells none. Pictures count as text there."""
    holder = at({"usage": usage}, "usage")
    given, made = _count(holder, "input_tokens"), _count(holder, "output_tokens")
    cached = _count(at(holder, "input_tokens_details"), "cached_tokens")
    return Usage(input_text_tokens=given, cached_text_tokens=min(cached, given), output_text_tokens=made)


def _count(holder: Frame, name: str) -> int:
    value = number(holder, name)
    return value if value is not None and 0 < value < 2**63 else 0
