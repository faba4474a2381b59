"""Recordings of people, which are inside the package moonshine-voice."""

from importlib.util import find_spec
from pathlib import Path

import pytest
import soundfile
import soxr

__all__ = ["human_recording"]


def human_recording(name: str) -> bytes:
    """The recording of this name ("two_cities.wav"), as PCM16 mono at 16000 Hz."""
    spec = find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        pytest.skip("moonshine-voice, with the recordings, is not made for this system")
    samples, rate = soundfile.read(str(Path(spec.origin).parent / "assets" / name), dtype="int16", always_2d=True)
    return bytes(soxr.resample(samples[:, 0], rate, 16_000).tobytes())
