"""What is fetched before a conversation."""

from typing import Any

import pytest

from voicecli.audio.smart_turn import MODEL
from voicecli.cli.options import Choices
from voicecli.cli.prepare import prepare
from voicecli.config import RealtimeConfig, VADMode
from voicecli.testing import scripted_provider


def choices(**settings: Any) -> Choices:
    return Choices(scripted_provider(), RealtimeConfig(**settings), (), vad_given=True)


@pytest.fixture
def fetched(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    files: list[str] = []
    monkeypatch.setattr("voicecli.package_file.ensure_file", lambda file, progress: files.append(file.name))
    return files


def test_the_model_of_turns_is_fetched_where_it_will_listen(fetched: list[str]) -> None:
    prepare(choices(turn_model="smart-turn", vad_mode=VADMode.CLIENT))
    assert fetched == [MODEL.name]


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.NONE])
def test_it_is_not_fetched_where_others_end_the_turns(fetched: list[str], mode: VADMode) -> None:
    prepare(choices(turn_model="smart-turn", vad_mode=mode))
    assert fetched == []


def test_a_recording_needs_no_model_of_turns(fetched: list[str]) -> None:
    recording = choices(turn_model="smart-turn", vad_mode=VADMode.CLIENT).for_recording()
    prepare(recording)
    assert fetched == []
    assert recording.config.turn_model == "silence"
