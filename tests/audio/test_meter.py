"""Levels by bands of frequencies."""

from voicecli.audio.meter import Meter


def test_the_meter_shows_each_frequency_in_its_band(speech: bytes) -> None:
    import numpy as np

    for band, frequency in enumerate((150, 500, 1_000, 2_500, 5_000)):
        tone = 3_276.8 * np.sin(2 * np.pi * frequency * np.arange(24_000) / 24_000)  # -23 dBFS
        meter = Meter(24_000)
        meter.feed(tone.astype("<i2").tobytes())
        assert [round(level, 1) for level in meter.bands] == [0.9 if index == band else 0.0 for index in range(5)]
    meter = Meter(16_000)
    assert meter.bands == (0.0,) * 5
    meter.feed(speech[: len(speech) // 3])
    assert max(meter.bands) > 0.5
    meter.feed(bytes(3_200))
    assert meter.bands == (0.0,) * 5
