import asyncio
import contextlib
import gc
import io
import os
import signal
import stat
import struct
import subprocess
import sys
import threading
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from tests.support.named_pipes import make_named_pipe, open_reading_end
from tests.support.systems import lacks, may_everything
from voicecli.audio.files.sink import WavSink
from voicecli.audio.files.source import WavSource
from voicecli.audio.pcm import float32_to_pcm16
from voicecli.errors import AudioFormatError, ConfigurationError, RealtimeError

RATE = 16_000
TONE = 0.5 * np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE)
PCM = float32_to_pcm16(TONE)
SUBTYPES = ["PCM_U8", "PCM_16", "PCM_24", "PCM_32", "FLOAT", "DOUBLE", "ULAW", "ALAW"]
UNKNOWN = 0xFFFFFFFF


def encoded(subtype: str = "PCM_16", container: str = "WAV", channels: int = 1, rate: int = RATE) -> bytes:
    buffer = io.BytesIO()
    soundfile.write(buffer, np.stack([TONE] * channels, axis=1), rate, subtype=subtype, format=container)
    return buffer.getvalue()


def wav(audio: bytes, riff: int | None = None, data: int | None = None, extra: bytes = b"") -> bytes:
    """A WAV file put together by hand, with whatever lengths a writer may claim."""
    riff = 36 + len(extra) + len(audio) if riff is None else riff
    form = struct.pack("<4sIHHIIHH", b"fmt ", 16, 1, 1, RATE, RATE * 2, 2, 16)
    length = struct.pack("<4sI", b"data", len(audio) if data is None else data)
    return struct.pack("<4sI4s", b"RIFF", riff, b"WAVE") + form + extra + length + audio


LIST = struct.pack("<4sI", b"LIST", 26) + b"INFOISFT" + struct.pack("<I", 14) + b"Lavf58.76.100\0"


@contextlib.contextmanager
def piped(content: bytes, step: int = 1_000) -> Iterator[Any]:
    """The reading end of a pipe that gets `content` in small pieces, as a stream that cannot seek."""
    reading, writing = os.pipe()

    def write() -> None:
        with contextlib.suppress(BrokenPipeError), os.fdopen(writing, "wb", buffering=0) as pipe:
            for start in range(0, len(content), step):
                pipe.write(content[start : start + step])

    thread = threading.Thread(target=write)
    thread.start()
    with os.fdopen(reading, "rb", buffering=0) as stream:
        yield stream
    thread.join()


async def contents(source: WavSource) -> tuple[int, bytes]:
    try:
        audio = b"".join([chunk async for chunk in source])
        return source.sample_rate, audio
    finally:
        await source.aclose()


def assert_close(audio: bytes, tolerance: int) -> None:
    result, expected = np.frombuffer(audio, "<i2").astype(int), np.frombuffer(PCM, "<i2").astype(int)
    assert result.size == expected.size
    assert np.abs(result - expected).max() <= tolerance


class TestReading:
    @pytest.mark.parametrize("container", ["WAV", "WAVEX"])
    @pytest.mark.parametrize("subtype", SUBTYPES)
    @pytest.mark.parametrize("way", ["file", "pipe", "stream"])
    async def test_any_sample_format(self, tmp_path: Path, way: str, subtype: str, container: str) -> None:
        content = encoded(subtype, container)
        path = tmp_path / "question.wav"
        path.write_bytes(content)
        with piped(content) as pipe:
            rate, audio = await contents(WavSource({"file": path, "pipe": pipe, "stream": io.BytesIO(content)}[way]))
        assert rate == RATE
        assert_close(audio, {"PCM_U8": 256, "ULAW": 520, "ALAW": 520}.get(subtype, 1))

    @pytest.mark.parametrize("rate", [8_000, 11_025, 22_050, 44_100, 96_000])
    @pytest.mark.parametrize("channels", [1, 2, 6])
    async def test_any_rate_and_channels(self, rate: int, channels: int) -> None:
        found, audio = await contents(WavSource(io.BytesIO(encoded("PCM_24", channels=channels, rate=rate))))
        assert found == rate
        assert_close(audio, 1)

    async def test_channels_are_mixed_evenly(self) -> None:
        buffer = io.BytesIO()
        soundfile.write(buffer, np.stack([TONE, np.zeros(RATE)], axis=1), RATE, format="WAV")
        buffer.seek(0)
        _, audio = await contents(WavSource(buffer))
        assert np.abs(np.frombuffer(audio, "<i2") - TONE * 16_384).max() <= 1

    @pytest.mark.parametrize(("container", "subtype"), [("FLAC", "PCM_16"), ("OGG", "VORBIS"), ("AIFF", "PCM_16")])
    async def test_other_containers(self, tmp_path: Path, container: str, subtype: str) -> None:
        (tmp_path / "question").write_bytes(encoded(subtype, container))
        rate, audio = await contents(WavSource(tmp_path / "question"))
        assert rate == RATE
        assert_close(audio, 1_500)

    @pytest.mark.parametrize(
        ("riff", "data"),
        [
            (UNKNOWN, UNKNOWN),
            (0x7FFFF024, 0x7FFFF000),
            (0x80000024, 0x80000000),
            (0, 0),
            (2 * RATE, 4 * RATE),
        ],
        ids=["unknown", "sox", "2 GB", "zero", "cut short"],
    )
    async def test_a_pipe_whose_header_does_not_know_the_length(self, riff: int, data: int) -> None:
        for extra in (b"", LIST):
            with piped(wav(PCM, riff, data, extra)) as pipe:
                assert await contents(WavSource(pipe)) == (RATE, PCM)

    @pytest.mark.parametrize("data", [UNKNOWN, 4 * RATE])
    async def test_a_file_shorter_than_its_header_says(self, data: int) -> None:
        assert await contents(WavSource(io.BytesIO(wav(PCM, data=data, extra=LIST)))) == (RATE, PCM)

    async def test_what_follows_the_audio_is_not_heard(self) -> None:
        with piped(wav(PCM, data=len(PCM)) + LIST) as pipe:
            assert await contents(WavSource(pipe)) == (RATE, PCM)

    async def test_floats_beyond_full_scale_are_clipped(self) -> None:
        buffer = io.BytesIO()
        soundfile.write(buffer, np.array([2.0, -2.0, np.nan]), RATE, subtype="FLOAT", format="WAV")
        buffer.seek(0)
        assert (await contents(WavSource(buffer)))[1] == struct.pack("<3h", 32_767, -32_768, 0)

    async def test_a_named_pipe(self, tmp_path: Path) -> None:
        path = tmp_path / "fifo"
        make_named_pipe(path)
        thread = threading.Thread(target=path.write_bytes, args=(wav(PCM),))
        source = WavSource(path)
        with pytest.raises(RuntimeError, match="open"):
            _ = source.sample_rate
        thread.start()
        await source.open()
        assert source.sample_rate == RATE
        assert await contents(source) == (RATE, PCM)
        thread.join()

    async def test_does_not_ask_for_time(self) -> None:
        assert WavSource(io.BytesIO(wav(PCM))).realtime is False

    @pytest.mark.parametrize("way", ["pipe", "file"])
    async def test_raw_audio(self, tmp_path: Path, way: str) -> None:
        path = tmp_path / "question.raw"
        path.write_bytes(PCM)
        with piped(PCM, step=333) as pipe:
            assert await contents(WavSource(pipe if way == "pipe" else path, raw_rate=24_000)) == (24_000, PCM)

    async def test_raw_audio_with_half_a_sample_is_delivered_before_the_error(self) -> None:
        got = b""
        with piped(PCM[:5_000] + b"\x01") as pipe, pytest.raises(AudioFormatError, match="amid a sample"):
            async for chunk in WavSource(pipe, raw_rate=RATE):
                got += chunk
        assert got == PCM[:5_000]

    async def test_memory_does_not_grow_with_the_length(self, tmp_path: Path) -> None:
        path = tmp_path / "long.wav"
        with soundfile.SoundFile(path, "w", 48_000, 2) as file:
            for _ in range(60):
                file.write(np.zeros((48_000 * 2, 2), np.int16))
        source, total = WavSource(path), 0
        tracemalloc.start()
        tracemalloc.reset_peak()
        before = tracemalloc.get_traced_memory()[0]
        try:
            async for chunk in source:
                total += len(chunk)
            assert tracemalloc.get_traced_memory()[1] - before < 1_000_000
        finally:
            tracemalloc.stop()
            await source.aclose()
        assert total == 48_000 * 2 * 120

    async def test_an_endless_pipe_is_heard_as_it_comes(self) -> None:
        """The first second arrives though the writer never closes."""
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as stream, os.fdopen(writing, "wb", buffering=0) as pipe:
            pipe.write(wav(PCM, UNKNOWN, UNKNOWN))
            source, got = WavSource(stream), b""
            async for chunk in source:
                got += chunk
                if len(got) == len(PCM):
                    break
            assert got == PCM
            await source.aclose()
            await source.aclose()

    async def test_cancelling_a_stuck_read_returns_at_once(self) -> None:
        reading, writing = os.pipe()
        with os.fdopen(reading, "rb", buffering=0) as stream, os.fdopen(writing, "wb", buffering=0):
            source = WavSource(stream)
            task = asyncio.ensure_future(contents(source))
            await asyncio.sleep(0.05)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await asyncio.wait_for(task, 5)
            await source.aclose()

    def test_standard_input(self) -> None:
        program = (
            "import asyncio, hashlib\nfrom voicecli.audio.files.source import WavSource\n"
            "async def main():\n"
            "    source = WavSource('-')\n"
            "    print(len(b''.join([c async for c in source])), source.sample_rate)\n"
            "asyncio.run(main())"
        )
        result = subprocess.run([sys.executable, "-c", program], input=wav(PCM), capture_output=True, check=True)
        assert result.stdout.split() == [b"32000", b"16000"]

    def test_ctrl_c_ends_a_program_that_waits_for_a_pipe(self) -> None:
        program = (
            "import asyncio\nfrom voicecli.audio.files.source import WavSource\n"
            "async def tick():\n"
            "    while True: await asyncio.sleep(0.1)\n"
            "async def main():\n"
            # A signal that comes just as Python's loop begins to wait is seen when that wakes next.
            "    ticking = asyncio.create_task(tick())\n"
            "    source = WavSource('-')\n"
            "    async for chunk in source: print('waiting', flush=True)\n"
            "try: asyncio.run(main())\n"
            "except KeyboardInterrupt: print('interrupted', flush=True)"
        )
        with subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin
            assert process.stdout
            assert process.stderr
            process.stdin.write(wav(PCM[:640], UNKNOWN, UNKNOWN))
            process.stdin.flush()
            assert process.stdout.readline() == b"waiting\n"
            process.send_signal(signal.SIGINT)
            assert process.wait(10) == 0
            assert process.stdout.read() == b"interrupted\n"
            assert process.stderr.read() == b""


class TestWhatCannotBeRead:
    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "is empty"),
            (b"hello\n" * 100, "no sound file"),
            (wav(PCM)[:10], "no sound file"),
            (wav(PCM)[:30], "data"),
            (wav(b""), "holds no audio"),
            (wav(PCM, data=len(PCM))[:44], "holds no audio"),
        ],
        ids=["empty", "text", "cut in RIFF", "cut in fmt", "no audio", "header only"],
    )
    async def test_names_file_and_reason(self, tmp_path: Path, content: bytes, reason: str) -> None:
        path = tmp_path / "bad.wav"
        path.write_bytes(content)
        with pytest.raises(AudioFormatError, match=reason) as caught:
            await contents(WavSource(path))
        assert "bad.wav" in caught.value.message
        assert "--input-rate" in caught.value.advice
        with piped(content) as pipe, pytest.raises(AudioFormatError, match=reason):
            await contents(WavSource(pipe))

    @pytest.mark.parametrize("content", [b"", b"text" * 100])
    def test_a_file_is_refused_before_anything_is_read_from_it(self, tmp_path: Path, content: bytes) -> None:
        (tmp_path / "bad.wav").write_bytes(content)
        with pytest.raises(AudioFormatError):
            WavSource(tmp_path / "bad.wav")

    def test_missing_file_directory_and_strange_path(self, tmp_path: Path) -> None:
        with pytest.raises(AudioFormatError, match=r"none\.wav.*No such file"):
            WavSource(tmp_path / "none.wav")
        with pytest.raises(AudioFormatError, match="is a directory"):
            WavSource(tmp_path)
        with pytest.raises(AudioFormatError, match="null"):
            WavSource("a\0b")

    @pytest.mark.skipif(may_everything(), reason="root may read everything")
    def test_permission(self, tmp_path: Path) -> None:
        path = tmp_path / "secret.wav"
        path.write_bytes(wav(PCM))
        path.chmod(0)
        with pytest.raises(AudioFormatError, match="Permission denied"):
            WavSource(path)

    def test_raw_audio_without_its_rate(self, tmp_path: Path) -> None:
        for name in ("question.raw", "question.pcm"):
            (tmp_path / name).write_bytes(PCM)
            with pytest.raises(AudioFormatError, match=name) as caught:
                WavSource(tmp_path / name)
            assert "--input-rate" in caught.value.advice

    @pytest.mark.parametrize("rate", [0, 1, -8_000, 10**9])
    def test_an_impossible_raw_rate(self, rate: int) -> None:
        with pytest.raises(ConfigurationError, match="sample rate"):
            WavSource(io.BytesIO(PCM), raw_rate=rate)


class TestWriting:
    async def test_a_file_is_valid_after_every_chunk(self, tmp_path: Path) -> None:
        path = tmp_path / "reply.wav"
        sink = WavSink(path, RATE)
        assert sink.sample_rate == RATE
        for start in range(0, len(PCM), 8_000):
            sink.write(PCM[start : start + 8_000], "item")
            sink.end()
            assert sink.clear() is None
            await sink.drain()
            audio, rate = soundfile.read(path, dtype="int16")
            assert (audio.tobytes(), rate) == (PCM[: start + 8_000], RATE)
        await sink.aclose()
        await sink.aclose()
        assert path.read_bytes() == wav(PCM)

    def test_a_killed_program_leaves_a_file_that_plays(self, tmp_path: Path) -> None:
        path = tmp_path / "reply.wav"
        program = (
            "import asyncio, sys\nfrom voicecli.audio.files.sink import WavSink\n"
            "async def main():\n"
            "    sink = WavSink(sys.argv[1], 16000)\n"
            "    for _ in range(10): sink.write(bytes(3200), 'item')\n"
            "    await sink.drain()\n"
            "    print('written', flush=True)\n"
            "    await asyncio.sleep(60)\n"
            "asyncio.run(main())"
        )
        with subprocess.Popen([sys.executable, "-c", program, path], stdout=subprocess.PIPE) as process:
            assert process.stdout
            assert process.stdout.readline() == b"written\n"
            process.kill()
        assert soundfile.info(path).frames == 16_000

    async def test_an_existing_file_is_kept_until_there_is_something_to_write(self, tmp_path: Path) -> None:
        path = tmp_path / "reply.wav"
        path.write_bytes(b"precious" * 10_000)
        await WavSink(path, RATE).aclose()
        assert path.read_bytes() == b"precious" * 10_000
        sink = WavSink(path, RATE)
        sink.write(PCM, "item")
        await sink.aclose()
        assert path.read_bytes() == wav(PCM)

    async def test_no_new_file_is_left_behind_without_a_reply(self, tmp_path: Path) -> None:
        (tmp_path / "link.wav").symlink_to(tmp_path / "reply.wav")
        for name in ("reply.wav", "link.wav"):
            sink = WavSink(tmp_path / name, RATE)
            assert os.listdir(tmp_path) == ["link.wav"]
            await sink.aclose()
            assert os.listdir(tmp_path) == ["link.wav"]

    @pytest.mark.parametrize("place", ["none/reply.wav", "file/reply.wav", ".", "a\0b"])
    def test_what_cannot_be_written_is_named_at_once(self, tmp_path: Path, place: str) -> None:
        (tmp_path / "file").touch()
        with pytest.raises(RealtimeError, match="Cannot write") as caught:
            WavSink(str(tmp_path / place), RATE)
        assert repr(str(tmp_path / place)) in caught.value.message
        assert "another output file" in caught.value.advice

    @pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
    async def test_a_full_disk_is_told_by_whatever_comes_next(self) -> None:
        sink = WavSink("/dev/full", RATE)
        sink.write(PCM, "item")
        with pytest.raises(AudioFormatError, match="No space left"):
            await sink.drain()
        with pytest.raises(AudioFormatError, match="/dev/full"):
            sink.write(PCM, "item")
        await sink.aclose()
        other = WavSink("/dev/full", RATE)
        other.write(PCM, "item")
        with pytest.raises(AudioFormatError, match="No space left"):
            await other.aclose()

    async def test_the_input_is_not_overwritten(self, tmp_path: Path) -> None:
        path, link = tmp_path / "question.wav", tmp_path / "link.wav"
        path.write_bytes(wav(PCM))
        link.symlink_to(path)
        source = WavSource(path)
        for target in (path, link):
            with pytest.raises(AudioFormatError, match="is the input"):
                WavSink(target, RATE, sources=[source])
        assert path.read_bytes() == wav(PCM)
        await WavSink(tmp_path / "reply.wav", RATE, sources=[source]).aclose()
        await source.aclose()

    async def test_a_named_pipe_gets_a_header_of_unknown_length(self, tmp_path: Path) -> None:
        path = tmp_path / "fifo"
        make_named_pipe(path)
        sink = WavSink(path, RATE)
        sink.write(PCM, "item")
        reader = asyncio.create_task(asyncio.to_thread(path.read_bytes))
        await sink.drain()
        await sink.aclose()
        assert await reader == wav(PCM, UNKNOWN, UNKNOWN)

    async def test_a_pipe_that_nobody_reads_does_not_hold_up_the_end(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("voicecli.audio.files.sink._CLOSE_TIMEOUT_S", 0.1)
        path = tmp_path / "fifo"
        make_named_pipe(path)
        reading = open_reading_end(path)
        sink = WavSink(path, RATE)
        sink.write(bytes(1_000_000), "item")
        await asyncio.wait_for(sink.aclose(), 10)
        os.close(reading)
        for thread in threading.enumerate():
            if thread.name == "voicecli-file":
                thread.join(10)
        del sink
        gc.collect()  # a file that is still open would be complained about here


PROGRAM = """
import asyncio
from voicecli.audio.files.sink import WavSink
async def main():
    sink = WavSink("-", 16000)
    try:
        for _ in range({chunks}):
            sink.write(bytes(3200), "item")
            await sink.drain()
    except BrokenPipeError:
        raise SystemExit(9)
    finally:
        await sink.aclose()
asyncio.run(main())
"""


class TestStandardOutput:
    def run(self, chunks: int, stdout: Any) -> subprocess.CompletedProcess[bytes]:
        program = PROGRAM.format(chunks=chunks)
        return subprocess.run(
            [sys.executable, "-c", program], stdout=stdout, stderr=subprocess.PIPE, timeout=30, check=False
        )

    def test_into_a_pipe_has_unknown_length(self) -> None:
        result = self.run(3, subprocess.PIPE)
        assert (result.stdout, result.stderr) == (wav(bytes(9_600), UNKNOWN, UNKNOWN), b"")

    def test_into_a_file_has_its_length(self, tmp_path: Path) -> None:
        with (tmp_path / "reply.wav").open("wb") as stdout:
            self.run(3, stdout)
        assert (tmp_path / "reply.wav").read_bytes() == wav(bytes(9_600))

    @pytest.mark.parametrize(
        "before",
        [
            b"before",
            pytest.param(b"", marks=pytest.mark.skipif(lacks("fcntl"), reason="fcntl tells what is appended to")),
        ],
    )
    def test_appended_to_a_file_harms_nothing(self, tmp_path: Path, before: bytes) -> None:
        path = tmp_path / "reply.wav"
        path.write_bytes(before)
        with path.open("ab") as stdout:
            self.run(2, stdout)
        assert path.read_bytes() == before + wav(bytes(6_400), UNKNOWN, UNKNOWN)

    def test_without_sound_nothing_is_written(self) -> None:
        assert self.run(0, subprocess.PIPE).stdout == b""

    def test_a_closed_pipe_raises_what_ends_quietly(self) -> None:
        reading, writing = os.pipe()
        os.close(reading)
        result = self.run(3, writing)
        os.close(writing)
        assert (result.returncode, result.stderr) == (9, b"")


async def test_makes_new_files_as_the_user_wants_them(tmp_path: Path) -> None:
    previous = os.umask(0o027)
    try:
        sink = WavSink(tmp_path / "reply.wav", RATE)
        sink.write(PCM, "item")
        await sink.aclose()
    finally:
        os.umask(previous)
    assert stat.S_IMODE((tmp_path / "reply.wav").stat().st_mode) == 0o640
