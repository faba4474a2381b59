"""The last of an echo: it comes when nothing is played any more, the later the longer the devices take."""

import numpy as np
import pytest

from tests.audio.echo.test_control import FAINT_DB, RATE, Floats, db, echo_of, loudest_db, noise, through
from voicecli.audio import pcm16_to_float32
from voicecli.audio.echo.control import make_echo_control

ENDS = 6 * RATE  # the reply


def hard_room(delay_ms: int) -> tuple[Floats, Floats]:
    """A reply, and its echo in a room with a reverberation of 1 s; 12 s."""
    played = np.zeros(12 * RATE, np.float32)
    played[:ENDS] = noise(6, -20, seed=1)
    seconds = np.arange(RATE) / RATE
    reflections = np.random.default_rng(3).standard_normal(seconds.size) * 10 ** (-3 * seconds)
    reverberant = np.convolve(played, reflections / np.linalg.norm(reflections))[: played.size]
    return played, echo_of(reverberant.astype(np.float32), delay_ms, 0)


@pytest.mark.parametrize("delay_ms", [60, 200, 280])
def test_it_is_let_through_in_no_gap_of_a_reply(delay_ms: int) -> None:
    played, heard = hard_room(delay_ms)
    left = through(make_echo_control("aec", RATE), played, heard)
    assert loudest_db(left[4 * RATE : ENDS + RATE * (delay_ms + 500) // 1000]) < FAINT_DB


@pytest.mark.parametrize("delay_ms", [60, 200, 280])
def test_who_answers_into_it_is_heard(delay_ms: int, speech: bytes) -> None:
    played, heard = hard_room(delay_ms)
    said = pcm16_to_float32(speech)
    said = said[np.flatnonzero(np.abs(said) > 0.02)[0] :]
    begins = ENDS + RATE * (delay_ms + 200) // 1000
    heard[begins : begins + said.size] += said
    left = through(make_echo_control("aec", RATE), played, heard)
    heard_ms = slice(begins + RATE // 20, begins + RATE * 3 // 10)
    assert db(left[heard_ms]) > db(said[RATE // 20 : RATE * 3 // 10]) - 6


def test_where_none_is_known_who_speaks_softly_is_heard_after_400_ms(speech: bytes) -> None:
    said = pcm16_to_float32(speech)
    said = said[np.flatnonzero(np.abs(said) > 0.02)[0] :] * np.float32(0.03)
    played, heard = np.zeros(2 * RATE, np.float32), np.zeros(2 * RATE, np.float32)
    played[: RATE // 5] = noise(0.2, -20, seed=1)
    begins = RATE * 6 // 10
    heard[begins:] = said[: heard.size - begins]
    left = through(make_echo_control("aec", RATE), played, heard)
    heard_ms = slice(begins + RATE // 20, begins + RATE * 3 // 10)
    assert -58 < db(heard[heard_ms]) < -45
    assert db(left[heard_ms]) > db(heard[heard_ms]) - 6
