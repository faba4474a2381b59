"""What is left of an echo, told from the user's voice: levels of frames of 10 ms."""

import numpy as np

from voicecli.audio.echo.framing import HOLD_MS
from voicecli.audio.echo.residual import NearEndDetector

LOUD_DB = -20.0
"""The level of what is captured, with a loud echo in it."""


def frame(dbfs: float) -> bytes:
    return np.full(160, 32_768 * 10 ** (dbfs / 20)).astype("<i2").tobytes()


def heard(detector: NearEndDetector, residual_db: float, seconds: float = 0.01, captured_db: float = LOUD_DB) -> bool:
    """Whether the user is heard at the end of so many equal frames."""
    results = [detector.process(frame(residual_db), frame(captured_db)) for _ in range(round(seconds * 100))]
    return results[-1]


def test_a_voice_as_loud_as_the_echo_is_heard_at_once() -> None:
    assert heard(NearEndDetector(), LOUD_DB - 3)


def test_a_residue_is_no_voice_however_loud_the_echo() -> None:
    detector = NearEndDetector()
    assert not heard(detector, LOUD_DB - 14, seconds=30)
    assert not heard(detector, -34.0, captured_db=-12.0)


def test_where_little_is_left_of_the_echo_a_softer_voice_is_heard() -> None:
    detector = NearEndDetector()
    softer = LOUD_DB - 18
    assert not heard(detector, softer)
    assert not heard(detector, LOUD_DB - 45, seconds=20)
    assert heard(detector, softer)


def test_where_more_is_left_again_that_is_learnt_faster() -> None:
    detector = NearEndDetector()
    heard(detector, LOUD_DB - 45, seconds=20)
    assert heard(detector, LOUD_DB - 18)
    heard(detector, LOUD_DB - 26, seconds=1)
    assert not heard(detector, LOUD_DB - 18)


def test_a_voice_goes_on_between_two_syllables() -> None:
    detector = NearEndDetector()
    assert heard(detector, LOUD_DB)
    assert heard(detector, -80.0, seconds=HOLD_MS / 1000 - 0.01)
    assert not heard(detector, -80.0, seconds=0.02)


def test_before_the_canceller_knows_the_room_single_frames_are_no_voice() -> None:
    detector = NearEndDetector()
    loud, soft = frame(LOUD_DB - 3), frame(LOUD_DB - 40)
    for _ in range(10):
        for residual in (soft, loud, soft, soft, loud):
            assert not detector.process(residual, frame(LOUD_DB), settled=False)


def test_before_the_canceller_knows_the_room_a_voice_is_heard_at_its_third_frame() -> None:
    detector = NearEndDetector()
    loud, soft = frame(LOUD_DB - 3), frame(LOUD_DB - 40)
    frames = (loud, soft, loud, soft, loud)
    results = [detector.process(residual, frame(LOUD_DB), settled=False) for residual in frames]
    assert results == [False, False, False, False, True]
    assert detector.process(soft, frame(LOUD_DB), settled=False)  # it goes on


def test_what_is_very_soft_is_no_voice() -> None:
    assert not heard(NearEndDetector(), -46.0, captured_db=-46.0)
    assert heard(NearEndDetector(), -44.0, captured_db=-44.0)


def test_the_last_reply_says_nothing_of_the_next() -> None:
    detector = NearEndDetector()
    heard(detector, -60.0, captured_db=-6.0)
    assert not heard(detector, -30.0, captured_db=-30.0)
    detector.pause()
    assert heard(detector, -30.0, captured_db=-30.0)


def test_an_echo_is_cancelled_while_hardly_anything_is_left_of_it() -> None:
    detector = NearEndDetector()
    assert not detector.cancels
    for residual_db, captured_db, cancels in (
        (LOUD_DB - 26, LOUD_DB, True),
        (LOUD_DB - 24, LOUD_DB, False),  # a voice, or an echo at another place
        (LOUD_DB - 26, LOUD_DB - 10, True),  # between two syllables of the echo
        (LOUD_DB - 24, LOUD_DB - 10, False),
    ):
        heard(detector, residual_db, captured_db=captured_db)
        assert detector.cancels == cancels
    detector.pause()
    heard(detector, -80.0, captured_db=-50.0)
    assert not detector.cancels, "so soft that it tells nothing"


def test_what_was_louder_longer_ago_than_an_echo_lasts_hides_no_voice() -> None:
    detector = NearEndDetector()
    heard(detector, LOUD_DB - 40)
    assert not heard(detector, -43.0, seconds=0.39, captured_db=-40.0)
    assert heard(detector, -43.0, captured_db=-40.0)
