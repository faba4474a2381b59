"""PortAudio without sound: devices that a test plugs in and pulls out, and blocks that flow when the test says so."""

import asyncio
import contextlib
import threading
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import pytest

from voicecli.audio.devices.portaudio import PortAudioThread

__all__ = ["FakeDevice", "FakePortAudio", "FakeStream", "Hang", "PortAudioError"]

RATE = 24_000
_BLOCK_BYTES = RATE // 100 * 2


class PortAudioError(Exception):
    """As sounddevice's: the text, and PortAudio's code."""

    def __str__(self) -> str:
        return str(self.args[0])


@dataclass(eq=False)
class FakeDevice:
    """A microphone and a loudspeaker in one.

    Attributes:
        opens: whether it can be opened.
        hears, plays: whether blocks come then.
        ends: whether PortAudio ends every stream as soon as it has begun.
        zeros: whether a stream that is opened now hears exact silence for as long as it is open.
        inputs, outputs: how many channels it has.
        rate: its own, in Hz, at this moment.
        speed: of its clock, 1 for a right one.
        host_api: PortAudio's name of it; None for that of the fake.
    """

    name: str
    opens: bool = True
    hears: bool = True
    plays: bool = True
    ends: bool = False
    zeros: bool = False
    inputs: int = 1
    outputs: int = 1
    rate: int = RATE
    speed: float = 1.0
    host_api: str | None = None


class Hang:
    """A driver that does not return from a call until it is told to."""

    def __init__(self) -> None:
        self._entered = threading.Event()
        self._over = threading.Event()

    def here(self) -> None:
        """Called by the driver."""
        self._entered.set()
        assert self._over.wait(20)

    async def entered(self) -> None:
        assert await asyncio.to_thread(self._entered.wait, 20)

    def end(self) -> None:
        self._over.set()


class FakeStream:
    """Raw input and output stream, as sounddevice makes them."""

    def __init__(self, portaudio: "FakePortAudio", kind: str, device: FakeDevice, settings: dict[str, Any]) -> None:
        self.device = device
        self.kind = kind
        self.running = False
        self.stalled = False
        self.skips = False  # it says so with each block
        self.played = bytearray()
        self.settings = settings
        self._portaudio = portaudio
        self._opened_rate = device.rate  # to PortAudio the device has it until the stream is closed
        self._zeros = device.zeros
        self._due_s = 0.0
        self._frames: int = settings["blocksize"]
        self._channels: int = settings["channels"]
        self._callback: Callable[[Any, int, Any, Any], None] = settings["callback"]
        self._finished: Callable[[], None] = settings["finished_callback"]

    def start(self) -> None:
        self.running = True
        if self._portaudio.hang_at_start is not None:
            self._portaudio.hang_at_start.here()
        if self.device.ends:
            self._portaudio.ending.append(self)

    def abort(self, ignore_errors: bool = True) -> None:
        if self.running:
            self.running = False
            self._finished()

    stop = abort

    def close(self, ignore_errors: bool = True) -> None:
        self.abort()

    def flow(self, duration_s: float) -> None:
        """As many blocks pass as a device does in this time whose rate may have changed since it was opened."""
        self._due_s += duration_s * self.device.speed * self.device.rate / self._opened_rate
        block_s = self._frames / self.settings["samplerate"]
        while self._due_s > block_s * 0.999:
            self._due_s -= block_s
            self.deliver()

    def deliver(self) -> None:
        """A block passes."""
        if not self.running or self.stalled or not (self.device.hears if self.kind == "input" else self.device.plays):
            return
        # Not exact silence, which a microphone delivers that is off; and each block is another.
        self._portaudio.delivered = self._portaudio.delivered % 20_000 + 1
        sample = 0 if self._zeros else self._portaudio.delivered
        block = bytearray(sample.to_bytes(2, "little") * self._frames * self._channels)
        time = SimpleNamespace(currentTime=1.0, inputBufferAdcTime=0.99, outputBufferDacTime=1.02)
        is_input = self.kind == "input"
        status = SimpleNamespace(input_overflow=self.skips and is_input, output_underflow=self.skips and not is_input)
        self._callback(memoryview(block), self._frames, time, status)
        self.played += block


@dataclass(eq=False)
class FakePortAudio:
    """Fake of the module `sounddevice`, as far as voicecli uses it.

    Attributes:
        plugged: the devices that are there. PortAudio knows those that were when it was initialised.
        default: of the devices that are there, the default one; as before, known since it was initialised.
        host_api: that they belong to.
        failing: how many calls of `_initialize` will fail.
        hang, hang_at_start: where a stream's constructor, or its start, does not return.
        streams: all that were made.
        initialised: how often PortAudio was.
    """

    plugged: list[FakeDevice] = field(default_factory=lambda: [FakeDevice("built-in")])
    default: int = 0
    host_api: str = "ALSA"
    failing: int = 0
    hang: Hang | None = None
    hang_at_start: Hang | None = None
    streams: list[FakeStream] = field(default_factory=list)

    PortAudioError = PortAudioError

    def __post_init__(self) -> None:
        self.delivered = 0
        self.initialised = 0
        self.ending: list[FakeStream] = []
        self._initialized = False
        self._known: list[FakeDevice] = []
        self._known_rates: list[int] = []
        self._known_default = 0
        self._initialize()

    # -- for the test

    def use(self, monkeypatch: pytest.MonkeyPatch, *, inline: bool) -> PortAudioThread:
        """Have voicecli use it.

        Args:
            inline: make calls at once instead of on a thread of their own; for a virtual clock, which does not wait
                for threads.
        """
        system = _Inline() if inline else PortAudioThread()
        system._portaudio = self
        for module in ("stream", "listing"):
            monkeypatch.setattr(f"voicecli.audio.devices.{module}.PORTAUDIO", system)
        return system

    @property
    def running(self) -> list[FakeStream]:
        return [stream for stream in self.streams if stream.running]

    def stall(self) -> None:
        """Let the streams that are open now deliver nothing more; others, opened again, do."""
        for stream in self.streams:
            stream.stalled = True

    def deliver(self) -> None:
        """A block passes through every stream that runs."""
        self._end()
        for stream in self.running:
            stream.deliver()

    def flow(self, duration_s: float) -> None:
        """So much time passes for every stream that runs."""
        self._end()
        for stream in self.running:
            stream.flow(duration_s)

    def flow_until(self, over: threading.Event) -> None:
        """Blocks pass by the clock, and faster while something plays: for a thread, beside programs in real time."""
        now = time.perf_counter()
        while not over.wait(0.002):
            before, now = now, time.perf_counter()
            if any(any(stream.played[-_BLOCK_BYTES:]) for stream in self.running if stream.kind == "output"):
                self.deliver()
            else:
                self.flow(now - before)

    def _end(self) -> None:
        for stream in self.ending:
            stream.abort()
        self.ending.clear()

    @contextlib.asynccontextmanager
    async def flowing(self, every_s: float = 0.05) -> AsyncIterator[None]:
        """Blocks pass, as many as in real time. Several at once cost a virtual clock less."""

        async def flow() -> None:
            while True:
                self.flow(every_s)
                await asyncio.sleep(every_s)

        task = asyncio.create_task(flow())
        try:
            yield
        finally:
            task.cancel()
            await asyncio.wait([task])

    # -- as sounddevice

    def RawInputStream(self, **settings: Any) -> FakeStream:  # noqa: N802
        return self._open("input", settings)

    def RawOutputStream(self, **settings: Any) -> FakeStream:  # noqa: N802
        return self._open("output", settings)

    def get_portaudio_version(self) -> tuple[int, str]:
        return 1246976, "PortAudio V19.7.0-devel, revision unknown"

    @property
    def apis(self) -> list[str]:
        """The names of the host APIs of the devices that PortAudio knows, in their order."""
        return list(dict.fromkeys(device.host_api or self.host_api for device in self._known)) or [self.host_api]

    def query_hostapis(self) -> list[dict[str, Any]]:
        self._check()
        return [{"name": name} for name in self.apis]

    def query_devices(self, kind: str | None = None) -> Any:
        self._check()
        devices = [
            {
                "name": device.name,
                "index": index,
                "hostapi": self.apis.index(device.host_api or self.host_api),
                "max_input_channels": device.inputs,
                "max_output_channels": device.outputs,
                "default_samplerate": float(rate),
            }
            for index, (device, rate) in enumerate(zip(self._known, self._known_rates, strict=True))
        ]
        if kind is None:
            return devices
        if not devices:
            raise PortAudioError("Error querying device -1")
        return devices[self._known_default]

    def _initialize(self) -> None:
        if self.failing:
            self.failing -= 1
            raise PortAudioError("Error initializing PortAudio: Unanticipated host error", -9999)
        self._initialized = True
        self.initialised += 1
        self._known_rates = [device.rate for device in self.plugged]
        self._known, self._known_default = list(self.plugged), self.default

    def _terminate(self) -> None:
        self._check()
        self._initialized = False
        for stream in self.streams:
            stream.running = False

    def _check(self) -> None:
        if not self._initialized:
            raise PortAudioError("PortAudio not initialized", -10000)

    def _open(self, kind: str, settings: dict[str, Any]) -> FakeStream:
        self._check()
        if self.hang is not None:
            self.hang.here()
        device = self._known[settings["device"]]
        if not device.opens or device not in self.plugged:
            raise PortAudioError("Error opening the stream: Device unavailable", -9985)
        stream = FakeStream(self, kind, device, settings)
        self.streams.append(stream)
        return stream


class _Inline(PortAudioThread):
    def _hand_over(self, run: Callable[[], None]) -> None:
        run()
