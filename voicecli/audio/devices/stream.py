"""A device's stream with a watchdog: opened again when no block comes, or when the default is another device."""

import asyncio
import contextlib
import functools
import itertools
import logging
from collections.abc import Callable
from typing import Any

from voicecli.audio.devices.default_device import LOOK_EVERY_S, default_name, present_rate, rate_now
from voicecli.audio.devices.host_apis import keeps_its_device, same_device
from voicecli.audio.devices.listing import NOUN, Kind, choose_devices, known_devices
from voicecli.audio.devices.opening import Callback, DeviceFormat, open_first
from voicecli.audio.devices.portaudio import PORTAUDIO
from voicecli.audio.devices.rate_watch import MOST_REOPENINGS, SETTLED_TICKS, RateWatch
from voicecli.errors import AudioDeviceError

__all__ = ["METER_MS", "Block", "DeviceStream", "OnNotice"]

_log = logging.getLogger(__name__)

OnNotice = Callable[[str, str], None]
"""Is told a stable code and a message for people, on the event loop."""

METER_MS = 60
"""The duration of the latest audio that devices keep for a meter, in milliseconds."""

_LATENCIES: tuple[str | float, ...] = ("low", 0.04, 0.08, 0.16)  # the next one after too many xruns
_XRUNS_REMEMBERED = 0.98  # of the count of xruns, per tick: half of it after 3.4 s
_TOO_MANY_XRUNS = 1.5  # one may happen, two soon after each other will happen again
_TICK_S = 0.1  # of the watchdog
_STALLED_TICKS = 5  # that many ticks without a block: the device is lost
_PROOF_TICKS = 3
_OPENING_TICKS = 12  # a device just opened gets longer: Bluetooth takes a second
_RETRY_S = 0.5
_CLOSE_TIMEOUT_S = 2.0
_TRIES_BEFORE_DEFAULT = 2
_TRIES_BETWEEN_LISTINGS = 32  # which interrupt the other stream
_MAX_LATENCY_S = 2.0  # more than that is no latency but a driver without a clock

Block = Callable[[Any, DeviceFormat, float], None]
"""Takes or fills a block of the device's memory, given how long it is from or to the air, in seconds.

It is called on the audio thread: it never waits and never touches a screen. What it raises costs the block, is counted,
and is told once.
"""

_FAILED: dict[Kind, str] = {
    "input": "What the microphone {name!r} hears cannot be processed ({error}); it is lost.",
    "output": "What the loudspeaker {name!r} is to play cannot be processed ({error}); there is silence instead.",
}
_RATE_CHANGED = (
    "The {noun} {name!r} has changed its rate, and was opened again. A Bluetooth headset sounds like a telephone while "
    "its microphone is in use: with another microphone (--input-device) it keeps its good sound."
)
_FAILED_ADVICE = "If that goes on, begin the conversation again with --echo off, and headphones."


class DeviceStream:
    """A microphone's or a loudspeaker's stream.

    Args:
        device: its number or a part of its name; None for the default.
        sample_rate: that is wished for, in Hz; the device's own is taken when it must be.
        block: gets every block.
        on_notice: is told, on the event loop, by a code that begins with "microphone" or "loudspeaker": _lost and then
            _back or _changed, _changed alone when another has become the default, _failed at the first failure,
            _rate_changed once when it was opened again since it does not run at the rate it was opened at.
        on_discontinuity: is called on the audio thread when the device reports that audio was lost, or silence put in,
            and at the first block after it was opened again: its latency may be another.

    Attributes:
        blocks, frames: how many came.
        xruns: how many underflows (loudspeaker) or overflows (microphone) the device reported while audible.
        failures: how many blocks failed by a defect.
        audible: set by `block`: whether an xrun would be noticed now.
        format: how it is open.
    """

    def __init__(
        self,
        kind: Kind,
        device: str | int | None,
        sample_rate: int,
        block: Block,
        on_notice: OnNotice | None,
        on_discontinuity: Callable[[], None] | None = None,
    ) -> None:
        self.kind: Kind = kind
        self.blocks = 0
        self.frames = 0
        self.xruns = 0
        self.failures = 0
        self.audible = kind == "input"
        self.format: DeviceFormat | None = None
        self._wanted = device
        self._asked = device  # None once the default has taken its place
        self._sample_rate = sample_rate
        self._block = block
        self._on_notice = on_notice or (lambda code, message: None)
        self._on_discontinuity = on_discontinuity or (lambda: None)
        self._latency = 0  # index in _LATENCIES
        self._raw: Any = None  # the PortAudio thread alone touches it
        self._flowing = False
        self._ended = asyncio.Event()  # PortAudio says that the stream is over
        self._failure: Exception | None = None  # the first, until it is told
        self._told_name = ""  # of the device that the user knows to be in use
        self._host_api = ""
        self._may_follow = False  # PortAudio itself would stay with the device when another becomes the default
        self._default_changed = False
        self._reopening_asked = False
        self._gaps = 0  # all that the device has reported, audible or not
        self._device_rate = 0  # its own when it was opened, in Hz
        self._rate_changed = False
        self._rate_due = asyncio.Event()  # it is time to look whether it has
        self._rate_reopenings = 0
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
    def kept_open(self) -> bool:
        """Whether it is open, or will be opened again: blocks may come."""
        return bool(self._tasks) and not self._closed

    @property
    def stays_silent(self) -> bool:
        """Whether a stream that was opened while the microphone was forbidden goes on being silent when it is allowed:
        Core Audio's does.
        """
        return self._host_api == "Core Audio"

    async def open(self) -> None:
        """Open it, and keep it open from now on. Idempotent; does nothing once it is closed.

        Raises:
            AudioDeviceError: it cannot be opened.
        """
        async with self._opening:  # who comes second waits for the first
            if self._tasks or self._closed:
                return
            self._loop = asyncio.get_running_loop()
            try:
                await PORTAUDIO.run(self._open_first)
            except BaseException:
                PORTAUDIO.submit(self._forget)  # it may still be opened; then this comes after it
                raise
            if self._closed:  # meanwhile, which has it forgotten
                return
            self._told_name = self.format.name if self.format else ""
            noun = NOUN[self.kind]
            self._tasks = [asyncio.create_task(self._watch(), name=f"voicecli-{noun}")]
            self._tasks.append(asyncio.create_task(self._look_at_rate(), name=f"voicecli-rate-{noun}"))
            if self._wanted is None:
                self._tasks.append(asyncio.create_task(self._follow_default(), name=f"voicecli-default-{noun}"))

    def reopen_soon(self) -> None:
        """Have it opened again, as what it delivers may depend on when it was opened; nobody is told."""
        self._reopening_asked = True

    async def aclose(self) -> None:
        """Stop at once; idempotent. A driver that hangs is not waited for: it is told to stop when it wakes up."""
        self._closed = True
        for task in self._tasks:
            task.cancel()
        if self._loop is not None:
            await PORTAUDIO.run_regardless(self._forget, _CLOSE_TIMEOUT_S)
        if self._tasks:
            await asyncio.wait(self._tasks)

    # -- on the PortAudio thread

    def close_now(self) -> None:
        """Close the stream, and tell nobody."""
        raw, self._raw, self._flowing = self._raw, None, False
        if raw is not None:
            raw.abort(ignore_errors=True)
            raw.close(ignore_errors=True)

    def open_now(self, portaudio: Any) -> None:
        """Open the stream that was asked for, in a format that the device takes.

        Raises:
            AudioDeviceError: it cannot be opened.
        """
        if self._closed:
            return
        devices = choose_devices(known_devices(portaudio), self.kind, self._asked)
        self._raw, self.format, device = open_first(
            portaudio,
            devices,
            self.kind,
            self._sample_rate,
            latency=_LATENCIES[self._latency],
            make_callback=self._callback,
            on_finished=self._finished,
        )
        self._flowing = True
        self._host_api = device.host_api
        self._may_follow = keeps_its_device(device.host_api) and not device.stand_in
        self._device_rate = (rate_now(self.kind, device.name) if self._may_follow else 0) or device.sample_rate

    def _open_first(self, portaudio: Any) -> None:
        # A device may have come since PortAudio looked. That interrupts what plays: then only if it must be.
        others = any(stream.alive for stream in PORTAUDIO.streams)
        PORTAUDIO.streams.add(self)
        if others:
            with contextlib.suppress(AudioDeviceError):
                self.open_now(portaudio)
                return
        PORTAUDIO.refresh(portaudio, unless_new=True)
        self.open_now(portaudio)

    def _reopen(self, portaudio: Any, *, list_anew: bool) -> None:
        self.close_now()
        if list_anew or not any(stream.alive for stream in PORTAUDIO.streams):
            PORTAUDIO.refresh(portaudio)
        self.open_now(portaudio)

    def _reopen_with_latency(self, portaudio: Any) -> None:
        """Open it with the present latency, once it has played what it was given."""
        raw, self._raw = self._raw, None  # before it ends: that is no loss
        if raw is not None:
            raw.stop(ignore_errors=True)
            raw.close(ignore_errors=True)
        self.open_now(portaudio)

    def _forget(self, portaudio: Any) -> None:
        self.close_now()
        PORTAUDIO.streams.discard(self)

    # -- on the audio thread

    def _callback(self, opened: DeviceFormat) -> Callback:
        is_input = self.kind == "input"
        is_again = self.blocks > 0

        def called(buffer: Any, frames: int, time: Any, status: Any) -> None:
            nonlocal is_again
            self.blocks += 1
            self.frames += frames
            is_xrun = status.input_overflow or status.output_underflow
            if is_xrun:
                self._gaps += 1
                self.xruns += self.audible
            latency = (
                time.currentTime - time.inputBufferAdcTime if is_input else time.outputBufferDacTime - time.currentTime
            )
            try:
                if is_xrun or is_again:
                    is_again = False
                    self._on_discontinuity()
                self._block(buffer, opened, latency if 0 <= latency <= _MAX_LATENCY_S else 0.0)
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
        """Watchdog. It counts ticks, not time: a computer that slept, or a stalled event loop, raises no alarm."""
        seen, stalled, allowed = self.blocks, 0, _OPENING_TICKS
        xruns, recent_xruns = self.xruns, 0.0
        rates = RateWatch()
        opened, age = self.format, 0
        while True:
            await self._tick()
            if self.blocks != seen:
                seen, stalled, allowed = self.blocks, 0, _STALLED_TICKS
            else:
                stalled += 1
            recent_xruns = recent_xruns * _XRUNS_REMEMBERED + self.xruns - xruns
            xruns = self.xruns
            self._tell_failure()
            if self.format is not opened:
                opened, age = self.format, 0
            age += 1
            self._watch_rate(rates, age)
            if self._ended.is_set() or stalled >= allowed:
                self._flowing = False
                await self._recover()
                seen, stalled, allowed = self.blocks, 0, _STALLED_TICKS
            elif self._default_changed or self._rate_changed or self._reopening_asked:
                await self._reopen_for_cause()
                seen, stalled, allowed = self.blocks, 0, _OPENING_TICKS
            elif recent_xruns > _TOO_MANY_XRUNS and self._latency + 1 < len(_LATENCIES):
                recent_xruns = 0.0
                self._latency += 1
                _log.debug("The %s has xruns; its latency is now %s s", NOUN[self.kind], _LATENCIES[self._latency])
                await self._attempt(self._reopen_with_latency)  # if in vain, no block comes, and the next ticks find it
            self._tell_change()

    def _watch_rate(self, rates: RateWatch, age: int) -> None:
        """Compare the stream with the clock, from when it has settled; `age` is in ticks since it was opened."""
        assert self._loop is not None
        now = self._loop.time()
        if age == SETTLED_TICKS:
            self._rate_due.set()
        if age <= SETTLED_TICKS or not self.alive or self.format is None:
            rates.begin(now, self.frames, self._gaps)
        elif rates.is_off(now, self.frames, self._gaps, self.format.sample_rate):
            self._rate_changed = self._rate_reopenings < MOST_REOPENINGS

    async def _look_at_rate(self) -> None:
        """When a stream has settled, find out whether its device still has the rate it was opened at."""
        while True:
            await self._rate_due.wait()
            self._rate_due.clear()
            opened = self.format
            if opened is None or not self._may_follow or not self._device_rate:
                continue
            rate = await present_rate(self.kind, opened.name)
            # Meanwhile it may have been opened again, at that rate.
            if rate and rate != self._device_rate and self.format is opened:
                self._rate_changed = self._rate_reopenings < MOST_REOPENINGS

    async def _reopen_for_cause(self) -> None:
        """Open it again, though blocks come; with the devices listed anew, which opens the other stream again, too."""
        anew, is_rate = self._default_changed or self._rate_changed, self._rate_changed
        self._default_changed = self._rate_changed = self._reopening_asked = False
        reopened = await self._attempt(functools.partial(self._reopen, list_anew=anew))
        if is_rate and reopened and self.format is not None:
            _log.debug("The %s did not run at its rate; opened again as %s", NOUN[self.kind], self.format)
            self._rate_reopenings += 1
            if self._rate_reopenings == 1:
                noun = NOUN[self.kind]
                self._tell("rate_changed", _RATE_CHANGED.format(noun=noun, name=self.format.name))

    async def _tick(self) -> None:
        """Wait for the next tick, or the end of the stream."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_TICK_S):
                await self._ended.wait()

    async def _attempt(self, call: Callable[[Any], None]) -> bool:
        """Have PortAudio do something; whether it could. Whatever goes wrong, the watchdog must go on."""
        try:
            await PORTAUDIO.run(call)
        except AudioDeviceError as error:
            _log.debug("%s", error)
        except Exception:
            # At first as the defect that it is; a loop repeats it twice a second.
            _log.log(logging.DEBUG if self._defects else logging.ERROR, "Opening a device failed", exc_info=True)
            self._defects += 1
        else:
            return True
        return False

    async def _blocks_go_on(self) -> bool:
        """Watch for some ticks; True when blocks go on coming: a stalled device takes some to fill its buffer."""
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
            if not await self._attempt(functools.partial(self._reopen, list_anew=_lists_anew(tries))):
                await asyncio.sleep(_RETRY_S)
                continue
            if await self._blocks_go_on():
                break
            self._flowing = False
            if self._ended.is_set():  # at once: without a pause it would be opened hundreds of times a second
                await asyncio.sleep(_RETRY_S)
        if self.format is not None and same_device(self.format.name, before):
            self._tell("back", f"The {noun} {before!r} is back.")

    async def _follow_default(self) -> None:
        """Find out when another device has become the default, where the stream itself would not change to it."""
        suspected = followed = ""
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            # Of one that is lost, the watchdog is about to open the default anyway.
            name = await default_name(self.kind) if self._may_follow and self.alive else ""
            if not name:
                suspected = ""
            elif self.format is not None and same_device(name, self.format.name):
                suspected = followed = ""
            elif name != suspected:
                suspected = name  # seen once: a headset that is being connected may appear and go
            elif name != followed:  # else it could not be had
                followed = name
                self._default_changed = True

    def _tell_failure(self) -> None:
        failure, self._failure = self._failure, None
        if failure is not None:
            noun, name = NOUN[self.kind], self.format.name if self.format else ""
            _log.error("A block of the %s failed", noun, exc_info=failure)
            error = f"{type(failure).__name__}: {failure}"
            self._tell("failed", f"{_FAILED[self.kind].format(name=name, error=error)} {_FAILED_ADVICE}")

    def _tell_change(self) -> None:
        """Tell of another device, also when it was another stream that had the devices listed anew."""
        if self.format is not None and not same_device(self.format.name, self._told_name):
            self._told_name = self.format.name
            self._tell("changed", f"The {NOUN[self.kind]} is now {self._told_name!r}.")

    def _tell(self, what: str, message: str) -> None:
        try:
            self._on_notice(f"{NOUN[self.kind]}_{what}", message)
        except Exception:
            _log.exception("A notice of a device could not be told")


def _lists_anew(tries: int) -> bool:
    """True when devices are to be listed anew: not at first, as most come back by themselves, then seldom."""
    return tries in {1, 2, 4, 8, 16} or (tries > 0 and tries % _TRIES_BETWEEN_LISTINGS == 0)
