"""The detection of the user's turns by a loopback server, sans-I/O."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

__all__ = ["HeardFrame", "TurnDetector"]

_FRAME_MS = 20
_ONSET_FRAMES = 3


@dataclass(frozen=True, kw_only=True)
class HeardFrame:
    """20 ms of the user's audio and what the detector made of them; times are in ms since the audio began.

    Attributes:
        audio: PCM16.
        end_ms: where the frame ends.
        voiced: whether it is of a voice.
        speech_start_ms: where speech began, once this frame makes sure of it; else None.
        speech_end_ms: where speech ended, when this frame ends the turn; else None.
    """

    audio: bytes
    end_ms: int
    voiced: bool
    speech_start_ms: int | None = None
    speech_end_ms: int | None = None


class TurnDetector:
    """Counts voiced and silent frames: speech begins with three voiced ones, and ends with enough silence.

    Args:
        is_voice: whether a frame of 20 ms is of a voice.
        bytes_per_ms: of PCM16 audio.

    Attributes:
        received: bytes of audio since the session began.
        pending: audio that is less than a frame yet.
        speaking: whether the user speaks.
    """

    def __init__(self, is_voice: Callable[[bytes], bool], *, bytes_per_ms: int) -> None:
        self.received = 0
        self.pending = bytearray()
        self.speaking = False
        self._is_voice = is_voice
        self._bytes_per_ms = bytes_per_ms
        self._voiced_frames = 0
        self._silent_ms = 0

    def hear(self, audio: bytes, *, silence_ms: int) -> Iterator[HeardFrame]:
        """The frames that this audio completes, one at a time.

        Args:
            silence_ms: of silence that ends a turn.
        """
        self.skip(audio)
        self.pending += audio
        size = _FRAME_MS * self._bytes_per_ms
        while len(self.pending) >= size:
            frame = bytes(self.pending[:size])
            del self.pending[:size]
            yield self._hear_frame(frame, silence_ms)

    def skip(self, audio: bytes) -> None:
        """Let time pass by audio in which no turns are looked for."""
        self.received += len(audio)

    def end_speech(self) -> None:
        """The turn is over, whoever ended it; audio that is pending belongs to the next one."""
        self.speaking = False
        self._voiced_frames = 0

    def reset(self) -> None:
        """The turn is over, and audio that is pending is dropped."""
        self.end_speech()
        self.pending.clear()

    def _hear_frame(self, audio: bytes, silence_ms: int) -> HeardFrame:
        voiced = self._is_voice(audio)
        end_ms = (self.received - len(self.pending)) // self._bytes_per_ms
        start_ms: int | None = None
        stop_ms: int | None = None
        if self.speaking:
            self._silent_ms = 0 if voiced else self._silent_ms + _FRAME_MS
            if self._silent_ms >= silence_ms:
                stop_ms = end_ms
                self.end_speech()
        else:
            self._voiced_frames = self._voiced_frames + 1 if voiced else 0
            if self._voiced_frames >= _ONSET_FRAMES:
                start_ms = end_ms - _FRAME_MS * _ONSET_FRAMES
                self.speaking, self._silent_ms = True, 0
        return HeardFrame(audio=audio, end_ms=end_ms, voiced=voiced, speech_start_ms=start_ms, speech_end_ms=stop_ms)
