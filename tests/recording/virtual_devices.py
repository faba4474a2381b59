"""Microphone and loudspeaker in virtual time, and what a recording of them holds."""

import asyncio
import wave
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from voicecli.audio.playout.jitter_buffer import JitterBuffer
from voicecli.audio.ports import OnRendered, Playhead

__all__ = ["CHUNK_MS", "VirtualLoudspeaker", "VirtualMicrophone", "near", "recorded", "stretches", "tone"]

CHUNK_MS = 50
"""What both take and give at once; virtual time passes the faster the longer that is."""

Pcm = npt.NDArray[np.int16]


def tone(duration_ms: int, rate: int = 24_000, level: int = 8_000) -> bytes:
    """PCM16 mono none of whose samples is zero."""
    return np.full(rate * duration_ms // 1000, level, "<i2").tobytes()


def recorded(path: Path) -> tuple[int, Pcm, Pcm]:
    """The rate, left and right of a recording."""
    with wave.open(str(path)) as file:
        assert (file.getnchannels(), file.getsampwidth()) == (2, 2)
        frames = np.frombuffer(file.readframes(file.getnframes()), "<i2").reshape(-1, 2)
        return file.getframerate(), frames[:, 0], frames[:, 1]


def stretches(channel: Pcm, rate: int, *, least: int = 1_000) -> list[tuple[float, float]]:
    """Begin and end of each stretch of sound louder than `least`, in ms."""
    loud = np.concatenate(([False], np.abs(channel.astype(int)) >= least, [False]))
    edges = np.flatnonzero(np.diff(loud.astype(int)))
    return [(float(begin) * 1000 / rate, float(end) * 1000 / rate) for begin, end in edges.reshape(-1, 2)]


def near(begin_ms: float, end_ms: float, within_ms: float) -> Any:
    """What compares as equal to a stretch that begins and ends there, more or less."""
    return pytest.approx((begin_ms, end_ms), abs=within_ms)


class VirtualMicrophone:
    """An AudioSource that yields a chunk whenever its time has passed, by the loop's clock.

    Args:
        sound: the chunk that ends at a moment in ms since it began; b"" where none is yielded.
        backlog_ms: recorded before it is read.
    """

    realtime = True

    def __init__(
        self,
        sound: Callable[[int], bytes],
        until_ms: int,
        *,
        sample_rate: int = 24_000,
        chunk_ms: int = CHUNK_MS,
        backlog_ms: int = 0,
    ) -> None:
        self.sample_rate = sample_rate
        self._sound, self._until_ms, self._chunk_ms, self._backlog_ms = sound, until_ms, chunk_ms, backlog_ms

    async def __aiter__(self) -> AsyncIterator[bytes]:
        loop = asyncio.get_running_loop()
        began = loop.time()
        for at in range(-self._backlog_ms + self._chunk_ms, self._until_ms + 1, self._chunk_ms):
            await asyncio.sleep(max(0.0, began + at / 1000 - loop.time()))
            if chunk := self._sound(at):
                yield chunk

    async def aclose(self) -> None: ...


class VirtualLoudspeaker:
    """An AudioSink that takes a block of 50 ms from a jitter buffer every 50 ms of the loop's clock."""

    sample_rate = 24_000

    def __init__(self, on_rendered: OnRendered, *, latency_ms: int = 0) -> None:
        self._buffer = JitterBuffer(self.sample_rate)
        self._on_rendered, self._latency_s = on_rendered, latency_ms / 1000
        on_rendered(b"", 0)
        self._task = asyncio.create_task(self._play())

    def write(self, audio: bytes, item_id: str) -> None:
        self._buffer.push(audio, item_id, asyncio.get_running_loop().time())

    def end(self) -> None:
        self._buffer.end()

    def clear(self) -> Playhead | None:
        return self._buffer.clear()

    def pause(self) -> None:
        self._buffer.pause()

    def resume(self) -> None:
        self._buffer.resume()

    async def drain(self) -> None:
        while not self._buffer.drained:
            await asyncio.sleep(CHUNK_MS / 1000)
        await asyncio.sleep(self._latency_s + CHUNK_MS / 1000)

    async def aclose(self) -> None:
        self._task.cancel()
        await asyncio.wait([self._task])

    async def _play(self) -> None:
        loop = asyncio.get_running_loop()
        at = loop.time()
        while True:
            block = memoryview(bytearray(self.sample_rate * CHUNK_MS // 1000 * 2))
            self._buffer.read_into(block, at)
            self._on_rendered(bytes(block), at + self._latency_s)
            at += CHUNK_MS / 1000
            await asyncio.sleep(max(0.0, at - loop.time()))
