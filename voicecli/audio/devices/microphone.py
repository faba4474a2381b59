"""The microphone of this computer, as the source of a conversation.

Audio thread and event loop meet in a bounded queue. Everything else that the callback touches belongs to it alone.
"""

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from voicecli.audio.devices.advice import silence
from voicecli.audio.devices.opening import BLOCK_MS, DeviceFormat
from voicecli.audio.devices.stream import METER_MS, DeviceStream, OnNotice
from voicecli.audio.pcm import Resampler
from voicecli.audio.ports import EchoControl
from voicecli.pcm16 import PcmFormat

__all__ = ["Microphone"]

_CHUNK_MS = 20  # what providers are sent and VADs judge; half the wake-ups of the event loop that 10 ms would cost
# Waiting to be read. A provider may take 15 s to answer, and the first word is not to be lost.
_QUEUE_MS = 20_000
_SILENT_MS = 3_000  # exact zeros for so long at the beginning come from no microphone; later a headset's noise gate may


class Microphone:
    """The user's voice, as it is spoken: an AudioSource, to be iterated once.

    It records from `open()` on, so that nothing is lost of what is said while the session connects.

    Args:
        sample_rate: of what it yields, in Hz.
        device: its number or a part of its name; None for the default.
        echo: takes the echo of the loudspeaker out of what is captured.
        on_notice: is told, on the event loop, of what happens to the device, by code and message:
            microphone_lost: it delivers nothing; it is being opened again.
            microphone_back: it does again.
            microphone_changed: another device is in use now: the one asked for is gone, or the default is another.
            microphone_silent: from the beginning it delivers exact silence, as one that is off or not allowed. On macOS
                it is opened again every 3 s then, as a stream that was not allowed stays silent.
            microphone_heard: it delivers sound, after microphone_silent.
            microphone_rate_changed: it ran at another rate than it was opened at, and was opened again; told once.
            microphone_overflow: nobody reads what it captures, and the oldest is dropped; told once.
            microphone_failed: what it captures cannot be processed, and is lost, by a defect; told once.

    Attributes:
        muted: whether it yields silence.
        echo: as given; may be changed, or taken away while nothing plays.
        chunk_ms: how much it yields at once, in ms; may be changed.
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
        self._format = PcmFormat(sample_rate)
        self.chunk_ms = _CHUNK_MS
        self.echo = echo
        self._on_notice = on_notice or (lambda code, message: None)
        self._stream = DeviceStream("input", device, sample_rate, self._record, on_notice, self._tell_discontinuity)
        self._loop: asyncio.AbstractEventLoop | None = None
        # Written by the audio thread.
        self._converter: _CaptureConverter | None = None
        self._pending = bytearray()
        self._recent: deque[bytes] = deque(maxlen=METER_MS // BLOCK_MS)
        self._latency_s = 0.0
        # Written by the event loop.
        self._queue: deque[bytes] = deque()
        self._arrived = asyncio.Event()
        self._dropped_bytes = 0
        self._silent_ms = 0
        self._silence_decided = False  # whether it is known to deliver sound
        self._silence_told = ""  # of which device
        self._closed = False

    @property
    def sample_rate(self) -> int:
        """The rate of what it yields, in Hz."""
        return self._format.sample_rate

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
        """Audio dropped because nobody read it, in ms."""
        return int(self._format.duration_ms(self._dropped_bytes))

    @property
    def latest(self) -> bytes:
        """The latest 60 ms of what it captured, for a meter; silence while the device is lost."""
        return b"".join(self._recent) if self._stream.alive else self._format.silence(METER_MS)

    @property
    def latency_ms(self) -> float:
        """Latency from the air to this program, as the device reports it."""
        return self._latency_s * 1000

    @property
    def blocks(self) -> int:
        """Blocks that the device has delivered: it lives as long as that grows."""
        return self._stream.blocks

    async def open(self) -> None:
        """Begin to record; idempotent.

        Raises:
            AudioDeviceError: the microphone cannot be used.
        """
        self._loop = asyncio.get_running_loop()
        await self._stream.open()

    def mark(self) -> None:
        """Mark the present place in the recording: an empty chunk will be read there."""
        self._queue.append(b"")
        self._arrived.set()

    def discard(self) -> None:
        """Forget what was recorded and not read; marks stay, in their order."""
        self._queue = deque(chunk for chunk in self._queue if not chunk)

    async def __aiter__(self) -> AsyncGenerator[bytes, None]:
        await self.open()
        while True:
            while self._queue:
                yield self._queue.popleft()
            if self._closed:  # perhaps while the reader was busy with a chunk
                return
            self._arrived.clear()
            await self._arrived.wait()

    async def aclose(self) -> None:
        """Stop recording; idempotent. Unread audio is dropped."""
        self._closed = True
        self._queue.clear()
        self._arrived.set()
        await self._stream.aclose()

    # -- on the audio thread

    def _record(self, block: Any, opened: DeviceFormat, latency_s: float) -> None:
        converter = self._converter
        if converter is None or converter.opened is not opened:
            converter = self._converter = _CaptureConverter(opened, self.sample_rate)
            self._call_soon(self._begin_silence_watch)
        audio = converter.convert(bytes(block))  # a copy: the device takes its memory back
        if (echo := self.echo) is not None:
            audio = echo.capture(audio)
        if self.muted:
            audio = bytes(len(audio))
        self._latency_s = latency_s
        self._recent.append(audio)
        self._pending += audio
        size = self._format.size(self.chunk_ms)
        while len(self._pending) >= size:
            chunk = bytes(self._pending[:size])
            del self._pending[:size]
            self._call_soon(self._enqueue, chunk)

    def _tell_discontinuity(self) -> None:
        if (echo := self.echo) is not None:
            echo.discontinuity()

    def _call_soon(self, call: Callable[..., None], *arguments: object) -> None:
        assert self._loop is not None
        self._loop.call_soon_threadsafe(call, *arguments)

    # -- on the event loop

    def _begin_silence_watch(self) -> None:
        self._silent_ms, self._silence_decided = 0, False

    def _enqueue(self, chunk: bytes) -> None:
        if self._closed:
            return
        self._watch_for_silence(chunk)
        if len(self._queue) >= _QUEUE_MS // _CHUNK_MS:
            if not self._dropped_bytes:
                self._on_notice("microphone_overflow", "What the microphone hears is not taken; the oldest is dropped.")
            oldest = next((place for place, waiting in enumerate(self._queue) if waiting), 0)  # marks are kept
            self._dropped_bytes += len(self._queue[oldest])
            del self._queue[oldest]
        self._queue.append(chunk)
        self._arrived.set()

    def _watch_for_silence(self, chunk: bytes) -> None:
        if self._silence_decided or self.muted or (self.echo is not None and self.echo.suppressing):
            return
        if any(chunk):
            self._silence_decided = True
            if self._silence_told:
                self._on_notice("microphone_heard", f"The microphone {self.device!r} is heard now.")
                self._silence_told = ""
            return
        self._silent_ms += _CHUNK_MS
        if self._silent_ms < _SILENT_MS:
            return
        self._silent_ms = 0
        if self._silence_told != self.device:
            self._silence_told = self.device
            self._on_notice(
                "microphone_silent", f"The microphone {self.device!r} delivers nothing but silence. {silence()}"
            )
        if self._stream.stays_silent:
            self._stream.reopen_soon()


class _CaptureConverter:
    """Converts what a device delivers to PCM16 mono at the session's rate."""

    def __init__(self, opened: DeviceFormat, sample_rate: int) -> None:
        self.opened = opened
        self._resampler = Resampler(opened.sample_rate, sample_rate)

    def convert(self, block: bytes) -> bytes:
        if self.opened.channels > 1:
            frames: npt.NDArray[np.int16] = np.frombuffer(block, np.int16).reshape(-1, self.opened.channels)
            block = np.rint(frames.mean(axis=1)).astype(np.int16).tobytes()
        return self._resampler.process(block)
