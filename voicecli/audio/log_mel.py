"""Log-mel spectrograms as Whisper defines them, which models of speech take for input."""

import functools

import numpy as np
import numpy.typing as npt

__all__ = ["BANDS", "HOP", "RATE", "log_mel"]

RATE = 16_000
HOP = 160
"""Samples from one column of the spectrogram to the next: 10 ms."""
BANDS = 80

_WINDOW = 400  # 25 ms
_RANGE = 8.0  # below the loudest point, in powers of ten: what is softer counts as that
# The mel scale of Slaney's Auditory Toolbox: linear up to 1000 Hz, logarithmic above.
_LINEAR_HZ_PER_MEL = 200 / 3
_CORNER_HZ = 1000.0
_MELS_PER_E = 27 / np.log(6.4)

_Array = npt.NDArray[np.float64]


def log_mel(samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """The spectrogram of samples at 16000 Hz, between about -1 and 1.

    Args:
        samples: mono, shape (n,), n a multiple of 160.

    Returns:
        shape (80, n / 160).
    """
    padded = np.pad(samples.astype(np.float64), _WINDOW // 2, mode="reflect")
    windows = np.lib.stride_tricks.sliding_window_view(padded, _WINDOW)[::HOP][: samples.size // HOP]
    power = np.abs(np.fft.rfft(windows * _hann())) ** 2
    bands = np.log10(np.maximum(_filters() @ power.T, 1e-10))
    scaled: npt.NDArray[np.float32] = ((np.maximum(bands, bands.max() - _RANGE) + 4) / 4).astype(np.float32)
    return scaled


@functools.cache
def _hann() -> _Array:
    window: _Array = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(_WINDOW) / _WINDOW)
    return window


@functools.cache
def _filters() -> _Array:
    """Triangles over the frequencies of the transform, each of one area; shape (80, 201)."""
    corners = _hz(np.linspace(0, _mel(RATE / 2), BANDS + 2))
    frequencies = np.linspace(0, RATE / 2, _WINDOW // 2 + 1)
    low, peak, high = corners[:-2, None], corners[1:-1, None], corners[2:, None]
    triangles: _Array = np.minimum((frequencies - low) / (peak - low), (high - frequencies) / (high - peak))
    return np.maximum(triangles, 0) * (2 / (high - low))


def _mel(hz: float) -> float:
    corner = _CORNER_HZ / _LINEAR_HZ_PER_MEL
    return float(corner + _MELS_PER_E * np.log(hz / _CORNER_HZ)) if hz > _CORNER_HZ else hz / _LINEAR_HZ_PER_MEL


def _hz(mels: _Array) -> _Array:
    corner = _CORNER_HZ / _LINEAR_HZ_PER_MEL
    above: _Array = _CORNER_HZ * np.exp((mels - corner) / _MELS_PER_E)
    return np.where(mels < corner, mels * _LINEAR_HZ_PER_MEL, above)
