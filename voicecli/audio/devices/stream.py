"""A stream of a sound device that is kept alive: opened again when it falls silent or the default is another."""

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voicecli.audio.devices.default_device import LOOK_EVERY_S, default_name, keeps_its_device
from voicecli.audio.devices.listing import NOUN, Kind, choose_device, known_devices
from voicecli.audio.devices.portaudio import SOUND_SYSTEM, describe
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

It is called on the audio thread: it never waits and never touches a screen. What it raises costs the block, is counted,
and is told once.
"""

_FAILED: dict[Kind, str] = {
    "input": "What the microphone {name!r} hears cannot be processed ({error}); it is lost.",
    "output": "What the loudspeaker {name!r} is to play cannot be processed ({error}); there is silence instead.",
}
_FAILED_ADVICE = "If that goes on, begin the conversation again with --echo off, and headphones."


class DeviceStream:
    """A microphone's or a loudspeaker's stream.

    Args:
        device: its number or a part of its name; None for the default.
        sample_rate: that is wished for, in Hz; the device's own is taken when it must be.
        block: gets every block.
        on_notice: is told, on the event loop, by a code that begins with "microphone" or "loudspeaker": _lost and then
            _back or _changed, _changed alone when another has become the default, _failed at the first failure.
        on_skip: is called on the audio thread when the device says that sound was lost, or silence put in.

    Attributes:
        blocks: how many came.
        missed: how many times the device says that a block came too late, while it mattered.
        failures: how many blocks failed by a defect.
        matters: set by `block`: whether it would be noticed now if a block were missed.
        format: how it is open.
    """

    def __init__(
        self,
        kind: Kind,
        device: str | int | None,
        sample_rate: int,
        block: Block,
        on_notice: OnNotice | None,
        on_skip: Callable[[], None] | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.blocks = 0
        self.missed = 0
        self.failures = 0
        self.matters = kind == "input"
        self.format: DeviceFormat | None = None
        self._wanted = device
        self._asked = device  # None once the default has taken its place
        self._sample_rate = sample_rate
        self._block = block
        self._on_notice = on_notice or (lambda code, message: None)
        self._on_skip = on_skip or (lambda: None)
        self._latency = 0  # index in _LATENCIES
        self._raw: Any = None  # the sound system's thread alone touches it
        self._flowing = False
        self._ended = asyncio.Event()  # PortAudio says that the stream is over
        self._failure: Exception | None = None  # the first, until it is told
        self._told_name = ""  # of the device that the user knows to be in use
        self._may_follow = False  # PortAudio itself would stay with the device when another becomes the default
        self._outdated = False  # another has become the default
        self._defects = 0
        self._loop: asyncio.AbstractEventLoop | None = None
        self._opening = asyncio.Lock()
        self._tasks: list[asyncio.Task[None]] = []
        self._closed = False

    @property
    def alive(self) -> bool:
        """Whether blocks come, as far as is known. False also for a moment while it is opened again."""
        return self._raw is not None and self._flowing

    @property
    def kept(self) -> bool:
        """Whether it is open, or will be opened again: blocks may come."""
        return bool(self._tasks) and not self._closed

    async def open(self) -> None:
        """Open it, and see from now on that it stays open. Idempotent; does nothing once it is closed.

        Raises:
            AudioDeviceError: it cannot be opened.
        """
        async with self._opening:  # who comes second waits for the first
            if self._tasks or self._closed:
                return
            self._loop = asyncio.get_running_loop()
            try:
                await SOUND_SYSTEM.run(self._open_first)
            except BaseException:
                SOUND_SYSTEM.submit(self._forget)  # it may still be opened; then this comes after it
                raise
            if self._closed:  # meanwhile, which has it forgotten
                return
            self._told_name = self.format.name if self.format else ""
            noun = NOUN[self.kind]
            self._tasks = [asyncio.create_task(self._watch(), name=f"voicecli-{noun}")]
            if self._wanted is None:
                self._tasks.append(asyncio.create_task(self._follow(), name=f"voicecli-default-{noun}"))

    async def aclose(self) -> None:
        """Stop at once; idempotent. A driver that hangs is not waited for: it is told to stop when it wakes up."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._loop is not None:
            await SOUND_SYSTEM.run_regardless(self._forget, _CLOSE_TIMEOUT_S)
        if self._tasks:
            await asyncio.wait(self._tasks)

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
                self._may_follow = keeps_its_device(device.host_api)
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

    def _forget(self, portaudio: Any) -> None:
        self.close_now()
        SOUND_SYSTEM.streams.discard(self)

    # -- on the audio thread

    def _callback(self, opened: DeviceFormat) -> Callable[[Any, int, Any, Any], None]:
        is_input = self.kind == "input"

        def called(buffer: Any, frames: int, time: Any, status: Any) -> None:
            self.blocks += 1
            skipped = status.input_overflow or status.output_underflow
            if skipped:
                self.missed += self.matters
            latency = (
                time.currentTime - time.inputBufferAdcTime if is_input else time.outputBufferDacTime - time.currentTime
            )
            try:
                if skipped:
                    self._on_skip()
                self._block(buffer, opened, latency if 0 <= latency <= _HIGHEST_LATENCY_S else 0.0)
            except Exception as error:
                # Raised, it would end the stream and with it the conversation.
                if not self.failures:
                    self._failure = error
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
            await self._tick()
            if self.blocks != seen:
                seen, still, allowed = self.blocks, 0, _SILENT_TICKS
            else:
                still += 1
            strain = strain * _STRAIN_KEPT + self.missed - missed
            missed = self.missed
            self._tell_failure()
            if self._ended.is_set() or still >= allowed:
                self._flowing = False
                await self._recover()
                seen, still, allowed = self.blocks, 0, _SILENT_TICKS
            elif self._outdated:
                self._outdated = False
                await self._attempt(functools.partial(self._reopen, look_anew=True))
                seen, still, allowed = self.blocks, 0, _OPENING_TICKS
            elif strain > _TOO_MUCH_STRAIN and self._latency + 1 < len(_LATENCIES):
                strain = 0.0
                self._latency += 1
                _log.debug("The %s misses blocks; its latency is now %s s", NOUN[self.kind], _LATENCIES[self._latency])
                await self._attempt(self._reopen_wider)  # if in vain, no block comes, and the next looks find it
            self._tell_change()

    async def _tick(self) -> None:
        """Until the next look."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await self._ended.wait()

    async def _attempt(self, call: Callable[[Any], None]) -> bool:
        """Whether the sound system could do it. Whatever goes wrong, somebody must go on watching."""
        try:
            await SOUND_SYSTEM.run(call)
        except AudioDeviceError as error:
            _log.debug("%s", error)
        except Exception:
            # At first as the defect that it is; a loop repeats it twice a second.
            _log.log(logging.DEBUG if self._defects else logging.ERROR, "Opening a device failed", exc_info=True)
            self._defects += 1
        else:
            return True
        return False

    async def _proves_alive(self) -> bool:
        """Whether blocks go on coming; a device that is stalled takes some to fill its buffer."""
        for _ in range(_PROOF_TICKS):
            seen = self.blocks
            await self._tick()
        return self.blocks != seen and not self._ended.is_set()

    async def _recover(self) -> None:
        """Open it again, and again, until blocks come."""
        before, noun = self._told_name, NOUN[self.kind]
        self._tell("lost", f"The {noun} {before!r} has stopped; opening it again.")
        for tries in itertools.count():
            # The one asked for may be gone for good: then the default takes its place, and both are tried in turn.
            use_default = tries >= _TRIES_BEFORE_DEFAULT and tries % 2 == 0
            self._asked = None if use_default else self._wanted
            self._ended.clear()
            if not await self._attempt(functools.partial(self._reopen, look_anew=_looks_anew(tries))):
                await asyncio.sleep(_RETRY_S)
                continue
            if await self._proves_alive():
                break
            self._flowing = False
            if self._ended.is_set():  # at once: without a pause it would be opened hundreds of times a second
                await asyncio.sleep(_RETRY_S)
        if self.format is not None and self.format.name == before:
            self._tell("back", f"The {noun} {before!r} is back.")

    async def _follow(self) -> None:
        """Find out when another device has become the default, where the stream itself would not change to it."""
        suspected = followed = ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            # Of one that is lost, the watchdog is about to open the default anyway.
            name = await default_name(self.kind) if self._may_follow and self.alive else ""
            if not name:
                suspected = ""
            elif self.format is not None and name == self.format.name:
                suspected = followed = ""
            elif name != suspected:
                suspected = name  # seen once: a headset that is being connected may appear and go
            elif name != followed:  # else it could not be had
                followed = name
                self._outdated = True

    def _tell_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            noun, name = NOUN[self.kind], self.format.name if self.format else ""
            _log.error("A block of the %s failed", noun, exc_info=failure)
            error = f"{type(failure).__name__}: {failure}"
            self._tell("failed", f"{_FAILED[self.kind].format(name=name, error=error)} {_FAILED_ADVICE}")

    def _tell_change(self) -> None:
        """Also when it was not this stream that had the devices looked for anew."""
        if self.format is not None and self.format.name != self._told_name:
            self._told_name = self.format.name
            self._tell("changed", f"The {NOUN[self.kind]} is now {self._told_name!r}.")

    def _tell(self, what: str, message: str) -> None:
        try:
            self._on_notice(f"{NOUN[self.kind]}_{what}", message)
        except Exception:
            _log.exception("Who is told of the devices failed")


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
    text = describe(error)
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
