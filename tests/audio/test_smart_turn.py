"""The model of turns that listens: its input, computed here a second time from the definition, and the model itself."""

import cmath
import math

import numpy as np
import pytest

from voicecli.audio.log_mel import log_mel
from voicecli.audio.smart_turn import SmartTurn, features


def mel(hz: float) -> float:
    return hz * 3 / 200 if hz < 1000 else 15 + 27 * math.log(hz / 1000) / math.log(6.4)


def hertz(mels: float) -> float:
    return mels * 200 / 3 if mels < 15 else 1000 * 6.4 ** ((mels - 15) / 27)


def band_power(samples: list[float], column: int, band: int) -> float:
    """One point of the spectrogram before its logarithm, by the definitions and without any library."""
    edges = [hertz(mel(8000) * index / 81) for index in range(band, band + 3)]
    window = []
    for index in range(400):
        at = column * 160 - 200 + index
        at = -at if at < 0 else at  # reflected at the beginning
        window.append(samples[at] * (0.5 - 0.5 * math.cos(2 * math.pi * index / 400)))
    total = 0.0
    for frequency in range(201):
        hz = frequency * 40
        rising, falling = (hz - edges[0]) / (edges[1] - edges[0]), (edges[2] - hz) / (edges[2] - edges[1])
        if (weight := min(rising, falling)) > 0:
            wave = sum(value * cmath.exp(-2j * math.pi * frequency * n / 400) for n, value in enumerate(window))
            total += weight * 2 / (edges[2] - edges[0]) * abs(wave) ** 2
    return total


def test_the_spectrogram_is_whispers() -> None:
    rng = np.random.default_rng(1)
    samples = (rng.standard_normal(16_000) * np.linspace(0.001, 0.5, 16_000)).astype(np.float32)
    spectrogram = log_mel(samples)
    assert spectrogram.shape == (80, 100)
    assert spectrogram.dtype == np.float32
    given = [float(sample) for sample in samples]
    for column, band in ((0, 3), (1, 79), (50, 40), (97, 0)):
        expected = (math.log10(band_power(given, column, band)) + 4) / 4
        assert spectrogram[band, column] == pytest.approx(expected, abs=1e-4)
    assert spectrogram.max() - spectrogram.min() <= 2.0  # eight powers of ten


def test_the_model_gets_the_last_eight_seconds_with_silence_before_shorter_ones() -> None:
    rng = np.random.default_rng(2)
    long = (rng.standard_normal(16_000 * 9) * 3000).astype("<i2").tobytes()
    assert features(long).shape == (80, 800)
    assert np.array_equal(features(long), features(long[-32 * 8000 :]))
    short = features(long[: 32 * 2000])
    assert np.all(short[:, :590] < short[:, 610:].mean())
    # However loud.
    assert np.abs(features((np.frombuffer(long, "<i2") // 8).astype("<i2").tobytes()) - features(long)).mean() < 0.01


async def test_the_model_hears_whether_a_sentence_is_over(speech: bytes) -> None:
    model = await SmartTurn.load()
    try:
        assert await model.is_finished(speech + bytes(32 * 200))
        assert not await model.is_finished(speech[:32_000])  # within a word
    finally:
        await model.aclose()
