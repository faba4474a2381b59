"""Whether what is recorded holds an echo of what is played. Pure: no clock, no device."""

from collections import deque

import numpy as np

from voicecli.audio.echo.alignment import FRAME_MS
from voicecli.audio.pcm import level

__all__ = ["EchoFinder"]

_WINDOW_MS = 1_000
_FURTHEST_MS = 600  # from a sound to its echo: devices of 200 ms each, and the room
_EVERY_MS = 500
_SPAN_S = (_WINDOW_MS + _FURTHEST_MS) / 1000
_LAGS = 16_384  # over the span: 0.1 ms each
_LOWEST_HZ, _HIGHEST_HZ = 300, 3_400  # of speech, where telephones have it too
_SMOOTH_MS = 16  # a room spreads an echo
_LOUD_DBFS = -40.0
# How much of the likeness lies in its densest 16 ms, against the average. With recorded speech, simulated: without an
# echo at most 2.6, and 6.8 with a user who talks all the time; with an echo at the level of the noise or above, in the
# median 10 to 46, and 8 or more in three of four windows even in a room with a reverberation of 0.3 s.
_ECHO = 8.0
# A look that finds an echo outweighs three that do not. A voice that has just begun may look like one, once: two such
# looks in a row are an echo.
_NO_ECHO_MS = 4_000
_OUTWEIGHS_MS = 1_500


class EchoFinder:
    """Looks, each half second of loud sound, for what is played in what is recorded, whatever lies between.

    Each look takes 0.7 ms.

    Args:
        played_rate, sample_rate: of the two streams, in Hz.

    Attributes:
        finds_none: whether there was no echo of the latest 4 s of loud sound, and since.
    """

    def __init__(self, played_rate: int, sample_rate: int) -> None:
        self._played_size = round(_SPAN_S * played_rate)
        self._captured_size = round(_SPAN_S * sample_rate)
        self._played: deque[bytes] = deque(maxlen=(_WINDOW_MS + _FURTHEST_MS) // FRAME_MS)
        self._captured: deque[bytes] = deque(maxlen=_WINDOW_MS // FRAME_MS)
        self._since_ms = 0
        self._without_ms = 0
        self.finds_none = False

    def pair(self, played: bytes, captured: bytes) -> None:
        """Take 10 ms of each, PCM16 mono; what was recorded comes no earlier than what it may be the echo of."""
        self._played.append(played)
        self._captured.append(captured)
        self._since_ms += FRAME_MS
        if self._since_ms >= _EVERY_MS and len(self._played) == self._played.maxlen:
            self._since_ms = 0
            sound = b"".join(list(self._played)[-len(self._captured) :])
            # A microphone that is muted tells nothing of the room.
            if level(sound) > _LOUD_DBFS and any(map(any, self._captured)):
                self._look()

    def reset(self) -> None:
        """Know nothing: it may be another device now."""
        self._without_ms = 0
        self.finds_none = False

    def _look(self) -> None:
        if self._likeness() < _ECHO:
            self._without_ms = min(self._without_ms + _EVERY_MS, _NO_ECHO_MS)
        else:
            self._without_ms = max(self._without_ms - _OUTWEIGHS_MS, 0)
        if self._without_ms == _NO_ECHO_MS:
            self.finds_none = True
        elif self._without_ms <= _NO_ECHO_MS - 2 * _OUTWEIGHS_MS:
            self.finds_none = False

    def _likeness(self) -> float:
        """The largest, of all lags, of the two streams' whitened cross-correlation (GCC-PHAT), as energy."""
        low, high = round(_LOWEST_HZ * _SPAN_S), round(_HIGHEST_HZ * _SPAN_S)
        played = np.fft.rfft(np.frombuffer(b"".join(self._played), np.int16), self._played_size)[low:high]
        captured = np.fft.rfft(np.frombuffer(b"".join(self._captured), np.int16), self._captured_size)[low:high]
        crossed = played * np.conj(captured)
        spectrum = np.zeros(_LAGS // 2 + 1, np.complex128)
        spectrum[low:high] = crossed / np.maximum(np.abs(crossed), 1e-9)
        energy = np.fft.irfft(spectrum) ** 2
        average = float(energy.mean()) or 1.0  # nothing of either within these frequencies
        size = round(_SMOOTH_MS / 1000 / _SPAN_S * _LAGS)
        within = energy[: round(_FURTHEST_MS / 1000 / _SPAN_S * _LAGS)]
        return float(np.convolve(within, np.full(size, 1 / size), "valid").max()) / average
