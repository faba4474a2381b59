"""What the account may still use, as the server tells it with each response: a notice when that is nearly nothing."""

import math
from collections.abc import Mapping

from voicecli.events import Notice
from voicecli.providers.fields import at, number, objects, text
from voicecli.providers.openai.fields import Frame
from voicecli.providers.openai.queues import Wire

__all__ = ["RateLimits"]

_NEAR = 0.05
"""The part of a limit below which it is told: with the usual 200,000 tokens a few replies early in a conversation."""
_RECOVERED = 0.5
"""The part of a limit above which it may be told again. Far above the other one, as a limit that fills and empties
with each reply is told once."""

_LONGEST_S = 100_000  # about a day


class RateLimits:
    """Tells once that a limit is near, until it has recovered. Limits are the account's: they outlive sockets."""

    def __init__(self, wire: Wire) -> None:
        self._wire = wire
        self._told: set[str] = set()
        # What the next reply takes at least: the conversation, which each reply takes anew, only grows.
        self._next_reply = {"requests": 1, "tokens": 0}

    def response_done(self, frame: Frame) -> None:
        """A response is over: the next one will take as many tokens, or more."""
        total = number(at(frame, "response", "usage"), "total_tokens") or 0
        self._next_reply["tokens"] = total if total > 0 else self._next_reply["tokens"]

    def updated(self, frame: Frame) -> None:
        for entry in objects(frame, "rate_limits"):
            name, limit, remaining = text(entry, "name"), number(entry, "limit"), number(entry, "remaining")
            if name not in self._next_reply or limit is None or limit <= 0 or remaining is None:
                continue
            needed = self._next_reply[name]
            if remaining < needed or remaining <= limit * _NEAR:
                if name not in self._told:
                    self._told.add(name)
                    self._tell(name, max(remaining, 0), limit, entry)
            elif remaining >= limit * _RECOVERED and remaining >= 2 * needed:
                self._told.discard(name)

    def _tell(self, name: str, remaining: int, limit: int, entry: Mapping[str, object]) -> None:
        reset_s, again = entry.get("reset_seconds"), ""
        if isinstance(reset_s, int | float) and not isinstance(reset_s, bool) and 0 < reset_s < _LONGEST_S:
            again = f", and all of them again in {math.ceil(reset_s)} s"
        message = (
            f"{self._wire.server.name} may soon refuse to answer: of {limit:,} {name} that your account may use at a "
            f"time, {remaining:,} are left{again}."
        )
        self._wire.events.append(Notice("rate_limit_near", message))
