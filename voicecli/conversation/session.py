"""A conversation: commands in, events out.

The session stands between the program and a provider's `Connection`. It finds the user's turns when the program
wants that done here (VADMode.CLIENT), runs tools, cuts a reply short when the user speaks into it, and hands each
event to everybody who listens: handlers, iterations, and a `send_audio` or `send_text` that waits for its answer.
"""

import asyncio
import contextlib
import logging
import os
import time
import uuid
import weakref
from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Callable, Coroutine, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, overload

from voicecli.audio import AudioSink, Playhead
from voicecli.commands import (
    AnswerApproval,
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
from voicecli.conversation.arguments import PCM16, Question, check_audio, check_question, check_rate, check_text
from voicecli.conversation.delivery import Subscription
from voicecli.conversation.expectation import Expectation
from voicecli.conversation.handlers import HandlerLanes, Handlers
from voicecli.conversation.images import read_picture
from voicecli.conversation.latency import TurnClock
from voicecli.conversation.playback_estimate import PlaybackEstimate
from voicecli.conversation.reply_hold import ReplyHold
from voicecli.conversation.response import Answer, Response
from voicecli.conversation.tool_calls import ToolCalls
from voicecli.conversation.transcript_order import WordOrder
from voicecli.errors import AudioFormatError, ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    AudioDone,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
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
from voicecli.ports import Connection
from voicecli.tools import Tool
from voicecli.transcript import Transcript, Turn

if TYPE_CHECKING:
    from voicecli.conversation.user_audio import Step

__all__ = ["VoiceSession"]

_log = logging.getLogger(__name__)
# Cutting long audio into pieces lets the connection send one while the next is made: 100 ms.
_PIECE_S = 0.1
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
        from voicecli.conversation.user_audio import UserTurns

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
        self._order = WordOrder(self._deliver)
        self._clock = TurnClock(connection.capabilities.output_rate)
        self._estimate = PlaybackEstimate(connection.capabilities.output_rate)
        self._subscriptions: weakref.WeakSet[Subscription] = weakref.WeakSet()
        self._backlog: deque[Event] | None = None if self._handlers.any() else deque(maxlen=_BACKLOG)
        self._usage = Usage()
        self._answer: Answer | None = None
        self._answer_lock = asyncio.Lock()
        self._sending = asyncio.Lock()  # what the user's audio comes to is sent in the order in which it was found
        self._away = False  # between two sockets
        self._expected = Expectation()
        self._sounding: str | None = None  # the response whose audio came last
        self._cut: str | None = None  # the last response that was interrupted
        self._hold = ReplyHold()
        self._spoken_over: str | None = None  # the response that was being made when the user was last overheard
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
        """Whether a turn has ended whose answer is not complete, words included, or a reply is being made."""
        return self._expected.waiting(time.monotonic()) or len(self._calls) > 0 or self._order.holding

    # -- what the program says

    async def ask(self, question: Question, *, sample_rate: int | None = None) -> Response:
        """Say something as one whole turn, and return the answer when it is complete, whoever else listens.

        Args:
            question: words; the `Path` of a sound file (WAV, FLAC, OGG ...); or PCM16 mono, as bytes or as an async
                iterator of them.
            sample_rate: of PCM16, in Hz; `input_rate` unless given.

        Raises:
            AudioFormatError: the file or the audio cannot be read.
            ConfigurationError: nothing of this can be asked.
            RealtimeError: no answer came, or the conversation is over.
        """
        check_question(question, sample_rate)
        if isinstance(question, str):
            return await self.send_text(question, wait=True)
        if not isinstance(question, os.PathLike):
            return await self.send_audio(question, sample_rate=sample_rate, wait=True)
        from voicecli.audio.files import WavSource

        file = WavSource(question)
        try:
            await file.open()
            return await self.send_audio(file, sample_rate=file.sample_rate, wait=True)
        finally:
            await file.aclose()

    @overload
    async def send_audio(
        self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None, wait: Literal[True]
    ) -> Response: ...
    @overload
    async def send_audio(
        self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None, wait: bool | None = None
    ) -> Response | None: ...
    async def send_audio(
        self, audio: PCM16 | AsyncIterable[bytes], *, sample_rate: int | None = None, wait: bool | None = None
    ) -> Response | None:
        """Send the user's voice: PCM16 mono, as bytes or as an async iterator of them.

        When nobody listens (no `on_audio` handler, no iteration), it is taken as one whole utterance: the turn is
        ended, and the answer awaited and returned. With listeners it returns None at once.

        Args:
            sample_rate: of the audio, in Hz; `input_rate` unless given. It may change between calls.
            wait: decides explicitly whether to end the turn and wait for the answer.

        Raises:
            AudioFormatError: a whole utterance with an odd number of bytes.
            ConfigurationError: this is no sound, or a rate that cannot be.
            RealtimeError: no answer came, or the conversation is over.
        """
        check_audio(audio)
        rate = check_rate(sample_rate) if sample_rate is not None else self.input_rate
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
                await self._perform(lambda: self._turns.audio(audio, rate))
                return None
            pieces = _pieces(audio, rate)
        if not waits:
            await self._stream(pieces, rate)
            return None
        async with self._answer_lock:
            return await self._ask(self._utterance(pieces, rate))

    @overload
    async def send_text(self, text: str, *, wait: Literal[True]) -> Response: ...
    @overload
    async def send_text(self, text: str, *, wait: bool | None = None) -> Response | None: ...
    async def send_text(self, text: str, *, wait: bool | None = None) -> Response | None:
        """Say something in writing. Waits for the answer as `send_audio` does.

        Raises:
            ConfigurationError: the text is empty, or none.
            RealtimeError: no answer came, or the conversation is over.
        """
        check_text(text)
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
        await self._perform(self._turns.end, by_silence=False)

    async def clear_audio(self) -> None:
        """Forget what was said since the turn began."""
        async with self._sending:
            self._turns.reset()
            self._expected.speech_stopped()
            self._hold.forget()
            self._go_on()
            await self._send(ClearAudio())

    async def pause_audio(self) -> None:
        """No audio will come for a while: the microphone is muted, or lost.

        Ends a turn that silence would have ended, and lets a reply go on that was paused by the mere suspicion of one.
        """
        await self._perform(self._turns.pause, by_silence=False)
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
            timed = len(self._calls) > 0 or self._order.holding  # by timeouts of their own
            hope_s = None if timed else self._expected.hope_left(time.monotonic())
            try:
                async with asyncio.timeout(self._config.response_timeout_s if hope_s is None else hope_s):
                    await self._happened.wait()
            except TimeoutError:
                if timed:
                    continue
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
        answers = self._expected.answers
        self._turns.begin_utterance()
        await self._stream(pieces, rate)
        await self.end_turn()
        # If the utterance ends in silence, the answer may have come already.
        self._expected.insist(answered=self._expected.answers > answers)

    async def _stream(self, pieces: AsyncIterable[bytes], rate: int) -> None:
        """Send audio as fast as the connection takes it."""
        async for piece in pieces:
            await self._perform(partial(self._turns.audio, piece, rate))
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
        self._order.push(TranscriptUpdate("user", command.item_id, text, final=True))

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

    async def _perform(self, find: "Callable[[], Iterable[Step]]", *, by_silence: bool = True) -> None:
        """Send and tell what `find` returns; `by_silence` says how a turn that ends now was found to end."""
        server = self._config.vad_mode is VADMode.SERVER
        async with self._sending:
            for step in find():
                match step:
                    case SpeechStarted() | SpeechStopped():
                        await (self._overheard(step, by_silence=by_silence) if server else self._receive(step))
                        continue
                    case StartTurn() if self._config.vad_mode is VADMode.CLIENT:
                        await self._spoken_into()
                    case StartTurn():
                        await self._interrupt(None)
                    case EndTurn() if server:
                        self._expected.audio_ended(time.monotonic())
                    case EndTurn():
                        self._turn_ended(by_silence=by_silence)
                await self._send(step)
        if self._over:
            self._raise_over()

    async def _overheard(self, event: SpeechStarted | SpeechStopped, *, by_silence: bool) -> None:
        """The user's voice, noticed here while the provider finds the turns and does not tell, or cannot.

        A reply that has come whole the provider does not interrupt any more: if it is still heard, it is paused, and
        cut by words. One that broke off with the connection, when it had begun to sound, is cut at once.
        """
        now, interrupts = time.monotonic(), self._config.turn_detection.interrupt_response
        if isinstance(event, SpeechStopped):
            end = self._speech_end() if by_silence else now
            if self._spoken_over is not None and self._spoken_over == self._expected.running:
                self._clock.turn_may_have_ended(end)
            else:
                self._clock.turn_ended(end)
            if self._hold.silence(now):
                self._go_on()
        else:
            self._spoken_over = self._expected.running
            if self._away and interrupts and self._expected.running in (None, self._sounding):
                await self._stop_reply()
            elif interrupts and self.player is not None and not self._expected.owes:
                self._hold.overhear()
                self.player.pause()
        if not self._connection.capabilities.reports_speech:  # otherwise the provider tells when it is back
            self._deliver(event)

    def _turn_ended(self, *, by_silence: bool = False) -> None:
        self._expected.turn_ended()
        end = self._speech_end() if by_silence else time.monotonic()
        if self._hold.awaits_words:
            self._clock.turn_may_have_ended(end)
        else:
            self._clock.turn_ended(end)

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
        idle = self._expected.running is None and self._estimate.playhead(time.monotonic()) is None
        if self._connection.capabilities.words_first and (self.player is not None or idle):
            self._hold.hear()
            self._pause()
        else:
            await self._interrupt(None)

    def _pause(self) -> None:
        if self.player is not None:
            self.player.pause()

    def _go_on(self) -> None:
        """The turn came to nothing."""
        self._clock.settle(False)
        if self.player is not None:
            self.player.resume()

    async def _stop_reply(self, playhead: Playhead | None = None) -> bool:
        """Stop the reply that is heard or being made; says whether there is one."""
        stopped = self._stop_playback()
        heard = playhead or stopped
        response_id = self._expected.running or self._sounding
        if self._expected.running is None and heard is None:
            return False
        event = Interrupted(response_id, heard.item_id if heard else None)
        await self._cut_short(heard, event, whole=not self._expected.owes)
        return True

    def _stop_playback(self) -> Playhead | None:
        """Silence first: before anything that waits."""
        self._hold.forget()
        self._clock.settle(True)
        self._lanes.discard("audio")
        estimated = self._estimate.clear(time.monotonic())
        return self.player.clear() if self.player is not None else estimated

    async def _cut_short(self, heard: Playhead | None, event: Interrupted, *, whole: bool = False) -> None:
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
            cancel = CancelResponse(heard.item_id, heard.played_ms, whole) if heard else CancelResponse()
            await self._connection.send(cancel)

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
        now = time.monotonic()
        match event:
            # The most frequent first.
            case AudioChunk(response_id=response_id) if response_id == self._cut:
                return  # it was on its way when the reply was interrupted
            case AudioChunk(audio, response_id, item_id):
                self._sounding = response_id
                self._clock.audio(now, len(audio))
                if self.player is None:
                    self._estimate.add(audio, item_id, now)
            case TranscriptUpdate("assistant", text=text) if text:
                self._clock.text(now)
            case TranscriptUpdate("user", text=text) if text and self._hold.cut_by_words(now):
                await self._stop_reply()
            case SpeechStarted():
                self._expected.speech_started()
                self._deliver(event)
                if self._config.vad_mode is VADMode.CLIENT:
                    # It may be a cough: the reply is cut when it proves a turn, and goes on when it does not.
                    self._hold.suspect()
                    self._pause()
                elif self._config.turn_detection.interrupt_response:
                    await self._spoken_into()
                return
            case SpeechStopped():
                self._expected.speech_stopped()
                if self._config.vad_mode is VADMode.CLIENT and self._hold.silence(now):
                    self._go_on()
                if self._config.vad_mode is VADMode.SERVER and self._config.turn_detection.create_response:
                    self._turn_ended(by_silence=True)
            case Interrupted():
                await self._cut_short(self._stop_playback(), event)
                return
            case ResponseStarted(response_id):
                if self._hold.overheard(now) and not self._expected.owes:
                    await self._stop_reply()  # this one answers the voice that paused it
                self._clock.response_started(now)
                if not self._expected.response_started(response_id):
                    # It was interrupted before it began.
                    self._order.push(event)
                    await self._cut_short(None, Interrupted(response_id))
                    return
            case ResponseDone(response_id, status, usage=usage, awaits_tools=tools):
                event = replace(event, metrics=self._clock.done(now, awaits_tools=tools))
                self._usage += usage
                if response_id == self._sounding != self._cut:
                    self._deliver(AudioDone(response_id))
                self._expected.response_done(response_id, now, awaits_tools=tools, cancelled=status == "cancelled")
            case Notice(code="no_speech"):
                self._expected.no_speech()
                if self._hold.awaits_words and self._hold.no_words():
                    self._go_on()
            case Reconnecting() | SessionStarted():
                self._away = isinstance(event, Reconnecting)
                with contextlib.suppress(ConfigurationError):  # no detector for this is no reason to fail
                    self._turns.listen(self._away or not self._connection.capabilities.reports_speech)
            case ToolCallRequest():
                self._calls.start(event)
            case ToolCallCancelled(call_id):
                self._calls.cancel(call_id)
            case SessionEnded():
                self._end = event
                return  # told by _finish, after everything else
        self._order.push(event)

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
        self._happened.set()

    def _finish(self, failure: RealtimeError | None) -> None:
        if self._over:
            return
        self._over = True
        self._order.release()
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
