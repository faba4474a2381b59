"""A finished recording, read again: its loudness, and its sound in a form small enough for a page."""

import contextlib
import io
import os
from collections.abc import Iterator
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
_PER_SECOND = 20  # of the pieces whose loudness is told, in a recording of up to five minutes
_MOST_PIECES = 6_000
_MP3_QUALITY = 0.6  # 0 the best, 1 the smallest: 64 kbit/s at 24 kHz, which costs 2 s of a processor for each minute

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
    with _opened(path) as (rate, frames, blocks):
        pieces = max(1, min(_MOST_PIECES, frames * _PER_SECOND // rate))
        loudest = np.zeros((pieces, 2), np.int32)
        at = 0
        for block in blocks:
            place = (np.arange(at, at + len(block)) * pieces) // max(1, frames)
            np.maximum.at(loudest, np.minimum(place, pieces - 1), np.abs(block.astype(np.int32)))
            at += len(block)
        left, right = (loudest.T / 32_768).tolist()
        return Peaks(left, right, frames * 1000 // rate)


def mp3(path: Path) -> bytes | None:
    """The recording as MP3; None where this machine's libsndfile makes none.

    Raises:
        AudioFormatError: it cannot be read, or is no recording.
    """
    if "MP3" not in soundfile.available_formats():
        return None
    target = io.BytesIO()
    with _opened(path) as (rate, _, blocks):
        try:
            with soundfile.SoundFile(
                target,
                "w",
                rate,
                2,
                format="MP3",
                subtype="MPEG_LAYER_III",
                compression_level=_MP3_QUALITY,
                bitrate_mode="CONSTANT",
            ) as file:
                for block in blocks:
                    file.write(block)
        except soundfile.LibsndfileError:
            return None
    return target.getvalue()


@contextlib.contextmanager
def _opened(path: Path) -> "Iterator[tuple[int, int, Iterator[Frames]]]":
    """The rate in Hz, the number of frames, and these in blocks, of shape (n, 2)."""
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

            def blocks() -> Iterator[Frames]:
                left = frames
                while left and (data := file.read(min(left, _BLOCK) * FRAME_BYTES)):
                    block = np.frombuffer(data, "<i2", len(data) // FRAME_BYTES * 2).reshape(-1, 2)
                    left -= len(block)
                    yield block

            yield found.format.sample_rate, frames, blocks()
    except OSError as error:
        raise unusable("read", name, error) from error
