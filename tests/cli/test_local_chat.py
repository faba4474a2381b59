"""The command with the offline engine: what a stranger runs first."""

import json
import os
import signal
import subprocess
import sys
import wave
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import DATA, Voice, clean_environment

QUESTION = DATA / "question.wav"


def events(stdout: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stdout.decode().splitlines()]


def finals(lines: list[dict[str, Any]]) -> list[tuple[str, str]]:
    return [(line["role"], line["text"]) for line in lines if line["type"] == "transcript" and line["final"]]


def seconds(path: Path) -> float:
    with wave.open(str(path)) as file:
        return float(file.getnframes() / file.getframerate())


def test_a_recorded_question_is_answered_and_the_answer_can_be_heard(voice: Voice, tmp_path: Path) -> None:
    """The reply's recording, asked back, says the same: sound went out, not only text."""
    first = voice("chat", "-p", "local", "-i", str(QUESTION), "-o", "reply.wav")
    assert first.code == 0, first.stderr
    said = first.stdout.decode()
    assert "You: What is the capital of France?" in said
    assert "Paris" in said.partition("Assistant:")[2]
    assert first.stdout.decode().count("tiny") == 1
    assert first.stderr == ""
    assert seconds(tmp_path / "reply.wav") > 0.8
    back = voice("chat", "-p", "local", "-i", "reply.wav", "--json")
    assert "Paris" in finals(events(back.stdout))[0][1]


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


def test_through_pipes_sound_goes_out_and_words_aside(voice: Voice, tmp_path: Path) -> None:
    result = voice("chat", "-p", "local", stdin=QUESTION.read_bytes())
    assert result.code == 0
    assert result.stdout.startswith(b"RIFF\xff\xff\xff\xffWAVE")
    assert "Assistant: " in result.stderr
    (tmp_path / "piped.wav").write_bytes(result.stdout)
    back = voice("chat", "-p", "local", "-i", "piped.wav", "--json")
    assert "Paris" in finals(events(back.stdout))[0][1]


def test_several_questions_are_one_conversation(voice: Voice) -> None:
    result = voice("chat", "-p", "local", "-i", str(DATA / "three_questions.wav"), "--json")
    said = finals(events(result.stdout))
    assert [role for role, _ in said] == ["user", "assistant"] * 3
    assert "Rex" in said[0][1]
    assert "Rex" in said[3][1], "the second answer knows what the first question said"
    assert "Paris" in said[5][1]


@pytest.mark.parametrize("vad", ["none", "server"])
def test_the_turns_can_be_found_otherwise(voice: Voice, vad: str) -> None:
    result = voice("chat", "-p", "local", "-i", str(QUESTION), "--json", "--vad", vad)
    assert finals(events(result.stdout))[0] == ("user", "What is the capital of France?")
    assert "Paris" in finals(events(result.stdout))[1][1]


def test_raw_samples(voice: Voice) -> None:
    with wave.open(str(QUESTION)) as file:
        raw = file.readframes(file.getnframes())
        rate = str(file.getframerate())
    result = voice("chat", "-p", "local", "--json", "--input-rate", rate, stdin=raw)
    assert finals(events(result.stdout))[0] == ("user", "What is the capital of France?")
    odd = voice("chat", "-p", "local", "--json", "--input-rate", rate, stdin=raw + b"x")
    assert odd.code == 2
    assert "amid a sample" in odd.stderr
    last = events(odd.stdout)[-1]
    assert (last["type"], last["error"], last["fatal"]) == ("error", "AudioFormatError", True)


def test_text_is_answered(voice: Voice, tmp_path: Path) -> None:
    result = voice("send-text", "-", "-p", "local", "-q", "-o", "r.wav", stdin=b"What is the capital of France?\n")
    assert result.code == 0, result.stderr
    you, assistant = result.stdout.decode().splitlines()
    assert you == "You: What is the capital of France?"
    assert "Paris" in assistant
    assert seconds(tmp_path / "r.wav") > 0.5


def test_silence_is_no_question(voice: Voice, tmp_path: Path) -> None:
    with wave.open(str(tmp_path / "silence.wav"), "wb") as file:
        file.setparams((1, 2, 16_000, 0, "NONE", ""))
        file.writeframes(bytes(64_000))
    result = voice("chat", "-p", "local", "-i", "silence.wav", "--json")
    assert result.code == 0
    assert finals(events(result.stdout)) == []


def test_whoever_reads_may_leave() -> None:
    """`voice chat | head -c 10`: no traceback, and no failure."""
    with subprocess.Popen(
        [sys.executable, "-m", "voicecli", "send-text", "Tell me about Paris.", "-p", "local", "--json"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.read(10)
        process.stdout.close()
        message = process.stderr.read().decode()
    assert process.returncode == 0
    assert "Traceback" not in message
    assert "BrokenPipe" not in message


@pytest.mark.parametrize("moment", ["starting", "listening", "answering"])
def test_ctrl_c_ends_cleanly_at_any_moment(tmp_path: Path, moment: str) -> None:
    """The output is a WAV that plays, whenever it comes."""
    output = tmp_path / "r.wav"
    process = subprocess.Popen(
        [sys.executable, "-m", "voicecli", "chat", "-p", "local", "--json", "-o", str(output)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=clean_environment(),
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stderr is not None
    awaited = {"starting": None, "listening": "session_started", "answering": "transcript"}[moment]
    process.stdin.write(QUESTION.read_bytes())  # and the pipe stays open, as a live one would
    process.stdin.flush()
    if awaited is None:
        # It is in Python's hands once it has opened the output.
        while not output.exists() and process.poll() is None:
            os.sched_yield()
    else:
        for line in process.stdout:
            if json.loads(line)["type"] == awaited:
                break
    process.send_signal(signal.SIGINT)
    _, message = process.communicate(timeout=30)
    assert process.returncode == 130, message.decode()
    assert b"Traceback" not in message
    if output.exists() and output.stat().st_size:
        seconds(output)


def test_tools_are_offered_and_their_failures_told(voice: Voice, tmp_path: Path) -> None:
    """The built-in model calls none, which must not keep it from answering."""
    (tmp_path / "tools.py").write_text(
        'def weather(city: str) -> str:\n    """Tell the weather."""\n    return "sun"\n'
    )
    result = voice("send-text", "What is the capital of France?", "-p", "local", "-q", "--tools", "tools.py", "--json")
    assert result.code == 0, result.stderr
    assert "Paris" in finals(events(result.stdout))[1][1]
