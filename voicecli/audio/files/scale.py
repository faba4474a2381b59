"""The value that is full scale in a recording of floats."""

from typing import Any

import numpy as np
import numpy.typing as npt

__all__ = ["full_scale"]

_HOTTEST = 16.0  # 24 dB above full scale: no recording that keeps to it gets there
_INTEGER_SCALES = (2.0**15, 2.0**23, 2.0**31)  # of 16, 24 and 32 bit samples that became floats as they were


def full_scale(samples: "npt.NDArray[Any]") -> float | None:
    """The full scale of floats: 1, or that of the integers they once were; None of silence, which does not tell.

    A few damaged samples, or infinite ones, do not decide.
    """
    loudness = np.abs(samples[np.isfinite(samples) & (samples != 0)])
    if not loudness.size:
        return None
    if np.percentile(loudness, 99) <= _HOTTEST:
        return 1.0
    peak = np.percentile(loudness, 99.9)
    return next((scale for scale in _INTEGER_SCALES if peak <= scale), _INTEGER_SCALES[-1])
