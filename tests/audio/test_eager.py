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
DOUBTED = [0.05] * 2_000
NOTICED: list[SpeechTransition] = [SpeechDetected(), SegmentDropped()]


def eager(settings: ClientVAD | None = None) -> VoiceActivityDetector:
    detector = VoiceActivityDetector(settings or ClientVAD(engine="silero"), 16_000)
    detector.eager = True
    return detector


def voices(count: int, apart_s: float) -> bytes:
    return b"".join(room(round(apart_s * 1_000), SPEECH, noise=FAINT) for _ in range(count))


# 2.9 s are loud, and end with the 90th frame.
@pytest.mark.parametrize(
    ("quiet_ms", "probabilities", "is_noticed"),
    [
        (2_100, DOUBTED, True),
        (1_900, DOUBTED, False),
        (2_100, [0.01] * 200, False),
        (2_100, [0.0] * 54 + DOUBTED, False),  # from 0.55 s after the beginning
        (2_100, [0.0] * 36 + [0.05] * 2, False),  # only in the first 64 ms, as some of an echo may be
        (2_100, [0.0] * 38 + [0.05] * 2, True),
    ],
)
def test_a_voice_after_long_quiet_needs_less(
    monkeypatch: pytest.MonkeyPatch, quiet_ms: int, probabilities: list[float], is_noticed: bool
) -> None:
    silero_says(monkeypatch, [0.0] * 120 + probabilities)
    audio = room(1_000, SPEECH, noise=0.01) + room(quiet_ms, SPEECH, noise=FAINT)
    assert transitions_in(eager(), audio, 640) == (NOTICED if is_noticed else [])


def test_it_does_not_where_no_reply_is_heard(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    detector = eager()
    detector.eager = False
    assert transitions_in(detector, voices(1, 2.1), 640) == []


def test_it_does_not_where_that_would_be_a_turn(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    assert transitions_in(eager(ClientVAD(engine="silero", min_speech_ms=0)), voices(1, 2.1), 640) == []


def test_the_silence_after_a_noise_is_none_whatever_both_say(monkeypatch: pytest.MonkeyPatch) -> None:
    burst = SPEECH[:8_000]
    for at, is_noticed in ((0, True), (16, False)):  # while it lasts, and after it
        silero_says(monkeypatch, [0.0] * (31 + at) + [0.2] * 200)
        audio = room(1_000, burst, 500, noise=FAINT)
        assert transitions_in(eager(), audio, 640) == (NOTICED if is_noticed else [])


@pytest.mark.parametrize(("sure", "noticed"), [(0.05, 1), (0.9, 8)])
def test_what_was_none_makes_it_need_as_much_as_other_sound_for_half_a_minute(
    monkeypatch: pytest.MonkeyPatch, sure: float, noticed: int
) -> None:
    # Each voice is doubted, but for a frame in its middle. They begin each 4 s, the last one 35 s after the first.
    silero_says(monkeypatch, [0.05 if at % 125 != 90 else sure for at in range(2_000)])
    detector = eager()
    assert detector.process(voices(8, 2.11)).count(SpeechDetected()) == noticed
    assert detector.process(voices(1, 5)).count(SpeechDetected()) == 1


def test_quiet_from_before_a_reset_does_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    silero_says(monkeypatch, DOUBTED)
    detector = eager()
    detector.process(room(2_100, noise=FAINT))
    detector.reset()
    assert transitions_in(detector, room(SPEECH), 640) == []


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.SERVER])
@pytest.mark.parametrize("over_reply", [False, True])
def test_the_users_audio_is_heard_so_over_a_reply(
    monkeypatch: pytest.MonkeyPatch, mode: VADMode, over_reply: bool
) -> None:
    silero_says(monkeypatch, DOUBTED)
    audio = AudioInput(RealtimeConfig(vad_mode=mode, client_vad=ClientVAD(engine="silero")), 16_000, listens=True)
    audio.over_reply, heard = over_reply, list[AudioStep]()
    stream = voices(1, 2.1) + room(1_000, noise=FAINT)
    for at in range(0, len(stream), 640):
        heard += audio.audio(stream[at : at + 640], 16_000)
    told = [step for step in heard if isinstance(step, SpeechStarted | SpeechStopped | VoiceSuspected)]
    suspected = {
        VADMode.CLIENT: [SpeechStarted(), SpeechStopped(is_turn=False)],
        VADMode.SERVER: [VoiceSuspected(lasts=True), VoiceSuspected(lasts=False)],
    }
    assert told == (suspected[mode] if over_reply else [])
