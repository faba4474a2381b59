"""An echo is known to be there, or not, whoever speaks beside it."""

import numpy as np
import pytest

from tests.audio.echo.test_realignment import RATE, Samples, frames, heard, sound
from voicecli.audio.echo.canceller import EchoCanceller
from voicecli.audio.echo.correlation import EchoCorrelation, Lags, distance, peak_ratio
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


def test_an_echo_that_is_known_is_not_missed_beside_a_loud_voice() -> None:
    played = sound(20)
    assert not any(verdicts(played, beside_a_voice(heard(played, 960) // 4)))


def test_an_echo_that_has_ended_is_not_found_in_a_voice() -> None:
    played = sound(20)
    echo = heard(played, 960) // 4
    echo[6 * RATE :] = 0
    told = verdicts(played, beside_a_voice(echo))
    assert not any(told[:600])
    assert told.index(True) <= 1_100  # the latest second holds it until 7 s
    assert all(told[told.index(True) :])


def test_what_resembles_an_echo_once_is_none_though_two_windows_share_it() -> None:
    """The second one knows what the first one has taught."""
    played = sound(20)
    captured = sound(20, seed=2) // 30
    shared = slice(9_100 * RATE // 1000, 9_600 * RATE // 1000)  # of the windows of 9 to 10 s and 9.5 to 10.5 s
    captured[shared] += heard(played, 960)[shared] // 4
    told = verdicts(played, captured)
    assert all(told[told.index(True) :])
    assert told.index(True) < 900

    def window(end_s: float) -> EchoCorrelation:
        correlation = EchoCorrelation(RATE)
        part = slice(round((end_s - 2) * RATE), round(end_s * RATE))
        for pair in frames(played[part], captured[part]):
            correlation.pair(*pair)
        return correlation

    first, second = window(10.0).lags(), window(10.5).lags()
    assert first is not None
    assert second is not None
    assert (peak_ratio(first) >= 8, peak_ratio(second) >= 8) == (True, False)
    assert distance(first, second)[1] > 100, "it would be known"


def test_tones_are_no_echo_of_each_other_wherever_they_resemble_one() -> None:
    played = sound(30)
    captured = np.concatenate((np.zeros(1_920, np.int16), played[:-1_920])) // 4  # one path alone resembles many things
    seconds = np.arange(6 * RATE, played.size) / RATE
    beeps = 6_500 * np.sin(2 * np.pi * 880 * seconds) * (seconds % 1 < 0.2)
    played[6 * RATE :] = beeps.astype(np.int16)
    captured[6 * RATE :] = (1_000 * np.sin(2 * np.pi * 700 * seconds)).astype(np.int16)
    told = verdicts(played, captured)
    assert told.index(True) < 1_100
    assert all(told[told.index(True) :])


def looks(detector: EchoDetector, played: Samples, captured: Samples, cancelled_ms: int) -> list[int]:
    """At which of the frames the streams are correlated."""
    at: list[int] = []
    correlation = detector._correlation

    def lags() -> Lags | None:
        at.append(number)
        return EchoCorrelation.lags(correlation)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(correlation, "lags", lags)
        for number, pair in enumerate(frames(played, captured), start=1):  # noqa: B007 (`lags` does)
            detector.pair(*pair, cancelled_ms=cancelled_ms)
    return at


def test_while_a_known_echo_is_cancelled_it_is_looked_for_each_second() -> None:
    played = sound(22)
    captured = heard(played, 960) // 4
    detector = EchoDetector(RATE)
    half = played.size // 2
    each_half_second = list(range(50, 1_101, 50))
    assert looks(detector, played[:half], captured[:half], 490) == each_half_second, "not for long enough"
    assert detector.delay_ms is not None
    played, captured = played[half:], captured[half:]
    assert looks(detector, played, captured, 500) == list(range(100, 1_101, 100))
    played, captured = played[:RATE], captured[:RATE]
    detector.doubt()
    assert looks(detector, played, captured, 500) == [50], "it may have moved, and has not"
    detector.moved()
    assert looks(detector, played, captured, 500) == [50, 100], "it has moved"
    detector.forget()
    assert looks(detector, played, captured, 500)[0] == 50, "where it is is not known"


def test_the_canceller_tells_the_detector_what_it_cancels(monkeypatch: pytest.MonkeyPatch) -> None:
    """While nobody speaks; beside a voice there is no saying."""
    played = sound(12)
    echo = heard(played, 960) // 4
    canceller = EchoCanceller(RATE, RATE)
    told: list[int] = []
    monkeypatch.setattr(canceller._detector, "pair", lambda *pair, cancelled_ms: told.append(cancelled_ms))
    for rendered, captured in frames(played, np.concatenate((echo[: 10 * RATE], beside_a_voice(echo)[10 * RATE :]))):
        canceller.render(rendered)
        canceller.capture(captured)
    assert min(told[900:990]) >= 500
    assert max(told[1_050:]) < 500


def test_what_is_no_echo_is_looked_at_each_half_second_however_soft_the_residue() -> None:
    played = sound(10)
    assert looks(EchoDetector(RATE), played, sound(10, seed=2) // 30, 5_000) == list(range(50, 1_001, 50))
