"""`voice transcribe --provider`: the command with OpenAI's and Gemini's codecs, and strict servers."""

import json
import os
import wave
from collections.abc import Callable
from pathlib import Path

import pysubs2
import pytest

from tests.loopback import gemini_server, openai_server
from tests.loopback.gemini_transcription_server import GeminiTranscriptionServer
from tests.loopback.openai_transcription_server import TranscriptionServer
from tests.loopback.spoken_words import pause, word
from voicecli.cli import execute

Run = Callable[..., tuple[int, list[dict[str, object]], str]]


@pytest.fixture
def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    monkeypatch.chdir(tmp_path)

    def run(*args: str) -> tuple[int, list[dict[str, object]], str]:
        code = execute(["transcribe", *args, "--json"])
        out, err = capsys.readouterr()
        return code, [json.loads(line) for line in out.splitlines()], err

    return run


def write(path: Path, audio: bytes, rate: int) -> None:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(audio)


def test_openai_is_told_where_utterances_end(
    run: Run, speech: bytes, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(tmp_path / "talk.wav", bytes(32_000) + speech + bytes(64_000) + speech, 16_000)
    lengths: list[int] = []

    def hears(audio: bytes) -> str:
        return f"{len(audio)} bytes"

    with TranscriptionServer.in_thread(hears=hears) as server:
        monkeypatch.setenv("OPENAI_API_KEY", openai_server.KEY)
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        code, lines, err = run("talk.wav", "-p", "openai", "--srt", "--language", "en", "--keyword", "voicecli")
        lengths += [len(server.received("input_audio_buffer.commit"))]
    first, second = [line for line in lines if line["final"]]
    spoken_ms = len(speech) // 32
    assert code == 0
    assert lengths == [2]
    assert 1_000 <= int(str(first["start_ms"])) < int(str(first["end_ms"])) <= 1_300 + spoken_ms, "of the voice"
    assert int(str(second["start_ms"])) >= 3_000 + spoken_ms
    assert len(pysubs2.load("talk.srt")) == 2
    assert "openai (gpt-transcribe) transcribes on its servers, for $0.0045 a minute." in err


def test_gemini_finds_them_itself(run: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    said = b"".join(word(number, 16_000) for number in range(3))
    write(tmp_path / "talk.wav", pause(16_000) + said + pause(16_000, 600), 16_000)
    with GeminiTranscriptionServer.in_thread() as server:
        monkeypatch.setenv("GEMINI_API_KEY", gemini_server.KEY)
        monkeypatch.setenv("VOICE_BASE_URL", server.url)
        code, lines, _ = run("talk.wav", "-p", "gemini")
    assert code == 0
    (final,) = [line for line in lines if line["final"]]
    assert final == {"start_ms": 200, "end_ms": 800, "text": "w0 w1 w2", "final": True}
    assert any(not line["final"] for line in lines), "and what is being said meanwhile"
    assert os.listdir(tmp_path) == ["talk.wav"]
