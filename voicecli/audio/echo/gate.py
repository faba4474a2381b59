"""Echo suppression by level, without a model of the echo: a gate, and half duplex."""

from voicecli.audio.echo.framing import AUDIBLE_DBFS, FRAME_MS, HOLD_MS, LEARNABLE_DBFS, FrameCutter, RenderLevel
from voicecli.audio.pcm import level

__all__ = ["EchoGate", "HalfDuplex"]

# How much louder than the expected echo a voice must be, and how fast the expected echo return gain follows the room:
# up not so fast that a word of the user's, before the gate opens for it, counts as the echo of a loud room.
_MARGIN_DB = 8.0
_FALL_DB_PER_S = 6.0
_RISE_DB_PER_S = 30.0
_FIRST_RETURN_GAIN_DB = 6.0  # until something is known: an echo louder than its sound


class EchoGate:
    """Noise gate for double talk: while an echo may be captured, passes only what is clearly louder than it can be.

    It learns the echo return gain. The user can interrupt by speaking up; soft speech during a reply is lost.
    """

    active = "gate"
    settled = True
    may_leave_echo = True  # below a voice, or of a sound that is suddenly louder
    mutes = False

    def __init__(self, sample_rate: int, render_rate: int) -> None:
        self._render = FrameCutter(render_rate)
        self._capture = FrameCutter(sample_rate)
        self._level = RenderLevel()
        self._return_gain_db = _FIRST_RETURN_GAIN_DB  # the echo's level over the rendered one, at most
        self._open_ms = 0

    @property
    def suppressing(self) -> bool:
        return self._level.may_echo and self._open_ms <= 0

    def render(self, audio: bytes) -> None:
        for frame in self._render.cut(audio):
            self._level.rendered(frame)

    def capture(self, audio: bytes) -> bytes:
        return b"".join(map(self._gate, self._capture.cut(audio)))

    def discontinuity(self) -> None:
        """Do nothing: only levels count."""

    def _gate(self, frame: bytes) -> bytes:
        rendered = self._level.peak
        self._level.captured()
        if rendered < AUDIBLE_DBFS:
            self._open_ms = 0
            return frame
        gain_db = level(frame) - rendered
        if gain_db > self._return_gain_db + _MARGIN_DB:
            self._open_ms = HOLD_MS
        elif self._open_ms > 0:
            self._open_ms -= FRAME_MS
        elif rendered > LEARNABLE_DBFS:
            rise, fall = _RISE_DB_PER_S * FRAME_MS / 1000, _FALL_DB_PER_S * FRAME_MS / 1000
            self._return_gain_db += min(rise, max(-fall, gain_db - self._return_gain_db))
        return frame if self._open_ms > 0 else bytes(len(frame))


class HalfDuplex:
    """Mutes the microphone while an echo may be captured: the user interrupts by a key."""

    active = "half-duplex"
    settled = True
    may_leave_echo = False
    mutes = True

    def __init__(self, sample_rate: int, render_rate: int) -> None:
        self._render = FrameCutter(render_rate)
        self._capture = FrameCutter(sample_rate)
        self._level = RenderLevel()

    @property
    def suppressing(self) -> bool:
        return self._level.may_echo

    def render(self, audio: bytes) -> None:
        for frame in self._render.cut(audio):
            self._level.rendered(frame)

    def capture(self, audio: bytes) -> bytes:
        frames = []
        for frame in self._capture.cut(audio):
            frames.append(bytes(len(frame)) if self._level.may_echo else frame)
            self._level.captured()
        return b"".join(frames)

    def discontinuity(self) -> None:
        """Do nothing: only levels count."""
