"""The command with the offline engine: what a stranger runs first."""

import asyncio
import json
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA, Voice, interrupted
from tests.support.commands import Commands
from tests.support.models import Models
from voicecli.audio import resample_pcm16

QUESTION = DATA / "question.wav"


def events(stdout: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.decode().splitlines()]


def finals(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["role"], line["text"]) for line in lines if line["type"] == "transcript" and line["final"]]


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        return float(file.getnframes() / file.getframerate())


def heard(models: Models, path: Path) -> str:
    """The words that the engine's recogniser finds in a recording."""
    with wave.open(str(path)) as file:
        audio = resample_pcm16(file.readframes(file.getnframes()), file.getframerate(), 16_000)
    return asyncio.run(models.hearing.transcribe(audio))


def test_a_recorded_question_is_answered_and_the_answer_can_be_heard(
    voice: Voice, models: Models, tmp_path: Path
) -> None:
    """Sound went out, not only text."""
    first = voice("chat", "-p", "local", "-i", str(QUESTION), "-o", "reply.wav")
    assert first.code == 0, first.stderr
    assert "Paris" in first.stdout.decode()
    assert first.stderr.startswith("Note: The built-in language model is tiny")
    assert first.stderr.count("\n") == 1
    assert seconds(tmp_path / "reply.wav") > 0.8
    assert "Paris" in heard(models, tmp_path / "reply.wav")


def test_events_as_json_lines(voice: Voice, tmp_path: Path) -> None:
    result = voice("chat", "-p", "local", "--json", "-o", "r.wav", stdin=QUESTION.read_bytes())
    assert result.code == 0, result.stderr
    lines = events(result.stdout)
    kinds = [line["type"] for line in lines]
    assert kinds[0] == "session_started"
    assert kinds[-1] == "session_ended"
    for earlier, later in (("speech_started", "speech_stopped"), ("speech_stopped", "response_done")):
        assert kinds.index(earlier) < kinds.index(later)
    assert finals(lines)[0] == ("user", "What is the capital of France?")
    assert [line["time_ms"] for line in lines] == sorted(line["time_ms"] for line in lines)
    done = next(line for line in lines if line["type"] == "response_done")
    assert done["status"] == "completed"
    assert done["metrics"]["first_audio_ms"] > 0
    assert done["metrics"]["audio_ms"] == pytest.approx(seconds(tmp_path / "r.wav") * 1000, abs=2)
    assert lines[-1]["turns"] == 1
    assert lines[-1]["usage"]["cost_usd"] == 0
    partials = [line["text"] for line in lines if line["type"] == "transcript" and not line["final"]]
    assert partials


def test_through_pipes_sound_goes_out_and_words_aside(voice: Voice, models: Models, tmp_path: Path) -> None:
    result = voice("chat", "-p", "local", stdin=QUESTION.read_bytes())
    assert result.code == 0
    assert result.stdout.startswith(b"RIFF\xff\xff\xff\xffWAVE")
    assert "Assistant: " in result.stderr
    (tmp_path / "piped.wav").write_bytes(result.stdout)
    assert "Paris" in heard(models, tmp_path / "piped.wav")


def test_the_engine_finds_the_turns(voice: Voice) -> None:
    result = voice("chat", "-p", "local", "-i", str(QUESTION), "--json", "--vad", "server")
    assert finals(events(result.stdout))[0] == ("user", "What is the capital of France?")
    assert "Paris" in finals(events(result.stdout))[1][1]


def test_raw_samples_are_one_turn(voice: Voice) -> None:
    with wave.open(str(QUESTION)) as file:
        raw = file.readframes(file.getnframes())
        rate = str(file.getframerate())
    result = voice("chat", "-p", "local", "--json", "--input-rate", rate, "--vad", "none", stdin=raw)
    assert finals(events(result.stdout))[0] == ("user", "What is the capital of France?")
    assert "Paris" in finals(events(result.stdout))[1][1]


def test_text_is_answered_though_there_are_tools(voice: Voice, tmp_path: Path) -> None:
    """The built-in model calls none."""
    (tmp_path / "tools.py").write_text(
        'def weather(city: str) -> str:\n    """Tell the weather."""\n    return "sun"\n'
    )
    command = ["send-text", "-", "-p", "local", "-q", "-o", "r.wav", "--tools", "tools.py"]
    result = voice(*command, stdin=b"What is the capital of France?\n")
    assert result.code == 0, result.stderr
    (assistant,) = result.stdout.decode().splitlines()
    assert "Paris" in assistant
    assert result.stderr == ""
    assert seconds(tmp_path / "r.wav") > 0.5


@pytest.mark.parametrize("awaited", [None, "transcript"], ids=["starting", "answering"])
def test_ctrl_c_ends_cleanly_at_any_moment(commands: Commands, tmp_path: Path, awaited: str | None) -> None:
    """The output is a WAV that plays, whenever it comes."""
    output = tmp_path / "r.wav"
    code, message = interrupted(commands, ["chat", "-p", "local"], output, awaited)
    assert code == 130, message
    assert "Traceback" not in message
    if output.exists() and output.stat().st_size:
        seconds(output)
