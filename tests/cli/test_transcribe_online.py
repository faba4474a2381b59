"""`voice transcribe` with providers over a network: the command as it is, and strict servers on loopback."""

import wave
from pathlib import Path

import pysubs2
import pytest

from tests.cli.conftest import DATA, Voice
from tests.loopback import gemini_transcription_server, openai_transcription_server
from tests.loopback.gemini_transcription_server import GeminiTranscriptionServer
from tests.loopback.openai_transcription_server import TranscriptionServer

QUESTIONS = ["My dog is called Rex.", "What is my dog called?", "What is the capital of France?"]


@pytest.fixture
def talk(tmp_path: Path) -> Path:
    path = tmp_path / "talk.wav"
    path.write_bytes((DATA / "three_questions.wav").read_bytes())
    return path


@pytest.fixture
def question(tmp_path: Path) -> Path:
    """The first one: with services that hear a recording as it is spoken."""
    path = tmp_path / "question.wav"
    with wave.open(str(DATA / "three_questions.wav")) as talk, wave.open(str(path), "wb") as file:
        file.setparams(talk.getparams())
        file.writeframes(talk.readframes(2 * talk.getframerate()))
    return path


def test_captions_by_openai(voice: Voice, talk: Path) -> None:
    asked = iter(QUESTIONS)
    with TranscriptionServer.in_thread(hears=lambda audio: next(asked)) as server:
        result = voice(
            *("transcribe", str(talk), "--provider", "openai", "--srt", "--language", "en", "--keyword", "Rex"),
            OPENAI_API_KEY=openai_transcription_server.KEY,
            OPENAI_BASE_URL=server.url,
        )
        assert (result.code, result.lines) == (0, []), result.stderr
        (update,) = server.received("session.update")
    transcription = update["session"]["audio"]["input"]["transcription"]
    assert transcription == {"model": "gpt-transcribe", "languages": ["en"], "keywords": ["Rex"]}
    assert "$0.0045 a minute" in result.stderr
    assert openai_transcription_server.KEY not in result.stderr
    captions = list(pysubs2.load(str(talk.with_suffix(".srt"))))
    assert [caption.plaintext for caption in captions] == QUESTIONS
    for caption in captions:
        assert 1_000 < caption.end - caption.start < 3_000  # of the voice, not of the silence around it


def test_captions_by_gemini(voice: Voice, question: Path) -> None:
    with GeminiTranscriptionServer.in_thread(hears=lambda audio: QUESTIONS[0]) as server:
        result = voice(
            *("transcribe", str(question), "--provider", "gemini"),
            GEMINI_API_KEY=gemini_transcription_server.KEY,
            GOOGLE_GEMINI_BASE_URL=server.url,
        )
        assert (result.code, result.lines) == (0, [QUESTIONS[0]]), result.stderr


def test_a_refused_key_is_told(voice: Voice, talk: Path) -> None:
    with TranscriptionServer.in_thread(keys=()) as server:
        result = voice(
            *("transcribe", str(talk), "--provider", "openai"), OPENAI_API_KEY="sk-wrong", OPENAI_BASE_URL=server.url
        )
    assert result.code != 0
    assert "refused the key" in result.stderr
    assert "Traceback" not in result.stderr
