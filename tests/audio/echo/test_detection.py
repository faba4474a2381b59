"""An echo is known to be there, or not, whoever speaks beside it."""

import numpy as np
import pytest

from tests.audio.echo.test_realignment import RATE, Samples, frames, heard, sound
from voicecli.audio.echo.detection import EchoDetector

LOUDER = 4  # the voice beside the echo; 12 dB


def beside_a_voice(echo: Samples) -> Samples:
    """With somebody who speaks from the fourth second on and on."""
    voice = sound(echo.size / RATE, seed=2).astype(np.float64)
    voice *= LOUDER * float(np.std(echo[RATE : 2 * RATE])) / float(np.std(voice))
    voice[: 4 * RATE] = 0
    both: Samples = np.clip(echo + voice, -32_768, 32_767).astype(np.int16)
    return both


def verdicts(played: Samples, captured: Samples) -> list[bool]:
    """Whether there is no echo, each 10 ms."""
    detector = EchoDetector(RATE)
    told = []
    for pair in frames(played, captured):
        detector.pair(*pair)
        told.append(detector.no_echo)
    return told


@pytest.mark.parametrize("later", [0, 320, 2_400])
def test_an_echo_that_is_known_is_not_missed_beside_a_loud_voice(later: int) -> None:
    played = sound(20)
    echo = np.concatenate((heard(played, 960)[: 10 * RATE], heard(played, 960 + later)[10 * RATE :])) // 4
    assert not any(verdicts(played, beside_a_voice(echo)))


def test_an_echo_that_has_ended_is_not_found_in_a_voice() -> None:
    played = sound(20)
    echo = heard(played, 960) // 4
    echo[6 * RATE :] = 0
    told = verdicts(played, beside_a_voice(echo))
    assert not any(told[:600])
    assert told.index(True) < 1_150  # the latest second holds it until 7 s
    assert all(told[told.index(True) :])
