"""Automatic gain control: soft voices, and only while nothing is played."""

import sys

import numpy as np
import pytest

from tests.audio.echo.test_control import RATE, db, noise, through
from voicecli.audio import float32_to_pcm16, pcm16_to_float32, resample_pcm16
from voicecli.audio.echo.control import make_echo_control
from voicecli.audio.pcm import level
from voicecli.errors import ConfigurationError

SOFT_DB = -55.0


def soft(speech: bytes, times: int = 4) -> bytes:
    """The sentence again and again, with pauses, at a level at which it is hardly heard."""
    said = np.tile(np.concatenate((pcm16_to_float32(speech), np.zeros(RATE, np.float32))), times)
    background = noise(said.size / RATE, -80, seed=1)[: said.size]
    return float32_to_pcm16(said * np.float32(10 ** ((SOFT_DB - db(said)) / 20)) + background)


@pytest.mark.parametrize("rate", [16_000, 22_050, 24_000, 48_000])
def test_a_very_soft_voice_is_made_louder(speech: bytes, rate: int) -> None:
    said = resample_pcm16(soft(speech), RATE, rate)
    control = make_echo_control("off", rate, auto_gain_control=True)
    left = control.capture(said)
    assert 0 <= len(said) - len(left) < rate // 100 * 2
    half = len(said) // 4 * 2
    assert 12 < level(left[half:]) - level(said[half:]) < 20.5


def test_during_a_reply_nothing_is_made_louder(speech: bytes) -> None:
    said = pcm16_to_float32(soft(speech))
    control = make_echo_control("off", RATE, auto_gain_control=True)
    through(control, np.zeros_like(said), said)
    left = through(control, noise(said.size / RATE, -30, seed=1)[: said.size], said)
    # It falls within a tenth of a second.
    assert np.array_equal(left[RATE // 5 :], said[RATE // 5 : left.size])


def test_a_loud_voice_is_left_alone(speech: bytes) -> None:
    said = np.tile(pcm16_to_float32(speech), 3)
    said *= np.float32(10 ** ((-12 - db(said)) / 20))
    left = through(make_echo_control("off", RATE, auto_gain_control=True), np.zeros_like(said), said)
    assert db(left) == pytest.approx(db(said), abs=4)


def test_echo_control_works_as_without_it() -> None:
    played = noise(6, -20, seed=1)
    control = make_echo_control("aec", RATE, auto_gain_control=True)
    left = through(control, played, played)
    assert control.active == "aec"
    assert not control.suppressing
    assert db(left[RATE:]) < -60


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(ConfigurationError, match="Gain control needs the package pywebrtc-audio"):
        make_echo_control("auto", RATE, auto_gain_control=True)
