"""Sound files as people have them: as recorders, streaming writers and crashes leave them, in files and in pipes."""

import asyncio
import io
import logging
import os
import random
import struct
import subprocess
import sys
import threading
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.audio.test_files import LIST, PCM, RATE, TONE, UNKNOWN, assert_close, contents, encoded, piped, wav
from tests.cli.conftest import ROOT
from voicecli.audio.files.source import WavSource
from voicecli.errors import AudioFormatError

JUNK = struct.pack("<4sI", b"JUNK", 28) + bytes(28)
BEXT = struct.pack("<4sI", b"bext", 602) + b"a take".ljust(602, b"\0")
ODD = struct.pack("<4sI", b"LIST", 7) + b"INFOxyz"
PICTURE = struct.pack("<4sI", b"id3 ", 300_000) + b"data" * 75_000


def fmt(tag: int = 1, channels: int = 1, rate: int = RATE, bits: int = 16) -> bytes:
    align = channels * bits // 8
    return struct.pack("<4sIHHIIHH", b"fmt ", 16, tag, channels, rate, rate * align % 2**32, align, bits)


def riff(*chunks: bytes, name: bytes = b"RIFF", size: int | None = None) -> bytes:
    body = b"".join(chunks)
    return name + struct.pack("<I", len(body) + 4 if size is None else size) + b"WAVE" + body


def chunk(name: bytes, content: bytes, size: int | None = None) -> bytes:
    return name + struct.pack("<I", len(content) if size is None else size) + content


def data(size: int | None = None, audio: bytes = PCM) -> bytes:
    return chunk(b"data", audio, size)


def floats(samples: Any, subtype: str = "FLOAT") -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.asarray(samples), RATE, subtype=subtype, format="WAV")
    return buffer.getvalue()


async def heard(content: bytes, way: str, tmp_path: Path, notices: list[str] | None = None) -> tuple[int, bytes]:
    """Rate and audio of what lies in a file, or comes through a pipe."""
    path = tmp_path / "question.wav"
    path.write_bytes(content)
    with piped(content, step=7_000) as pipe:
        source = WavSource(path if way == "file" else pipe)
        if notices is not None:
            source.on_notice = lambda code, message: notices.append(f"{code}: {message}")
        return await contents(source)


both_ways = pytest.mark.parametrize("way", ["file", "pipe"])

WHOLE = {
    "a crashed recorder": riff(fmt(), data(0), size=0),
    "a crashed recorder with a list": riff(fmt(), LIST, data(0), size=0),
    "a streaming writer": riff(fmt(), data(UNKNOWN), size=UNKNOWN),
    "2 GB, as some write": riff(fmt(), data(0x7FFFF000), size=0x7FFFF024),
    "two data chunks": riff(fmt(), data(audio=PCM[:9_000]), data(audio=PCM[9_000:])),
    "chunks between the data": riff(fmt(), data(audio=PCM[:9_000]), LIST, ODD + b"\0", data(audio=PCM[9_000:])),
    "chunks before the data": riff(JUNK, BEXT, fmt(), LIST, JUNK, PICTURE, data()),
    "chunks behind the data": riff(fmt(), data(), LIST, BEXT),
    "an odd chunk, padded": riff(fmt(), ODD + b"\0", data()),
    "an odd chunk, not padded": riff(fmt(), ODD, data()),
    "RF64": riff(
        chunk(b"ds64", struct.pack("<QQQI", 100, len(PCM), RATE, 0)), fmt(), data(UNKNOWN), LIST, name=b"RF64"
    ),
    "RF64 of unknown length": riff(
        chunk(b"ds64", struct.pack("<QQQI", 0, 0, 0, 0)), fmt(), data(UNKNOWN), name=b"RF64"
    ),
    "sizes of nothing": riff(fmt(), data(), size=3),
    "byte rate of nonsense": riff(fmt()[:16] + bytes(4) + fmt()[20:], data()),
    "20 bits in 24": riff(
        fmt(bits=24)[:-2] + struct.pack("<H", 20),
        data(audio=b"".join(b"\0" + PCM[i : i + 2] for i in range(0, 32_000, 2))),
    ),
    "AIFF": encoded(container="AIFF"),
    "AU": encoded(container="AU"),
    "CAF": encoded(container="CAF"),
    "FLAC": encoded(container="FLAC"),
    "W64": encoded(container="W64"),
    "big-endian WAV": riff(
        struct.pack(">4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16),
        struct.pack(">4sI", b"data", len(PCM)) + np.frombuffer(PCM, "<i2").byteswap().tobytes(),
        name=b"RIFX",
        size=int.from_bytes(struct.pack(">I", 32_036), "little"),
    ),
}


@both_ways
@pytest.mark.parametrize("content", WHOLE.values(), ids=WHOLE)
async def test_all_of_the_audio_is_heard_and_nothing_else(tmp_path: Path, content: bytes, way: str) -> None:
    notices: list[str] = []
    rate, audio = await heard(content, way, tmp_path, notices)
    assert (rate, len(audio), notices) == (RATE, len(PCM), [])
    assert_close(audio, 1)


@both_ways
@pytest.mark.parametrize(
    ("container", "subtype"),
    [
        ("WAV", "GSM610"),
        ("WAV", "MS_ADPCM"),
        ("WAV", "IMA_ADPCM"),
        ("WAV", "G721_32"),
        ("OGG", "VORBIS"),
        ("OGG", "OPUS"),
        ("MP3", "MPEG_LAYER_III"),
    ],
)
async def test_compressed_sound(tmp_path: Path, way: str, container: str, subtype: str) -> None:
    notices: list[str] = []
    content = encoded(subtype, container)
    found, audio = await heard(content, way, tmp_path, notices)
    assert (found, notices) == (RATE, [])
    expected = soundfile.read(io.BytesIO(content))[0]
    assert len(audio) == 2 * len(expected)
    assert np.abs(np.frombuffer(audio, "<i2") - np.clip(expected * 32_768, -32_768, 32_767)).max() <= 1


@both_ways
@pytest.mark.parametrize("subtype", ["MS_ADPCM", "GSM610"])
async def test_compressed_sound_of_a_crashed_recorder(tmp_path: Path, way: str, subtype: str) -> None:
    content = encoded(subtype)
    at = content.index(b"data") + 4
    _, audio = await heard(content[:at] + bytes(4) + content[at + 4 :], way, tmp_path)
    assert audio == (await heard(content, "file", tmp_path))[1]


async def test_no_audio_is_no_audio_though_chunks_follow(tmp_path: Path) -> None:
    """A pipe cannot look ahead: most who write 0 to one mean that they do not know."""
    with pytest.raises(AudioFormatError, match="holds no audio"):
        await heard(riff(fmt(), data(audio=b""), LIST, BEXT), "file", tmp_path)


@both_ways
@pytest.mark.parametrize(
    ("header", "told"),
    [
        (fmt(rate=0), "0 samples in a second"),
        (fmt(rate=1), "1 samples in a second"),
        (fmt(rate=4_000_000_000), "4000000000 samples in a second"),
        (fmt(channels=0), "no channels"),
        (fmt(tag=0xBEEF), "no sound file"),
        (fmt(bits=0), "no sound file"),
        (struct.pack("<4sI", b"fmt ", 4) + bytes(4), "no sound file"),
    ],
)
async def test_a_header_that_cannot_be_is_refused_at_once(tmp_path: Path, header: bytes, told: str, way: str) -> None:
    with pytest.raises(AudioFormatError, match=told) as caught:
        await heard(riff(header, data()), way, tmp_path)
    assert ("question.wav" if way == "file" else "WAV, FLAC, OGG or MP3") in str(caught.value)


@both_ways
async def test_the_rate_of_any_format_is_looked_at(tmp_path: Path, way: str) -> None:
    with pytest.raises(AudioFormatError, match="900 samples"):
        await heard(encoded(container="AU", rate=900), way, tmp_path)


LOUD = {
    "16 bit": (32_768, "16 bit"),
    "24 bit": (2**23, "24 bit"),
    "32 bit": (2**31, "32 bit"),
}


@both_ways
@pytest.mark.parametrize("subtype", ["FLOAT", "DOUBLE"])
@pytest.mark.parametrize(("scale", "told"), LOUD.values(), ids=LOUD)
async def test_floats_that_were_never_scaled_are_recognised(
    tmp_path: Path, way: str, subtype: str, scale: int, told: str
) -> None:
    """Also when they begin with silence, and with noise that is below 1 even so."""
    quiet = np.concatenate((np.zeros(2_000), np.full(2_000, 0.6)))
    notices: list[str] = []
    _, audio = await heard(floats(np.concatenate((quiet, TONE * scale)), subtype), way, tmp_path, notices)
    assert not np.frombuffer(audio[: 2 * quiet.size], "<i2").any() or scale == 32_768
    assert_close(audio[2 * quiet.size :], 1)
    assert len(notices) == 1
    assert notices[0].startswith("input_scaled: ")
    assert told in notices[0]


@both_ways
async def test_floats_that_are_loud_stay_as_they_are(tmp_path: Path, way: str) -> None:
    """Up to 24 dB too loud, and with a few samples that are far beyond."""
    samples = TONE * 4
    samples[::1_000] = 1e30
    notices: list[str] = []
    _, audio = await heard(floats(samples), way, tmp_path, notices)
    expected = np.clip(samples * 32_768, -32_768, 32_767)
    assert np.abs(np.frombuffer(audio, "<i2") - expected).max() <= 1
    assert notices == []


@both_ways
async def test_what_is_no_number_is_silence_in_its_channel_alone(tmp_path: Path, way: str) -> None:
    samples = np.stack([TONE, TONE], axis=1)
    samples[100:200, 0], samples[300:310, 1], samples[400], samples[500] = np.nan, np.inf, -np.inf, 3e38
    notices: list[str] = []
    _, audio = await heard(floats(samples), way, tmp_path, notices)
    clean = np.where(np.isfinite(samples), samples, 0).mean(axis=1) * 32_768
    assert np.abs(np.frombuffer(audio, "<i2") - np.clip(clean, -32_768, 32_767)).max() <= 1
    assert len(notices) == 1
    assert "no numbers" in notices[0]


CUT = {
    "WAV": encoded(),
    "FLAC": encoded(container="FLAC"),
    "AIFF": encoded(container="AIFF"),
    "AU": encoded(container="AU"),
}


@both_ways
@pytest.mark.parametrize("content", CUT.values(), ids=CUT)
async def test_what_is_there_of_a_file_that_is_cut_short_is_used(tmp_path: Path, content: bytes, way: str) -> None:
    notices: list[str] = []
    _, audio = await heard(content[: len(content) * 6 // 10], way, tmp_path, notices)
    assert len(PCM) * 0.4 < len(audio) < len(PCM) * 0.61
    assert np.abs(np.frombuffer(audio, "<i2").astype(int) - np.frombuffer(PCM[: len(audio)], "<i2")).max() <= 1
    if content is not CUT["AU"] and content is not CUT["AIFF"]:  # of these libsndfile does not tell the difference
        assert [notice.partition(":")[0] for notice in notices] == ["input_truncated"]
        assert "of the 1.0 s" in notices[0]


@both_ways
async def test_damage_amid_a_file_ends_it_and_is_told(tmp_path: Path, way: str) -> None:
    content = encoded(container="FLAC")
    notices: list[str] = []
    middle = len(content) // 2
    _, audio = await heard(content[:middle] + bytes(len(content) - middle), way, tmp_path, notices)
    assert len(audio) > 0
    assert len(notices) == 1


async def test_a_pipe_that_stays_open_ends_where_its_header_says() -> None:
    reading, writing = os.pipe()
    with os.fdopen(reading, "rb", buffering=0) as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
        threading.Thread(target=pipe.write, args=(wav(PCM),)).start()
        assert await contents(WavSource(stream)) == (RATE, PCM)


async def test_a_pipe_of_compressed_sound_has_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("voicecli.audio.files.streams._MOST_SPOOLED", 5_000_000)
    with pytest.raises(AudioFormatError, match="longer than 5 MB"):
        await contents(WavSource("/dev/zero"))


async def test_a_stream_without_a_descriptor(tmp_path: Path) -> None:
    """As of an archive, or of the body of an HTTP response."""

    class Body(io.RawIOBase):
        def __init__(self, content: bytes) -> None:
            self._content = io.BytesIO(content)

        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            return self._content.readinto(memoryview(buffer)[:100])

    body: Any = Body(wav(PCM))
    assert await contents(WavSource(body)) == (RATE, PCM)
    with zipfile.ZipFile(tmp_path / "x.zip", "w") as archive:
        archive.writestr("question.wav", wav(PCM))
    with zipfile.ZipFile(tmp_path / "x.zip") as archive, archive.open("question.wav") as member:
        assert await contents(WavSource(member)) == (RATE, PCM)  # type: ignore[arg-type]


@pytest.mark.parametrize("content", [b"", b"Dear diary, " * 100, b"\0" * 5_000, b"RIFF", b"RIFF\0\0\0\0WAVEfmt "])
@both_ways
async def test_what_is_no_sound_is_told_to_be_none(tmp_path: Path, content: bytes, way: str) -> None:
    with pytest.raises(AudioFormatError, match="is empty" if not content else "is no sound file"):
        await heard(content, way, tmp_path)


async def test_a_device_that_gives_nothing_is_empty() -> None:
    with pytest.raises(AudioFormatError, match="'/dev/null' is empty"):
        await contents(WavSource("/dev/null"))


def test_the_decoder_of_mp3_keeps_to_itself_what_it_thinks(tmp_path: Path) -> None:
    """It complains from C of a file that is longer than it says, and of one that is damaged."""
    content = bytearray(encoded("MPEG_LAYER_III", "MP3") * 3)
    content[700:900] = bytes(200)
    (tmp_path / "x.mp3").write_bytes(content)
    decode = (
        "import asyncio, sys\nfrom voicecli.audio.files.source import WavSource\n"
        "async def main(): print(len(b''.join([c async for c in WavSource(sys.argv[1])])))\n"
        "asyncio.run(main())"
    )
    control = "import soundfile, sys; print(len(soundfile.read(sys.argv[1])[0]))"
    errors = []
    for program in (decode, control):
        command = [sys.executable, "-c", program, str(tmp_path / "x.mp3")]
        done = subprocess.run(command, capture_output=True, cwd=ROOT, check=True)
        assert int(done.stdout) >= RATE
        errors.append(done.stderr)
    assert errors[0] == b""
    assert errors[1] != b"", "else nothing is tested"


async def test_without_anybody_to_tell_notices_go_to_the_log(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        await contents(WavSource(io.BytesIO(wav(PCM)[:20_000])))
    assert "cut short" in caplog.text


@both_ways
async def test_whatever_a_header_says_there_is_sound_or_one_clear_error(tmp_path: Path, way: str) -> None:
    """And soon."""
    chance = random.Random(way)
    bases = [
        riff(JUNK, fmt(), LIST, data(), LIST),
        floats(TONE),
        encoded("IMA_ADPCM"),
        encoded("PCM_24", "WAVEX"),
        *(encoded(container=container) for container in ("W64", "RF64", "AIFF", "CAF", "AU")),
    ]
    ends = {"sound": 0, "error": 0}
    for _ in range(150):
        content = bytearray(chance.choice(bases))
        for _ in range(chance.randint(1, 4)):
            content[chance.randrange(110)] = chance.choice([0, 1, 255, chance.randrange(256)])
        try:
            async with asyncio.timeout(10):
                await heard(bytes(content), way, tmp_path, [])
            ends["sound"] += 1
        except AudioFormatError:
            ends["error"] += 1
    assert min(ends.values()) > 20
