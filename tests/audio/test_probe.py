"""The figures of `voice test-audio`, on sounds whose figures are known."""

import numpy as np
import numpy.typing as npt
import pytest

from voicecli.audio import float32_to_pcm16, pcm16_to_float32
from voicecli.audio.probe import ChirpEcho, RecordingQuality, chirp, find_chirp, judge, measure_recording

RATE = 24_000
GOOD = RecordingQuality(level=-22, noise_floor=-65, clipped=0, silent=False)


def noise(seconds: float, dbfs: float) -> npt.NDArray[np.float32]:
    random = np.random.default_rng(1)
    return (random.standard_normal(round(seconds * RATE)) * 10 ** (dbfs / 20)).astype(np.float32)


@pytest.mark.parametrize(("delay_ms", "gain_db"), [(50, 0.0), (180, -20.0), (700, -40.0)])
def test_a_chirp_is_found_in_noise(delay_ms: int, gain_db: float) -> None:
    heard = noise(1.6, -60)
    played = pcm16_to_float32(chirp(RATE)) * np.float32(10 ** (gain_db / 20))
    begin = RATE * delay_ms // 1000
    heard[begin : begin + played.size] += played
    found = find_chirp(float32_to_pcm16(heard), RATE)
    assert found is not None
    assert found.delay_ms == pytest.approx(delay_ms, abs=1)
    assert found.gain_db == pytest.approx(gain_db, abs=1)


@pytest.mark.parametrize("heard", [b"", bytes(RATE * 2), float32_to_pcm16(noise(1.6, -30))])
def test_where_no_chirp_is_none_is_found(heard: bytes) -> None:
    assert find_chirp(heard, RATE) is None


def test_a_recording_is_measured() -> None:
    audio = np.concatenate([noise(1, -60), np.clip(noise(1, -6), -0.9999, 0.9999)])
    recorded = measure_recording(float32_to_pcm16(audio), RATE)
    assert recorded.noise_floor == pytest.approx(-60, abs=1)
    assert recorded.level == pytest.approx(-7, abs=1.5)
    assert 0.01 < recorded.clipped < 0.05
    assert not recorded.silent
    assert measure_recording(bytes(RATE), RATE).silent


@pytest.mark.parametrize(
    ("quality", "echo", "name", "verdict", "words"),
    [
        (GOOD, ChirpEcho(60, -50), "", "ok", ""),
        (GOOD, ChirpEcho(60, -10), "", "ok", ""),
        (GOOD, ChirpEcho(300, -50), "Round trip", "warn", "Wireless"),
        (GOOD, None, "", "ok", ""),
        (RecordingQuality(-96, -96, 0, silent=True), ChirpEcho(60, -50), "Level", "fail", "muted"),
        (RecordingQuality(-96, -96, 0, silent=True), None, "Level", "fail", "muted"),
        (RecordingQuality(-5, -50, 0.02, silent=False), ChirpEcho(60, -50), "Cut off", "warn", "lower"),
        (RecordingQuality(-55, -80, 0, silent=False), ChirpEcho(60, -50), "Level", "warn", "very soft"),
        (RecordingQuality(-30, -35, 0, silent=False), ChirpEcho(60, -50), "Noise", "warn", "stands out"),
    ],
)
def test_each_figure_has_a_verdict_and_a_fix(
    quality: RecordingQuality, echo: ChirpEcho | None, name: str, verdict: str, words: str
) -> None:
    checks = judge(quality, echo, 100.0, cancels=True, silero=True)
    bad = [(check.name, check.verdict) for check in checks if check.verdict != "ok"]
    assert bad == ([(name, verdict)] if name else [])
    assert words in "".join(check.fix for check in checks)
    assert all(bool(check.fix) == (check.verdict != "ok") for check in checks)


def test_nothing_is_advised_that_is_installed() -> None:
    noisy = RecordingQuality(-30, -35, 0, silent=False)
    for there in (True, False):
        told = " ".join(
            check.fix for check in judge(noisy, ChirpEcho(60, -10), 60, starts=1, cancels=there, silero=there)
        )
        assert ("voicecli[silero]" in told) is not there
        assert ("headphones" in told) is not there


def test_an_echo_that_is_not_heard_is_told_with_what_that_means() -> None:
    echo = next(check for check in judge(GOOD, None, None, cancels=True, silero=True) if check.name == "Echo")
    assert (echo.verdict, echo.value[:9]) == ("ok", "not heard")
