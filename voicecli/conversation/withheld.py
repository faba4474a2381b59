"""The user's latest audio, held back while the provider could take an echo in it for a voice."""

from voicecli.audio.echo.framing import FaintNoise
from voicecli.pcm16 import PcmFormat

__all__ = ["Withheld"]

_LATE_MS = 200  # a voice is suspected within this time, mostly 100 ms
_LONGEST_MS = 1_500  # a voice of which the detector here is not sure for so long may be clear to the provider
_NOISE_BYTES = 40_000  # at once


class Withheld:
    """Lets audio, PCM16 mono, go 0.2 s late; once a voice is suspected in it, none until that is decided.

    What was no voice is replaced by faint noise. Pure.

    Args:
        rate: in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._format = PcmFormat(rate)
        self._noise = FaintNoise()
        self._held = bytearray()
        self._suspected = False

    @property
    def held_ms(self) -> float:
        """How much is held back now, in ms: what went last was taken so long ago."""
        return self._format.duration_ms(len(self._held))

    def take(self, audio: bytes, *, doubtful: bool) -> bytes:
        """Take more audio; what is to go now. `doubtful`: whether it may hold an echo."""
        self._held += audio
        if self._suspected and len(self._held) <= self._format.size(_LONGEST_MS):
            return b""
        self._suspected = False
        ready = max(0, len(self._held) - (self._format.size(_LATE_MS) if doubtful else 0))
        going, self._held = bytes(self._held[:ready]), self._held[ready:]
        return going

    def suspect(self) -> None:
        """A voice may be heard in what was taken last."""
        self._suspected = True

    def decide(self, *, is_voice: bool) -> None:
        """It is one, and goes with the next `take`; or is none, and goes as noise. Without effect where none was
        suspected."""
        if self._suspected and not is_voice:
            sizes = [min(_NOISE_BYTES, len(self._held) - at) for at in range(0, len(self._held), _NOISE_BYTES)]
            self._held[:] = b"".join(map(self._noise.take, sizes))
        self._suspected = False

    def clear(self) -> None:
        """Forget it."""
        self._held.clear()
        self._suspected = False
