"""PCM16 mono, in which all audio is passed on: signed 16-bit little-endian samples, as `bytes`.

Sizes, durations, alignment and peaks, without numpy: every part of the package may know this.
"""

from dataclasses import dataclass

__all__ = ["SAMPLE_BYTES", "PcmFormat", "SampleAligner", "is_silent", "peak"]

SAMPLE_BYTES = 2
"""Bytes of one sample."""

# Of a sample: -50 dB of full scale. Speech into any microphone is far above it, a muted or held back one at 0.
_SILENCE = 104


@dataclass(frozen=True, slots=True)
class PcmFormat:
    """PCM16 mono at a sample rate: converts between bytes and time.

    Attributes:
        sample_rate: in Hz.
    """

    sample_rate: int

    @property
    def bytes_per_s(self) -> int:
        """Bytes of a second of audio."""
        return self.sample_rate * SAMPLE_BYTES

    def size(self, duration_ms: float) -> int:
        """Bytes of `duration_ms` of audio, rounded down to whole samples."""
        return int(self.sample_rate * duration_ms // 1000) * SAMPLE_BYTES

    def duration_ms(self, size: int) -> float:
        """Milliseconds that `size` bytes of audio last."""
        return size * 1000 / self.bytes_per_s

    def silence(self, duration_ms: float) -> bytes:
        """Digital silence of `duration_ms`, rounded down to whole samples."""
        return bytes(self.size(duration_ms))


class SampleAligner:
    """Cuts a stream of bytes at whole samples: half a sample is carried over to the next chunk.

    Attributes:
        half: the byte carried over; b"" when there is none.
    """

    __slots__ = ("half",)

    def __init__(self) -> None:
        self.half = b""

    def push(self, audio: bytes) -> bytes:
        """Take a chunk of any length; the whole samples so far, which are `audio` itself where it needs no change."""
        if self.half:
            audio = self.half + audio
        if not len(audio) % SAMPLE_BYTES:
            self.half = b""
            return audio
        self.half = audio[-1:]
        return audio[:-1]

    def clear(self) -> bool:
        """Drop what is carried over; whether there was something: the stream ends amid a sample."""
        was_half, self.half = bool(self.half), b""
        return was_half


def peak(audio: bytes) -> int:
    """The largest magnitude of a sample, 0 (digital silence) to 32768; half a sample at the end does not count."""
    if audio.count(0) == len(audio):  # a muted microphone; twenty times as fast
        return 0
    with memoryview(audio) as view:
        samples = view[: len(audio) // SAMPLE_BYTES * SAMPLE_BYTES].cast("h")
        return max(max(samples), -min(samples)) if samples else 0


def is_silent(audio: bytes) -> bool:
    """Whether nothing is to be heard in it: it stays below -50 dB of full scale."""
    return peak(audio) < _SILENCE
