"""Microphone and loudspeaker of this computer, as source and sink of a conversation.

Audio thread and event loop meet in two places: a bounded queue here for what is recorded, and the JitterBuffer for
what is played. Everything else that callbacks touch belongs to them alone.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from voicecli.audio.devices.stream import DeviceFormat, DeviceStream, OnNotice
from voicecli.audio.echo.control import EchoControl
from voicecli.audio.pcm import Resampler
from voicecli.audio.playout.declick import FADE_OUT_MS
from voicecli.audio.playout.jitter_buffer import JitterBuffer, JitterStats
from voicecli.audio.ports import Playhead

__all__ = ["Microphone", "Speaker"]

_CHUNK_MS = 20  # what providers are sent and VADs judge; half the wake-ups of the event loop that 10 ms would cost
# Waiting to be read. A provider may take 15 s to answer, and the first word is not to be lost.
_QUEUE_MS = 20_000
_SILENT_MS = 3_000  # exact zeros for so long at the beginning come from no microphone; later a headset's noise gate may
_METER_BLOCKS = 6  # of 10 ms
_MOST_WANTED_MS = 10  # of the reply at once, where the device has another rate
# A loudspeaker that takes nothing for 5 s has gone: by then it was opened anew several times, new devices were looked
# for, and the default was tried in its place, even where opening takes a second (Bluetooth). Usually it is back in 1 s.
_LOST_LOOKS = 10  # counted, so that a computer that slept does not end the reply
_LOOK_S = 0.5


class Microphone:
    """The user's voice, as it is spoken: an AudioSource, to be iterated once.

    It records from `open()` on, so that nothing is lost of what is said while the session connects.

    Args:
        sample_rate: of what it yields, in Hz.
        device: its number or a part of its name; None for the default.
        echo: takes what the loudspeaker plays out of what is heard.
        on_notice: is told, on the event loop, of what happens to the device, by code and message:
            microphone_lost: it delivers nothing; it is being opened again.
            microphone_back: it does again.
            microphone_changed: another device is in use now: the one asked for is gone, or the default is another.
            microphone_silent: from the beginning it delivers exact silence, as one that is off or not allowed.
            microphone_overflow: nobody takes what it hears, and the oldest is dropped; told once.
            microphone_failed: what it hears cannot be processed, and is lost, by a defect; told once.

    Attributes:
        muted: whether it yields silence.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        device: str | int | None = None,
        echo: EchoControl | None = None,
        on_notice: OnNotice | None = None,
    ) -> None:
        self.muted = False
        self._sample_rate = sample_rate
        self._echo = echo
        self._on_notice = on_notice or (lambda code, message: None)
        self._stream = DeviceStream(
            "input", device, sample_rate, self._record, on_notice, echo.discontinuity if echo else None
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        # Written by the audio thread.
        self._convert: _Capture | None = None
        self._pending = bytearray()
        self._recent: deque[bytes] = deque(maxlen=_METER_BLOCKS)
        self._latency_s = 0.0
        # Written by the event loop.
        self._queue: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._dropped = 0
        self._silent_ms = 0
        self._judged = False  # whether it is known to hear, or to deliver silence
        self._closed = False

    @property
    def sample_rate(self) -> int:
        """Of what it yields, in Hz."""
        return self._sample_rate

    @property
    def realtime(self) -> bool:
        """True: time passes in it by itself."""
        return True

    @property
    def device(self) -> str:
        """The name of the device in use; "" before it is open."""
        return self._stream.format.name if self._stream.format else ""

    @property
    def dropped_ms(self) -> int:
        """How much was thrown away because nobody read it."""
        return self._dropped // 2 * 1000 // self._sample_rate

    @property
    def latest(self) -> bytes:
        """The latest 60 ms of what it heard, for a meter; silence while the device is lost."""
        return b"".join(self._recent) if self._stream.alive else bytes(self._sample_rate * _METER_BLOCKS // 100 * 2)

    @property
    def latency_ms(self) -> float:
        """From the air to this program, as the device says it."""
        return self._latency_s * 1000

    @property
    def blocks(self) -> int:
        """How many blocks the device has delivered: it lives as long as that grows."""
        return self._stream.blocks

    async def open(self) -> None:
        """Begin to record; idempotent.

        Raises:
            AudioDeviceError: the microphone cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        await self._stream.open()

    def mark(self) -> None:
        """Mark where the recording is now: there an empty chunk will be read."""
        self._queue.append(b"")
        self._arrived.set()

    async def __aiter__(self) -> AsyncIterator[bytes]:
        await self.open()
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._closed:  # perhaps while the reader was busy with a chunk
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def aclose(self) -> None:
        """Stop recording; idempotent. What was not read is forgotten."""
        self._closed = True
        self._queue.clear()
        self._arrived.set()
        await self._stream.aclose()

    # -- on the audio thread

    def _record(self, block: Any, opened: DeviceFormat, latency_s: float) -> None:
        convert = self._convert
        if convert is None or convert.opened is not opened:
            convert = self._convert = _Capture(opened, self._sample_rate)
            self._call_soon(self._judge_anew)
        audio = convert(bytes(block))  # a copy: the device takes its memory back
        if self._echo is not None:
            audio = self._echo.capture(audio)
        if self.muted:
            audio = bytes(len(audio))
        self._latency_s = latency_s
        self._recent.append(audio)
        self._pending += audio
        size = self._sample_rate * _CHUNK_MS // 1000 * 2
        while len(self._pending) >= size:
            chunk = bytes(self._pending[:size])
            del self._pending[:size]
            self._call_soon(self._queue_up, chunk)

    def _call_soon(self, call: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call, *arguments)

    # -- on the event loop

    def _judge_anew(self) -> None:
        self._silent_ms, self._judged = 0, False

    def _queue_up(self, chunk: bytes) -> None:
        if self._closed:
            return
        self._watch_for_silence(chunk)
        if len(self._queue) >= _QUEUE_MS // _CHUNK_MS:
            if not self._dropped:
                self._on_notice("microphone_overflow", "What the microphone hears is not taken; the oldest is dropped.")
            oldest = next((place for place, waiting in enumerate(self._queue) if waiting), 0)  # marks are kept
            self._dropped += len(self._queue[oldest])
            del self._queue[oldest]
        self._queue.append(chunk)
        self._arrived.set()

    def _watch_for_silence(self, chunk: bytes) -> None:
        if self._judged or self.muted or (self._echo is not None and self._echo.suppressing):
            return
        self._silent_ms += _CHUNK_MS
        hears = any(chunk)
        self._judged = hears or self._silent_ms >= _SILENT_MS
        if self._judged and not hears:
            self._on_notice(
                "microphone_silent",
                f"The microphone {self.device!r} delivers nothing but silence. Is it muted, or is this terminal not "
                "allowed to use it (macOS: System Settings, Privacy & Security, Microphone)?",
            )


class Speaker:
    """The reply, as it is heard: an AudioSink.

    Args:
        sample_rate: of what it takes, in Hz.
        device: its number or a part of its name; None for the default.
        echo: is told what is played.
        on_notice: is told, on the event loop, of what happens to the device, by code and message:
            loudspeaker_lost: it takes nothing; it is being opened again, and the reply waits for it.
            loudspeaker_back: it does again.
            loudspeaker_changed: another device is in use now: the one asked for is gone, or the default is another.
            loudspeaker_failed: what it is to play cannot be processed, by a defect: there is silence; told once.
        on_sound: is called on the event loop when the first sound of a reply is audible.

    Attributes:
        muted: whether it plays silence; time goes on all the same.
    """

    def __init__(
        self,
        sample_rate: int,
        *,
        device: str | int | None = None,
        echo: EchoControl | None = None,
        on_notice: OnNotice | None = None,
        on_sound: Callable[[], None] | None = None,
    ) -> None:
        self.muted = False
        self._sample_rate = sample_rate
        self._echo = echo
        self._on_sound = on_sound
        self._stream = DeviceStream(
            "output", device, sample_rate, self._play, on_notice, echo.discontinuity if echo else None
        )
        self._buffer = JitterBuffer(sample_rate)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drained = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        # Written by the audio thread.
        self._convert: _Playback | None = None
        self._recent: deque[bytes] = deque(maxlen=_METER_BLOCKS)
        self._latency_s = 0.0
        self._replies = 0

    @property
    def sample_rate(self) -> int:
        """Of what it takes, in Hz."""
        return self._sample_rate

    @property
    def device(self) -> str:
        """The name of the device in use; "" before it is open."""
        return self._stream.format.name if self._stream.format else ""

    @property
    def latest(self) -> bytes:
        """The latest 60 ms of what it played, for a meter; silence while the device is lost."""
        return b"".join(self._recent) if self._stream.alive else bytes(self._sample_rate * _METER_BLOCKS // 100 * 2)

    @property
    def latency_ms(self) -> float:
        """From this program to the air, as the device says it."""
        return self._latency_s * 1000

    @property
    def blocks(self) -> int:
        """How many blocks the device has taken: it lives as long as that grows."""
        return self._stream.blocks

    @property
    def breaks(self) -> int:
        """How many times the sound broke up because this computer was too slow; `stats` counts the network's part."""
        return self._stream.missed

    @property
    def stats(self) -> JitterStats:
        """What the listener went through so far."""
        return self._buffer.stats

    @property
    def playhead(self) -> Playhead | None:
        """What is audible just now, or None when nothing is to be heard."""
        return self._buffer.playhead(time.monotonic(), self._latency_s)

    async def open(self) -> None:
        """Begin to play; idempotent. What was written before is kept for it.

        Raises:
            AudioDeviceError: the loudspeaker cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        await self._stream.open()

    def write(self, audio: bytes, item_id: str) -> None:
        """Take a chunk of the item's audio; never blocks."""
        self._buffer.push(audio, item_id, time.monotonic())

    def end(self) -> None:
        """Know that the reply is complete: nothing more of it comes."""
        self._buffer.end()

    def clear(self) -> Playhead | None:
        """Fade out within 12 ms, forget what is unheard; says where the listener was, or None when all was heard."""
        return self._buffer.clear()  # what the device has been given, it will still play

    def pause(self) -> None:
        """Fall silent, and keep what is unheard until `resume()`."""
        self._buffer.pause()

    def resume(self) -> None:
        """Go on where `pause()` stopped."""
        self._buffer.resume()

    async def drain(self) -> None:
        """Return when everything written has been heard, or the loudspeaker is closed, or has been lost for 5 s."""
        blocks, still = self._stream.blocks, 0
        while not self._buffer.drained and self._stream.kept and still < _LOST_LOOKS:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_S):
                    await self._drained.wait()
            still = still + 1 if self._stream.blocks == blocks else 0
            blocks = self._stream.blocks
        await asyncio.sleep(self._latency_s + FADE_OUT_MS / 1000)

    async def aclose(self) -> None:
        """Stop at once; idempotent."""
        for timer in self._timers:
            timer.cancel()
        self._drained.set()  # who waits for it looks again, and finds it closed
        await self._stream.aclose()

    # -- on the audio thread

    def _play(self, block: Any, opened: DeviceFormat, latency_s: float) -> None:
        convert = self._convert
        if convert is None or convert.opened is not opened:
            convert = self._convert = _Playback(opened, self._sample_rate, self._read)
        self._latency_s = latency_s + convert.waiting_s
        convert.fill(memoryview(block))

    def _read(self, out: memoryview) -> None:
        """The next of what is to be heard, at `sample_rate`."""
        self._stream.matters = self._buffer.read_into(out, time.monotonic()) > 0
        if self.muted:
            out[:] = bytes(len(out))
        played = bytes(out)
        if self._echo is not None:
            self._echo.render(played)
        self._recent.append(played)
        assert self._loop is not None
        replies = self._buffer.stats.replies
        if replies != self._replies:
            self._replies = replies
            self._loop.call_soon_threadsafe(self._sound_soon, self._latency_s)
        if not self._drained.is_set() and self._buffer.drained:
            self._loop.call_soon_threadsafe(self._drained.set)

    # -- on the event loop

    def _sound_soon(self, latency_s: float) -> None:
        def heard() -> None:
            self._timers.discard(timer)
            if self._on_sound is not None:
                self._on_sound()

        timer = asyncio.get_running_loop().call_later(latency_s, heard)
        self._timers.add(timer)


class _Capture:
    """From what a device delivers to PCM16 mono at the wire's rate."""

    def __init__(self, opened: DeviceFormat, sample_rate: int) -> None:
        self.opened = opened
        self._resampler = Resampler(opened.sample_rate, sample_rate)

    def __call__(self, block: bytes) -> bytes:
        if self.opened.channels > 1:
            frames: npt.NDArray[np.int16] = np.frombuffer(block, np.int16).reshape(-1, self.opened.channels)
            block = np.rint(frames.mean(axis=1)).astype(np.int16).tobytes()
        return self._resampler.process(block)


class _Playback:
    """From PCM16 mono at the wire's rate to what a device takes.

    Args:
        read: fills a piece of memory with the next of the wire's audio.
    """

    def __init__(self, opened: DeviceFormat, sample_rate: int, read: Callable[[memoryview], None]) -> None:
        self.opened = opened
        self._rate = sample_rate
        self._resampler = Resampler(sample_rate, opened.sample_rate)
        self._read = read
        self._converted = bytearray()
        self._scratch = memoryview(bytearray(sample_rate * _MOST_WANTED_MS // 1000 * 2))

    @property
    def waiting_s(self) -> float:
        """How much has been read that the device has not been given."""
        return len(self._converted) / 2 / self.opened.sample_rate

    def fill(self, out: memoryview) -> None:
        if self.opened.sample_rate == self._rate and self.opened.channels == 1:
            self._read(out)
            return
        size = len(out) // self.opened.channels
        while len(self._converted) < size:
            self._read(self._scratch)
            self._converted += self._resampler.process(bytes(self._scratch))
        mono = bytes(self._converted[:size])
        del self._converted[:size]
        channels = self.opened.channels
        out[:] = mono if channels == 1 else np.repeat(np.frombuffer(mono, np.int16), channels).tobytes()
