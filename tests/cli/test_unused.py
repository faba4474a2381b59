"""Options that have no effect are told to have none; those that have one are not."""

import asyncio
import json
from typing import Any

import pytest

from tests.cli.conftest import DATA
from tests.cli.screen import Screen
from voicecli.audio.files.source import WavSource
from voicecli.cli import execute
from voicecli.cli.destinations import Destinations
from voicecli.cli.inputs import Input
from voicecli.cli.options import Choices, Devices
from voicecli.cli.run import run_conversation, run_live
from voicecli.cli.unused import unused_options
from voicecli.config import RealtimeConfig, VADMode
from voicecli.testing import reply, scripted_provider

QUESTION = str(DATA / "question.wav")


@pytest.fixture(autouse=True)
def keys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    monkeypatch.setenv("GEMINI_API_KEY", "k-0123456789")
    monkeypatch.delenv("VOICE_PROVIDER", raising=False)


def told(monkeypatch: pytest.MonkeyPatch, line: str) -> list[str]:
    """The notices about the options of this `voice chat`."""
    found: list[list[str]] = []

    def recorded(choices: Choices, inputs: list[Input], destinations: Destinations, *_: object) -> None:
        for each in inputs:
            if isinstance(each, WavSource):
                asyncio.run(each.aclose())
        spoken = not isinstance(inputs[0], str)
        found.append(unused_options(choices, spoken=spoken, destinations=destinations))

    def live(choices: Choices, devices: object, output: str | None, *, sleep: object, **_: object) -> None:
        found.append(unused_options(choices, live=True, destinations=Destinations(output), sleeps=sleep is not None))

    monkeypatch.setattr("voicecli.cli.run.run_conversation", recorded)
    monkeypatch.setattr("voicecli.cli.run.run_live", live)
    monkeypatch.setattr("sys.stdin", Screen())
    monkeypatch.setattr("sys.stdout", Screen())
    assert execute(["chat", *line.split()]) == 0
    return found[0]


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        (f"-i {QUESTION} --input-device 1", ["--input-device has no effect with a recording."]),
        (f"-i {QUESTION} --echo off", ["--echo has no effect with a recording."]),
        (f"-i {QUESTION} --auto-gain-control", ["--auto-gain-control has no effect with a recording."]),
        ("-i README.md --echo off", ["--echo has no effect with text."]),
        (
            f"-i {QUESTION} --no-play --output-device 1",
            ["--output-device has no effect where the answer is not played."],
        ),
        (f"-i {QUESTION} --text-only -o r.wav", ["--output has no effect with --text-only."]),
        ("--play", ["--play has no effect without --input."]),
        (f"-i {QUESTION} --turn-model words", ["--turn-model has no effect with a recording."]),
        ("-o reply.wav --echo aec", ["--echo has no effect where the sound does not go to a loudspeaker."]),
        ("--input-rate 16000", ["--input-rate has no effect without --input."]),
        (
            "-o reply.wav --vad-engine silero",
            ["--vad-engine has no effect with --vad server, but while the connection is lost."],
        ),
        (
            "-o reply.wav --min-speech-ms 99",
            ["--min-speech-ms has no effect with --vad server, but while the connection is lost."],
        ),
        (
            "--vad-engine silero --no-interrupt",
            ["--vad-engine has no effect with --vad server, but while the connection is lost."],
        ),
        ("--vad none --silence-ms 900", ["--silence-ms has no effect with --vad none."]),
        ("--vad client --idle-timeout-ms 9000", ["--idle-timeout-ms has no effect with --vad client."]),
        ("--vad client --no-interrupt", ["--no-interrupt has no effect with --vad client."]),
        (
            "--eagerness low --silence-ms 900 --vad-threshold 0.5",
            ["--vad-threshold has no effect with --eagerness.", "--silence-ms has no effect with --eagerness."],
        ),
        ("--tool-timeout 9", ["--tool-timeout has no effect without --tools or --mcp."]),
        (f"-i {QUESTION} --sleep-after 90", ["--sleep-after has no effect with a recording."]),
        ("--sleep-after 90", ["--sleep-after has no effect without --wake."]),
        ("-p openai --google-search", ["--google-search has no effect with openai, only with gemini."]),
        ("-p local --project p", ["--project has no effect with local, only with openai, gemini."]),
        ("-p gemini --openai-mcp x", ["--openai-mcp has no effect with gemini, only with openai."]),
        # These have an effect.
        ("--auto-gain-control -o reply.wav", []),
        ("--input-device 1 -o reply.wav", []),
        (f"-i {QUESTION} --output-device 1", []),
        (f"-p gemini -i {QUESTION} --text-only -o r.wav", []),
        ("--wake alexa --sleep-after 90", []),
        (f"-i {QUESTION} --vad-engine silero --silence-ms 900 --min-speech-ms 99 --input-rate 8000", []),
        ("--vad-engine silero --min-speech-ms 99", []),
        ("--vad client --vad-engine silero --silence-ms 900 --min-speech-ms 99", []),
        ("-p gemini --vad-engine silero --silence-ms 900 --min-speech-ms 99", []),
        ("--silence-ms 900 --vad-threshold 0.5 --idle-timeout-ms 9000 --no-interrupt", []),
        ("--eagerness low --no-interrupt", []),
        ("--input-device 1 --output-device 2 --echo gate", []),
        ("--vad server --reconnects 1 --interrupt", []),
        ("-p gemini --google-search --project p", []),
        ("-p openai --noise-reduction far_field --project p", []),
    ],
)
def test_options_without_effect_are_told(monkeypatch: pytest.MonkeyPatch, line: str, expected: list[str]) -> None:
    assert told(monkeypatch, line) == expected


def choices(*given: str) -> Choices:
    provider = scripted_provider(reply("Yes."))
    config = RealtimeConfig(vad_mode=VADMode.CLIENT)  # otherwise a recording takes as long as it was spoken
    return Choices(provider, config, (), vad_given=True, given=frozenset(given))


def test_it_is_a_note_beside_a_recording(capsys: pytest.CaptureFixture[str]) -> None:
    for as_json in (False, True):
        run_conversation(choices("echo"), [WavSource(QUESTION)], Destinations(as_json=as_json))
        shown = capsys.readouterr()
        if as_json:
            line: dict[str, Any] = json.loads(shown.out.splitlines()[0])
            assert (line["type"], line["code"]) == ("notice", "setting_ignored")
            assert line["message"] == "--echo has no effect with a recording."
        else:
            assert shown.err.splitlines()[0] == "Note: --echo has no effect with a recording."
    run_conversation(choices("echo"), [WavSource(QUESTION)], Destinations(quiet=True))
    assert "Note" not in capsys.readouterr().err


def test_it_is_a_note_above_the_live_view(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    async def talk(*_: object, **__: object) -> None:
        return

    monkeypatch.setattr("voicecli.cli.live.talk", talk)
    monkeypatch.setattr("voicecli.terminal.live_view.can_show", lambda *_: True)
    run_live(choices("input_rate"), Devices(), None, as_json=False, quiet=False)
    assert capsys.readouterr().err == "Note: --input-rate has no effect without --input.\n"
