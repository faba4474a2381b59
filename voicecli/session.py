"""A conversation: commands in, events out.

The session stands between the program and a provider's `Connection`. It finds the user's turns when the program
wants that done here (VADMode.CLIENT), runs tools, cuts a reply short when the user speaks into it, and hands each
event to everybody who listens: handlers, iterations, and a `send_audio` or `send_text` that waits for its answer.
"""

import asyncio
import contextlib
import logging
import time
import uuid
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Coroutine, Iterable, Mapping, Sequence
from copy import copy
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from voicecli.audio import AudioSink, Playhead
from voicecli.commands import (
    AnswerApproval,
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.errors import AudioFormatError, ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
    Usage,
)
from voicecli.expectation import Expectation
from voicecli.handlers import HandlerLanes, Handlers
from voicecli.metrics import TurnClock
from voicecli.pictures import read_picture
from voicecli.playback import PlaybackEstimate
from voicecli.providers.base import Connection
from voicecli.response import Answer, Response
from voicecli.subscription import Subscription
from voicecli.tool_calls import ToolCalls
from voicecli.tools import Tool
from voicecli.transcript import Transcript, TranscriptOrder, Turn

if TYPE_CHECKING:
    from voicecli.turns import Step

__all__ = ["VoiceSession"]

_log = logging.getLogger(__name__)
# Cutting long audio into pieces lets the connection send one while the next is made: 100 ms.
_PIECE_S = 0.1
# How long the reply's words wait for the user's (TranscriptOrder), in seconds. Transcriptions arrive within about
# a second of the turn's end; later than this is rare, and a reader should not wait longer.
_TRANSCRIPT_WAIT_S = 2.0
# Events kept for an iteration that begins after the conversation did.
_BACKLOG = 1024


class VoiceSession:
    """A conversation under way; made by `RealtimeVoice.connect()`.

    Attributes:
        player: what plays the reply. Set by who owns it; without one the session takes it that chunks are played as
            they come.
        realtime: whether audio is sent as it is spoken. Latencies then count from the end of the speech; otherwise the
            silence that ended a turn took no time.
    """

    def __init__(
        self,
        connection: Connection,
        config: RealtimeConfig,
        *,
        tools: Mapping[str, Tool] | None = None,
        handlers: Handlers | None = None,
        history: Sequence[Turn] = (),
    ) -> None:
        from voicecli.turns import UserTurns

        self.player: AudioSink | None = None
        self.realtime = False
        self._connection = connection
        self._config = config
        self._handlers = handlers or Handlers()
        self._lanes = HandlerLanes(self._handlers)
        self._calls = ToolCalls(
            tools or {},
            self._handlers.of("tool_call"),
            timeout_s=config.tool_timeout_s,
            answer=self._answer_call,
            tell=self._deliver,
        )
        capabilities = connection.capabilities
        self._turns = UserTurns(config, capabilities.input_rate, listens=not capabilities.reports_speech)
        self._transcript = Transcript(history)
        self._order = TranscriptOrder()
        self._order_timer: asyncio.TimerHandle | None = None
        self._clock = TurnClock(connection.capabilities.output_rate)
        self._estimate = PlaybackEstimate(connection.capabilities.output_rate)
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._backlog: deque[Event] | None = None if self._handlers.any() else deque(maxlen=_BACKLOG)
        self._usage = Usage()
        self._answer: Answer | None = None
        self._answer_lock = asyncio.Lock()
        self._expected = Expectation()
        self._sounding: str | None = None  # the response whose audio came last
        self._cut: str | None = None  # the last response that was interrupted
        self._held = False  # the reply is paused, until the user's words end it or a turn without words does not
        self._held_clock: TurnClock | None = None  # of the reply that is held since before the user's turn ended
        self._happened = asyncio.Event()
        self._reader: asyncio.Task[None] | None = None
        self._over = False
        self._failure: RealtimeError | None = None
        self._failure_told = False
        self._end = SessionEnded("closed")

    # -- what is known of the conversation

    @property
    def input_rate(self) -> int:
        """Of the audio the provider takes, in Hz; what `send_audio` expects unless told otherwise."""
        return self._connection.capabilities.input_rate

    @property
    def output_rate(self) -> int:
        """Of the reply's audio, in Hz."""
        return self._connection.capabilities.output_rate

    @property
    def vad_mode(self) -> VADMode:
        """Who finds the user's turns."""
        return self._config.vad_mode

    @property
    def is_active(self) -> bool:
        """Whether the conversation goes on."""
        return not self._over

    @property
    def history(self) -> list[Turn]:
        """The conversation so far, to be passed to another `connect(history=...)`, of any provider."""
        return [replace(turn) for turn in self._transcript.turns]

    @property
    def usage(self) -> Usage:
        """Of the whole conversation so far."""
        return self._usage

    @property
    def user_speaking(self) -> bool:
        """Whether audio of an open turn of the user's has been sent that `end_turn()` would end."""
        return self._turns.open

    @property
    def awaiting_reply(self) -> bool:
        """Whether a turn has ended whose answer is not complete, or a reply is being made."""
        return self._expected.waiting or len(self._calls) > 0

    # -- what the program says

    async def send_audio(
        self,
        audio: bytes | AsyncIterable[bytes],
        *,
        sample_rate: int | None = None,
        wait: bool | None = None,
    ) -> Response | None:
        """Send the user's voice: PCM16 mono, as bytes or as an async iterator of them.

        When nobody listens (no `on_audio` handler, no iteration), it is taken as one whole utterance: the turn is
        ended, and the answer awaited and returned. With listeners it returns None at once.

        Args:
            sample_rate: of the audio, in Hz; `input_rate` unless given. It may change between calls.
            wait: decides explicitly whether to end the turn and wait for the answer.

        Raises:
            AudioFormatError: a whole utterance with an odd number of bytes.
            RealtimeError: no answer came, or the conversation is over.
        """
        rate = sample_rate if sample_rate is not None else self.input_rate
        if rate <= 0:
            raise ConfigurationError(f"sample_rate: {rate} is not possible.", advice="Give the audio's rate in Hz.")
        waits = wait if wait is not None else not self._listened_to
        if isinstance(audio, AsyncIterable):
            pieces = audio
        else:
            audio = bytes(audio)
            if waits and len(audio) % 2:
                raise AudioFormatError(
                    f"{len(audio)} bytes are not PCM16: a sample has two bytes.",
                    advice="Send signed 16-bit mono samples without a file header.",
                )
            if not waits and len(audio) <= 2 * _PIECE_S * 2 * rate:  # from a microphone: not to be held up
                await self._perform(self._turns.audio(audio, rate))
                return None
            pieces = _pieces(audio, rate)
        if not waits:
            await self._stream(pieces, rate)
            return None
        async with self._answer_lock:
            return await self._ask(self._utterance(pieces, rate))

    async def send_text(self, text: str, *, wait: bool | None = None) -> Response | None:
        """Say something in writing. Waits for the answer as `send_audio` does.

        Raises:
            ConfigurationError: the text is empty.
            RealtimeError: no answer came, or the conversation is over.
        """
        if not text.strip():
            raise ConfigurationError("The text to send is empty.")
        if not (wait if wait is not None else not self._listened_to):
            await self._say(text)
            return None
        async with self._answer_lock:
            return await self._ask(self._say(text))

    async def send_image(self, image: bytes | str | Path, *, mime_type: str | None = None) -> None:
        """Show a PNG or JPEG, given as its bytes or path; the next turn can speak of it.

        Raises:
            ConfigurationError: the provider takes no pictures, or this is none it takes.
        """
        if not self._connection.capabilities.images:
            raise ConfigurationError("This provider takes no pictures.", advice="Use openai or gemini.")
        data, kind = await asyncio.to_thread(read_picture, image, mime_type)
        await self._send(SendImage(data, kind))

    async def end_turn(self) -> None:
        """The user has finished: have the model answer. Without effect when nothing was said since the last turn."""
        await self._perform(self._turns.end(), by_silence=False)

    async def clear_audio(self) -> None:
        """Forget what was said since the turn began."""
        self._turns.reset()
        self._expected.speech_stopped()
        self._go_on()
        await self._send(ClearAudio())

    async def pause_audio(self) -> None:
        """No audio will come for a while: the microphone is muted. Ends a turn that silence would have ended."""
        if self._config.vad_mode is VADMode.CLIENT:
            await self.end_turn()
        await self._send(PauseAudio())

    async def interrupt(self, playhead: Playhead | None = None) -> None:
        """Stop the reply. Without effect when there is none.

        Args:
            playhead: what was heard of it, when the caller knows; the model will remember only that.
        """
        await self._interrupt(playhead)

    async def approve(self, approval_id: str, approve: bool = True) -> None:
        """Answer an ApprovalRequest."""
        await self._send(AnswerApproval(approval_id, approve))

    def sound_heard(self) -> int | None:
        """Whoever plays the reply says that its first sound has just become audible.

        Returns:
            How long the user waited for it, in ms; None when it answers no turn.
        """
        return self._clock.heard(time.monotonic())

    async def drain(self) -> None:
        """Return when what was sent has left. To be awaited between chunks sent faster than real time."""
        await self._connection.drain()

    async def wait_for_reply(self) -> None:
        """Return when no answer is owed and none is being made.

        Raises:
            RealtimeError: nothing happened for `response_timeout_s`, or the conversation is over.
        """
        while self.awaiting_reply:
            if self._over:
                self._raise_over()
            self._happened.clear()
            hope_s = self._expected.hope_left(time.monotonic())
            try:
                async with asyncio.timeout(self._config.response_timeout_s if hope_s is None else hope_s):
                    await self._happened.wait()
            except TimeoutError:
                if self._calls:
                    continue  # they have a timeout of their own
                self._expected.give_up()
                if hope_s is not None:
                    continue
                raise RealtimeError(
                    f"No answer came within {self._config.response_timeout_s:g} s.",
                    advice="Was there speech in the audio? Otherwise raise response_timeout_s.",
                ) from None

    def __aiter__(self) -> AsyncIterator[Event]:
        """The events, until the conversation ends; raises RealtimeError when it ends by a failure."""
        subscription = Subscription(self._backlog or ())
        self._backlog = None
        self._subscriptions.add(subscription)
        if self._over:
            self._failure_told = True
            subscription.finish(self._failure)
        return subscription

    # -- life

    async def start(self) -> None:
        """Begin to read, and return when the first event has come; called once, by whoever made the session."""
        self._reader = asyncio.create_task(self._read(), name="voicecli-session")
        await self._happened.wait()

    async def aclose(self) -> None:
        """End the conversation: stop tools, close the connection, let handlers finish. Idempotent."""
        await self._calls.aclose()
        await self._connection.aclose()
        if self._reader is not None:
            await asyncio.wait([self._reader], timeout=2.0)
            self._reader.cancel()
            await asyncio.gather(self._reader, return_exceptions=True)
        self._finish(None)
        await self._lanes.aclose()

    def raise_untold_failure(self) -> None:
        """Raise the failure that ended the conversation if nobody has been told of it."""
        if self._failure is not None and not self._failure_told:
            self._failure_told = True
            raise self._failure

    # -- inside: from the program to the connection

    @property
    def _listened_to(self) -> bool:
        return len(self._handlers.of("audio")) > 0 or len(self._subscriptions) > 0

    async def _utterance(self, pieces: AsyncIterable[bytes], rate: int) -> None:
        self._turns.begin_utterance()
        await self._stream(pieces, rate)
        await self._perform(self._turns.end(), by_silence=False)
        # If the utterance ends in silence, the answer may have come already.
        self._expected.insist(answered=self._answer is not None and self._answer.is_answered)

    async def _stream(self, pieces: AsyncIterable[bytes], rate: int) -> None:
        """Send audio as fast as the connection takes it."""
        async for piece in pieces:
            await self._perform(self._turns.audio(piece, rate))
            await self._connection.drain()

    async def _say(self, text: str) -> None:
        command = SendText(text, f"text_{uuid.uuid4().hex[:12]}")
        # The reply that is being heard is not the answer to this. That one is being heard is only certain when somebody
        # plays it, or it is still being made: a program that sends one line after the other has read it.
        if self._expected.running is not None or self.player is not None:
            await self._interrupt(None)
        self._estimate.clear(time.monotonic())
        self._turn_ended()
        await self._send(command)
        self._receive_in_order(TranscriptUpdate("user", command.item_id, text, final=True))

    async def _ask(self, say: Coroutine[Any, Any, None]) -> Response:
        self._backlog = None
        answer = self._answer = Answer()
        try:
            await say
            await self.wait_for_reply()
        finally:
            self._answer = None
            self._estimate.clear(time.monotonic())  # whoever is handed the whole answer has heard it
        return answer.response(self.output_rate)

    async def _perform(self, steps: "Iterable[Step]", *, by_silence: bool = True) -> None:
        """Send and tell; `by_silence` says how a turn that ends now was found to end."""
        for step in steps:
            match step:
                case AppendAudio():
                    await self._send(step)
                case SpeechStarted() | SpeechStopped() if self._config.vad_mode is VADMode.SERVER:
                    self._overheard(step)
                case SpeechStarted() | SpeechStopped():
                    await self._receive(step)
                case StartTurn():
                    if self._config.vad_mode is VADMode.CLIENT:
                        await self._spoken_into()
                    else:
                        await self._interrupt(None)
                    await self._send(step)
                case EndTurn() if self._config.vad_mode is VADMode.SERVER:
                    self._expected.audio_ended(time.monotonic())
                    await self._send(step)
                case EndTurn():
                    self._turn_ended(by_silence=by_silence)
                    await self._send(step)
                case _:
                    await self._send(step)
        if self._over:
            self._raise_over()

    def _overheard(self, event: SpeechStarted | SpeechStopped) -> None:
        """The user's voice, noticed here while the provider finds the turns and does not tell.

        A reply that has come whole the provider does not interrupt any more: if it is still heard, it is paused, and
        cut by words.
        """
        if isinstance(event, SpeechStopped):
            self._clock.turn_ended(self._speech_end())
            if self._held:
                self._go_on()
        elif self.player is not None and not self._expected.waiting and self._config.turn_detection.interrupt_response:
            self._hold(self.player)
        self._deliver(event)

    def _turn_ended(self, *, by_silence: bool = False) -> None:
        self._expected.turn_ended()
        if self._held:
            self._held_clock = copy(self._clock)
        self._clock.turn_ended(self._speech_end() if by_silence else time.monotonic())

    def _speech_end(self) -> float:
        """When the user stopped speaking, now that enough silence has followed to know it."""
        if not self.realtime:
            return time.monotonic()
        detection = self._config.turn_detection
        if self._config.vad_mode is VADMode.SERVER and self._connection.capabilities.reports_speech:
            silence_ms = detection.silence_duration_ms if isinstance(detection, ServerVAD) else 0
        else:
            silence_ms = self._config.client_vad.hangover_ms
        return time.monotonic() - silence_ms / 1000

    async def _answer_call(self, result: ToolResult) -> None:
        await self._send(result)
        self._expected.tool_answered()  # already now, not only when the answer to it begins

    async def _send(self, command: Command) -> None:
        if self._over:
            self._raise_over()
        await self._connection.send(command)

    def _raise_over(self) -> None:
        if self._failure is not None:
            self._failure_told = True
            raise self._failure
        why = self._end.reason.rstrip(".")
        raise RealtimeConnectionError(f"The conversation is over: {why}.", advice="Connect again.")

    async def _interrupt(self, playhead: Playhead | None) -> None:
        if not await self._stop_reply(playhead):
            self._expected.refuse()

    async def _spoken_into(self) -> None:
        """A turn of the user's begins. Where its words can be waited for, the reply is paused until they come."""
        to_come = self._expected.waiting and self._expected.running is None
        if self._held:  # again, before it is known what was said first: that is no noise
            await self._stop_reply()
            self._expected.refuse()
        elif self.player is not None and self._connection.capabilities.words_first and not to_come:
            self._hold(self.player)
        else:
            await self._interrupt(None)

    def _hold(self, player: AudioSink) -> None:
        player.pause()
        self._held = True

    def _go_on(self) -> None:
        """The turn came to nothing."""
        self._held = False
        if self._held_clock is not None:
            self._clock, self._held_clock = self._held_clock, None
        if self.player is not None:
            self.player.resume()

    async def _stop_reply(self, playhead: Playhead | None = None) -> bool:
        """Stop the reply that is heard or being made; says whether there is one."""
        stopped = self._stop_playback()
        heard = playhead or stopped
        response_id = self._expected.running or self._sounding
        if self._expected.running is None and heard is None:
            return False
        await self._cut_short(heard, Interrupted(response_id, heard.item_id if heard else None))
        return True

    def _stop_playback(self) -> Playhead | None:
        """Silence first: before anything that waits."""
        self._held, self._held_clock = False, None
        self._lanes.discard("audio")
        estimated = self._estimate.clear(time.monotonic())
        return self.player.clear() if self.player is not None else estimated

    async def _cut_short(self, heard: Playhead | None, event: Interrupted) -> None:
        again = self._cut is not None and event.response_id == self._cut
        if again and heard is None:
            return  # the provider noticed what was done already
        if not again:
            self._deliver(event)
        self._cut = event.response_id
        if self._over:
            self._raise_over()
        # If the connection has ended already, what is still to be read from it tells how.
        with contextlib.suppress(RealtimeError):
            await self._connection.send(CancelResponse(heard.item_id, heard.played_ms) if heard else CancelResponse())

    # -- inside: from the connection to the program

    async def _read(self) -> None:
        failure: RealtimeError | None = None
        try:
            async for event in self._connection:
                await self._receive(event)
        except RealtimeError as error:
            failure = error
        except Exception as error:
            _log.exception("A defect in voicecli ended the conversation")
            failure = RealtimeError(f"The conversation ended by a defect: {type(error).__name__}: {error}")
            failure.__cause__ = error
        self._finish(failure)

    async def _receive(self, event: Event) -> None:
        """Keep the session's own books, then hand the event on."""
        now, clock = time.monotonic(), self._held_clock or self._clock
        match event:
            # The most frequent first.
            case AudioChunk(response_id=response_id) if response_id == self._cut:
                return  # it was on its way when the reply was interrupted
            case AudioChunk(audio, response_id, item_id):
                self._sounding = response_id
                clock.audio(now, len(audio))
                if self.player is None:
                    self._estimate.add(audio, item_id, now)
            case TranscriptUpdate("assistant", text=text) if text:
                clock.text(now)
            case TranscriptUpdate("user", text=text) if text and self._held:
                await self._stop_reply()
            case SpeechStarted():
                self._expected.speech_started()
                self._deliver(event)
                if self._config.vad_mode is VADMode.CLIENT:
                    # It may be a cough: the reply is cut when it proves a turn, and goes on when it does not.
                    if self.player is not None:
                        self.player.pause()
                elif self._config.turn_detection.interrupt_response:
                    await self._spoken_into()
                return
            case SpeechStopped():
                self._expected.speech_stopped()
                if self._config.vad_mode is VADMode.CLIENT and not self._held:
                    self._go_on()
                if self._config.vad_mode is VADMode.SERVER and self._config.turn_detection.create_response:
                    self._turn_ended(by_silence=True)
            case Interrupted():
                await self._cut_short(self._stop_playback(), event)
                return
            case ResponseStarted(response_id):
                if self._held and not self._connection.capabilities.words_first:
                    self._stop_playback()  # it answers the voice that paused the last reply
                if not self._expected.response_started(response_id):
                    # It was interrupted before it began.
                    self._receive_in_order(event)
                    await self._cut_short(None, Interrupted(response_id))
                    return
            case ResponseDone(usage=usage):
                event = replace(event, metrics=clock.done(now))
                self._usage += usage
            case Notice(code="no_speech") if self._held:
                self._go_on()
            case ToolCallRequest():
                self._calls.start(event)
            case ToolCallCancelled(call_id):
                self._calls.cancel(call_id)
            case SessionEnded():
                self._end = event
                return  # told by _finish, after everything else
        self._receive_in_order(event)

    def _receive_in_order(self, event: Event) -> None:
        for ready in self._order.push(event):
            self._deliver(ready)
        if not self._order.holding:
            self._stop_order_timer()
        elif self._order_timer is None:
            loop = asyncio.get_running_loop()
            self._order_timer = loop.call_later(_TRANSCRIPT_WAIT_S, self._release_order)

    def _release_order(self) -> None:
        self._stop_order_timer()
        for event in self._order.release():
            self._deliver(event)

    def _stop_order_timer(self) -> None:
        if self._order_timer is not None:
            self._order_timer.cancel()
            self._order_timer = None

    def _deliver(self, event: Event) -> None:
        """To everybody who listens. Never waits."""
        self._transcript.apply(event)
        if self._answer is not None:
            self._answer.add(event)
        if self._backlog is not None:
            self._backlog.append(event)
        if self._subscriptions:  # its iteration is dear
            for subscription in tuple(self._subscriptions):
                subscription.put(event)
        if isinstance(event, (SpeechStarted, TranscriptUpdate)):
            self._expected.sign(time.monotonic())
        match event:
            case AudioChunk(audio):
                self._lanes.call("audio", audio)
            case TranscriptUpdate(role, text=text, final=final) if text:
                self._lanes.call("transcript", text, final, role)
            case Interrupted():
                self._lanes.call("interrupted")
            case SessionStarted(resumed=False):
                self._lanes.call("connect")
            case SessionEnded():
                self._lanes.call("disconnect")
            case ErrorOccurred(error):
                self._lanes.call("error", error)
            case ResponseDone(response_id, awaits_tools=awaits_tools):
                self._expected.response_done(response_id, awaits_tools=awaits_tools)
            case Notice(code="no_speech"):
                self._expected.no_speech()
        self._happened.set()

    def _finish(self, failure: RealtimeError | None) -> None:
        if self._over:
            return
        self._over = True
        self._release_order()
        self._failure = failure
        if failure is not None:
            self._end = SessionEnded(failure.message, getattr(failure, "close_code", None))
            self._failure_told = bool(self._handlers.of("error")) or len(self._subscriptions) > 0
            self._lanes.call("error", failure)
        self._deliver(self._end)
        for subscription in tuple(self._subscriptions):
            subscription.finish(failure)


async def _pieces(audio: bytes, rate: int) -> AsyncIterator[bytes]:
    size = max(int(rate * _PIECE_S), 1) * 2
    for start in range(0, len(audio), size):
        yield audio[start : start + size]
