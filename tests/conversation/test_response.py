"""The answer to an utterance, saved as a sound file."""

import wave
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from voicecli import AudioFormatError, ConfigurationError, Response
from voicecli.events import TurnMetrics, Usage

RESPONSE = Response(b"\1\0\2\0" * 100, 16_000, "Yes.", "Really?", "completed", Usage(), TurnMetrics())


@pytest.mark.parametrize("name", ["reply.wav", "REPLY.WAV", "reply"])
@pytest.mark.parametrize("kind", [str, Path])
def test_a_response_is_saved_as_wav(tmp_path: Path, name: str, kind: Any) -> None:
    path = tmp_path / name
    path.write_bytes(bytes(10_000))
    RESPONSE.save(kind(path))
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth(), file.getframerate()) == (1, 2, 16_000)
        assert file.readframes(file.getnframes()) == RESPONSE.audio
    assert path.stat().st_size == 44 + len(RESPONSE.audio)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"audio": b""}, r"nothing to save in '.*reply\.wav': the answer has no sound"),
        ({"audio": b"", "status": "no_speech"}, "nothing was said to be answered"),
    ],
)
def test_without_sound_there_is_nothing_to_save(tmp_path: Path, changes: Any, says: str) -> None:
    with pytest.raises(AudioFormatError, match=says):
        replace(RESPONSE, **changes).save(tmp_path / "reply.wav")
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    with pytest.raises(AudioFormatError, match=r"Cannot write '.*missing.*': No such file or directory\. Choose"):
        RESPONSE.save(tmp_path / "missing" / "reply.wav")
    with pytest.raises(AudioFormatError, match=r"Cannot write .*null"):
        RESPONSE.save("a\0b.wav")


def test_no_other_format_is_written_under_its_name(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"reply\.mp3' would be a WAV file"):
        RESPONSE.save(tmp_path / "reply.mp3")
    assert list(tmp_path.iterdir()) == []
