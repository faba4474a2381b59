"""Echo detection: whether the capture stream holds an echo of the render stream. Pure: no clock, no device."""

from collections import deque

import numpy as np

from voicecli.audio.echo.framing import FRAME_MS
from voicecli.audio.pcm import level

__all__ = ["EchoDetector"]

_WINDOW_MS = 1_000
_MAX_DELAY_MS = 600  # from a sound to its echo: devices of 200 ms each, and the room
_INTERVAL_MS = 500
_SPAN_S = (_WINDOW_MS + _MAX_DELAY_MS) / 1000
_LAGS = 16_384  # over the span: 0.1 ms each
_LOW_HZ, _HIGH_HZ = 300, 3_400  # of speech, where telephones have it too
_SPREAD_MS = 16  # a room spreads an echo
_LOUD_DBFS = -40.0
# The correlation's energy in its densest 16 ms, against the average. With recorded speech, simulated: without an echo
# at most 2.6, and 6.8 with a user who talks all the time; with an echo at the level of the noise or above, in the
# median 10 to 46, and 8 or more in three of four windows even in a room with a reverberation of 0.3 s.
_ECHO_RATIO = 8.0
# A window with an echo outweighs three without. A voice that has just begun may resemble one, once: two such windows in
# a row are an echo.
_NO_ECHO_MS = 4_000
_ECHO_OUTWEIGHS_MS = 1_500


class EchoDetector:
    """Correlates the two streams, each half second of loud sound, at whatever delay an echo may have.

    Each correlation takes 0.7 ms.

    Args:
        render_rate, capture_rate: of the two streams, in Hz.

    Attributes:
        no_echo: whether there was no echo in the latest 4 s of loud sound, and since.
    """

    def __init__(self, render_rate: int, capture_rate: int) -> None:
        self._render_size = round(_SPAN_S * render_rate)
        self._capture_size = round(_SPAN_S * capture_rate)
        self._rendered: deque[bytes] = deque(maxlen=(_WINDOW_MS + _MAX_DELAY_MS) // FRAME_MS)
        self._captured: deque[bytes] = deque(maxlen=_WINDOW_MS // FRAME_MS)
        self._since_ms = 0
        self._without_ms = 0
        self.no_echo = False

    def pair(self, rendered: bytes, captured: bytes) -> None:
        """Take 10 ms of each, PCM16 mono; the captured frame comes no earlier than what it may be the echo of."""
        self._rendered.append(rendered)
        self._captured.append(captured)
        self._since_ms += FRAME_MS
        if self._since_ms >= _INTERVAL_MS and len(self._rendered) == self._rendered.maxlen:
            self._since_ms = 0
            sound = b"".join(list(self._rendered)[-len(self._captured) :])
            # A microphone that is muted tells nothing of the room.
            if level(sound) > _LOUD_DBFS and any(map(any, self._captured)):
                self._update(has_echo=self._peak_ratio() >= _ECHO_RATIO)

    def reset(self) -> None:
        """Forget everything: it may be another device now."""
        self._without_ms = 0
        self.no_echo = False

    def _update(self, *, has_echo: bool) -> None:
        if has_echo:
            self._without_ms = max(self._without_ms - _ECHO_OUTWEIGHS_MS, 0)
        else:
            self._without_ms = min(self._without_ms + _INTERVAL_MS, _NO_ECHO_MS)
        if self._without_ms == _NO_ECHO_MS:
            self.no_echo = True
        elif self._without_ms <= _NO_ECHO_MS - 2 * _ECHO_OUTWEIGHS_MS:
            self.no_echo = False

    def _peak_ratio(self) -> float:
        """Peak over average energy of the streams' phase-transformed cross-correlation (GCC-PHAT), over all lags."""
        low, high = round(_LOW_HZ * _SPAN_S), round(_HIGH_HZ * _SPAN_S)
        rendered = np.fft.rfft(np.frombuffer(b"".join(self._rendered), np.int16), self._render_size)[low:high]
        captured = np.fft.rfft(np.frombuffer(b"".join(self._captured), np.int16), self._capture_size)[low:high]
        crossed = rendered * np.conj(captured)
        spectrum = np.zeros(_LAGS // 2 + 1, np.complex128)
        spectrum[low:high] = crossed / np.maximum(np.abs(crossed), 1e-9)
        energy = np.fft.irfft(spectrum) ** 2
        average = float(energy.mean()) or 1.0  # nothing of either within these frequencies
        size = round(_SPREAD_MS / 1000 / _SPAN_S * _LAGS)
        possible = energy[: round(_MAX_DELAY_MS / 1000 / _SPAN_S * _LAGS)]
        return float(np.convolve(possible, np.full(size, 1 / size), "valid").max()) / average
