"""One socket under way, from its opening to its end."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from websockets.exceptions import ConnectionClosed

from voicecli.connection.dial import MAX_MESSAGE_BYTES, hang_up
from voicecli.connection.frame_log import FrameLog
from voicecli.connection.liveness import Liveness
from voicecli.connection.sender import Sender
from voicecli.connection.socket import Socket
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import AudioChunk, ErrorOccurred, Event, Interrupted, ResponseDone, SessionStarted
from voicecli.pcm16 import PcmFormat
from voicecli.ports import ClosesGracefully, Codec, Ended, Expiring, StartsUnconfirmed

__all__ = ["GOODBYE_S", "Line"]

GOODBYE_S = 4.5
"""How long the provider may take to say its last before a socket is closed or replaced, in seconds: with the closing of
a mute one that makes 5 s."""

_ABNORMAL = 1006
_TOO_BIG = 1009


class Line:
    """Passes what comes by a socket to the codec, and what it means to the program; writes; watches the socket.

    Args:
        deliver: passes events on, which together hold so many bytes; may raise RealtimeConnectionError.
        trace: the frame log, if there is one.
        output_rate: of the reply's audio, in Hz.
    """

    def __init__(
        self,
        socket: Socket,
        codec: Codec,
        sender: Sender,
        liveness: Liveness,
        deliver: Callable[[list[Event], int], None],
        trace: FrameLog | None,
        output_rate: int,
    ) -> None:
        self.socket = socket
        self._sound = PcmFormat(output_rate)
        self._codec = codec
        self._sender = sender
        self._liveness = liveness
        self._deliver = deliver
        self._trace = trace
        self._before_start: list[Event] | None = []  # told before the SessionStarted; None when that has come
        self._patient = True  # a dead line is not waited for
        self._leaving = False  # the codec has said goodbye
        self._replaced = False  # as the time of the socket is up
        loop = asyncio.get_running_loop()
        self._started: asyncio.Future[None] = loop.create_future()
        self._ended: asyncio.Future[RealtimeConnectionError | None] = loop.create_future()

    async def begin(self) -> None:
        """Open the conversation; returns when the provider is ready. Raises RealtimeConnectionError."""
        self._sender.begin(self.socket)
        self.socket.listen(self._on_message, self._on_closed)
        codec = self._codec
        within_s = codec.confirmed_within_s if isinstance(codec, StartsUnconfirmed) else None
        futures: set[asyncio.Future[Any]] = {self._started, self._ended}
        while not (await asyncio.wait(futures, timeout=within_s, return_when=asyncio.FIRST_COMPLETED))[0]:
            assert isinstance(codec, StartsUnconfirmed)
            self._take(codec.start_unconfirmed, 0)
        if not self._started.done() and (error := self._ended.result()) is not None:
            raise error

    async def serve(self) -> RealtimeConnectionError | None:
        """Carry the conversation on until the socket ends: why it did, or None when it is to be replaced in time."""
        tasks = [asyncio.create_task(self._write()), asyncio.create_task(self._watch())]
        try:
            lost = await self._ended
            self._patient = lost is None or not lost.retryable
            return None if self._replaced else lost
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks)

    async def leave(self, within_s: float) -> bool:
        """Say goodbye as the protocol has it, if it has; returns when the provider has said its last, or `within_s`
        seconds later: then the socket is not waited for, either.

        Returns:
            Whether the provider has said its last.
        """
        if not isinstance(self._codec, ClosesGracefully):
            return False
        if not self._leaving:
            self._leaving = True
            try:
                if not self._sender.say_goodbye(self._codec):
                    return False
            except Exception as error:
                self._fail(error)
        await asyncio.wait([self._ended], timeout=within_s)
        self._patient = self._ended.done() and not self._ended.cancelled()
        return self._patient

    async def aclose(self) -> None:
        """Close the socket with a goodbye: a provider keeps a conversation, and may bill it, until it is told."""
        self._end(None)
        await hang_up(self.socket, patiently=self._patient)

    # Reading. Called by the socket, hence nothing may be raised.

    def _on_message(self, message: bytes) -> None:
        if self._ended.done():
            return
        self._liveness.message_came()
        if self._trace is not None:
            self._trace.received(message)
        self._take(lambda: self._receive(message), len(message))

    def _take(self, events: Callable[[], Sequence[Event | Expiring | Ended]], size: int) -> None:
        try:
            self._pass_on(events(), size)
        except RealtimeConnectionError as error:
            self._end(error)
        except Exception as error:
            self._fail(error)

    def _receive(self, message: bytes) -> Sequence[Event | Expiring | Ended]:
        try:
            return self._codec.receive(message)
        except ProtocolError as error:
            return [ErrorOccurred(error)]

    def _pass_on(self, received: Sequence[Event | Expiring | Ended], size: int) -> None:
        events: list[Event] = []
        last: RealtimeConnectionError | None = None
        for event in received:
            match event:
                case Expiring(left_s, at):
                    self._liveness.expires(left_s, at)
                    continue
                case Ended(error):
                    last = error
                    continue
                case AudioChunk(audio):
                    self._liveness.sounded(self._sound.duration_ms(len(audio)) / 1000)
                case Interrupted() | ResponseDone():
                    self._liveness.silenced()
            events.append(event)
        if self._before_start is not None:
            events = self._until_started(events)
        self._sender.reply()
        if events:
            self._deliver(events, size)
        if last is not None:
            self._end(last)

    def _until_started(self, events: list[Event]) -> list[Event]:
        """The events that may be told now: none before the SessionStarted, which comes first."""
        assert self._before_start is not None
        told = [*self._before_start, *events]
        for event in events:
            if isinstance(event, SessionStarted):
                told.remove(event)
                self._before_start = None
                self._started.set_result(None)
                return [event, *told]
        self._before_start = told
        self._sender.reply_at_once(self.socket)
        return []

    def _on_closed(self, closed: ConnectionClosed) -> None:
        if self._ended.done():
            return
        received = closed.rcvd
        if self._trace is not None:
            code, reason = (received.code, received.reason) if received else (None, "")
            self._trace.note("closed", code=code, reason=reason)
        try:
            self._end(self._meaning_of(closed))
        except Exception as error:
            self._fail(error)

    def _meaning_of(self, closed: ConnectionClosed) -> RealtimeConnectionError:
        received, sent = closed.rcvd, closed.sent
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

    # Writing and watching: tasks.

    async def _write(self) -> None:
        try:
            await self._sender.write_to(self.socket, self._liveness)
        except Exception as error:
            self._fail(error)

    async def _watch(self) -> None:
        try:
            lost = await self._liveness.watch()
            if lost is None and not self._leaving:
                self._replaced = True
                await self.leave(GOODBYE_S)
            self._end(lost)
        except Exception as error:
            self._fail(error)

    def _end(self, lost: RealtimeConnectionError | None) -> None:
        if not self._ended.done():
            self._ended.set_result(lost)

    def _fail(self, error: Exception) -> None:
        """A defect of the codec, or of ours."""
        if not self._ended.done():
            self._ended.set_exception(error)
            self._ended.exception()  # it may be that nobody waits
