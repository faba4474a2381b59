"""What is fetched before a conversation."""

from collections.abc import Callable
from typing import Any

import pytest

from voicecli.audio.smart_turn import MODEL
from voicecli.cli.options import Choices
from voicecli.cli.prepare import prepare, prepare_transcriber
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import ConfigurationError
from voicecli.testing import scripted_provider
from voicecli.transcriber import Transcriber


@pytest.fixture
def packages(monkeypatch: pytest.MonkeyPatch) -> None:
    """The recogniser is fetched, and tells how far it is."""

    def fetch(progress: Callable[[int, int], None]) -> None:
        progress(10_000_000, 44_000_000)

    monkeypatch.setattr("voicecli.audio.recogniser_files.ensure_recogniser", fetch)


@pytest.mark.parametrize("quiet", [False, True])
def test_a_transcription_shows_that_it_fetches(packages: None, capsys: pytest.CaptureFixture[str], quiet: bool) -> None:
    prepare_transcriber(Transcriber("local"), quiet=quiet)
    out, err = capsys.readouterr()
    assert (out, err) == ("", "" if quiet else "Fetching the speech recogniser, once (44 MB) ...\n")


@pytest.mark.parametrize("wrong", [{"languages": ["de"]}, {"config": RealtimeConfig(model="gpt-transcribe")}])
def test_nothing_is_fetched_for_what_cannot_be(
    packages: None, capsys: pytest.CaptureFixture[str], wrong: dict[str, Any]
) -> None:
    with pytest.raises(ConfigurationError):
        prepare_transcriber(Transcriber("local", **wrong), quiet=False)
    assert capsys.readouterr().err == ""


def test_a_service_elsewhere_needs_nothing(packages: None, capsys: pytest.CaptureFixture[str]) -> None:
    prepare_transcriber(Transcriber("openai"), quiet=False)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(("wake_word", "fetches"), [("computer", True), ("hey jarvis", False), ("", False)])
def test_a_wake_word_shows_that_it_fetches(
    packages: None, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, wake_word: str, fetches: bool
) -> None:
    monkeypatch.setattr("voicecli.audio.wake.wake_word.missing_packages", lambda names: [])
    prepare(choices(), wake_word)
    assert ("Fetching the speech recogniser, once" in capsys.readouterr().err) == fetches


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
