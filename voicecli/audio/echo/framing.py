"""Streams of audio in frames of 10 ms, and how loud the render stream lately was."""

import numpy as np

from voicecli.audio.pcm import SILENCE_DBFS, level
from voicecli.pcm16 import PcmFormat

__all__ = [
    "AUDIBLE_DBFS",
    "ECHO_TAIL_MS",
    "FRAME_MS",
    "HOLD_MS",
    "LEARNABLE_DBFS",
    "FaintNoise",
    "FrameCutter",
    "RenderLevel",
]

FRAME_MS = 10
"""The length of a frame, in milliseconds: what the WebRTC audio processing takes."""
AUDIBLE_DBFS = -60.0
"""The level below which what is rendered makes no echo that matters."""
ECHO_TAIL_MS = 400
"""The time from rendering a block to its last echo, where nothing is known of it: the devices', and the room's."""
HOLD_MS = 200
"""The time that near-end speech counts as going on after its latest frame: longer than between two syllables."""
LEARNABLE_DBFS = -45.0
"""The level from which on rendered sound tells something of its echo: speech is at -20 to -30 dBFS."""

_NOISE_STEPS = 10.0
_NOISE_SAMPLES = 20_000


class FrameCutter:
    """Cuts a stream into frames of 10 ms, or the nearest whole number of samples; the rest waits.

    Attributes:
        sample_rate: in Hz.
        size: of a frame, in bytes.
    """

    def __init__(self, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self.size = PcmFormat(sample_rate).size(FRAME_MS)
        self._rest = b""

    def cut(self, audio: bytes) -> list[bytes]:
        """Take PCM16 mono of any length; the frames that are complete."""
        if len(audio) == self.size and not self._rest:
            return [audio]
        audio = self._rest + audio if self._rest else audio
        end = len(audio) - len(audio) % self.size
        self._rest = audio[end:]
        return [audio[start : start + self.size] for start in range(0, end, self.size)]


class FaintNoise:
    """Noise at -70 dBFS (10 steps of 16 bits), to stand in for sound that is taken out.

    Digital silence would not do: whatever follows it, webrtcvad takes for a voice (94 times in 6 minutes of residual
    echo in a hard room, against 11; measured).
    """

    def __init__(self) -> None:
        noise = np.random.default_rng(1).normal(0, _NOISE_STEPS, _NOISE_SAMPLES)
        self._noise = np.rint(noise).astype("<i2").tobytes()
        self._at = 0

    def take(self, size: int) -> bytes:
        """So many bytes of it, PCM16 mono; up to 40,000."""
        if self._at + size > len(self._noise):
            self._at = 0
        self._at += size
        return self._noise[self._at - size : self._at]


class RenderLevel:
    """The level of the render stream within the time that an echo takes.

    `rendered` is called by one audio thread and `captured` by another, each 100 times a second.

    Attributes:
        quiet_ms: captured since the last audible frame was rendered.
        tail_ms: from rendering a frame to its last echo.
    """

    def __init__(self) -> None:
        self._recent = np.full(ECHO_TAIL_MS // FRAME_MS, SILENCE_DBFS)
        self._next = 0
        self.quiet_ms = ECHO_TAIL_MS
        self.tail_ms: float = ECHO_TAIL_MS

    @property
    def may_echo(self) -> bool:
        """Whether an echo of audible sound may still be captured."""
        return self.quiet_ms < self.tail_ms

    @property
    def peak(self) -> float:
        """The level of the loudest frame of the latest 400 ms, in dBFS."""
        return float(self._recent.max()) if self.may_echo else SILENCE_DBFS

    def rendered(self, frame: bytes) -> float:
        """Take a frame that is rendered; its level in dBFS."""
        loudness = level(frame)
        self._recent[self._next] = loudness
        self._next = (self._next + 1) % len(self._recent)
        if loudness >= AUDIBLE_DBFS:
            self.quiet_ms = 0
        return loudness

    def captured(self) -> None:
        """Count a frame that was captured."""
        self.quiet_ms += FRAME_MS
