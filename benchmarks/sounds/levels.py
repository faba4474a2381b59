"""Levels of samples, and mixing at them."""

import math

import numpy as np

from benchmarks.sounds.kept import Samples
from voicecli.audio.pcm import float32_to_pcm16

__all__ = ["at_level", "at_speech_level", "delayed", "mixed", "pcm16", "rms_db", "speech_db"]

_FRAME_S = 0.02
_ACTIVE_DB = 25.0  # below the loudest frames: what is softer is a pause


def rms_db(samples: Samples) -> float:
    """The level of all of it (RMS), in dBFS."""
    power = float(np.mean(np.square(samples, dtype=np.float64))) if samples.size else 0.0
    return 10 * math.log10(power) if power else -math.inf


def speech_db(samples: Samples, rate: int) -> float:
    """The level of speech without its pauses: the RMS of the frames within 25 dB of the loudest twentieth, in dBFS."""
    size = round(_FRAME_S * rate)
    frames = samples[: samples.size // size * size].reshape(-1, size).astype(np.float64)
    powers = (frames**2).mean(axis=1)
    active = powers[powers > np.percentile(powers, 95) * 10 ** (-_ACTIVE_DB / 10)]
    return 10 * math.log10(float(active.mean())) if active.size else -math.inf


def at_level(samples: Samples, dbfs: float) -> Samples:
    """The samples at this level (RMS)."""
    return _louder(samples, dbfs - rms_db(samples))


def at_speech_level(samples: Samples, rate: int, dbfs: float) -> Samples:
    """The speech at this level, its pauses not counted."""
    return _louder(samples, dbfs - speech_db(samples, rate))


def delayed(samples: Samples, ms: float, rate: int) -> Samples:
    """The samples later by so much, and as long as before."""
    late: Samples = np.concatenate((np.zeros(round(ms * rate / 1000), np.float32), samples))[: samples.size]
    return late


def mixed(ground: Samples, *over: tuple[float, Samples], rate: int) -> Samples:
    """The ground with other sounds added, each from a time in seconds on; as long as the ground."""
    mix = ground.copy()
    for at_s, sound in over:
        begin = round(at_s * rate)
        part = mix[begin : begin + sound.size]
        part += sound[: part.size]
    return mix


def pcm16(samples: Samples) -> bytes:
    """The samples as PCM16; louder ones than full scale are clipped."""
    return float32_to_pcm16(samples)


def _louder(samples: Samples, db: float) -> Samples:
    return samples * np.float32(10 ** (db / 20)) if math.isfinite(db) else samples.copy()
