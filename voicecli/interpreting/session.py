"""A session of an interpreter: audio in, its translation out as it comes."""

import asyncio
import contextlib
import logging
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Iterable
from dataclasses import replace

from voicecli.audio.pcm import Resampler
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.conversation.arguments import PCM16, check_audio, check_rate
from voicecli.conversation.audio_pieces import in_pieces
from voicecli.conversation.delivery import Subscription
from voicecli.conversation.limits import Limits, Spent
from voicecli.conversation.logs import LoggedConnection, Logs
from voicecli.errors import LimitReachedError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    AudioDone,
    Event,
    Notice,
    Reconnecting,
    SessionEnded,
    SessionStarted,
    StateChanged,
    TranscriptUpdate,
    Usage,
    UsageUpdated,
    UserState,
)
from voicecli.interpreting.captions import CaptionClock
from voicecli.interpreting.lag import Lag
from voicecli.pcm16 import PcmFormat, is_silent, peak
from voicecli.ports import Connection, ConversationLog, Finishing

__all__ = ["InterpreterSession"]

_log = logging.getLogger(__name__)
# Quieter sound is no speech into a microphone: 1.5% of full scale.
_SPEECH_PEAK = 500
_BACKLOG = 1024
# Pauses between words are not told as the end of speech.
_SPEAKING_S = 0.6
# Sound that comes later than that after all before it was played is a new beginning.
_SOUND_OVER_S = 0.3
_LAST_WORDS_S = 15.0  # when a limit is reached
_STOP_TIMEOUT_S = 2.0  # for what the connection still has to tell when it is closed


class InterpreterSession:
    """An interpreter at work; made by `Interpreter.connect()`.

    Everything that is heard is translated; there are no turns. Nothing of the translation is cut by speech. Iterating
    over it yields SessionStarted, TranscriptUpdates (role "user": what was said, "assistant": its translation),
    AudioChunks of the translation, AudioDone whenever it pauses, StateChanged, UsageUpdated, Reconnecting, Notice,
    ErrorOccurred, and last SessionEnded.
    """

    def __init__(
        self,
        connection: Connection,
        config: RealtimeConfig,
        *,
        limits: Limits | None = None,
        logs: Iterable[ConversationLog] = (),
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._logs = Logs(logs)
        self._finishing = connection if isinstance(connection, Finishing) else None
        self._connection = LoggedConnection(connection, self._logs) if self._logs else connection
        self._limits = limits or Limits(config, now=self._loop.time())
        self._captions = CaptionClock()
        self._lag = Lag()
        self._resampler = Resampler(self.input_rate, self.input_rate)
        self._resampled_from = self.input_rate
        self._subscriptions: list[weakref.ref[Subscription]] = []
        self._backlog: deque[Event] | None = deque(maxlen=_BACKLOG)  # for an iteration that begins later
        self._usage = Usage()
        self._seconds_before = 0.0  # of the connections before the present one
        self._state = StateChanged("silent", "connecting")
        self._line_up = False
        self._spoke_until = self._plays_until = float("-inf")
        self._sounding: str | None = None  # the response whose sound is being heard
        self._timer: asyncio.TimerHandle | None = None
        self._reader: asyncio.Task[None] | None = None
        self._ending: asyncio.Task[None] | None = None
        self._began = asyncio.Event()
        self._input_over = self._over = False
        self._failure: RealtimeError | None = None
        self._failure_told = False
        self._final: Spent | None = None

    # -- what is known of it

    @property
    def input_rate(self) -> int:
        """The rate of the audio that the provider takes, in Hz; `send_audio` expects it unless told otherwise."""
        return self._connection.capabilities.input_rate

    @property
    def output_rate(self) -> int:
        """The rate of the translation's audio, in Hz."""
        return self._connection.capabilities.output_rate

    @property
    def is_active(self) -> bool:
        """Whether it goes on."""
        return not self._over

    @property
    def state(self) -> StateChanged:
        """Whether the user speaks and the translation is to be heard; `StateChanged` is told whenever it changes."""
        return self._state

    @property
    def usage(self) -> Usage:
        """The usage so far."""
        return self._usage

    @property
    def spent(self) -> Spent:
        """What counts towards the limits of `RealtimeConfig` by now."""
        return self._final or self._limits.spent(self._loop.time())

    @property
    def lag_s(self) -> float | None:
        """How much later than the speaker the translation ended, when both paused last, in seconds; None before."""
        return self._lag.seconds(self._loop.time())

    # -- what the program does

    async def send_audio(self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None) -> None:
        """Send what is to be translated: PCM16 mono, as bytes or as an async iterator of them.

        A recording is sent as fast as it was spoken, and this returns when it has been. While nothing is sent, the
        provider hears silence.

        Args:
            sample_rate: of the audio, in Hz; `input_rate` unless given. It may change between calls.

        Raises:
            ConfigurationError: this is no sound, or a rate that cannot be.
            LimitReachedError: a limit is reached.
            RealtimeError: the session is over.
        """
        check_audio(audio, whole=False)
        rate = check_rate(sample_rate) if sample_rate is not None else self.input_rate
        if isinstance(audio, AsyncIterable):
            async for chunk in audio:
                await self._send(bytes(chunk), rate)
            return
        async for piece in in_pieces(bytes(audio), rate):
            await self._send(piece, rate)

    async def finish(self) -> None:
        """Say that no more audio comes, and return when all of the translation has come: after seconds, at most 45.

        Raises nothing: the iteration tells what failed.
        """
        if not self._input_over:
            rest = b""
            with contextlib.suppress(RealtimeError):
                rest = self._resampler.flush()
            self._input_over = True
            with contextlib.suppress(RealtimeError):
                if rest:
                    await self._connection.send(AppendAudio(rest))
                await self._connection.send(EndTurn())
        if self._finishing is not None and not self._over:
            await self._finishing.finish()
        await asyncio.sleep(0)  # for the reader to take the last of it
        self._tell_captions(self._captions.close())

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, until the end; raises RealtimeError when it ends by a failure."""
        subscription = Subscription(self._backlog or ())
        self._backlog = None
        self._subscriptions = [held for held in self._subscriptions if held() is not None]
        self._subscriptions.append(weakref.ref(subscription))
        if self._over:
            self._failure_told = True
            subscription.finish(self._failure)
        return subscription

    # -- life

    async def start(self) -> None:
        """Begin to read, and return when the first event has come; called once, by whoever made the session."""
        self._reader = asyncio.create_task(self._read(), name="voicecli-interpreter")
        await self._began.wait()

    async def aclose(self) -> None:
        """End it; idempotent."""
        self._input_over = True
        if self._ending is not None and self._ending is not asyncio.current_task():
            self._ending.cancel()
            await asyncio.wait([self._ending])
        await self._connection.aclose()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=_STOP_TIMEOUT_S)
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._end(SessionEnded("closed"), None)
        await self._logs.aclose()

    def note(self, notice: Notice) -> None:
        """Tell a notice to everybody."""
        self._tell(notice)

    def raise_untold_failure(self) -> None:
        """Raise the failure that ended it if nobody has been told of it."""
        if self._failure is not None and not self._failure_told:
            self._failure_told = True
            raise self._failure

    # -- inside

    async def _send(self, audio: bytes, rate: int) -> None:
        self._check_open()
        if rate != self._resampled_from:
            rest = self._resampler.flush()
            self._resampler, self._resampled_from = Resampler(rate, self.input_rate), rate
        else:
            rest = b""
        audio = rest + self._resampler.process(audio)
        if not audio:
            return
        await self._connection.send(AppendAudio(audio))
        if peak(audio) > _SPEECH_PEAK:
            self._lag.spoke(self._loop.time())
            self._spoke_until = self._loop.time() + _SPEAKING_S
            self._look()

    def _check_open(self) -> None:
        reached = self._limits.reached
        if reached is not None and not self._over:
            self._failure_told = True
            raise reached
        if self._over and self._failure is not None:
            self._failure_told = True
            raise self._failure
        if self._over or self._input_over:
            raise RealtimeConnectionError("The interpreter has finished.", advice="Connect again.")

    async def _read(self) -> None:
        last, failure = SessionEnded("closed"), None
        try:
            async for event in self._connection:
                if isinstance(event, SessionEnded):
                    last = event
                else:
                    self._take(event)
        except RealtimeError as error:
            failure = error
        except Exception as error:
            _log.exception("A defect in voicecli ended the translation")
            failure = RealtimeError(f"The translation ended by a defect: {type(error).__name__}: {error}")
            failure.__cause__ = error
        self._end(last, failure)

    def _take(self, event: Event) -> None:
        now = self._loop.time()
        match event:
            case TranscriptUpdate():
                if event.role == "assistant":
                    self._lag.translated(now)
                self._tell_captions([self._captions.apply(event, now)])
                self._look()
                return
            case AudioChunk() if not self._is_heard(event, now):
                return
            case UsageUpdated(usage):
                event = UsageUpdated(self._used(usage))
            case Reconnecting():
                self._line_up = False
                self._tell_captions(self._captions.close())
            case SessionStarted():
                self._line_up = True
                self._seconds_before = self._usage.session_seconds
        self._tell(event)
        self._began.set()
        self._look()

    def _is_heard(self, chunk: AudioChunk, now: float) -> bool:
        """Take sound into account; whether it is to be told: of a track that never ends, silence between is not."""
        if not is_silent(chunk.audio):
            duration_s = PcmFormat(self.output_rate).duration_ms(len(chunk.audio)) / 1000
            self._plays_until = max(self._plays_until, now) + duration_s
            self._lag.translated(self._plays_until)
            self._sounding = chunk.response_id
        return self._sounding is not None

    def _used(self, usage: Usage) -> Usage:
        """Count it; returns it with the seconds of all connections so far."""
        usage = replace(usage, session_seconds=self._seconds_before + usage.session_seconds)
        self._usage += usage
        return usage

    def _tell_captions(self, updates: Iterable[TranscriptUpdate | None]) -> None:
        for update in updates:
            if update is not None:
                self._tell(update)

    def _tell(self, event: Event) -> None:
        if self._over:
            return
        self._logs.event(event)
        self._limits.event(event, self._usage, self._loop.time())
        if self._backlog is not None:
            self._backlog.append(event)
        for held in self._subscriptions:
            if (subscription := held()) is not None:
                subscription.put(event)

    def _look(self) -> None:
        """Tell what the time alone brings, and look again when more of that is due."""
        if self._over:
            return
        now = self._loop.time()
        self._tell_captions(self._captions.due(now))
        if now >= self._plays_until + _SOUND_OVER_S:
            self._tell_pause()
        state = self._state_at(now)
        if state != self._state:
            self._state = state
            self._tell(state)
        self._look_at_limits(now)
        if self._timer is not None:
            self._timer.cancel()
        deadlines = (self._captions.deadline(), self._limits.next_deadline(now))
        times = [
            self._spoke_until,
            self._plays_until + _SOUND_OVER_S,
            *(each for each in deadlines if each is not None),
        ]
        if later := [each for each in times if each > now]:
            # A loop runs a timer up to its clock's resolution early.
            self._timer = self._loop.call_at(min(later) + 0.001, self._look)

    def _tell_pause(self) -> None:
        """The translation pauses, if it was heard."""
        sounding, self._sounding = self._sounding, None
        if sounding is not None:
            self._tell(AudioDone(sounding))

    def _state_at(self, now: float) -> StateChanged:
        user: UserState = "speaking" if now < self._spoke_until else "silent"
        if not self._line_up:
            return StateChanged(
                user, self._state.assistant if self._state.assistant == "connecting" else "reconnecting"
            )
        return StateChanged(user, "speaking" if now < self._plays_until + _SOUND_OVER_S else "listening")

    def _look_at_limits(self, now: float) -> None:
        if not self._limits or self._limits.reached is not None:
            return
        for warning in self._limits.check(now):
            self._tell(warning)
        if self._limits.reached is not None:
            self._ending = asyncio.create_task(self._wind_down(self._limits.reached), name="voicecli-limit")

    async def _wind_down(self, reached: LimitReachedError) -> None:
        """Let come what was said before the limit, and end it."""
        self._input_over = True
        if reached.limit != "idle_minutes":
            message = f"{reached.message} What was said is translated, and nothing more is sent."
            self._tell(Notice("limit_reached", message))
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LAST_WORDS_S):
                    await self.finish()
        self._end(SessionEnded(reached.message), reached)
        await self._connection.aclose()

    def _end(self, last: SessionEnded, failure: RealtimeError | None) -> None:
        """It is over: nothing is told after this. Idempotent."""
        if self._over:
            return
        self._tell_captions(self._captions.close())
        self._tell_pause()
        failure = failure or self._limits.reached
        if failure is not None:
            last = SessionEnded(failure.message, getattr(failure, "close_code", None))
        self._tell(last)
        self._final = self._limits.spent(self._loop.time())
        self._over = True
        self._failure = failure
        if self._timer is not None:
            self._timer.cancel()
        for held in self._subscriptions:
            if (subscription := held()) is not None:
                subscription.finish(failure)
                self._failure_told = True
        self._began.set()
