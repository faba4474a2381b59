"""What a conversation came to, in one line."""

import statistics
from dataclasses import dataclass, field

from voicecli.events import Usage

__all__ = ["Tally", "cost_words"]


@dataclass(slots=True)
class Tally:
    """Counts of a conversation.

    Attributes:
        turns: that were answered, or began to be.
        latencies: of the answers, in ms.
        broken_off: whether it ended in the middle of a turn, whose usage is not known.
    """

    turns: int = 0
    reconnects: int = 0
    latencies: list[int] = field(default_factory=list)
    usage: Usage = field(default_factory=Usage)
    broken_off: bool = False

    def summary(self, seconds: float, underruns: int | None = None) -> str:
        """In one line.

        Args:
            seconds: how long the conversation took.
            underruns: silences in the middle of replies; None where nobody counted them.
        """
        length = f"{seconds:.0f} s" if seconds < 59.5 else f"{seconds / 60:.1f} min"
        parts = [f"{_count(self.turns, 'turn')} in {length}"]
        if self.latencies:
            median, worst = statistics.median(self.latencies), max(self.latencies)
            parts.append(f"latency median {median:.0f} ms, worst {worst} ms")
        if underruns is not None:
            parts.append(_count(underruns, "underrun"))
        parts.append(_count(self.reconnects, "reconnect"))
        if cost := cost_words(self.usage):
            parts.append(f"at least {cost}" if self.broken_off and self.usage.cost_usd else cost)
        elif not self.broken_off:
            parts.append("no cost")
        return ", ".join(parts)


def cost_words(usage: Usage) -> str:
    """What it cost, as far as known; "" when nothing is known to cost."""
    if usage.cost_usd is None:
        return "cost unknown"
    if not usage.cost_usd:
        return ""
    return f"{'~' if usage.approximate else ''}${usage.cost_usd:.4f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
