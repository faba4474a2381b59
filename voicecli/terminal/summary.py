"""Counts of a conversation, and the line that sums them up."""

import statistics
import time
from collections.abc import Callable
from dataclasses import replace

from voicecli.events import (
    Awake,
    Event,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStopped,
    TurnMetrics,
    Usage,
    UsageUpdated,
)

__all__ = ["ConversationSummary"]


class ConversationSummary:
    """Counts turns, reconnects, latencies and usage from the events of a conversation.

    Args:
        clock: tells the time in seconds, monotonic.

    Attributes:
        turns: how many were answered, or began to be.
        reconnects: how often a lost connection was made again.
        attempts: how often that was tried.
        latencies: of the answers, in ms: from the turn's end until the reply was heard, or where no device plays it,
            until its first audio arrived.
        latency: the last of them where it belongs to the turn that is being answered, or was last; else None.
        broken_off: whether it, or a session of it that fell asleep, ended in the middle of a turn, whose usage is not
            known.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self.turns = 0
        self.reconnects = self.attempts = 0
        self.latencies: list[int] = []
        self.latency: int | None = None
        self.usage = Usage()
        self._known_usd = 0.0  # of the part whose price is known
        self._unpriced_tokens = 0
        self._seconds_before = 0.0  # of the sessions before the present one
        self._lost = False
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
                self._add(usage)
                self._measure(metrics)
                self._responding, self._awaits_tools = False, awaits_tools
                self._answered = not awaits_tools
                self.turns += self._answered
            case UsageUpdated(usage):
                self._add(usage)
            case Reconnecting():
                self.attempts += 1
                self._lost = True
            case SessionStarted() if self._lost:
                self.reconnects += 1
                self._lost = False
            case SessionEnded():
                self.finish()
            case Awake():
                self._seconds_before = self.usage.session_seconds
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
            broken_off = self._responding or self._awaits_tools
            self.turns += broken_off
            self.broken_off = self.broken_off or broken_off

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
        tried = f" in {_count(self.attempts, 'attempt')}" if self.attempts != self.reconnects else ""
        parts.append(_count(self.reconnects, "reconnect") + tried)
        if cost := self.cost_words:
            at_least = self.broken_off and self.usage.cost_usd
            parts.append(f"at least {cost}" if at_least else cost)
        elif not self.broken_off:
            parts.append("no cost")
        return ", ".join(parts)

    @property
    def cost_words(self) -> str:
        """The cost: in dollars where it is known, else at least so many, and the tokens without a price; "" for none.

        Where a session is billed by its time, that stands before it.
        """
        words = []
        if seconds := self.usage.session_seconds:
            words.append(f"{seconds / 60:.1f} min")
        if self.usage.cost_usd is None:
            if self._known_usd:
                words.append(f"at least ${self._known_usd:.4f}")
            if self._unpriced_tokens:
                words.append(f"{self._unpriced_tokens} tokens{' more' if self._known_usd else ''}")
            if not words:
                words.append("cost unknown")
        elif self.usage.cost_usd:
            words.append(f"{'~' if self.usage.approximate else ''}${self.usage.cost_usd:.4f}")
        return ", ".join(words)

    def _add(self, usage: Usage) -> None:
        if usage.session_seconds:
            usage = replace(usage, session_seconds=self._seconds_before + usage.session_seconds)
        self.usage += usage
        if usage.cost_usd is None:
            self._unpriced_tokens += usage.input_tokens + usage.output_tokens
        else:
            self._known_usd += usage.cost_usd

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


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
