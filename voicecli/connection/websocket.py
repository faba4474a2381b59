"""A conversation over a WebSocket: drives a codec, and does not give up when the network does.

What it promises:

* Ready means that the provider said so: `open()` returns after the SessionStarted.
* One writer. Commands go out in the order of `send()`. The codec sees a command when it is written, so that its state
  is that of the wire. When the network is slow, `send()` does not wait with live audio: beyond 1 s the oldest is
  dropped. A Notice("audio_dropped") tells it when that begins, and another one how much it was, when it is over;
  silence is dropped without a word. Audio that comes faster than it is spoken is a file or a recording, and loses
  nothing by waiting: there `send()` waits for room, and nothing is dropped.
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
* The first dial is repeated, at most twice and within `connect_timeout_s`, only when the provider itself calls
  its trouble temporary (503, 429 with a short Retry-After, close 1013). A provider that cannot be reached is
  reported at once: then most often a setting is wrong.
* A close that the codec maps to a plain, not retryable RealtimeConnectionError without a `code` is a clean end when
  its close code is 1000: SessionEnded, and the iteration ends. Every other end raises its error there.
"""

import asyncio
import contextlib
import logging
import random
import time
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import Self

from websockets.exceptions import ConnectionClosed
from websockets.protocol import State

from voicecli.commands import AppendAudio, Command
from voicecli.config import RealtimeConfig
from voicecli.connection.dial import MAX_MESSAGE_BYTES, UNREACHABLE, Socket, dial, hang_up, place
from voicecli.connection.event_queue import Inbox
from voicecli.connection.frame_log import FrameLog
from voicecli.connection.liveness import STALLED, Liveness
from voicecli.connection.secrets import header_secrets, setting_secrets
from voicecli.connection.send_queue import Outbox, Pace
from voicecli.errors import ProtocolError, RealtimeConnectionError, RealtimeError
from voicecli.events import (
    ErrorOccurred,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
)
from voicecli.ports import Capabilities, Codec, Expiring, FetchHeaders

__all__ = ["WebSocketConnection"]

_LIVE_AUDIO_S = 1.0
# When a slow network has dropped nothing for so long, it keeps up again: one that stutters is not told at each stutter.
_CALM_S = 5.0
_TOO_SLOW = "the network {} too slow"
_UNCONNECTED = "there {} no connection"
# In base64 it is still below the write limit of an empty socket, so that writing it never waits.
_SMALL_AUDIO_BYTES = 8 * 2**10
_MAX_UNREAD_BYTES = 64 * 2**20
_MAX_STALLS = 2
# A connection that lasted so long, or brought a whole reply, was worth dialling: the attempts count from 1 again.
_HEALTHY_AFTER_S = 10.0
_FIRST_DIALS = 3
# A longer Retry-After is for the user to wait out.
_MAX_RETRY_AFTER_S = 60.0
_CLOSE_PATIENCE_S = 2.5
_ABNORMAL = 1006
_TOO_BIG = 1009

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
    ) -> None:
        self._codec = codec
        self._credentials = credentials
        self._capabilities = capabilities
        self._config = config
        self._wall_clock = wall_clock
        self._loop = asyncio.get_running_loop()
        bytes_per_s = capabilities.input_rate * 2
        self._bytes_per_ms = bytes_per_s / 1000
        self._outbox = Outbox(bytes_per_s, _LIVE_AUDIO_S)
        self._wire: deque[bytes] = deque()  # what the codec made, not yet written
        self._unsent = asyncio.Event()
        self._pace = Pace(bytes_per_s)
        self._room = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._inbox = Inbox()
        self._frame_log = _frame_log(codec, config)
        self._ready: asyncio.Future[None] = self._loop.create_future()
        self._supervisor = asyncio.create_task(self._run(), name="voicecli connection")
        self._line: Liveness | None = None  # the socket in use, and its watch
        self._over: RealtimeError | None = None
        self._attempt = 0
        self._stalls = 0
        self._since = self._loop.time()
        self._dropping = ""  # why audio is being dropped, of which the program has been told; "" when none is
        self._calm: asyncio.TimerHandle | None = None  # runs out when it is over

    @classmethod
    async def open(
        cls,
        codec: Codec,
        capabilities: Capabilities,
        config: RealtimeConfig,
        *,
        credentials: FetchHeaders | None = None,
        wall_clock: Callable[[], float] = time.time,
    ) -> Self:
        """Begin a conversation; the provider is ready when this returns.

        Args:
            credentials: fetches the headers that the codec does not know, anew for each dial.
            wall_clock: seconds that pass while the computer sleeps, too.

        Raises:
            ConfigurationError: the address, a header, a certificate file or the debug file is unusable.
            RealtimeConnectionError: the provider cannot be reached, refuses, or is not ready in time.
        """
        connection = cls(codec, capabilities, config, credentials, wall_clock)
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

        Live audio never waits here. Audio that comes faster than it is spoken waits while a second of it is unsent,
        and a picture or a text while 32 MiB of them are.

        Raises:
            RealtimeError: the conversation is over.
        """
        if isinstance(command, AppendAudio) and (line := self._clear_line(len(command.audio))) is not None:
            # Nearly always. The writer's task would do the same, a switch of tasks later.
            self._write_at_once(line, command)
            return
        live = isinstance(command, AppendAudio) and self._pace.is_live(len(command.audio), self._loop.time())
        while not live and self._over is None and not self._outbox.has_room(command):
            self._room.clear()
            await self._room.wait()
            self._pace.waited(self._loop.time())
        if self._over is not None:
            raise self._over
        dropped_bytes = self._outbox.dropped_bytes
        self._outbox.put(command)
        self._drained.clear()
        self._unsent.set()
        if self._outbox.dropped_bytes > dropped_bytes:
            self._tell_dropping()

    async def drain(self) -> None:
        """Return when all commands have been written, or the conversation is over. While disconnected it waits."""
        await self._drained.wait()

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._inbox)

    async def aclose(self) -> None:
        """End it; returns within 2.5 s whatever the provider does."""
        if not self._supervisor.done():
            self._supervisor.cancel()
            await asyncio.wait([self._supervisor], timeout=_CLOSE_PATIENCE_S)

    # The supervisor: one socket after the other.

    async def _run(self) -> None:
        try:
            line = await self._first_dial()
            if not self._ready.done():
                self._ready.set_result(None)
            while True:
                lost = await self._serve(line)
                if lost is not None and _is_clean_end(lost):
                    ended = SessionEnded(lost.message, lost.close_code)
                    self._end(RealtimeConnectionError("The provider has ended the conversation."), last=ended)
                    return
                line = await self._redial(lost)
        except asyncio.CancelledError:
            self._end(RealtimeConnectionError("The conversation is closed."), last=SessionEnded("closed"))
        except RealtimeError as error:
            self._end(error, error)
        except Exception as error:
            self._end(RealtimeConnectionError("The conversation broke by an internal error."), error)

    def _end(self, over: RealtimeError, error: Exception | None = None, *, last: Event | None = None) -> None:
        """From now on `send()` raises `over`; the iteration ends after `last`, by `error` if there is one."""
        self._tell_dropped()
        if last is not None:
            self._inbox.put([last])
        self._over = over
        self._room.set()
        self._drained.set()
        self._inbox.close(error)
        if error is not None and not self._ready.done():
            self._ready.set_exception(error)
        if self._frame_log is not None:
            self._frame_log.close()

    async def _serve(self, line: Liveness) -> RealtimeConnectionError | None:
        """Drive the socket until it ends: why, or None when it is to be replaced because its time is up."""
        self._line = line
        reading = asyncio.create_task(self._read(line))
        writing = asyncio.create_task(self._write(line))
        watching = asyncio.create_task(line.watch())
        tasks = {reading, writing, watching}
        gracefully = True
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            if writing.done():
                writing.result()  # raises what the codec raised
                await asyncio.wait({reading, watching}, return_when=asyncio.FIRST_COMPLETED)
            lost = reading.result() if reading.done() else watching.result()
            gracefully = lost is None
            return lost
        finally:
            self._line = None
            for task in tasks:
                task.cancel()
            try:
                await asyncio.wait(tasks)
            finally:
                await hang_up(line.socket, gracefully=gracefully)

    async def _first_dial(self) -> Liveness:
        deadline = self._loop.time() + self._config.connect_timeout_s
        for dialled in range(1, _FIRST_DIALS + 1):
            try:
                return await self._dial(deadline - self._loop.time())
            except RealtimeConnectionError as error:
                delay = self._delay(dialled, error)
                temporary = error.retryable and error.code != UNREACHABLE
                if not temporary or dialled == _FIRST_DIALS or self._loop.time() + delay >= deadline:
                    raise
                _log.info("Dialling again in %.1f s: %s", delay, error)
                await asyncio.sleep(delay)
        raise AssertionError("the last dial returns or raises")

    async def _redial(self, lost: RealtimeConnectionError | None) -> Liveness:
        if lost is None or self._loop.time() - self._since >= _HEALTHY_AFTER_S:
            self._attempt = 0
        if lost is not None and lost.code == STALLED:
            self._stalls += 1
            lost.retryable = self._stalls < _MAX_STALLS
        self._outbox.limit_s = max(self._config.reconnect.audio_buffer_s, _LIVE_AUDIO_S)
        while True:
            if lost is not None:
                await self._back_off(lost)
            try:
                return await self._dial(self._config.connect_timeout_s)
            except RealtimeConnectionError as error:
                lost = error

    async def _back_off(self, lost: RealtimeConnectionError) -> None:
        attempts = self._config.reconnect.attempts
        if not lost.retryable or (lost.retry_after_s or 0.0) > _MAX_RETRY_AFTER_S or not attempts:
            raise lost
        if self._attempt >= attempts:
            raise RealtimeConnectionError(
                f"The connection is lost, and {attempts} attempts to make it again failed. {lost.message}",
                advice=lost.advice,
                code=lost.code,
                close_code=lost.close_code,
            )
        self._attempt += 1
        delay = self._delay(self._attempt, lost)
        _log.info("Reconnecting in %.1f s, attempt %d: %s", delay, self._attempt, lost)
        self._inbox.put([Reconnecting(self._attempt, delay, lost.message)])
        await asyncio.sleep(delay)

    def _delay(self, attempt: int, error: RealtimeConnectionError) -> float:
        reconnect = self._config.reconnect
        backoff = min(reconnect.first_delay_s * 2.0 ** (attempt - 1), reconnect.max_delay_s)
        # The jitter keeps a thousand clients of a restarted server from coming back at the same instant.
        return max(backoff * random.uniform(0.5, 1.0), error.retry_after_s or 0.0)

    async def _dial(self, timeout: float) -> Liveness:
        """A socket on which the provider is ready."""
        socket: Socket | None = None
        headers: Mapping[str, str] | None = None
        try:
            async with asyncio.timeout(timeout):
                headers = await self._headers()
                socket = await dial(self._codec, headers)
                self._note("opened", host=place(self._codec.url))
                line = Liveness(socket, self._codec, self._config.response_timeout_s, self._wall_clock)
                await self._begin(line)
                return line
        except BaseException as error:
            if socket is not None:
                await hang_up(socket)
            if isinstance(error, TimeoutError):
                raise self._too_late(authorized=headers is not None, answered=socket is not None) from None
            raise

    async def _headers(self) -> Mapping[str, str]:
        """The headers of a handshake that is made now."""
        headers = self._codec.headers
        if self._credentials is None:
            return headers
        fetched = await self._credentials()
        if self._frame_log is not None:
            self._frame_log.hide(header_secrets(fetched))
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

    async def _begin(self, line: Liveness) -> None:
        """Open the conversation on a new socket, until its SessionStarted."""
        self._wire.clear()
        self._codec.open()
        events: list[Event | Expiring] = []
        while not (started := [event for event in events if isinstance(event, SessionStarted)]):
            # When the provider has closed already, reading tells why.
            with contextlib.suppress(ConnectionClosed):
                for data in self._codec.data_to_send():
                    await self._write_message(line, data)
            try:
                events += self._received(await line.socket.recv(decode=False))
            except ConnectionClosed as closed:
                raise self._closed(closed) from None
        self._wire.extend(self._codec.data_to_send())
        # Whatever else was told on the way, this comes first.
        events.remove(started[0])
        self._deliver([started[0], *events], 0, line)
        self._since = self._loop.time()

    # The reader.

    async def _read(self, line: Liveness) -> RealtimeConnectionError:
        codec, wire, socket = self._codec, self._wire, line.socket
        while True:
            try:
                message = await socket.recv(decode=False)
                line.message_came()
                events = self._received(message)
            except ConnectionClosed as closed:
                return self._closed(closed)
            except RealtimeConnectionError as error:
                return error
            if replies := codec.data_to_send():
                wire.extend(replies)
                self._unsent.set()
            if events:
                self._deliver(events, len(message), line)
                if self._inbox.waiting_bytes > _MAX_UNREAD_BYTES:
                    return RealtimeConnectionError(
                        "The conversation is given up: its events are not read.",
                        advice="Iterate over the events until SessionEnded, and call aclose() when done.",
                    )

    def _received(self, message: bytes) -> list[Event | Expiring]:
        if self._frame_log is not None:
            self._frame_log.received(message)
        try:
            return self._codec.receive(message)
        except ProtocolError as error:
            return [ErrorOccurred(error)]

    def _deliver(self, events: list[Event | Expiring], size: int, line: Liveness) -> None:
        """Take note of what concerns the connection, and pass on what concerns the program."""
        told: list[Event] = []
        for event in events:
            match event:
                case Expiring(left_s):
                    line.expires(left_s)
                    continue
                case ResponseDone(status="completed"):
                    self._stalls = self._attempt = 0
            told.append(event)
        self._inbox.put(told, size)

    def _closed(self, closed: ConnectionClosed) -> RealtimeConnectionError:
        received, sent = closed.rcvd, closed.sent
        self._note("closed", code=received.code if received else None, reason=received.reason if received else "")
        if sent is not None and sent.code == _TOO_BIG and not closed.rcvd_then_sent:
            return RealtimeConnectionError(f"The provider sent a message of more than {MAX_MESSAGE_BYTES} bytes.")
        if received is not None:
            code, reason = received.code, received.reason
        else:
            # It just broke, or what came was no WebSocket frame and we said so.
            code, reason = _ABNORMAL, sent.reason if sent is not None else ""
        error = self._codec.closed(code, reason)
        if error.close_code is None:
            error.close_code = code
        return error

    # The writer.

    async def _write(self, line: Liveness) -> None:
        """Write until the socket is closed. Why it closed is the reader's to tell: it first reads what came before."""
        while line.socket.state is State.OPEN:
            await self._flush(line)
            self._unsent.clear()
            await self._unsent.wait()

    def _clear_line(self, size: int) -> Liveness | None:
        """The line, when nothing waits for it, and so little audio can be written to it without waiting."""
        line = self._line
        if line is None or self._wire or self._outbox or size > _SMALL_AUDIO_BYTES:
            return None
        socket = line.socket
        return line if socket.state is State.OPEN and not socket.transport.get_write_buffer_size() else None

    def _write_at_once(self, line: Liveness, command: Command) -> None:
        """Write a command to a clear line."""
        self._encode(command)
        while self._wire:
            data = self._wire.popleft()
            if self._frame_log is not None:
                self._frame_log.sent(data)
            line.socket.write(data)

    async def _flush(self, line: Liveness) -> None:
        """Write all that waits."""
        try:
            while (data := self._next_message()) is not None:
                line.writing()
                await self._write_message(line, data)
            line.written()
        except ConnectionClosed:
            return
        if self._dropping == _UNCONNECTED:
            self._tell_dropped()
        elif self._dropping and self._calm is None:
            self._calm = self._loop.call_later(_CALM_S, self._tell_dropped)
        # What an outage kept has gone out: from here on the network is expected to keep up.
        self._outbox.limit_s = _LIVE_AUDIO_S
        self._drained.set()

    def _next_message(self) -> bytes | None:
        while not self._wire:
            command = self._outbox.pop()
            if command is None:
                return None
            self._room.set()
            self._encode(command)
        return self._wire.popleft()

    def _encode(self, command: Command) -> None:
        try:
            self._codec.send(command)
        except RealtimeError as error:
            self._inbox.put([ErrorOccurred(error)])
        self._wire.extend(self._codec.data_to_send())

    def _write_message(self, line: Liveness, data: bytes) -> Awaitable[None]:
        if self._frame_log is not None:
            self._frame_log.sent(data)
        return line.socket.send(data, text=True)

    # Telling.

    def _tell_dropping(self) -> None:
        """Audio was dropped: when that begins it is told, and why; how much it comes to is told at the end."""
        self._stop_calming()
        if not self._dropping:
            self._dropping = _TOO_SLOW if self._line is not None else _UNCONNECTED
            why = self._dropping.format("is")
            self._inbox.put([Notice("audio_dropped", f"Your speech is being dropped: {why}.")])

    def _tell_dropped(self) -> None:
        self._stop_calming()
        if not self._dropping:
            return
        dropped_ms, self._outbox.dropped_bytes = self._outbox.dropped_bytes / self._bytes_per_ms, 0
        why, self._dropping = self._dropping.format("was"), ""
        amount = f"{dropped_ms / 1000:.1f} s" if dropped_ms >= 1_000 else f"{dropped_ms:.0f} ms"
        self._inbox.put([Notice("audio_dropped", f"{amount} of your speech were dropped: {why}.")])

    def _stop_calming(self) -> None:
        if self._calm is not None:
            self._calm.cancel()
            self._calm = None

    def _note(self, what: str, **details: str | int | None) -> None:
        if self._frame_log is not None:
            self._frame_log.note(what, **details)


def _is_clean_end(lost: RealtimeConnectionError) -> bool:
    return type(lost) is RealtimeConnectionError and lost.close_code == 1000 and not lost.retryable and not lost.code


def _frame_log(codec: Codec, config: RealtimeConfig) -> FrameLog | None:
    if not config.debug_file:
        return None
    return FrameLog(config.debug_file, {*setting_secrets(config), *header_secrets(codec.headers)})
