"""Over a reply, what silero doubts may be a voice that speaks up after a long quiet, and is to pause the reply."""

import pytest

from tests.audio.test_vad import SPEECH, room, transitions_in
from tests.support.silero import silero_says
from voicecli.audio.vad import SegmentDropped, SpeechDetected, SpeechTransition, VoiceActivityDetector
from voicecli.config import ClientVAD, RealtimeConfig, VADMode
from voicecli.conversation.floor_events import VoiceSuspected
from voicecli.conversation.user_audio import AudioInput, AudioStep
from voicecli.events import SpeechStarted, SpeechStopped

FAINT = 0.0003  # -70 dBFS, as the echo canceller leaves
DOUBTED = [0.03] * 2_000
NOTICED: list[SpeechTransition] = [SpeechDetected(), SegmentDropped()]


def eager(settings: ClientVAD | None = None) -> VoiceActivityDetector:
    detector = VoiceActivityDetector(settings or ClientVAD(engine="silero"), 16_000)
    detector.eager = True
    return detector


def voices(count: int, apart_s: float) -> bytes:
    return b"".join(room(round(apart_s * 1_000), SPEECH, noise=FAINT) for _ in range(count))


# 2.9 s are loud, and end with the 90th frame; the voice begins with the 156th frame, 2.1 s later.
@pytest.mark.parametrize(
    ("quiet_ms", "probabilities", "is_noticed"),
    [
        (2_100, DOUBTED, True),
        (1_900, DOUBTED, False),
        (2_100, [0.015] * 200, False),
        (2_100, [0.0] * 36 + [0.03] * 3, False),  # only in the first 96 ms, of which the first 64 may be an echo's
        (2_100, [0.0] * 36 + [0.03] * 4, True),
        (2_100, [0.0] * 49 + [0.03] * 2, True),  # from 416 ms on
        (2_100, [0.0] * 50 + DOUBTED, False),  # from 448 ms on
        (2_100, [0.0] * 50 + [0.09] * 200, False),
        (2_100, [0.0] * 50 + [0.11] * 200, True),
    ],
)
def test_a_voice_after_long_quiet_needs_less(
    monkeypatch: pytest.MonkeyPatch, quiet_ms: int, probabilities: list[float], is_noticed: bool
) -> None:
    silero_says(monkeypatch, [0.0] * 120 + probabilities)
    audio = room(1_000, SPEECH, noise=0.01) + room(quiet_ms, SPEECH, noise=FAINT)
    assert transitions_in(eager(), audio, 640)[:2] == (NOTICED if is_noticed else [])


@pytest.mark.parametrize(("noise_dbfs", "is_noticed"), [(-62, True), (-58, False)])
def test_quiet_is_below_60_db(monkeypatch: pytest.MonkeyPatch, noise_dbfs: float, is_noticed: bool) -> None:
    silero_says(monkeypatch, DOUBTED)
    audio = room(2_200, SPEECH, noise=10 ** (noise_dbfs / 20)) + room(500, noise=FAINT)
    assert transitions_in(eager(), audio, 640) == (NOTICED if is_noticed else [])


def test_it_does_not_where_no_reply_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    detector = eager()
    detector.eager = False
    assert transitions_in(detector, voices(1, 2.1), 640) == []


def test_it_does_not_where_that_would_be_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    assert transitions_in(eager(ClientVAD(engine="silero", min_speech_ms=0)), voices(1, 2.1), 640) == []


def test_what_webrtcvad_takes_for_speech_in_the_quiet_after_a_noise_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    burst = SPEECH[:8_000]
    for at, is_noticed in ((0, True), (16, False)):  # while it lasts, and after it
        silero_says(monkeypatch, [0.0] * (31 + at) + [0.2] * 200)
        audio = room(1_000, burst, 500, noise=FAINT)
        assert transitions_in(eager(), audio, 640) == (NOTICED if is_noticed else [])


@pytest.mark.parametrize(
    ("sure_ms", "noticed"),
    [
        (None, 1),
        (0, 8),  # before it was doubted, and
        (200, 8),  # while it is
        (1_024, 8),
        (1_150, 1),
    ],
)
def test_what_was_none_makes_it_need_as_much_as_other_sound_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, sure_ms: int | None, noticed: int
) -> None:
    # Each voice is doubted, but for one frame. They begin each 4 s, the last one 35 s after the first.
    sure_at = 66 + sure_ms // 32 if sure_ms is not None else -1
    silero_says(monkeypatch, [0.9 if at % 125 == sure_at else 0.03 for at in range(2_000)])
    detector = eager()
    assert detector.process(voices(8, 2.11)).count(SpeechDetected()) == noticed
    assert detector.process(voices(1, 5)).count(SpeechDetected()) == 1


def test_each_voice_is_to_be_proven(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, [0.9 if at == 70 else 0.03 for at in range(2_000)])  # in the first one
    assert eager().process(voices(8, 2.11)).count(SpeechDetected()) == 2


def test_only_what_was_noticed_for_that_makes_it_so(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    detector = eager()
    detector.eager = False
    assert detector.process(voices(1, 2.11)) == []
    detector.eager = True
    assert detector.process(voices(1, 2.11)).count(SpeechDetected()) == 1


def test_quiet_from_before_a_reset_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    detector = eager()
    detector.process(room(2_100, noise=FAINT))
    detector.reset()
    assert transitions_in(detector, room(SPEECH), 640) == []


def heard(audio: AudioInput, stream: bytes) -> list[AudioStep]:
    steps: list[AudioStep] = []
    for at in range(0, len(stream), 640):
        steps += audio.audio(stream[at : at + 640], 16_000)
    return [step for step in steps if isinstance(step, SpeechStarted | SpeechStopped | VoiceSuspected)]


def audio_input(mode: VADMode, *, listens: bool) -> AudioInput:
    config = RealtimeConfig(vad_mode=mode, client_vad=ClientVAD(engine="silero"))
    audio = AudioInput(config, 16_000, listens=listens)
    audio.over_reply = True
    return audio


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.SERVER])
@pytest.mark.parametrize("over_reply", [False, True])
def test_the_users_audio_is_heard_so_over_a_reply(
    monkeypatch: pytest.MonkeyPatch, mode: VADMode, over_reply: bool
) -> None:
    silero_says(monkeypatch, DOUBTED)
    audio = audio_input(mode, listens=True)
    audio.over_reply = over_reply
    told = heard(audio, voices(1, 2.1) + room(1_000, noise=FAINT))
    suspected = {
        VADMode.CLIENT: [SpeechStarted(), SpeechStopped(is_turn=False)],
        VADMode.SERVER: [VoiceSuspected(lasts=True), VoiceSuspected(lasts=False)],
    }
    assert told == (suspected[mode] if over_reply else [])


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.SERVER])
def test_an_utterance_is_not(monkeypatch: pytest.MonkeyPatch, mode: VADMode) -> None:
    silero_says(monkeypatch, DOUBTED)
    audio = audio_input(mode, listens=False)
    audio.begin_utterance()
    assert heard(audio, voices(1, 2.1)) == []


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.SERVER])
def test_that_it_is_noisy_is_known_in_the_next_reply(monkeypatch: pytest.MonkeyPatch, mode: VADMode) -> None:
    silero_says(monkeypatch, DOUBTED)
    audio = audio_input(mode, listens=False)
    assert len(heard(audio, voices(1, 2.1) + room(1_000, noise=FAINT))) == 2
    audio.over_reply = False
    assert heard(audio, room(2_000, noise=FAINT)) == []
    audio.reset()
    audio.over_reply = True
    assert heard(audio, voices(2, 2.1)) == []
