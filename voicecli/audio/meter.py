"""Level meter: the loudness of audio by bands of frequencies, for the eye."""

import numpy as np
import numpy.typing as npt

from voicecli.pcm16 import SAMPLE_BYTES

__all__ = ["Meter"]

_WINDOW_MS = 60  # about a syllable's core; a picture is drawn every 83 ms
# Edges in Hz. The voice's fundamental, its first formant, the second, the upper ones, and hissing sounds.
_EDGES = (80, 300, 800, 1_800, 3_400, 8_000)
# A band of loud speech reaches -20 dBFS; a quiet room stays below -60.
_FLOOR_DBFS, _TOP_DBFS = -60.0, -20.0
_FULL_SCALE = 32_768.0


class Meter:
    """Meter of a stream: the levels of its latest 60 ms, at any moment.

    Args:
        sample_rate: of the PCM16 mono audio, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._size = sample_rate * _WINDOW_MS // 1000
        self._latest = b""
        self._window = np.hanning(self._size)
        # By the sum of squares of the Hann window, levels do not depend on its length.
        self._scale = 2 / (float(np.sum(self._window**2)) * self._size * _FULL_SCALE**2)
        bins = np.fft.rfftfreq(self._size, 1 / sample_rate)
        self._edges = [int(edge) for edge in np.searchsorted(bins, _EDGES)]

    def feed(self, audio: bytes) -> None:
        """Take a chunk of PCM16 mono."""
        self._latest = (self._latest + audio)[-SAMPLE_BYTES * self._size :]

    @property
    def bands(self) -> tuple[float, ...]:
        """The levels of five bands, low to high: 0 is a quiet room, 1 loud speech."""
        samples = np.frombuffer(self._latest, "<i2").astype(np.float64)
        if samples.size < self._size:
            samples = np.concatenate([np.zeros(self._size - samples.size), samples])
        power: npt.NDArray[np.float64] = np.abs(np.fft.rfft(samples * self._window)) ** 2 * self._scale
        return tuple(
            _loudness(float(power[low:high].sum())) for low, high in zip(self._edges, self._edges[1:], strict=False)
        )


def _loudness(power: float) -> float:
    dbfs = 10 * np.log10(max(power, 1e-12))
    return float(np.clip((dbfs - _FLOOR_DBFS) / (_TOP_DBFS - _FLOOR_DBFS), 0.0, 1.0))
