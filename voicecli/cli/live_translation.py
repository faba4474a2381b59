"""An interpreter at work for a command: input, session and output, put together."""

import asyncio
import contextlib
import sys
from collections.abc import Coroutine, Sequence
from dataclasses import dataclass, field
from typing import Any

from voicecli.audio import AudioSink
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.sound_server import real_names
from voicecli.audio.devices.speaker import Speaker
from voicecli.audio.echo.control import make_echo_control
from voicecli.audio.files.source import WavSource
from voicecli.audio.meter import Meter
from voicecli.cli.options import Devices
from voicecli.cli.reply_sound import ReplySound
from voicecli.cli.standard_output import own_stdout
from voicecli.conversation.duplex import Observer
from voicecli.errors import AudioDeviceError, RealtimeConnectionError, RealtimeError
from voicecli.events import AudioChunk, AudioDone, Event, Notice, TranscriptUpdate
from voicecli.interpreter import Interpreter
from voicecli.interpreting.session import InterpreterSession
from voicecli.pcm16 import PcmFormat
from voicecli.terminal.view_model import AudioStatus

__all__ = ["Plan", "RecordingProgress", "Translation"]

_CHUNK_MS = 100  # of the microphone: a translation is seconds behind anyway
_LAST_EVENTS_S = 6.0  # of one that is broken off; the goodbye takes 5 s at most
_TELL_EACH_S = 1.0


@dataclass(frozen=True, slots=True)
class Plan:
    """Where speech comes from, and where its translation goes.

    Attributes:
        source: a recording or a pipe; None for the microphone.
        output: takes the sound, "-" for standard output; None for nowhere.
        plays: whether the loudspeaker does.
    """

    to: str
    source: WavSource | None = None
    devices: Devices = field(default_factory=Devices)
    output: str | None = None
    plays: bool = False
    as_json: bool = False
    quiet: bool = False


class Translation:
    """Input, interpreter and output, put together; keys act on it.

    Args:
        sound: takes the translation's sound, besides a loudspeaker.

    Attributes:
        translated: whether anything of a translation has come.
    """

    def __init__(self, interpreter: Interpreter, plan: Plan, sound: ReplySound) -> None:
        self.translated = False
        self._interpreter = interpreter
        self._plan = plan
        self._sound = sound
        self._session: InterpreterSession | None = None
        self._holding: asyncio.Task[Any] | None = None
        self._observers: list[Observer] = []
        self._tasks: set[asyncio.Task[None]] = set()
        self._ending = False
        self._position_ms = 0.0
        input_rate, output_rate = interpreter.rates
        self._microphone: Microphone | None = None
        self._speaker: Speaker | None = None
        # Where no loudspeaker plays, or no microphone hears it, there is no echo.
        mode = plan.devices.echo if plan.plays and plan.source is None else "off"
        self._echo = make_echo_control(mode, input_rate, output_rate)
        if plan.source is None:
            self._microphone = Microphone(
                input_rate, device=plan.devices.microphone, echo=self._echo, on_notice=self._notice
            )
            self._microphone.chunk_ms = _CHUNK_MS
        if plan.plays:
            self._speaker = Speaker(output_rate, device=plan.devices.speaker, echo=self._echo, on_notice=self._notice)
        self._meters = Meter(input_rate), Meter(output_rate)
        self._names: dict[str, str] = {}

    @property
    def lag_s(self) -> float | None:
        """How much later the translation ends than what was said, in seconds; None before it is known."""
        return self._session.lag_s if self._session is not None else None

    @property
    def position_s(self) -> float | None:
        """How far the recording is, in seconds; None where the microphone is heard."""
        return self._position_ms / 1000 if self._plan.source is not None else None

    async def hold(self, observers: Sequence[Observer]) -> None:
        """Translate until the input, the user or the provider ends it. Gives devices and files back.

        Raises:
            RealtimeError: as `run_translation` says.
        """
        self._observers = list(observers)
        self._holding = asyncio.current_task()
        try:
            await self._open()
            self._say_what_it_costs()
            async with self._interpreter.connect() as session:
                self._session = session
                await self._interpret(session)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if not self._ending or task is None or task.cancelling() > 1:
                raise
            task.uncancel()  # by `end`, while the provider did not answer yet
        finally:
            await self._close()

    def audio(self) -> AudioStatus:
        """Names, levels and activity of the devices now."""
        microphone, speaker = self._microphone, self._speaker
        heard, played = self._meters
        if microphone is not None:
            heard.feed(microphone.latest)
        if speaker is not None:
            played.feed(speaker.latest)
        return AudioStatus(
            microphone=self._names.get("input", microphone.device) if microphone else "",
            speaker=self._names.get("output", speaker.device) if speaker else "",
            microphone_bands=heard.bands if microphone else (),
            speaker_bands=played.bands if speaker else (),
            playing=speaker is not None and speaker.playhead is not None,
            echo=self._echo.active if microphone and speaker else "",
        )

    # -- keys

    def mute_microphone(self, muted: bool) -> None:
        if self._microphone is not None:
            self._microphone.muted = muted

    def mute_speaker(self, muted: bool) -> None:
        if self._speaker is not None:
            self._speaker.muted = muted

    def end(self) -> None:
        if self._ending:
            return
        self._ending = True
        if self._speaker is not None:
            self._speaker.clear()
        if self._session is not None:
            self._spawn(self._session.aclose())  # what was said last is still translated
        elif self._holding is not None:
            self._holding.cancel()  # the provider does not answer yet
        if self._microphone is not None:
            self._spawn(self._microphone.aclose())

    # -- inside

    async def _open(self) -> None:
        if self._plan.source is not None:
            self._plan.source.on_notice = self._notice
            await self._plan.source.open()
        if self._microphone is not None:
            await self._microphone.open()
        if self._speaker is not None:
            try:
                await self._speaker.open()
            except AudioDeviceError as error:
                if self._plan.source is None:
                    error.advice = f"{error.advice} Or leave out the sound: --captions.".strip()
                    raise
                await self._speaker.aclose()
                self._speaker = None
                self._notice("not_played", f"The translation is not played: {error.message}")
            else:
                self._sound.add(self._speaker)
        used = {
            kind: device.device
            for kind, device in (("input", self._microphone), ("output", self._speaker))
            if device is not None
        }
        if used:
            self._names = dict(await real_names(used))  # type: ignore[arg-type]
        if self._echo.active == "gate" and self._plan.devices.echo == "auto":
            told = (
                "While the translation is heard, the microphone hears only what is louder: use headphones, or install "
                "the echo canceller (voice doctor says how)."
            )
            self._tell(Notice("echo_gate", told, daily=True))

    def _say_what_it_costs(self) -> None:
        prices = self._interpreter.prices
        if prices is not None and prices.session_minute:
            cost = f"${prices.session_minute:.3f}".rstrip("0")
            told = f"{self._interpreter.model} costs {cost} a minute, silence included."
            self._tell(Notice(f"costs_{self._interpreter.provider}", told, daily=True))

    async def _interpret(self, session: InterpreterSession) -> None:
        listening = asyncio.create_task(self._listen(session), name="voicecli-listen")
        speaking = asyncio.create_task(self._speak(session), name="voicecli-speak")
        try:
            await asyncio.wait({listening, speaking}, return_when=asyncio.FIRST_COMPLETED)
            if speaking.done() and not speaking.exception():
                await asyncio.sleep(0)  # for who listens to hand on the last of it
                self._sound.end()
                await self._sound.drain()
            await session.aclose()
            await listening
            # What is sent after the end is no failure: a microphone cannot know of it, as the events told why, and a
            # recording may be amid it when the user ends it.
            error = speaking.exception() if speaking.done() else None
            ended = self._microphone is not None or self._ending
            if error is not None and not (ended and isinstance(error, RealtimeConnectionError)):
                raise error
        finally:
            speaking.cancel()
            await session.aclose()
            await asyncio.wait({listening}, timeout=_LAST_EVENTS_S)
            listening.cancel()
            await asyncio.wait({listening, speaking})

    async def _listen(self, session: InterpreterSession) -> None:
        async for event in session:
            match event:
                case AudioChunk(audio, item_id=item_id):
                    self.translated = self.translated or any(audio)
                    self._sound.write(audio, item_id)
                case AudioDone():
                    self._sound.end()
                case TranscriptUpdate("assistant"):
                    self.translated = True
            self._tell(event)

    async def _speak(self, session: InterpreterSession) -> None:
        source = self._plan.source
        if source is None:
            assert self._microphone is not None
            async for chunk in self._microphone:
                if not session.is_active:  # who listens tells why
                    return
                await session.send_audio(chunk)
            return
        format_ = PcmFormat(source.sample_rate)
        with RecordingProgress(self._plan) as progress:
            async for chunk in source:
                await session.send_audio(chunk, sample_rate=source.sample_rate)
                self._position_ms += format_.duration_ms(len(chunk))
                progress(self._position_ms / 1000)
        await session.finish()

    async def _close(self) -> None:
        for task in self._tasks:
            task.cancel()
        if self._tasks:
            await asyncio.wait(self._tasks)
        sinks: list[AudioSink | Microphone | WavSource] = [self._sound]
        sinks += [each for each in (self._microphone, self._plan.source) if each is not None]
        if self._speaker is not None:
            sinks.append(self._speaker)
        await asyncio.gather(*(each.aclose() for each in sinks))

    def _notice(self, code: str, message: str) -> None:
        self._tell(Notice(code, message))

    def _tell(self, event: Event) -> None:
        for observer in self._observers:
            observer(event)

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and isinstance(task.exception(), RealtimeError):
            pass  # the iteration has told it


class RecordingProgress:
    """Says on a terminal's standard error how far a recording is, where nothing else is to be seen there."""

    def __init__(self, plan: Plan) -> None:
        drawn = own_stdout().isatty() or plan.quiet
        self._shows = sys.stderr.isatty() and not drawn
        self._told_s = 0.0
        self._width = 0

    def __enter__(self) -> "RecordingProgress":
        return self

    def __exit__(self, *error: object) -> None:
        if self._width:
            self._write("\r" + " " * self._width + "\r")

    def __call__(self, seconds: float) -> None:
        if not self._shows or seconds - self._told_s < _TELL_EACH_S:
            return
        self._told_s = seconds
        line = f"Translating, as fast as it was spoken: {int(seconds) // 60}:{int(seconds) % 60:02}"
        self._write(f"\r{line}")
        self._width = len(line)

    def _write(self, text: str) -> None:
        with contextlib.suppress(OSError):
            sys.stderr.write(text)
            sys.stderr.flush()
