"""A conversation over a WebSocket: drives a codec, and redials when the network fails.

Guarantees, beside those of `ports.Connection`:

* Ready means that the provider said so: `open()` returns after the SessionStarted.
* One writer. Commands go out in the order of `send()`. The codec sees a command when it is written, so that its state
  is that of the wire. When the network is slow, `send()` does not wait with live audio: beyond 1 s the oldest is
  dropped; what a turn detector had held back may wait besides. A Notice("audio_dropped") tells it when that begins,
  and another one how much it was, when it is over; silence is dropped without a word. Audio that comes faster than it
  is spoken is a file or a recording, and loses nothing by waiting: there `send()` waits for room, and nothing is
  dropped.
* A provider that finds the turns itself hears silence where the audio ends, until it has ended the turn: 100 ms each
  100 ms, for `response_timeout_s` after a sign of speech, and for 3 s without one.
* Where `Capabilities.input_must_flow`, audio is sent as fast as it is spoken, and silence whenever nothing of the
  program's was to be heard for 250 ms: from the SessionStarted of each socket until it is closed. There, what was
  spoken now (`AppendAudio.realtime`, or at that pace) and comes or leaves more than 0.3 s late is dropped; so is what
  is said while there is no connection.
* What is only written down (`is_full`) is sent whole: no audio is dropped for being late, no silence is added, and
  whoever sends a recording waits while too much of it has no words yet. Words that are owed when the input is over are
  waited for, for 30 s.
* A reader that never waits for the program. Events that are not taken are kept up to 64 MiB (half an hour of
  speech); beyond that the conversation ends with an error instead of eating the memory.
* A dead line is noticed: nothing heard for 60 s although pings went out every 20 s; nothing heard for 20 s while
  the send buffer is stuck; no pong within 3 s after the computer slept. It is dialled again. So is a socket on
  which nothing comes for `response_timeout_s` although the model owes an answer; when the next one is as mute, the
  conversation ends with an error.
* A lost connection is dialled again with backoff, as `config.reconnect` says, when the codec calls the loss
  retryable; each attempt is told by a Reconnecting. Meanwhile commands wait, and the newest audio is kept. On the
  new socket the codec restores what it was given, a turn under way included; then what waited is sent.
* A socket with a time limit (Expiring) is replaced in time, when nobody speaks, without a Reconnecting.
* A codec that `ClosesGracefully` says goodbye before its socket is closed or replaced, and the provider has 5 s for its
  last words; after `finish()` 15 s. They are told before the SessionEnded.
* The first dial is repeated, at most twice and within `connect_timeout_s`, only when the provider itself calls
  its trouble temporary (503, 429 with a short Retry-After, close 1013). A provider that cannot be reached is
  reported at once: then most often a setting is wrong.
* A close that the codec maps to a plain, not retryable RealtimeConnectionError without a `code` is a clean end when
  its close code is 1000: SessionEnded, and the iteration ends. Every other end raises its error there.
"""

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable, Mapping
from itertools import count
from typing import Self

from voicecli.commands import AppendAudio, Command
from voicecli.config import RealtimeConfig, VADMode
from voicecli.connection.dial import UNREACHABLE, dial, place
from voicecli.connection.event_queue import EventQueue
from voicecli.connection.frame_log import FrameLog
from voicecli.connection.line import GOODBYE_S, Line
from voicecli.connection.liveness import Liveness
from voicecli.connection.redial import RedialPolicy
from voicecli.connection.sender import Sender
from voicecli.connection.silence import SilenceFeeder, TurnEndSilence
from voicecli.connection.socket import Socket
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    Event,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.pcm16 import is_silent
from voicecli.ports import Capabilities, ClosesGracefully, Codec, FetchHeaders, Recorder
from voicecli.redaction import header_secrets, setting_secrets

__all__ = ["WebSocketConnection"]

_MAX_UNREAD_BYTES = 64 * 2**20
_CLOSE_TIMEOUT_S = 2.5
# Translations of the last words come 8 to 20 s after them.
_LAST_OUTPUT_S = 30.0
# Words that are owed: time for a socket that falls silent, another one, and for that to fall silent, too.
_OWED_WORDS_S = 120.0
_LAST_GOODBYE_S = 15.0
_TICK_S = 0.05

_log = logging.getLogger("voicecli")


class WebSocketConnection:
    """A `Connection` that drives a `Codec`. Made by `open()`."""

    def __init__(
        self,
        codec: Codec,
        capabilities: Capabilities,
        config: RealtimeConfig,
        credentials: FetchHeaders | None,
        wall_clock: Callable[[], float],
        recorder: Recorder | None,
        is_full: Callable[[], bool] | None,
    ) -> None:
        self._is_full = is_full
        self._events = EventQueue()
        self._recorder = recorder
        if recorder is not None:
            codec = recorder.around(codec, capabilities, self._tell)
        self._codec = codec
        self._credentials = credentials
        self._capabilities = capabilities
        self._config = config
        self._wall_clock = wall_clock
        self._clock = asyncio.get_running_loop().time
        self._trace = _open_trace(codec, config)
        self._sender = Sender(
            codec,
            capabilities,
            config.reconnect.audio_buffer_s,
            self._tell,
            self._trace,
            is_full,
        )
        self._flow: SilenceFeeder | None = None
        self._turn_end: TurnEndSilence | None = None
        if capabilities.input_must_flow and is_full is None:
            self._flow = SilenceFeeder(self._sender.feed, capabilities.input_rate, lambda: self._sender.resumes_at)
        else:
            feeder = SilenceFeeder(self._send_silence, capabilities.input_rate)
            finds_turns = config.vad_mode is VADMode.SERVER
            self._turn_end = TurnEndSilence(feeder, config.response_timeout_s, finds_turns=finds_turns)
        self._output_at = 0.0  # when something of the output came last
        self._closing = False  # aclose() was called
        self._finishing = False  # the input is over, and all its output has been waited for
        self._leaving = False  # what ends the socket now ends the conversation
        self._redial_policy = RedialPolicy(config.reconnect, self._clock)
        self._line: Line | None = None  # the socket in use
        self._ready: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._supervisor = asyncio.create_task(self._run(), name="voicecli connection")

    @classmethod
    async def open(
        cls,
        codec: Codec,
        capabilities: Capabilities,
        config: RealtimeConfig,
        *,
        credentials: FetchHeaders | None = None,
        wall_clock: Callable[[], float] = time.time,
        recorder: Recorder | None = None,
        is_full: Callable[[], bool] | None = None,
    ) -> Self:
        """Begin a conversation; the provider is ready when this returns.

        Args:
            credentials: fetches the headers that the codec does not know, anew for each dial.
            wall_clock: seconds that pass while the computer sleeps, too.
            recorder: records what passes; that of the `ConversationSetup`.
            is_full: for what is only written down, where each word counts and times are counted in audio: whether so
                much audio has no words yet that no more should be sent for now. None of it is dropped then, but of
                outages of ten minutes, no silence is added, and what waited for the network is sent at once; audio of
                a recording still keeps to real time where it must. None for conversations.

        Raises:
            ConfigurationError: the address, a header, a certificate file or the debug file is unusable.
            RealtimeConnectionError: the provider cannot be reached, refuses, or is not ready in time.
        """
        connection = cls(codec, capabilities, config, credentials, wall_clock, recorder, is_full)
        try:
            await connection._ready
        except BaseException:
            await connection.aclose()
            raise
        return connection

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    @property
    def round_trip_s(self) -> float | None:
        """To the provider and back, by the last ping, in seconds; None before the first one or without a socket."""
        return (self._line.socket.latency or None) if self._line is not None else None

    async def send(self, command: Command) -> None:
        """Pass a command on; while disconnected it is kept.

        Live audio never waits here. Audio that comes faster than it is spoken waits while a second of it is unsent
        (0.3 s where it must flow), and a picture or a text while 32 MiB of them are.

        Raises:
            RealtimeError: the conversation is over.
        """
        await self._sender.send(command)
        if self._turn_end is not None:
            self._turn_end.sent(command)

    async def _send_silence(self, silence: AppendAudio) -> None:
        if self._line is not None:  # otherwise it would take the place of what the user said
            await self._sender.send(silence)

    async def drain(self) -> None:
        """Return when all commands have been written, or the conversation is over. While disconnected it waits."""
        await self._sender.drain()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._events)

    async def finish(self) -> None:
        """See `ports.Finishing`: the provider goes on hearing silence until its output has been quiet for the codec's
        `quiet_s`, at most 30 s; then it has 15 s for its last words. Words that a transcription owes are waited for
        longer, also over another socket, and the iteration tells when they do not come. Without a codec that
        `ClosesGracefully` it returns at once."""
        if not isinstance(self._codec, ClosesGracefully):
            return
        await self._sender.drain()
        self._output_at = begun = self._clock()
        while not self._supervisor.done():
            # Words that are owed are waited for, over another socket if need be.
            owed = self._is_full is not None and self._codec.awaiting_reply
            quiet_at = math.inf if owed else self._output_at + self._codec.quiet_s
            most_s = _OWED_WORDS_S if owed else _LAST_OUTPUT_S
            left_s = min(quiet_at, begun + most_s) - self._clock()
            if left_s <= 0:
                break
            await asyncio.wait([self._supervisor], timeout=min(left_s, _TICK_S) if owed else left_s)
        self._finishing = True
        await self._leave(_LAST_GOODBYE_S)

    async def aclose(self) -> None:
        """End it; returns within 2.5 s whatever the provider does, with a codec that `ClosesGracefully` within 5 s.

        Called once more meanwhile, it ends the conversation at once.
        """
        again, self._closing = self._closing, True
        if self._turn_end is not None:
            self._turn_end.stop()
        await self._leave(0.0 if again else GOODBYE_S)

    async def _leave(self, within_s: float) -> None:
        """End the conversation, with a goodbye that takes so long at most, in seconds."""
        line, said = self._line, False
        if line is not None and isinstance(self._codec, ClosesGracefully):
            self._leaving = True
            self._sender.end(_closed())
            said = await line.leave(within_s)
        if not self._supervisor.done():
            if not said:
                self._supervisor.cancel()
            await asyncio.wait([self._supervisor], timeout=_CLOSE_TIMEOUT_S)

    # One socket after the other.

    async def _run(self) -> None:
        try:
            line = await self._first_dial()
            if not self._ready.done():
                self._ready.set_result(None)
            while True:
                lost = await self._serve(line)
                if self._leaving:
                    self._end_left()
                    return
                if lost is not None and _is_clean_end(lost):
                    ended = SessionEnded(lost.message, lost.close_code)
                    self._end(RealtimeConnectionError("The provider has ended the conversation."), last=ended)
                    return
                line = await self._dial_again(lost)
        except asyncio.CancelledError:
            self._end_left()
        except RealtimeError as error:
            self._end(error, error)
        except Exception as error:
            self._end(RealtimeConnectionError("The conversation broke by an internal error."), error)

    async def _serve(self, line: Line) -> RealtimeConnectionError | None:
        self._line = line
        if self._flow is not None:
            self._flow.run_for(math.inf)
        try:
            return await line.serve()
        finally:
            self._line = None
            if self._flow is not None:
                self._flow.stop()
            await line.aclose()

    def _end_left(self) -> None:
        """The program has ended it: whoever waited for all words is told when some have not come."""
        if self._finishing and self._is_full is not None and self._codec.awaiting_reply:
            error = RealtimeConnectionError(
                "The last words did not come.", advice="What was told is right. Try again later, or with another model."
            )
            self._end(error, error)
        else:
            self._end(_closed(), last=SessionEnded("closed"))

    def _end(self, over: RealtimeError, error: Exception | None = None, *, last: Event | None = None) -> None:
        """From now on `send()` raises `over`; the iteration ends after `last`, by `error` if there is one."""
        self._sender.end(over)
        if self._turn_end is not None:
            self._turn_end.stop()
        if last is not None:
            self._tell(last)
        self._events.close(error)
        if error is not None and not self._ready.done():
            self._ready.set_exception(error)
        if self._trace is not None:
            self._trace.close()
        if self._recorder is not None:
            self._recorder.ended(error)

    async def _first_dial(self) -> Line:
        deadline = self._clock() + self._config.connect_timeout_s
        for dialled in count(1):
            try:
                return await self._dial(deadline - self._clock())
            except RealtimeConnectionError as error:
                delay = self._redial_policy.delay_of_first_dial(dialled, error, deadline - self._clock())
                _log.info("Dialling again in %.1f s: %s", delay, error)
                await asyncio.sleep(delay)
        raise AssertionError("the last dial returns or raises")

    async def _dial_again(self, lost: RealtimeConnectionError | None) -> Line:
        """The next socket, after the last one was lost by that error, or is to be replaced (None)."""
        self._sender.disconnected()
        if lost is None:
            self._redial_policy.replaced()
        else:
            self._redial_policy.lost(lost)
        while True:
            if lost is not None:
                reconnecting = self._redial_policy.next(lost)
                _log.info("Reconnecting in %.1f s, attempt %d: %s", reconnecting.delay_s, reconnecting.attempt, lost)
                self._tell(reconnecting)
                await asyncio.sleep(reconnecting.delay_s)
            try:
                return await self._dial(self._config.connect_timeout_s)
            except RealtimeConnectionError as error:
                lost = error

    async def _dial(self, timeout: float) -> Line:
        """A socket on which the provider is ready. Raises RealtimeConnectionError when that takes longer."""
        headers: Mapping[str, str] | None = None
        socket: Socket | None = None
        line: Line | None = None
        try:
            async with asyncio.timeout(timeout):
                headers = await self._fetch_headers()
                socket = await dial(self._codec, headers)
                if self._trace is not None:
                    self._trace.note("opened", host=place(self._codec.url))
                rate = self._capabilities.output_rate
                liveness = Liveness(socket, self._codec, self._config.response_timeout_s, self._wall_clock)
                line = Line(socket, self._codec, self._sender, liveness, self._deliver, self._trace, rate)
                await line.begin()
        except BaseException as error:
            if line is not None:
                await line.aclose()
            if isinstance(error, TimeoutError):
                raise self._too_late(authorized=headers is not None, answered=socket is not None) from None
            raise
        self._redial_policy.ready()
        return line

    async def _fetch_headers(self) -> Mapping[str, str]:
        """The headers of a handshake that is made now."""
        headers = self._codec.headers
        if self._credentials is None:
            return headers
        fetched = await self._credentials()
        for log in (self._trace, self._recorder):
            if log is not None:
                log.hide(header_secrets(fetched))
        return {**headers, **fetched}

    def _too_late(self, *, authorized: bool, answered: bool) -> RealtimeConnectionError:
        where, limit = place(self._codec.url), f"{self._config.connect_timeout_s:g} s"
        if not authorized:
            what = f"Cannot authenticate with {where}: the credentials did not come"
        elif not answered:
            what = f"Cannot reach {where}: no answer"
        else:
            what = f"{where} answers, but did not begin a conversation"
        return RealtimeConnectionError(
            f"{what} within {limit}.",
            advice="Check the network and the address; connect_timeout_s may be longer.",
            code=UNREACHABLE,
            retryable=True,
        )

    # From the provider to the program.

    def _tell(self, event: Event) -> None:
        if self._recorder is not None:
            self._recorder.told(event)
        self._events.put([event])

    def _deliver(self, events: list[Event], size: int) -> None:
        for event in events:
            if self._is_answer(event):
                self._redial_policy.answered()
            if self._turn_end is not None:
                self._turn_end.told(event)
            if _is_output(event):
                self._output_at = self._clock()
        self._events.put(events, size)
        if self._events.waiting_bytes > _MAX_UNREAD_BYTES:
            raise RealtimeConnectionError(
                "The conversation is given up: its events are not read.",
                advice="Iterate over the events until SessionEnded, and call aclose() when done.",
            )

    def _is_answer(self, event: Event) -> bool:
        """Whether the event shows that the provider does what it is there for."""
        if self._is_full is not None:
            return isinstance(event, TranscriptUpdate) and event.final
        return isinstance(event, ResponseDone) and event.status == "completed"


def _closed() -> RealtimeConnectionError:
    return RealtimeConnectionError("The conversation is closed.")


def _is_output(event: Event) -> bool:
    """Whether it is something of what the provider makes of the input; a track that goes on in silence is not."""
    match event:
        case AudioChunk(audio):
            return not is_silent(audio)
        case TranscriptUpdate() | ResponseStarted() | ResponseDone() | ToolCallRequest():
            return True
    return False


def _is_clean_end(lost: RealtimeConnectionError) -> bool:
    return type(lost) is RealtimeConnectionError and lost.close_code == 1000 and not lost.retryable and not lost.code


def _open_trace(codec: Codec, config: RealtimeConfig) -> FrameLog | None:
    if not config.debug_file:
        return None
    return FrameLog(config.debug_file, {*setting_secrets(config), *header_secrets(codec.headers)})
