"""Plain samples of WAV files, out of bytes: no library is handed a stream or a descriptor for them."""

from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
import numpy.typing as npt
import soundfile

__all__ = ["decode_samples"]

_FULL_SCALE = {"PCM_16": ("<i2", 2**15), "PCM_32": ("<i4", 2**31)}
_FLOATS = {"FLOAT": "<f4", "DOUBLE": "<f8"}


def decode_samples(content: bytes, subtype: str, channels: int) -> "npt.NDArray[Any]":
    """Decode samples that stand by themselves.

    Args:
        content: whole frames.
        subtype: as libsndfile calls it, see `WavFormat.subtype`.

    Returns:
        float32 of shape (frames, channels), where full scale is 1, unless floats go beyond it.
    """
    match subtype:
        case "PCM_16" | "PCM_32":
            kind, scale = _FULL_SCALE[subtype]
            samples = np.frombuffer(content, kind).astype(np.float32) / np.float32(scale)
        case "PCM_24":
            # The three bytes are the upper ones of four, which keeps the sign.
            wide = np.zeros((len(content) // 3, 4), np.uint8)
            wide[:, 1:] = np.frombuffer(content, np.uint8).reshape(-1, 3)
            samples = wide.view("<i4")[:, 0].astype(np.float32) / np.float32(2**31)
        case "PCM_U8":
            samples = (np.frombuffer(content, np.uint8).astype(np.float32) - 128) / np.float32(128)
        case "FLOAT" | "DOUBLE":
            with np.errstate(over="ignore", invalid="ignore"):  # a double may be beyond all floats
                samples = np.frombuffer(content, _FLOATS[subtype]).astype(np.float32)
        case _:
            samples = _companded(subtype)[np.frombuffer(content, np.uint8)]
    return samples.reshape(-1, channels)


@cache
def _companded(subtype: str) -> "npt.NDArray[Any]":
    """The value of each of the 256 bytes in A-law or mu-law."""
    values: npt.NDArray[Any]
    values, _ = soundfile.read(
        BytesIO(bytes(range(256))), dtype="float32", samplerate=8000, channels=1, format="RAW", subtype=subtype
    )
    return values
