"""A stereo WAV file that is written while both its channels grow, each at its own pace. Blocks."""

import os
import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt

from voicecli.audio.files.wav import WavFormat, header
from voicecli.pcm16 import SAMPLE_BYTES

__all__ = ["ASSISTANT", "FRAME_BYTES", "USER", "StereoWav"]

USER, ASSISTANT = 0, 1
"""The channels: left and right."""
FRAME_BYTES = 2 * SAMPLE_BYTES
"""Bytes of a sample of both channels."""

_PIECE = 65_536  # frames read and written at once


class StereoWav:
    """PCM16, stereo. What was never written is silence, and takes no room where the file system knows sparse files.

    The header tells at every moment of what is surely there, so that whatever ends the program leaves a file that
    plays. Beyond 4 GB (12 hours at 24 kHz) it says that the length is unknown, as streaming writers do.

    Args:
        path: is made, for this user alone; nothing is overwritten.
        sample_rate: in Hz.

    Raises:
        OSError: as all methods do. FileExistsError: something has that name.
    """

    def __init__(self, path: Path, sample_rate: int) -> None:
        form = struct.pack("<HHIIHH", 1, 2, sample_rate, sample_rate * FRAME_BYTES, FRAME_BYTES, 8 * SAMPLE_BYTES)
        self._form = WavFormat(form)
        self._begin = len(header(self._form, 0))
        flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0) | getattr(os, "O_NOFOLLOW", 0)
        self._file = os.fdopen(os.open(path, flags, 0o600), "r+b", buffering=0)
        self.extend(0)

    def write(self, channel: int, frame: int, audio: bytes) -> None:
        """Put PCM16 mono into a channel, from a frame on."""
        samples = np.frombuffer(audio, "<i2")
        for at in range(0, len(samples), _PIECE):
            self._put(channel, frame + at, samples[at : at + _PIECE])

    def erase(self, channel: int, frame: int, frames: int) -> None:
        """Make silence of so many frames of a channel."""
        for at in range(0, frames, _PIECE):
            self._put(channel, frame + at, np.zeros(min(_PIECE, frames - at), "<i2"))

    def extend(self, frames: int) -> None:
        """Have the file last for so many frames: what is beyond them is cut off, what is missing is silence."""
        size = frames * FRAME_BYTES
        self._file.truncate(self._begin + size)
        self._file.seek(0)
        self._all(header(self._form, size))

    def close(self) -> None:
        self._file.close()

    def _put(self, channel: int, frame: int, samples: "npt.NDArray[np.int16]") -> None:
        offset = self._begin + frame * FRAME_BYTES
        self._file.seek(offset)
        there = self._file.read(len(samples) * FRAME_BYTES) or b""
        frames = np.zeros((len(samples), 2), "<i2")
        frames.reshape(-1)[: len(there) // SAMPLE_BYTES] = np.frombuffer(there, "<i2", len(there) // SAMPLE_BYTES)
        frames[:, channel] = samples
        self._file.seek(offset)
        self._all(frames.tobytes())

    def _all(self, data: bytes) -> None:
        view = memoryview(data)
        while view:
            view = view[self._file.write(view) :]
