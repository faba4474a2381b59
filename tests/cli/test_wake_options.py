"""`voice chat --wake`: what it takes, and what is told where it cannot be."""

import asyncio
import importlib.util
import io
import json
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA
from tests.cli.screen import Screen
from voicecli.audio.files.source import WavSource
from voicecli.cli import execute
from voicecli.cli.event_lines import JsonLines, PlainLines
from voicecli.cli.options import Sleep
from voicecli.events import Asleep, Awake


@pytest.fixture(autouse=True)
def terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setattr("sys.stdin", Screen())
    monkeypatch.setattr("sys.stdout", Screen())


def sleep_of(monkeypatch: pytest.MonkeyPatch, *options: str) -> Sleep | None:
    found: list[Sleep | None] = []

    def live(*_: object, sleep: Sleep | None, **__: object) -> None:
        found.append(sleep)

    monkeypatch.setattr("voicecli.cli.run.run_live", live)
    assert execute(["chat", "-p", "openai", *options]) == 0
    return found[0]


def test_it_sleeps_only_when_it_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert sleep_of(monkeypatch) is None
    assert sleep_of(monkeypatch, "--wake", "") is None
    assert sleep_of(monkeypatch, "--wake", "Computer") == Sleep("computer", 60)
    assert sleep_of(monkeypatch, "--wake", "hey_jarvis", "--sleep-after", "90") == Sleep("hey jarvis", 90)


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--wake", "computer", "-i", str(DATA / "question.wav")], 2, "voice chat --wake computer"),
        (["--wake", "hey_siri"], 2, "no model 'hey_siri'. Choose one of alexa, hey_jarvis"),
        (["--wake", "42"], 2, "English letters"),
        (["--wake", "computer", "--sleep-after", "0"], 2, "--sleep-after"),
    ],
)
def test_what_cannot_be_is_told(capsys: pytest.CaptureFixture[str], options: list[str], code: int, told: str) -> None:
    assert execute(["chat", "-p", "openai", *options]) == code
    assert told in capsys.readouterr().err


def test_a_pipe_needs_no_wake_word(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO())
    assert execute(["chat", "-p", "openai", "--wake", "computer"]) == 2
    assert "--wake: a recording, or a pipe, needs no wake word" in capsys.readouterr().err


def test_a_wake_word_of_the_settings_is_not_for_recordings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("VOICECLI_CONFIG", str(tmp_path))
    (tmp_path / "config.toml").write_text('wake = "computer"\n')
    assert sleep_of(monkeypatch) == Sleep("computer", 60)
    assert sleep_of(monkeypatch, "--wake", "") is None

    def recorded(_: object, sources: list[WavSource], *__: object, **___: object) -> None:
        for source in sources:
            asyncio.run(source.aclose())

    monkeypatch.setattr("voicecli.cli.run.run_conversation", recorded)
    assert execute(["chat", "-p", "openai", "-i", str(DATA / "question.wav")]) == 0


@pytest.mark.parametrize(
    ("word", "package", "extra"), [("computer", "onnxruntime", "local"), ("alexa", "pymicro_wakeword", "wake")]
)
def test_a_missing_package_is_told_with_the_command(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], word: str, package: str, extra: str
) -> None:
    found = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name, *_: None if name == package else found(name))
    assert execute(["chat", "-p", "openai", "--wake", word]) == 3
    error = capsys.readouterr().err
    assert f"--wake: '{word}' needs packages that are not installed: {package}" in error
    assert f'Run: pip install "voicecli[{extra}]"' in error


def test_programs_and_people_are_told_of_sleep(capsys: pytest.CaptureFixture[str]) -> None:
    events = (Asleep("computer"), Awake("word"))
    as_json = JsonLines(stream := io.StringIO())
    for event in events:
        as_json(event)
    lines: list[dict[str, Any]] = [json.loads(line) for line in stream.getvalue().splitlines()]
    assert [{name: value for name, value in line.items() if name != "time_ms"} for line in lines] == [
        {"type": "asleep", "wake_word": "computer"},
        {"type": "awake", "by": "word"},
    ]
    plain = PlainLines(io.StringIO(), live=True)
    for event in events:
        plain(event)
    assert capsys.readouterr().err.splitlines() == ['Asleep. Say "computer" to wake it; Ctrl-C ends.', "Awake."]
