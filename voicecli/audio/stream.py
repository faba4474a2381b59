"""A stream of a sound device that is kept alive: when it falls silent, it is opened again."""

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voicecli.audio.devices import NOUN, Kind, choose_device, known_devices
from voicecli.audio.soundsystem import SOUND_SYSTEM
from voicecli.errors import AudioDeviceError

__all__ = ["Block", "DeviceFormat", "DeviceStream", "OnNotice"]

_log = logging.getLogger(__name__)

OnNotice = Callable[[str, str], None]
"""Is told a stable code and a message for people, on the event loop."""

# Measured through PulseAudio on two cores. With 10 ms blocks "low" is a buffer of 20 ms: silence comes 44 to 54 ms
# after `clear()`, and nothing is missed until other programs want both cores; 60 ms then suffice. 20 ms blocks cannot
# do with less than 40 ms, and silence takes 80 to 95 ms.
_BLOCK_MS = 10
_LATENCIES: tuple[str | float, ...] = ("low", 0.04, 0.08, 0.16)  # from one to the next when sound breaks up
_STRAIN_KEPT = 0.98  # of the count of missed blocks, per tick: half of it after 3.4 s
_TOO_MUCH_STRAIN = 1.5  # one block may be missed, two soon after each other are a habit
_TICK_S = 0.1  # how often it is looked whether blocks still come
_SILENT_TICKS = 5  # that many looks without a block: the device is dead
_PROOF_TICKS = 3
_OPENING_TICKS = 12  # a device just opened gets longer: Bluetooth takes a second
_RETRY_S = 0.5
_CLOSE_TIMEOUT_S = 2.0
_TRIES_BEFORE_DEFAULT = 2
_TRIES_BETWEEN_LOOKS = 32  # for new devices, which interrupts the other stream
_HIGHEST_LATENCY_S = 2.0  # more than that is no latency but a driver without a clock

_INVALID_RATE, _INVALID_CHANNELS = -9997, -9998
_BUSY, _INVALID_DEVICE = -9985, -9996


@dataclass(frozen=True, slots=True)
class DeviceFormat:
    """How a device was opened: PCM16 at `sample_rate` Hz with interleaved `channels`."""

    name: str
    sample_rate: int
    channels: int


Block = Callable[[Any, DeviceFormat, float], None]
"""Takes or fills a block of the device's memory, given how long it is from or to the air, in seconds.

It is called on the audio thread: it never waits and never touches a screen. What it raises is counted and forgotten.
"""


class DeviceStream:
    """A microphone's or a loudspeaker's stream.

    Args:
        device: its number or a part of its name; None for the default.
        sample_rate: that is wished for, in Hz; the device's own is taken when it must be.
        block: gets every block.
        on_notice: is told when the device is lost, back, or another.

    Attributes:
        blocks: how many came.
        missed: how many times the device says that a block came too late, while it mattered.
        skips: how many times it says so at all: sound was lost, or silence put in.
        failures: how many blocks failed by a defect.
        matters: set by `block`: whether it would be noticed now if a block were missed.
        format: how it is open.
    """

    def __init__(
        self, kind: Kind, device: str | int | None, sample_rate: int, block: Block, on_notice: OnNotice | None
    ) -> None:
        self.kind: Kind = kind
        self.blocks = 0
        self.missed = 0
        self.skips = 0
        self.failures = 0
        self.matters = kind == "input"
        self.format: DeviceFormat | None = None
        self._wanted = device
        self._asked = device  # None once the default has taken its place
        self._sample_rate = sample_rate
        self._block = block
        self._on_notice = on_notice or (lambda code, message: None)
        self._latency = 0  # index in _LATENCIES
        self._raw: Any = None  # the sound system's thread alone touches it
        self._flowing = False
        self._ended = asyncio.Event()  # PortAudio says that the stream is over
        self._loop: asyncio.AbstractEventLoop | None = None
        self._watchdog: asyncio.Task[None] | None = None
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether blocks come, as far as is known."""
        return self._raw is not None and self._flowing

    async def open(self) -> None:
        """Open it, and see from now on that it stays open. Idempotent.

        Raises:
            AudioDeviceError: it cannot be opened.
        """
        if self._watchdog is not None or self._closed:
            return
        self._loop = asyncio.get_running_loop()
        try:
            await SOUND_SYSTEM.run(self._open_first)
        except BaseException:
            SOUND_SYSTEM.submit(lambda _: self._forget())
            raise
        self._watchdog = asyncio.create_task(self._watch(), name=f"voicecli-{NOUN[self.kind]}")

    async def aclose(self) -> None:
        """Stop at once; idempotent."""
        self._closed = True
        if self._watchdog is None:
            return
        self._watchdog.cancel()
        await asyncio.wait([self._watchdog])
        # A driver that hangs is left to itself.
        with contextlib.suppress(AudioDeviceError):
            await SOUND_SYSTEM.run(lambda _: self._forget(), _CLOSE_TIMEOUT_S)

    # -- on the sound system's thread

    def close_now(self) -> None:
        """Close the stream, without another word."""
        raw, self._raw, self._flowing = self._raw, None, False
        if raw is not None:
            raw.abort(ignore_errors=True)
            raw.close(ignore_errors=True)

    def open_now(self, portaudio: Any) -> None:
        """Open the stream that was asked for, in the format that the device takes.

        Raises:
            AudioDeviceError: it cannot be opened.
        """
        if self._closed:
            return
        device = choose_device(known_devices(portaudio), self.kind, self._asked)
        stream = portaudio.RawInputStream if self.kind == "input" else portaudio.RawOutputStream
        refusal: Exception | None = None
        # The wire's rate and one channel, if the device or what stands before it will convert.
        for channels in dict.fromkeys((1, min(2, device.channels(self.kind)))):
            for rate in dict.fromkeys((self._sample_rate, device.sample_rate)):
                opened = DeviceFormat(device.name, rate, channels)
                try:
                    raw = stream(
                        samplerate=rate,
                        blocksize=rate * _BLOCK_MS // 1000,
                        device=device.number,
                        channels=channels,
                        dtype="int16",
                        latency=_LATENCIES[self._latency],
                        callback=self._callback(opened),
                        finished_callback=self._finished,
                    )
                except portaudio.PortAudioError as error:
                    refusal = error
                    if _code(error) not in {_INVALID_RATE, _INVALID_CHANNELS}:
                        raise _refused(self.kind, device.name, error) from error
                    continue
                try:
                    raw.start()
                except portaudio.PortAudioError as error:
                    raw.close(ignore_errors=True)
                    raise _refused(self.kind, device.name, error) from error
                self._raw, self.format, self._flowing = raw, opened, True
                return
        assert refusal is not None
        raise _refused(self.kind, device.name, refusal) from refusal

    def _open_first(self, portaudio: Any) -> None:
        # A device may have come since PortAudio looked. That interrupts what plays: then only if it must be.
        others = any(stream.alive for stream in SOUND_SYSTEM.streams)
        SOUND_SYSTEM.streams.add(self)
        if others:
            with contextlib.suppress(AudioDeviceError):
                self.open_now(portaudio)
                return
        SOUND_SYSTEM.refresh(portaudio)
        self.open_now(portaudio)

    def _reopen(self, portaudio: Any, *, look_anew: bool) -> None:
        self.close_now()
        if look_anew or not any(stream.alive for stream in SOUND_SYSTEM.streams):
            SOUND_SYSTEM.refresh(portaudio)
        self.open_now(portaudio)

    def _reopen_wider(self, portaudio: Any) -> None:
        """Have the device keep more in hand."""
        raw, self._raw = self._raw, None  # before it ends: that is no loss
        if raw is not None:
            raw.stop(ignore_errors=True)  # plays what it was given
            raw.close(ignore_errors=True)
        self.open_now(portaudio)

    def _forget(self) -> None:
        self.close_now()
        SOUND_SYSTEM.streams.discard(self)

    # -- on the audio thread

    def _callback(self, opened: DeviceFormat) -> Callable[[Any, int, Any, Any], None]:
        is_input = self.kind == "input"

        def called(buffer: Any, frames: int, time: Any, status: Any) -> None:
            self.blocks += 1
            if status.input_overflow or status.output_underflow:
                self.skips += 1
                self.missed += self.matters
            latency = (
                time.currentTime - time.inputBufferAdcTime if is_input else time.outputBufferDacTime - time.currentTime
            )
            try:
                self._block(buffer, opened, latency if 0 <= latency <= _HIGHEST_LATENCY_S else 0.0)
            except Exception:
                # Raised, it would end the stream and with it the conversation.
                self.failures += 1
                if not is_input:
                    buffer[:] = bytes(len(buffer))

        return called

    def _finished(self) -> None:
        # Also called while it is being closed, when `_raw` is already gone.
        if self._raw is not None and self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed
                self._loop.call_soon_threadsafe(self._ended.set)

    # -- on the event loop

    async def _watch(self) -> None:
        """Counts looks, not time: so a computer that slept, or an event loop that stalled, raises no alarm."""
        seen, still, allowed = self.blocks, 0, _OPENING_TICKS
        missed, strain = self.missed, 0.0
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)
            if self.blocks != seen:
                seen, still, allowed = self.blocks, 0, _SILENT_TICKS
            else:
                still += 1
            strain = strain * _STRAIN_KEPT + self.missed - missed
            missed = self.missed
            if self._ended.is_set() or still >= allowed:
                self._flowing = False
                await self._recover()
                seen, still, allowed = self.blocks, 0, _SILENT_TICKS
            elif strain > _TOO_MUCH_STRAIN and self._latency + 1 < len(_LATENCIES):
                strain = 0.0
                self._latency += 1
                _log.debug("The %s misses blocks; its latency is now %s s", NOUN[self.kind], _LATENCIES[self._latency])
                with contextlib.suppress(AudioDeviceError):  # then no block comes, and the next looks find it
                    await SOUND_SYSTEM.run(self._reopen_wider)

    async def _proves_alive(self) -> bool:
        """Whether blocks go on coming; a device that is stalled takes some to fill its buffer."""
        for _ in range(_PROOF_TICKS):
            seen = self.blocks
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._ended.wait(), _TICK_S)
        return self.blocks != seen and not self._ended.is_set()

    async def _recover(self) -> None:
        """Open it again, and again, until blocks come."""
        before = self.format.name if self.format else ""
        noun = NOUN[self.kind]
        self._on_notice(f"{noun}_lost", f"The {noun} {before!r} has stopped; opening it again.")
        for tries in itertools.count():
            # The one asked for may be gone for good: then the default takes its place, and both are tried in turn.
            use_default = tries >= _TRIES_BEFORE_DEFAULT and tries % 2 == 0
            self._asked = None if use_default else self._wanted
            self._ended.clear()
            try:
                await SOUND_SYSTEM.run(functools.partial(self._reopen, look_anew=_looks_anew(tries)))
            except AudioDeviceError as error:
                _log.debug("%s", error)
                await asyncio.sleep(_RETRY_S)
                continue
            if await self._proves_alive():
                break
            self._flowing = False
        after = self.format.name if self.format else ""
        if after == before:
            self._on_notice(f"{noun}_back", f"The {noun} {after!r} is back.")
        else:
            self._on_notice(f"{noun}_changed", f"The {noun} is now {after!r}.")


def _looks_anew(tries: int) -> bool:
    """Whether to look for new devices: not at first, as most come back by themselves, then less and less often."""
    return tries in {1, 2, 4, 8, 16} or (tries > 0 and tries % _TRIES_BETWEEN_LOOKS == 0)


def _code(error: Exception) -> int:
    return error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0


def _refused(kind: Kind, name: str, error: Exception) -> AudioDeviceError:
    noun, code = NOUN[kind], _code(error)
    if code == _BUSY:
        return AudioDeviceError(
            f"The {noun} {name!r} is in use by another program, or was taken away.",
            advice="Close the other program, or choose another device: `voice list-devices`.",
        )
    if code == _INVALID_DEVICE:
        return AudioDeviceError(
            f"The {noun} {name!r} is not there any more.", advice="Choose another device: `voice list-devices`."
        )
    text = str(error)
    if "permission" in text.casefold() or "denied" in text.casefold():
        return AudioDeviceError(
            f"The {noun} {name!r} may not be used: {text}.",
            advice="Allow it: macOS: System Settings, Privacy & Security, Microphone; Windows: Settings, Privacy, "
            'Microphone; Linux: add yourself to the group "audio", and log in again.',
        )
    return AudioDeviceError(
        f"The {noun} {name!r} cannot be opened: {text}.",
        advice="Choose another device: `voice list-devices`; or restart the sound server.",
    )
