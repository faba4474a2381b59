"""The loudspeaker of this computer, as the sink of a conversation.

Audio thread and event loop meet in the JitterBuffer. Everything else that the callback touches belongs to it alone.
Its clock is `time.perf_counter`, as `time.monotonic` ticks every 15.6 ms on Windows up to Python 3.12.
"""

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable
from typing import Any

import numpy as np

from voicecli.audio.devices.opening import BLOCK_MS, DeviceFormat
from voicecli.audio.devices.stream import METER_MS, DeviceStream, OnNotice
from voicecli.audio.pcm import Resampler
from voicecli.audio.playout.declick import FADE_OUT_MS
from voicecli.audio.playout.jitter_buffer import JitterBuffer, JitterStats
from voicecli.audio.playout.lasting_track import Backlog, FixedDelay
from voicecli.audio.ports import EchoControl, OnRendered, Playhead
from voicecli.pcm16 import PcmFormat

__all__ = ["Speaker"]

_READ_MS = 10  # of the reply at once, where the device has another rate
# A loudspeaker that takes nothing for 5 s has gone: by then it was opened anew several times, devices were listed anew,
# and the default was tried in its place, even where opening takes a second (Bluetooth). Usually it is back in 1 s.
_LOST_TICKS = 10  # counted, so that a computer that slept does not end the reply
_TICK_S = 0.5


class Speaker:
    """The reply, as it is heard: an AudioSink.

    Args:
        sample_rate: of what it takes, in Hz.
        device: its number or a part of its name; None for the default.
        echo: is told what is rendered.
        on_notice: is told, on the event loop, of what happens to the device, by code and message:
            loudspeaker_lost: it takes nothing; it is being opened again, and the reply waits for it.
            loudspeaker_back: it does again.
            loudspeaker_changed: another device is in use now: the one asked for is gone, or the default is another.
            loudspeaker_rate_changed: it ran at another rate than it was opened at, and was opened again; told once.
            loudspeaker_failed: what it is to play cannot be processed, by a defect: there is silence; told once.
        on_sound: is called on the event loop when the first sound of a reply is audible.
        on_rendered: is told all that the device is given.
        full_duplex: whether it plays the lasting track of a model that hears and speaks at once (`Capabilities`): then
            it stays close behind what comes, and leaves out of it what would wait too long, pauses first.

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
        on_rendered: OnRendered | None = None,
        full_duplex: bool = False,
    ) -> None:
        self.muted = False
        self._format = PcmFormat(sample_rate)
        self._echo = echo
        self._on_sound = on_sound
        self._on_rendered = on_rendered
        self._stream = DeviceStream(
            "output", device, sample_rate, self._play, on_notice, echo.discontinuity if echo else None
        )
        self._buffer = (
            JitterBuffer(sample_rate, FixedDelay(), backlog=Backlog(sample_rate))
            if full_duplex
            else JitterBuffer(sample_rate)
        )
        self._loop: asyncio.AbstractEventLoop | None = None
        self._drained = asyncio.Event()
        self._timers: set[asyncio.TimerHandle] = set()
        # Written by the audio thread.
        self._converter: _PlaybackConverter | None = None
        self._recent: deque[bytes] = deque(maxlen=METER_MS // BLOCK_MS)
        self._device_latency_s = self._latency_s = 0.0
        self._replies = 0

    @property
    def sample_rate(self) -> int:
        """The rate of what it takes, in Hz."""
        return self._format.sample_rate

    @property
    def device(self) -> str:
        """The name of the device in use; "" before it is open."""
        return self._stream.format.name if self._stream.format else ""

    @property
    def latest(self) -> bytes:
        """The latest 60 ms of what it played, for a meter; silence while the device is lost."""
        return b"".join(self._recent) if self._stream.alive else self._format.silence(METER_MS)

    @property
    def latency_ms(self) -> float:
        """Latency from this program to the air, as the device reports it."""
        return self._latency_s * 1000

    @property
    def blocks(self) -> int:
        """Blocks that the device has taken: it lives as long as that grows."""
        return self._stream.blocks

    @property
    def xruns(self) -> int:
        """Underflows of the device while audio played: this computer was too slow; `stats` has the network's part."""
        return self._stream.xruns

    @property
    def stats(self) -> JitterStats:
        """Figures of playout so far."""
        return self._buffer.stats

    @property
    def playhead(self) -> Playhead | None:
        """The item that is audible just now, or None when nothing is to be heard."""
        return self._buffer.playhead(time.perf_counter(), self._latency_s)

    async def open(self) -> None:
        """Begin to play; idempotent. Audio written before is kept for it.

        Raises:
            AudioDeviceError: the loudspeaker cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        await self._stream.open()
        if self._on_rendered is not None:
            self._on_rendered(b"", time.monotonic())

    def write(self, audio: bytes, item_id: str) -> None:
        """Take a chunk of the item's audio; never blocks."""
        self._buffer.push(audio, item_id, time.perf_counter())

    def end(self) -> None:
        """Know that the reply is complete: nothing more of it comes."""
        self._buffer.end()

    def clear(self) -> Playhead | None:
        """Fade out within 12 ms, and flush what is unheard.

        Returns:
            where the listener was, or None when all was heard. What the device has been given, it will still play.
        """
        return self._buffer.clear()

    def pause(self) -> None:
        """Play silence, and keep what is unheard until `resume()`."""
        self._buffer.pause()

    def resume(self) -> None:
        """Go on where `pause()` stopped."""
        self._buffer.resume()

    async def drain(self) -> None:
        """Return when everything written has been heard, or the loudspeaker is closed, or has been lost for 5 s."""
        blocks, stalled = self._stream.blocks, 0
        while not self._buffer.drained and self._stream.kept_open and stalled < _LOST_TICKS:
            self._drained.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_TICK_S):
                    await self._drained.wait()
            stalled = stalled + 1 if self._stream.blocks == blocks else 0
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
        converter = self._converter
        if converter is None or converter.opened is not opened:
            converter = self._converter = _PlaybackConverter(opened, self._format, self._read)
        self._device_latency_s = latency_s
        self._latency_s = latency_s + converter.waiting_s
        converter.fill(memoryview(block))

    def _read(self, out: memoryview) -> None:
        """Fill `out` with the next audio to be heard, at `sample_rate`."""
        self._stream.audible = self._buffer.read_into(out, time.perf_counter()) > 0
        if self.muted:
            out[:] = bytes(len(out))
        rendered = bytes(out)
        if self._echo is not None:
            self._echo.render(rendered)
        self._recent.append(rendered)
        if self._on_rendered is not None and self._converter is not None:
            # Behind what the converter holds, which may be of this very block.
            self._on_rendered(rendered, time.monotonic() + self._device_latency_s + self._converter.waiting_s)
        assert self._loop is not None
        replies = self._buffer.stats.replies
        if replies != self._replies:
            self._replies = replies
            self._loop.call_soon_threadsafe(self._announce_sound, self._latency_s)
        if not self._drained.is_set() and self._buffer.drained:
            self._loop.call_soon_threadsafe(self._drained.set)

    # -- on the event loop

    def _announce_sound(self, latency_s: float) -> None:
        """Call `on_sound` when what was just rendered is heard."""

        def heard() -> None:
            self._timers.discard(timer)
            if self._on_sound is not None:
                self._on_sound()

        timer = asyncio.get_running_loop().call_later(latency_s, heard)
        self._timers.add(timer)


class _PlaybackConverter:
    """Converts PCM16 mono at the session's rate to what a device takes.

    Args:
        read: fills a piece of memory with the next audio.
    """

    def __init__(self, opened: DeviceFormat, audio: PcmFormat, read: Callable[[memoryview], None]) -> None:
        self.opened = opened
        self._rate = audio.sample_rate
        self._device = PcmFormat(opened.sample_rate)
        self._resampler = Resampler(audio.sample_rate, opened.sample_rate)
        self._read = read
        self._converted = bytearray()
        self._scratch = memoryview(bytearray(audio.size(_READ_MS)))

    @property
    def waiting_s(self) -> float:
        """Audio that was read and the device has not been given yet, in seconds."""
        return self._device.duration_ms(len(self._converted)) / 1000

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
