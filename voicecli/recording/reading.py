"""A finished recording, read again: its loudness, and its sound in a form small enough for a page."""

import contextlib
import io
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import soundfile

from voicecli.audio.files.errors import unusable
from voicecli.audio.files.wav import find_audio, is_wav
from voicecli.errors import AudioFormatError
from voicecli.recording.stereo_wav import FRAME_BYTES

__all__ = ["Peaks", "mp3", "peaks"]

_BLOCK = 65_536  # frames read at once
_PER_SECOND, _MOST_PIECES = 20, 6_000  # of the pieces whose loudness is told
# 0 the best, 1 the smallest: some 45 kbit/s of speech at 24 kHz, for which a processor needs a second a minute.
_MP3_QUALITY = 0.8

Frames = npt.NDArray[np.int16]


class Peaks(NamedTuple):
    """The loudest sample of each piece of a recording, 0 to 1, and the length of all of them in ms."""

    left: list[float]
    right: list[float]
    length_ms: int


def peaks(path: Path) -> Peaks:
    """The loudness of both channels. Memory stays the same whatever the length.

    Raises:
        AudioFormatError: it cannot be read, or is no recording.
    """
    with _opened(path) as (rate, frames, read):
        per_piece = max(1, rate // _PER_SECOND, math.ceil(frames / _MOST_PIECES))
        loudest: list[list[float]] = []
        while len(block := read(per_piece * math.ceil(_BLOCK / per_piece))):
            missing = -len(block) % per_piece
            padded = np.concatenate((block, np.zeros((missing, 2), np.int16))) if missing else block
            in_pieces = padded.reshape(-1, per_piece, 2).astype(np.int32)
            loudest += (np.maximum(in_pieces.max(axis=1), -in_pieces.min(axis=1)) / 32_768).tolist()
        left, right = ([piece[channel] for piece in loudest] for channel in (0, 1))
        return Peaks(left, right, frames * 1000 // rate)


def mp3(path: Path) -> bytes | None:
    """The recording as MP3; None where this machine's libsndfile makes none.

    Raises:
        AudioFormatError: it cannot be read, or is no recording.
    """
    if "MP3" not in soundfile.available_formats():
        return None
    target = io.BytesIO()
    with _opened(path) as (rate, _, read):
        try:
            with soundfile.SoundFile(
                target,
                "w",
                rate,
                2,
                format="MP3",
                subtype="MPEG_LAYER_III",
                compression_level=_MP3_QUALITY,
                bitrate_mode="VARIABLE",
            ) as file:
                while len(block := read(_BLOCK)):
                    # As floats: of 16-bit stereo libsndfile 1.2.2 makes noise.
                    file.write(block.astype(np.float32) / 32_768)
        except soundfile.LibsndfileError:
            return None
    return target.getvalue()


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[tuple[int, int, Callable[[int], Frames]]]":
    """The rate in Hz, the number of frames, and what reads up to so many of them, of shape (n, 2)."""
    name = repr(str(path))
    try:
        with path.open("rb") as file:
            length = os.fstat(file.fileno()).st_size
            # As it may be after `kill -9`: its header tells of a part of it.
            found = find_audio(file, length) if is_wav(file.read(12)) else None
            if found is None or (found.format.channels, found.format.subtype) != (2, "PCM_16") or not found.extents:
                raise AudioFormatError(f"{name} is no recording of a conversation.", advice="Export it without sound.")
            offset, size = found.extents[0]
            frames = size // FRAME_BYTES
            file.seek(offset)

            def read(count: int) -> Frames:
                count = min(count, (offset + size - file.tell()) // FRAME_BYTES)
                data = file.read(count * FRAME_BYTES)
                return np.frombuffer(data, "<i2", len(data) // FRAME_BYTES * 2).reshape(-1, 2)

            yield found.format.sample_rate, frames, read
    except OSError as error:
        raise unusable("read", name, error) from error
