"""Counts of a conversation, and the line that sums them up."""

import statistics
import time
from collections.abc import Callable

from voicecli.events import (
    Awake,
    Event,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStopped,
    TurnMetrics,
    Usage,
)

__all__ = ["ConversationSummary", "cost_words"]


class ConversationSummary:
    """Counts turns, reconnects, latencies and usage from the events of a conversation.

    Args:
        clock: tells the time in seconds, monotonic.

    Attributes:
        turns: how many were answered, or began to be.
        latencies: of the answers, in ms: from the turn's end until the reply was heard, or where no device plays it,
            until its first audio arrived.
        latency: the last of them where it belongs to the turn that is being answered, or was last; else None.
        broken_off: whether it ended in the middle of a turn, whose usage is not known.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.turns = 0
        self.reconnects = 0
        self.latencies: list[int] = []
        self.latency: int | None = None
        self.usage = Usage()
        self.broken_off = False
        self._clock = clock
        self._began = clock()
        self._responding = self._awaits_tools = self._answered = self._finished = False

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case SpeechStopped(is_turn=True):
                self.turn_ended()
            case ResponseStarted():
                if self._answered:
                    self.turn_ended()
                self._responding, self._awaits_tools = True, False
            case ResponseDone(usage=usage, metrics=metrics, awaits_tools=awaits_tools):
                self.usage += usage
                self._measure(metrics)
                self._responding, self._awaits_tools = False, awaits_tools
                self._answered = not awaits_tools
                self.turns += self._answered
            case Reconnecting(attempt=1):
                self.reconnects += 1
            case SessionEnded():
                self.finish()
            case Awake():
                self._responding = self._awaits_tools = self._answered = self._finished = False

    def turn_ended(self) -> None:
        """The user has finished; latencies from now on are those of another turn."""
        self.latency, self._answered = None, False

    def heard_after(self, milliseconds: int) -> None:
        """The first sound of a reply has just become audible, so long after the turn it answers."""
        if self.latency is None:
            self._set_latency(milliseconds)

    def finish(self) -> None:
        """Nothing more comes: a turn that is being answered is broken off. Idempotent."""
        if not self._finished:
            self._finished = True
            self.broken_off = self._responding or self._awaits_tools
            self.turns += self.broken_off

    def line(self, underruns: int | None = None) -> str:
        """The conversation in one line.

        Args:
            underruns: silences in the middle of replies; None where nobody counted them.
        """
        seconds = self._clock() - self._began
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

    def _measure(self, metrics: TurnMetrics) -> None:
        if metrics.first_heard_ms is not None:
            self._set_latency(metrics.first_heard_ms)
        elif self.latency is None and metrics.first_audio_ms is not None:
            self._set_latency(metrics.first_audio_ms)

    def _set_latency(self, milliseconds: int) -> None:
        if self.latency is None:
            self.latencies.append(milliseconds)
        else:
            self.latencies[-1] = milliseconds
        self.latency = milliseconds


def cost_words(usage: Usage) -> str:
    """The cost, as far as known; "" when nothing is known to cost."""
    if usage.cost_usd is None:
        return "cost unknown"
    if not usage.cost_usd:
        return ""
    return f"{'~' if usage.approximate else ''}${usage.cost_usd:.4f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
