"""Cross-correlation of the render and the capture stream, at whatever delay an echo may have. Pure."""

from collections import deque

import numpy as np
import numpy.typing as npt

from voicecli.audio.echo.framing import FRAME_MS
from voicecli.audio.pcm import level

__all__ = ["WINDOW_MS", "EchoCorrelation", "Lags", "delay_ms", "distance", "later", "peak_ratio"]

WINDOW_MS = 1_000
"""The captured sound that is correlated, at most."""

_MAX_DELAY_MS = 600  # from a sound to its echo: devices of 200 ms each, and the room
_SPAN_S = (WINDOW_MS + _MAX_DELAY_MS) / 1000
_LAGS = 16_384  # over the span: 0.1 ms each
_LAG_S = _SPAN_S / _LAGS
_POSSIBLE = round(_MAX_DELAY_MS / 1000 / _LAG_S)  # lags at which an echo can be
_LOW, _HIGH = round(300 * _SPAN_S), round(3_400 * _SPAN_S)  # of speech, where telephones have it too
_LOUD_DBFS = -40.0
_SPREAD = round(0.016 / _LAG_S)  # lags over which a room spreads an echo
_MAX_MOVE_MS = 200
_STAYS = round(0.002 / _LAG_S)  # lags that are no move
_STAYS_SHARE = 0.5  # of the best likeness: where it is as like as that, an echo has stayed

Lags = npt.NDArray[np.float64]
"""A correlation by lag, in steps of 0.1 ms: an echo that comes at once is at 600 ms, a later one before that.

Of its frequencies, 300 to 3,400 Hz, only the phase counts (GCC-PHAT).
"""


class EchoCorrelation:
    """Keeps the latest second of both streams, and correlates them. That takes 0.5 to 0.9 ms at 16 kHz.

    Args:
        sample_rate: of the two streams, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        # Memory of this size may be taken anew from the system each time, which takes as long as all the rest.
        size = round(_SPAN_S * sample_rate)
        self._samples = np.zeros((2, size))
        self._spectra = np.zeros((2, size // 2 + 1), np.complex128)
        self._whole = np.zeros(_LAGS // 2 + 1, np.complex128)
        self._lags: Lags = np.zeros(_LAGS)
        self._rendered: deque[bytes] = deque(maxlen=(WINDOW_MS + _MAX_DELAY_MS) // FRAME_MS)
        self._captured: deque[bytes] = deque(maxlen=WINDOW_MS // FRAME_MS)

    def pair(self, rendered: bytes, captured: bytes) -> None:
        """Take 10 ms of each, PCM16 mono; the captured frame comes no earlier than what it may be the echo of."""
        self._rendered.append(rendered)
        self._captured.append(captured)

    def restart(self) -> None:
        """Forget what was captured until now: its echo was at another distance."""
        self._captured.clear()

    def lags(self) -> Lags | None:
        """The correlation of what is kept, until the next call; None where that tells nothing: it is soft, or short."""
        if len(self._rendered) != self._rendered.maxlen or not self._captured:
            return None
        rendered = list(self._rendered)[-_MAX_DELAY_MS // FRAME_MS - len(self._captured) :]
        # A microphone that is muted tells nothing of the room.
        if level(b"".join(rendered[-len(self._captured) :])) <= _LOUD_DBFS or not any(map(any, self._captured)):
            return None
        for samples, frames in zip(self._samples, (rendered, self._captured), strict=True):
            kept = np.frombuffer(b"".join(frames), np.int16)
            samples[: kept.size] = kept
            samples[kept.size :] = 0
        one, other = np.fft.rfft(self._samples, out=self._spectra)[:, _LOW:_HIGH]
        crossed = one * np.conj(other)
        self._whole[_LOW:_HIGH] = crossed / np.maximum(np.abs(crossed), 1e-9)
        return np.fft.irfft(self._whole, out=self._lags)


def peak_ratio(lags: Lags) -> float:
    """Energy of the correlation in its densest 16 ms, against the average."""
    # In halves: for longer products the numerical library would wake threads that then spin.
    energy = sum(float(half.dot(half)) for half in (lags[: _LAGS // 2], lags[_LAGS // 2 :]))
    average = energy / _LAGS or 1.0  # nothing of either within these frequencies
    until = np.concatenate(([0.0], np.cumsum(np.square(lags[:_POSSIBLE]))))
    return float((until[_SPREAD:] - until[:-_SPREAD]).max()) / _SPREAD / average


def delay_ms(lags: Lags) -> float:
    """How late an echo comes, by its strongest path."""
    return _MAX_DELAY_MS - int(np.square(lags[:_POSSIBLE]).argmax()) * _LAG_S * 1000


def later(lags: Lags, seconds: float) -> Lags:
    """The correlation of an echo that comes so much later."""
    return np.roll(lags, -round(seconds / _LAG_S)) if seconds else lags


def distance(before: Lags, after: Lags) -> tuple[float, float]:
    """How much later the echo comes than before, in seconds, by the whole pattern of its reflections.

    Returns:
        the distance, up to 200 ms either way, in steps of 0.1 ms; and the energy of its peak against the average.
    """
    one, other = (np.fft.rfft(pattern[:_POSSIBLE], _LAGS) for pattern in (before, after))
    likeness = np.fft.irfft(one * np.conj(other))
    most = round(_MAX_MOVE_MS / 1000 / _LAG_S)
    likeness = np.concatenate((likeness[-most:], likeness[: most + 1]))
    peak = int(likeness.argmax())
    # Sound that repeats itself is as like itself elsewhere, and has not moved.
    about = slice(most - _STAYS, most + _STAYS + 1)
    if float(likeness[about].max()) >= _STAYS_SHARE * float(likeness[peak]):
        peak = most - _STAYS + int(likeness[about].argmax())
    average = float(np.square(likeness).mean()) or 1.0
    return (peak - most) * _LAG_S, float(likeness[peak]) ** 2 / average
