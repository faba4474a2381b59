"""Turns of the offline engine where silero has no wheels."""

import wave
from pathlib import Path

import pytest

from voicecli.providers.local import speech_probability as module
from voicecli.providers.local.speech_probability import speech_probability
from voicecli.providers.local.turn_detection import EndOfTurn, StartOfTurn, TurnDetector

QUESTION = Path(__file__).parents[2] / "data" / "question.wav"


def question() -> bytes:
    with wave.open(str(QUESTION)) as file:
        frames: bytes = file.readframes(file.getnframes())
    return frames


@pytest.mark.parametrize("silero", [True, False])
def test_without_silero_webrtcvad_finds_the_turns(silero: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_silero", lambda: silero)
    turns = TurnDetector(speech_probability(), automatic=True, silence_ms=500, pre_roll_ms=480)
    changes = turns.process(bytes(32_000) + question() + bytes(32_000))
    assert [type(change) for change in changes if isinstance(change, StartOfTurn | EndOfTurn)] == [
        StartOfTurn,
        EndOfTurn,
    ]
    (said,) = [change for change in changes if isinstance(change, EndOfTurn)]
    assert said.speech_ms > 800


def test_pieces_of_any_length_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "has_silero", lambda: False)
    probability = speech_probability()
    quiet = [probability(bytes(1024)) for _ in range(20)]
    sound = question()
    loud = [probability(sound[at : at + 1024]) for at in range(0, len(sound) - 1024, 1024)]
    assert max(quiet[1:]) == 0
    assert all(0 <= each <= 1 for each in loud)
    assert max(loud) == 1
