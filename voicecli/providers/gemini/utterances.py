"""Where utterances of a transcription lie in all audio, and the audio that a lost socket must not lose."""

from collections import deque

from voicecli.pcm16 import peak
from voicecli.providers.gemini.input import WIRE_AUDIO

__all__ = ["HeardAudio"]

_MOST = WIRE_AUDIO.size(120_000)
"""The most audio that is kept; of more the end."""
_LEAD = WIRE_AUDIO.size(300)
"""What is sent again begins so long before the first sound."""
_AUDIBLE = 104
"""Peak of a sample at -50 dB of full scale. Speech is far above it, also in a quiet recording."""
_LOUD = 500
"""Peak of a sample of what may well be speech into a microphone: 1.5% of full scale."""
_PAUSE = WIRE_AUDIO.size(500)


class HeardAudio:
    """All audio since the first byte, by its position in bytes; what has no final words yet is kept.

    Attributes:
        position: how much there was so far.
        socket_start: where that begins which the present socket was sent.
        told: up to where words were told.
    """

    def __init__(self) -> None:
        self.position = 0
        self.socket_start = 0
        self.told = 0
        self._kept: deque[bytes] = deque()
        self._kept_from = 0
        self._sound: tuple[int, int] | None = None  # from the first to the last sound since `told`
        self._loud_until: int | None = None

    @property
    def speaking(self) -> bool:
        """Whether somebody may be in the middle of a word."""
        return self._loud_until is not None and self.position - self._loud_until < _PAUSE

    @property
    def sound(self) -> tuple[int, int]:
        """From the first to the last sound of which no words were told, in bytes; empty where there was none."""
        return self._sound or (self.position, self.position)

    @property
    def has_sound(self) -> bool:
        """Whether there was sound of which no words were told."""
        return self._sound is not None

    def append(self, audio: bytes) -> None:
        start, self.position = self.position, self.position + len(audio)
        loudness = peak(audio)
        if loudness > _LOUD:
            self._loud_until = self.position
        if loudness >= _AUDIBLE:
            self._sound = (self._sound[0] if self._sound else start, self.position)
        self._kept.append(audio)
        while self.position - self._kept_from > _MOST or self._is_old_silence():
            self._kept_from += len(self._kept.popleft())

    def tell(self, until: int) -> None:
        """Words were told of all audio up to there."""
        self.told = max(self.told, min(until, self.position))
        while self._kept and self._kept_from + len(self._kept[0]) <= self.told:
            self._kept_from += len(self._kept.popleft())
        if self._sound is not None:
            first, last = max(self._sound[0], self.told), self._sound[1]
            self._sound = (first, last) if first < last else None
        if self._loud_until is not None and self._loud_until <= self.told:
            self._loud_until = None

    def restart(self) -> list[bytes]:
        """Take what a new socket is to be sent: all that may hold words which were not told."""
        again = list(self._kept)
        start = self._kept_from
        if again and start < self.told:
            again[0] = again[0][self.told - start :]
            start = self.told
        self.socket_start = start if again else self.position
        return again

    def _is_old_silence(self) -> bool:
        """Whether what is kept begins with silence that no words can begin in."""
        if not self._kept:
            return False
        end = self._kept_from + len(self._kept[0])
        return end <= (self._sound[0] if self._sound else self.position) - _LEAD
