"""Echo control on synthetic signals, of which the truth is known."""

import itertools
import sys
from types import ModuleType
from typing import cast, get_args

import numpy as np
import numpy.typing as npt
import pytest

from voicecli.audio import EchoMode, float32_to_pcm16, pcm16_to_float32, resample_pcm16
from voicecli.audio.echo.canceller import EchoCanceller
from voicecli.audio.echo.control import make_echo_control
from voicecli.audio.echo.webrtc import WebRTCProcessing
from voicecli.audio.pcm import SILENCE_DBFS, level
from voicecli.audio.ports import EchoControl
from voicecli.audio.vad import SpeechDetected, VoiceActivityDetector
from voicecli.config import ClientVAD
from voicecli.errors import ConfigurationError

RATE = 16_000
FRAME = RATE // 100
Floats = npt.NDArray[np.float32]
FAINT_DB = -68.0
"""Above the noise that stands in for an echo, for 20 ms of it."""


def noise(seconds: float, dbfs: float, seed: int) -> Floats:
    """Like speech: noise that comes and goes three times a second."""
    random = np.random.default_rng(seed)
    samples = random.standard_normal(round(seconds * RATE))
    samples *= 1 + np.sin(2 * np.pi * 3 * np.arange(samples.size) / RATE)
    scaled: Floats = (samples * 10 ** (dbfs / 20) / np.sqrt(np.mean(samples**2))).astype(np.float32)
    return scaled


def echo_of(played: Floats, delay_ms: int, gain_db: float) -> Floats:
    delay = RATE * delay_ms // 1000
    late: Floats = np.concatenate((np.zeros(delay, np.float32), played))[: played.size]
    return late * np.float32(10 ** (gain_db / 20))


def through(echo: EchoControl, played: Floats, heard: Floats, piece: int = FRAME, render_rate: int = RATE) -> Floats:
    """Pass `heard` through echo control while `played` is played; both in pieces of so many samples."""
    reference = resample_pcm16(float32_to_pcm16(played), RATE, render_rate)
    recorded = float32_to_pcm16(heard)
    size = piece * 2

    def cut(index: int) -> int:
        return index * piece * render_rate // RATE * 2

    left = []
    for index in range(len(recorded) // size):
        echo.render(reference[cut(index) : cut(index + 1)])
        left.append(echo.capture(recorded[index * size : (index + 1) * size]))
    return pcm16_to_float32(b"".join(left))


def db(samples: Floats) -> float:
    return level(float32_to_pcm16(samples))


@pytest.mark.parametrize("render_rate", [16_000, 22_050, 24_000])
@pytest.mark.parametrize("delay_ms", [60, 200])
def test_the_canceller_takes_the_echo_out(delay_ms: int, render_rate: int) -> None:
    played = noise(12, -20, seed=1)
    heard = echo_of(played, delay_ms, 0)
    left = through(make_echo_control("aec", RATE, render_rate), played, heard, render_rate=render_rate)
    assert db(heard[3 * RATE :]) - db(left[3 * RATE :]) > 25


@pytest.mark.parametrize("rate", [8_000, 22_050, 24_000, 44_100, 48_000])
def test_the_canceller_works_at_every_rate(rate: int) -> None:
    played = float32_to_pcm16(noise(6, -20, seed=1))
    heard = float32_to_pcm16(echo_of(noise(6, -20, seed=1), 80, 0))
    played, heard = resample_pcm16(played, RATE, rate), resample_pcm16(heard, RATE, rate)
    echo = make_echo_control("aec", rate)
    left = b""
    for index in range(600):
        part = slice(index * rate // 100 * 2, (index + 1) * rate // 100 * 2)
        echo.render(played[part])
        left += echo.capture(heard[part])
    assert 0 <= len(heard) - len(left) < rate // 40 * 2
    assert level(left[rate * 2 * 2 :]) < -60


@pytest.mark.parametrize("gain_db", [0.0, -6.0, -12.0])
def test_only_the_user_interrupts(gain_db: float, speech: bytes) -> None:
    said = pcm16_to_float32(speech)
    played = noise(14, -20, seed=1)
    heard = echo_of(played, 80, gain_db)
    heard[10 * RATE : 10 * RATE + said.size] += said
    left = float32_to_pcm16(through(make_echo_control("aec", RATE), played, heard))
    detector = VoiceActivityDetector(ClientVAD(), RATE)
    triggers = [
        end / 2 / RATE
        for end in range(640, len(left), 640)
        for transition in detector.process(left[end - 640 : end])
        if isinstance(transition, SpeechDetected)
    ]
    # The recording begins with some silence.
    onset = 10 + np.flatnonzero(np.abs(said) > 0.02)[0] / RATE
    assert [round(trigger) for trigger in triggers[:1]] == [round(onset)]
    assert triggers[0] - onset < 0.6


def test_the_canceller_lets_nothing_through_while_it_learns() -> None:
    played = noise(2, -20, seed=1)
    left = through(make_echo_control("aec", RATE), played, echo_of(played, 80, 0))
    assert loudest_db(left[: RATE * 45 // 100]) < FAINT_DB


def test_what_stands_in_for_an_echo_is_noise_that_can_hardly_be_heard() -> None:
    """Whatever follows exact silence, webrtcvad takes for a voice."""
    played = noise(6, -20, seed=1)
    left = through(make_echo_control("aec", RATE), played, echo_of(played, 80, 0) + noise(6, -75, seed=2))
    learning, learnt = left[RATE // 10 : RATE * 45 // 100], left[3 * RATE :]
    for part in (learning, learnt):
        assert -72 < db(part) < FAINT_DB
        assert np.count_nonzero(part) > 0.9 * part.size


def loudest_db(samples: Floats) -> float:
    """The level of the loudest 20 ms."""
    size = RATE // 50
    return max(db(samples[at : at + size]) for at in range(0, samples.size, size))


@pytest.mark.parametrize("skipped", ["loudspeaker", "microphone"])
@pytest.mark.parametrize("paused", [True, False], ids=["pause", "sound"])
def test_the_canceller_learns_anew_when_a_device_has_skipped(skipped: str, paused: bool) -> None:
    """One that was opened again, or that a busy machine served too late: the echo is at another distance then."""
    played = noise(9, -20, seed=1)
    if paused:
        played[4 * RATE : 6 * RATE] = 0
    reference, recorded = float32_to_pcm16(played), float32_to_pcm16(echo_of(played, 80, 0))
    echo = make_echo_control("aec", RATE)
    left = b""
    for at in range(0, len(reference), FRAME * 2):
        skips = 5.0 <= at / 2 / RATE < 5.3
        if not (skips and skipped == "loudspeaker"):
            echo.render(reference[at : at + FRAME * 2])
        if not (skips and skipped == "microphone"):
            left += echo.capture(recorded[at : at + FRAME * 2])
    # While nothing is played, the echo of what was played before has its old distance: only later it is lost.
    after = pcm16_to_float32(left[round(5.4 * RATE) * 2 :])
    assert loudest_db(after) < -45, "the echo came through"


def test_a_skip_in_a_pause_of_the_reply_keeps_nobody_from_being_heard(speech: bytes) -> None:
    """The pause is not silent, as nothing that was recorded is."""
    said = pcm16_to_float32(speech)
    played = noise(12, -20, seed=1)
    played[5 * RATE :] = noise(7, -52, seed=2)
    heard = echo_of(played, 80, 0)
    heard[8 * RATE : 8 * RATE + said.size] += said
    echo = make_echo_control("aec", RATE)
    through(echo, played[: 6 * RATE], heard[: 6 * RATE])
    echo.discontinuity()
    left = through(echo, played[6 * RATE :], heard[6 * RATE :])
    assert db(left[2 * RATE : 2 * RATE + said.size]) == pytest.approx(db(said), abs=3)


def test_a_skip_that_only_the_device_notices_lets_no_echo_through() -> None:
    """One block of silence, put in by a loudspeaker that was served too late."""
    played = noise(9, -20, seed=1)
    heard = echo_of(played, 80, 0)
    at = 5 * RATE
    heard[at + FRAME * 8 + FRAME :] = heard[at + FRAME * 8 : -FRAME]
    echo = make_echo_control("aec", RATE)
    before = through(echo, played[:at], heard[:at])
    echo.discontinuity()
    after = through(echo, played[at:], heard[at:])
    assert loudest_db(before[RATE:]) < -45
    assert loudest_db(after) < -45, "the echo came through"


def test_a_recording_that_is_held_up_and_comes_in_one_go_has_skipped_nothing() -> None:
    played = noise(8, -20, seed=1)
    reference, recorded = float32_to_pcm16(played), float32_to_pcm16(echo_of(played, 80, 0))
    echo = make_echo_control("aec", RATE)
    left, waiting = b"", b""
    for at in range(0, len(reference), FRAME * 2):
        echo.render(reference[at : at + FRAME * 2])
        waiting += recorded[at : at + FRAME * 2]
        if not 5.0 <= at / 2 / RATE < 5.2:
            left += echo.capture(waiting)
            waiting = b""
        assert at / 2 / RATE < 1.0 or not echo.suppressing, "the user is not heard"
    after = pcm16_to_float32(left[round(5.2 * RATE) * 2 :])
    assert loudest_db(after) < -45, "the echo came through"


@pytest.mark.parametrize(("played_ms", "recorded_ms"), [(10, 10), (10, 93), (100, 20), (46, 64), (90, 80)])
def test_long_blocks_and_late_calls_are_no_skips_and_let_no_echo_through(played_ms: int, recorded_ms: int) -> None:
    random = np.random.default_rng(1)
    calls = []
    for block_ms, device in ((played_ms, "loudspeaker"), (recorded_ms, "microphone")):
        at = block_ms * np.arange(1, 20_000 // block_ms)
        calls += [
            (float(time), device, block_ms) for time in np.maximum.accumulate(at + random.exponential(4, at.size))
        ]
    played = noise(20, -20, seed=2)
    played[:RATE] = 0  # loudspeakers are open before there is something to say
    streams = {
        "loudspeaker": float32_to_pcm16(played),
        "microphone": float32_to_pcm16(echo_of(played, 60 + played_ms + recorded_ms, 0)),
    }
    done = {"loudspeaker": 0, "microphone": 0}
    echo = make_echo_control("aec", RATE)
    left = b""
    for at_ms, device, block_ms in sorted(calls):
        begin, end = done[device], done[device] + block_ms * RATE // 1000 * 2
        done[device] = end
        if device == "loudspeaker":
            echo.render(streams[device][begin:end])
        else:
            left += echo.capture(streams[device][begin:end])
        assert at_ms < 2_500 or not echo.suppressing, "the user is not heard"
    assert loudest_db(pcm16_to_float32(left)) < -45, "the echo came through"


def test_what_the_canceller_leaves_softly_is_taken_for_no_voice() -> None:
    """While the assistant is heard, and not in its pauses."""
    played = noise(6, -20, seed=1)
    played[4 * RATE :] = 0
    heard = echo_of(played, 80, 0)
    soft = noise(6, -58, seed=7)
    heard[2 * RATE :] += soft[2 * RATE :]
    left = through(make_echo_control("aec", RATE), played, heard)
    assert loudest_db(left[2 * RATE + RATE // 2 : 4 * RATE]) < FAINT_DB
    assert db(left[5 * RATE :]) > -70


def test_a_microphone_that_is_off_stays_exactly_silent() -> None:
    """So that the user is told of it, while a reply is played as well."""
    played = noise(2, -20, seed=1)
    assert not through(make_echo_control("aec", RATE), played, np.zeros_like(played)).any()


def test_with_headphones_the_user_is_heard_from_the_first_word(speech: bytes) -> None:
    """The canceller alone takes a voice for an echo that it does not know yet: its first second would be lost."""
    said = pcm16_to_float32(speech)
    played = noise(12, -20, seed=1)
    heard = noise(12, -60, seed=2)
    heard[8 * RATE : 8 * RATE + said.size] += said
    echo = make_echo_control("aec", RATE)
    before = through(echo, played[: 7 * RATE], heard[: 7 * RATE])
    assert echo.active == "none"
    left = through(echo, played[7 * RATE :], heard[7 * RATE :])
    assert before.size + left.size == heard.size
    assert np.array_equal(left, pcm16_to_float32(float32_to_pcm16(heard[7 * RATE :])))
    assert echo.active == "none"
    assert not echo.may_leave_echo


def test_a_muted_microphone_is_no_proof_of_headphones() -> None:
    played = noise(8, -20, seed=1)
    echo = make_echo_control("aec", RATE)
    through(echo, played, np.zeros_like(played))
    assert echo.active == "aec"


def test_behind_a_device_that_was_opened_again_an_echo_is_reckoned_with() -> None:
    """It may be another one."""
    played, heard = noise(12, -20, seed=1), noise(12, -60, seed=2)
    echo = make_echo_control("aec", RATE)
    through(echo, played[: 8 * RATE], heard[: 8 * RATE])
    assert echo.active == "none"
    echo.render(float32_to_pcm16(played[8 * RATE : 9 * RATE]))  # and nothing is recorded
    through(echo, played[9 * RATE : 10 * RATE], heard[9 * RATE : 10 * RATE])
    assert echo.active == "aec"


def test_an_echo_that_appears_is_cancelled() -> None:
    """Headphones were pulled out, and nobody told."""
    played = noise(16, -20, seed=1)
    heard = echo_of(played, 80, -6)
    heard[: 8 * RATE] = noise(8, -60, seed=2)
    echo = make_echo_control("aec", RATE)
    through(echo, played[: 8 * RATE], heard[: 8 * RATE])
    assert echo.active == "none"
    left = through(echo, played[8 * RATE :], heard[8 * RATE :])
    assert echo.active == "aec"
    assert loudest_db(left[RATE * 3 // 2 :]) < -45, "the echo came through"


@pytest.mark.parametrize("gain_db", [0.0, -20.0, -35.0])
def test_an_echo_is_found_under_the_users_voice(gain_db: float, speech: bytes) -> None:
    said = pcm16_to_float32(speech)
    played = noise(20, -20, seed=1)
    heard: Floats = echo_of(played, 200, gain_db) + noise(20, -60, seed=2)
    for second in range(2, 18, 4):
        heard[second * RATE : second * RATE + said.size] += said
    echo = make_echo_control("aec", RATE)
    for second in range(20):
        part = slice(second * RATE, (second + 1) * RATE)
        through(echo, played[part], heard[part])
        assert echo.active == "aec"


def test_without_a_sound_the_canceller_lets_the_user_through(speech: bytes) -> None:
    said = pcm16_to_float32(speech)
    # Of a voice in the very first tenth of a second the noise suppressor takes up to 3 dB, and later nothing.
    heard = np.concatenate((noise(0.5, -60, seed=1), said))
    left = through(make_echo_control("aec", RATE), np.zeros_like(heard), heard)
    assert db(left[RATE // 2 :]) == pytest.approx(db(said), abs=1.5)


@pytest.mark.parametrize(("delay_ms", "gain_db"), [(20, 0.0), (60, -6.0), (200, -12.0), (200, 0.0)])
def test_the_gate_lets_no_echo_through(delay_ms: int, gain_db: float) -> None:
    played = noise(20, -20, seed=2)
    played[7 * RATE : 9 * RATE] = 0  # it goes on after a pause
    left = through(make_echo_control("gate", RATE), played, echo_of(played, delay_ms, gain_db))
    assert not left.any()


def test_the_gate_opens_for_a_raised_voice() -> None:
    played = noise(8, -30, seed=3)
    user = np.zeros_like(played)
    user[5 * RATE :] = noise(3, -14, seed=4)
    left = through(make_echo_control("gate", RATE), played, echo_of(played, 60, -6) + user)
    opened = np.flatnonzero(left)[0] / RATE
    assert 5.0 <= opened < 5.3
    assert np.count_nonzero(left[5 * RATE :]) > 0.8 * 3 * RATE


def test_the_gate_opens_for_any_voice_where_there_is_no_echo() -> None:
    """As with headphones. It takes the sound of some sentences to know; noise in their pauses teaches nothing."""
    played = noise(16, -20, seed=3)
    for second in range(1, 16, 2):
        played[second * RATE + RATE // 2 : (second + 1) * RATE] = noise(0.5, -58, seed=second)
    user = noise(16, -62, seed=5)
    for begin in (4, 8):  # what was not let through is not learnt as an echo
        user[begin * RATE : begin * RATE + RATE // 2] = noise(0.5, -22, seed=4)
    user[14 * RATE :] += noise(2, -22, seed=4)
    left = through(make_echo_control("gate", RATE), played, user)
    assert np.count_nonzero(left[14 * RATE :]) > 0.9 * 2 * RATE


@pytest.mark.parametrize("mode", ["gate", "half-duplex"])
def test_what_is_said_after_the_reply_passes_unchanged(mode: EchoMode) -> None:
    played = np.zeros(6 * RATE, np.float32)
    played[: 2 * RATE] = noise(2, -20, seed=5)
    heard = noise(6, -30, seed=6)
    left = through(make_echo_control(mode, RATE), played, heard)
    assert not left[RATE // 10 : 2 * RATE].any()
    assert np.array_equal(left[3 * RATE :], pcm16_to_float32(float32_to_pcm16(heard[3 * RATE :])))


def test_half_duplex_waits_for_the_last_echo() -> None:
    played = np.zeros(3 * RATE, np.float32)
    played[:RATE] = noise(1, -20, seed=7)
    left = through(make_echo_control("half-duplex", RATE), played, noise(3, -20, seed=8))
    assert np.flatnonzero(left)[0] / RATE == pytest.approx(1.4, abs=0.03)


@pytest.mark.parametrize("mode", ["aec", "gate", "half-duplex", "off"])
@pytest.mark.parametrize("piece", [FRAME, FRAME // 2, FRAME * 3 + 1])
def test_nothing_is_lost_however_it_is_cut(mode: EchoMode, piece: int) -> None:
    heard = noise(1, -30, seed=9)
    echo = make_echo_control(mode, RATE)
    left = through(echo, np.zeros_like(heard), heard, piece)
    assert heard.size - left.size <= piece + FRAME
    assert db(left) > SILENCE_DBFS


@pytest.mark.parametrize("mode", ["aec", "gate", "half-duplex", "off"])
def test_it_says_what_it_does(mode: EchoMode) -> None:
    for gains in (False, True):
        echo = make_echo_control(mode, RATE, auto_gain_control=gains)
        assert echo.active == mode
        assert echo.may_leave_echo is (mode in {"aec", "gate"})
        assert echo.mutes is (mode == "half-duplex")


def test_auto_takes_the_canceller_where_it_is_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert make_echo_control("auto", RATE).active == "aec"
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    assert make_echo_control("auto", RATE).active == "gate"


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", None)
    with pytest.raises(ConfigurationError, match="pywebrtc-audio") as caught:
        make_echo_control("aec", RATE)
    assert "--echo gate" in caught.value.advice


def test_the_empty_stub_of_the_package_is_as_none(monkeypatch: pytest.MonkeyPatch) -> None:
    """Where the platform has no wheels, an installer may take version 0.0.1, which has nothing in it."""
    monkeypatch.setitem(sys.modules, "pywebrtc_audio", ModuleType("pywebrtc_audio"))
    assert make_echo_control("auto", RATE).active == "gate"
    with pytest.raises(ConfigurationError, match="older one"):
        make_echo_control("aec", RATE)


def test_an_unknown_mode_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="loud"):
        make_echo_control("loud", RATE)  # type: ignore[arg-type]
    assert set(get_args(EchoMode)) == {"auto", "aec", "gate", "half-duplex", "off"}


@pytest.mark.parametrize("nearer_ms", [20, 35])
def test_an_echo_that_was_put_nearer_and_comes_nearer_unnoticed_is_cancelled(nearer_ms: int) -> None:
    """A sound server moves its streams to another device, and tells nobody."""
    played = noise(14, -20, seed=1)
    heard = echo_of(played, 90, 0)
    heard[5 * RATE :] = echo_of(played, nearer_ms, 0)[5 * RATE :]
    left = through(make_echo_control("aec", RATE), played, heard)
    assert loudest_db(left[3 * RATE : 5 * RATE]) < -45
    assert loudest_db(left[9 * RATE :]) < -45, "the echo came through"


class LeakyCanceller(EchoCanceller):
    """A canceller that lets a single loud frame of the echo through each second: the one at 0.16 s."""

    def _new_processing(self) -> WebRTCProcessing:
        numbers = itertools.count()

        class Leaky:
            def process(self, rendered: bytes, captured: bytes) -> bytes:
                return captured if next(numbers) % 100 == 16 else bytes(len(captured))

        return cast(WebRTCProcessing, Leaky())


def test_a_single_frame_is_a_voice_only_when_the_canceller_has_heard_3_s_of_sound() -> None:
    played = noise(6, -20, seed=1)
    left = through(LeakyCanceller(RATE, RATE), played, echo_of(played, 80, 0))
    passed = [second for second in range(6) if db(left[second * RATE + 16 * FRAME :][:FRAME]) > -40]
    assert passed == [4, 5]  # a tenth of the sound tells nothing of its echo


@pytest.mark.parametrize("gain", [False, True])
def test_it_says_whether_it_has_settled(gain: bool) -> None:
    echo = make_echo_control("aec", RATE, auto_gain_control=gain)
    assert echo.settled  # nothing is heard yet
    played = noise(4, -20, seed=1)
    heard = echo_of(played, 80, 0)
    settled = []
    for second in range(4):
        part = slice(second * RATE, (second + 1) * RATE)
        through(echo, played[part], heard[part])
        settled.append(echo.settled)
    assert settled == [False, False, False, True]
    echo.discontinuity()
    through(echo, played[: RATE // 5], heard[: RATE // 5])
    assert not echo.settled  # until the echo is found again
    through(echo, played[RATE // 5 : 2 * RATE], heard[RATE // 5 : 2 * RATE])
    assert echo.settled
    through(echo, 0 * played[:RATE], 0 * heard[:RATE])
    assert echo.settled


def test_it_has_not_settled_while_it_is_doubtful_where_the_echo_is() -> None:
    """A buffer that is filled more than before, or 40 ms that were lost."""
    echo = make_echo_control("aec", RATE)
    played = noise(8, -20, seed=1)
    heard = echo_of(played, 80, 0)
    through(echo, played[: 5 * RATE], heard[: 5 * RATE])
    assert echo.settled
    ahead = RATE * 40 // 1000
    echo.render(float32_to_pcm16(played[5 * RATE : 5 * RATE + ahead]))
    begin, end = 5 * RATE, round(5.3 * RATE)
    through(echo, played[begin + ahead : end + ahead], heard[begin:end])
    assert not echo.settled
    through(echo, played[end + ahead : 7 * RATE + ahead], heard[end : 7 * RATE])
    assert echo.settled


def test_a_room_that_was_not_heard_is_not_known() -> None:
    """The microphone was off in the first half of the reply."""
    echo = make_echo_control("aec", RATE)
    played = noise(8, -20, seed=1)
    heard = echo_of(played, 80, 0)
    heard[: 4 * RATE] = 0
    through(echo, played[: 6 * RATE], heard[: 6 * RATE])
    assert not echo.settled
    through(echo, played[6 * RATE :], heard[6 * RATE :])
    assert echo.settled


@pytest.mark.parametrize("mode", ["gate", "half-duplex", "off"])
def test_what_learns_nothing_is_settled(mode: EchoMode) -> None:
    echo = make_echo_control(mode, RATE)
    through(echo, noise(1, -20, seed=1), noise(1, -20, seed=1))
    assert echo.settled
