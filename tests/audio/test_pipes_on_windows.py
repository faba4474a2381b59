"""Sound through pipes as Windows has it: no descriptor that libraries understand, and shells that take it for text."""

import io
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.audio.test_files import RATE, assert_close, contents, encoded, piped, wav
from voicecli.audio.files.samples import decode_samples
from voicecli.audio.files.shell_text import was_taken_for_text
from voicecli.audio.files.source import WavSource
from voicecli.cli.inputs import open_inputs
from voicecli.errors import AudioFormatError

SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ALAW", "ULAW"]


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_samples_are_those_of_libsndfile(subtype: str) -> None:
    rng = np.random.default_rng(1)
    kept = io.BytesIO()
    form: dict[str, Any] = {"samplerate": 8_000, "subtype": subtype, "format": "RAW", "endian": "LITTLE"}
    soundfile.write(kept, rng.uniform(-1, 1, (500, 2)), **form)
    content = kept.getvalue()
    theirs, _ = soundfile.read(io.BytesIO(content), channels=2, dtype="float32", **form)
    ours = decode_samples(content, subtype, 2)
    assert ours.dtype == np.float32
    np.testing.assert_array_equal(ours, theirs)


@pytest.mark.parametrize("subtype", SUBTYPES)
async def test_wav_out_of_a_pipe_needs_no_descriptor(monkeypatch: pytest.MonkeyPatch, subtype: str) -> None:
    real = soundfile.SoundFile.__init__

    def refusing(self: Any, file: Any, *arguments: Any, **options: Any) -> None:
        if isinstance(file, int):
            raise OSError(9, "Bad file descriptor")  # as where a library has a C runtime of its own
        real(self, file, *arguments, **options)

    monkeypatch.setattr(soundfile.SoundFile, "__init__", refusing)
    with piped(encoded(subtype)) as pipe:
        rate, audio = await contents(WavSource(pipe))
    assert rate == RATE
    assert_close(audio, 900 if subtype in ("PCM_U8", "ALAW", "ULAW") else 1)


def through_powershell(content: bytes, version: str) -> bytes:
    """What arrives of bytes that pass a pipe of PowerShell, or its `>` ("redirected")."""
    text = content.decode("cp437").replace("\r\n", "\n").replace("\r", "\n").replace("\n", "\r\n") + "\r\n"
    if version == "redirected":
        return text.encode("utf-16")
    return text.encode(*(("ascii", "replace") if version == "5.1" else ("utf-8",)))


@pytest.mark.parametrize("version", ["5.1", "7.3", "redirected"])
@pytest.mark.parametrize("form", ["WAV", "FLAC", "OGG"])
async def test_a_shell_that_ruined_it_is_named(tmp_path: Path, form: str, version: str) -> None:
    content = through_powershell(encoded("VORBIS" if form == "OGG" else "PCM_16", form), version)
    with piped(content) as pipe, pytest.raises(AudioFormatError, match="taken for text") as told:
        await contents(WavSource(pipe))
    assert "PowerShell" in told.value.advice
    path = tmp_path / "question"  # without a name that says what it is
    path.write_bytes(content)
    with pytest.raises(AudioFormatError, match="taken for text"):
        await contents(WavSource(open_inputs([str(path)], None)[0]))  # type: ignore[arg-type]


@pytest.mark.parametrize("subtype", SUBTYPES)
def test_what_is_sound_is_not_taken_for_ruined(subtype: str) -> None:
    content = encoded(subtype)
    assert not was_taken_for_text(content)
    assert not was_taken_for_text(content[44:])


@pytest.mark.parametrize(
    "content",
    [
        b"",
        bytes(5_000),
        "Что? Где? Когда? ".encode() * 100,
        "\ufeffWer war das?".encode("utf-16-le"),
        b"ID3\x04\0\0\0\0\x10\0TIT2\0\0\0\x09\0\0\x03" + "春眠不覺曉".encode() * 300,
        wav(struct.pack("<2000h", *range(-1_000, 1_000))),
    ],
)
def test_what_is_text_or_silence_is_not_taken_for_ruined(content: bytes) -> None:
    assert not was_taken_for_text(content)
