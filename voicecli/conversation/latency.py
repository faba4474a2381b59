"""Measurement of how fast each turn is answered."""

from dataclasses import dataclass

from voicecli.events import TurnMetrics
from voicecli.pcm16 import PcmFormat

__all__ = ["TurnClock"]


class TurnClock:
    """Measures one turn after the other. Times are in seconds, of any monotonic clock.

    A noise amid a reply looks like a turn. What may have been one counts as one when words of it are known
    (`resolve(True)`), or when a response begins that does not just go on after tools.
    """

    def __init__(self, output_rate: int) -> None:
        self._format = PcmFormat(output_rate)
        self._end: float | None = None
        self._maybe_end: float | None = None
        self._goes_on = False  # the last response awaits tools
        self._reply = _Times()

    def turn_ended(self, end: float) -> None:
        """The user finished then. It may be known late: a reply that has begun since answers it."""
        self._end, self._maybe_end = end, None
        if self._reply.began_at < end:
            self._reply = _Times()

    def turn_may_have_ended(self, end: float) -> None:
        """The user finished, or it was a noise: until it is known, the reply goes on being measured as before."""
        self._maybe_end = end

    def resolve(self, was_turn: bool) -> None:
        """Confirm a provisional end of turn, or drop it as a false interruption."""
        end, self._maybe_end = self._maybe_end, None
        if was_turn and end is not None:
            self.turn_ended(end)

    def response_started(self, now: float) -> None:
        """A response begins: the answer to the turn, or more of it after tools, or one that nobody asked for."""
        self.resolve(not self._goes_on)
        self._goes_on = False
        if self._reply.over:  # the turn is answered
            self._end, self._reply = None, _Times()
        if self._reply.began_at == float("-inf"):
            self._reply.began_at = now

    def audio(self, now: float, size: int) -> None:
        """`size` bytes of the reply's audio arrived."""
        self._reply.audio_bytes += size
        if self._reply.audio_at is None:
            self._reply.audio_at = now

    def text(self, now: float) -> None:
        """Some of the reply's words arrived."""
        if self._reply.text_at is None:
            self._reply.text_at = now

    def heard(self, now: float) -> int | None:
        """The loudspeaker began to play the reply: how long that took, in ms; None when no turn was answered."""
        if self._reply.heard_at is None:
            self._reply.heard_at = now
        return self._since(self._reply.heard_at)

    def done(self, now: float, *, awaits_tools: bool = False) -> TurnMetrics:
        """The response is complete; the metrics of its turn so far."""
        self._goes_on = awaits_tools
        reply = self._reply
        reply.over = not awaits_tools and reply.began_at > float("-inf")
        return TurnMetrics(
            first_audio_ms=self._since(reply.audio_at),
            first_text_ms=self._since(reply.text_at),
            first_heard_ms=self._since(reply.heard_at),
            done_ms=self._since(now),
            audio_ms=round(self._format.duration_ms(reply.audio_bytes)),
        )

    def _since(self, at: float | None) -> int | None:
        return None if self._end is None or at is None else round((at - self._end) * 1000)


@dataclass(slots=True)
class _Times:
    """The answer to a turn as far as it has come, and when its first was there."""

    began_at: float = float("-inf")
    audio_bytes: int = 0
    audio_at: float | None = None
    text_at: float | None = None
    heard_at: float | None = None
    over: bool = False
