"""Sound that libsndfile does not read, decoded by ffmpeg."""

import os
import shutil
import stat
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests.audio.test_files import piped
from tests.conftest import DATA
from voicecli.audio.files.ffmpeg import FfmpegDecoder, find_ffmpeg
from voicecli.audio.files.formats import has_sound_name, is_sound, needs_ffmpeg
from voicecli.audio.files.source import WavSource
from voicecli.errors import AudioFormatError
from voicecli.text_files import looks_like_text

needs_program = pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="ffmpeg is not installed")


def encoded(folder: Path, name: str, *options: str) -> Path:
    path = folder / name
    command = ["ffmpeg", "-loglevel", "error", "-i", str(DATA / "question.wav"), *options, str(path)]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return path


async def heard(source: WavSource) -> tuple[int, bytes]:
    try:
        audio = b"".join([chunk async for chunk in source])
        return source.sample_rate, audio
    finally:
        await source.aclose()


def loudness(audio: bytes) -> float:
    return float(np.sqrt((np.frombuffer(audio, "<i2").astype(float) ** 2).mean()))


@needs_program
@pytest.mark.parametrize(
    ("name", "kind"),
    [("q.m4a", "MPEG-4"), ("q.webm", "Matroska or WebM"), ("q.aac", "AAC"), ("q.wma", "Windows Media")],
)
async def test_other_formats(tmp_path: Path, name: str, kind: str) -> None:
    path = encoded(tmp_path, name)
    head = path.read_bytes()[:12]
    assert needs_ffmpeg(head) == kind
    assert is_sound(head)
    rate, audio = await heard(WavSource(path))
    assert len(audio) / 2 / rate == pytest.approx(3.06, abs=0.15)
    _, original = await heard(WavSource(DATA / "question.wav"))
    assert loudness(audio) == pytest.approx(loudness(original), rel=0.1)


@needs_program
async def test_out_of_a_pipe_though_it_must_be_sought_in(tmp_path: Path) -> None:
    """The index of an M4A file stands at its end."""
    content = encoded(tmp_path, "q.m4a").read_bytes()
    with piped(content, 10_000) as stream:
        rate, audio = await heard(WavSource(stream))
    assert len(audio) / 2 / rate == pytest.approx(3.06, abs=0.15)


@needs_program
async def test_strange_names_are_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    whole = encoded(tmp_path, "q.m4a")
    for name in ("-version.m4a", "concat:a|b.m4a", "100%d $(touch gone).m4a"):
        os.link(whole, name)
        rate, audio = await heard(WavSource(name))
        assert len(audio) > rate
    assert not (tmp_path / "gone").exists()


@needs_program
async def test_a_file_that_is_cut_short_is_used_as_far_as_it_goes(tmp_path: Path) -> None:
    content = encoded(tmp_path, "q.webm").read_bytes()
    (tmp_path / "cut.webm").write_bytes(content[: len(content) // 2])
    rate, audio = await heard(WavSource(tmp_path / "cut.webm"))
    assert 1 < len(audio) / 2 / rate < 2.5


@needs_program
@pytest.mark.parametrize("content", [b"\0\0\0\x1cftypM4A " + bytes(90), b"\x1aE\xdf\xa3" + bytes(90)])
def test_what_it_cannot_decode_is_told(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "x.m4a").write_bytes(content)
    with pytest.raises(AudioFormatError, match=r"x\.m4a' cannot be decoded: .*complete\?"):
        WavSource(tmp_path / "x.m4a")


@needs_program
def test_what_nobody_knows_is_told_as_before(tmp_path: Path) -> None:
    (tmp_path / "x.bin").write_bytes(bytes(range(256)) * 20)
    with pytest.raises(AudioFormatError, match="is no sound file: Format not recognised"):
        WavSource(tmp_path / "x.bin")


@needs_program
def test_a_playlist_opens_no_other_file(tmp_path: Path) -> None:
    """Nor an address: only containers of sound are let in."""
    shutil.copy(DATA / "question.wav", tmp_path)
    playlist = tmp_path / "list.m3u8"
    playlist.write_text("#EXTM3U\n#EXT-X-TARGETDURATION:5\n#EXTINF:5,\nquestion.wav\n#EXT-X-ENDLIST\n")
    program = find_ffmpeg()
    assert program is not None
    with playlist.open("rb") as stream, pytest.raises(AudioFormatError):
        FfmpegDecoder(program, stream, "'list.m3u8'", str(playlist))


def test_without_it_the_command_that_converts_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    path = tmp_path / "a b.m4a"
    path.write_bytes(b"\0\0\0\x1cftypM4A " + bytes(90))
    with pytest.raises(AudioFormatError) as refused:
        WavSource(path)
    assert refused.value.message == f"{str(path)!r} is MPEG-4, which takes ffmpeg to read."
    assert refused.value.advice.endswith(f"ffmpeg -i '{path}' '{tmp_path / 'a b.wav'}'")


@pytest.mark.skipif(os.name != "posix", reason="the program is a script")
def test_a_program_that_hangs_is_ended(tmp_path: Path) -> None:
    hanging = tmp_path / "ffmpeg"
    hanging.write_text("#!/bin/sh\nexec sleep 600\n")
    hanging.chmod(hanging.stat().st_mode | stat.S_IXUSR)
    with (DATA / "question.wav").open("rb") as stream, pytest.raises(AudioFormatError, match="cannot be decoded"):
        FfmpegDecoder(str(hanging), stream, "'q'", str(DATA / "question.wav"), stalled_s=0.05)


@pytest.mark.parametrize(
    "text",
    [
        b"FORMAT of the day",
        b"RIFF on seven",
        b"MAC addresses",
        b"caffeine, please",
        b"ID3 is a tag",
        b"fLaC",
        b"Hi",
        b"",
    ],
)
def test_text_that_begins_like_a_format_is_text(text: bytes) -> None:
    assert not is_sound(text[:12])
    assert looks_like_text(text)


def test_names_of_sound_files() -> None:
    assert has_sound_name("a/b.M4A")
    assert has_sound_name("q.wav")
    assert not has_sound_name("notes.txt")
    assert not has_sound_name("wav")
