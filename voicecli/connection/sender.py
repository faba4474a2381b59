"""The way up: commands from the program to the provider, over one socket after the other."""

import asyncio
from collections import deque
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from voicecli.commands import AppendAudio, Command
from voicecli.connection.dropped_audio import DroppedAudio
from voicecli.connection.frame_log import FrameLog
from voicecli.connection.liveness import Liveness
from voicecli.connection.send_queue import Pace, SendQueue
from voicecli.connection.socket import Socket
from voicecli.errors import RealtimeError
from voicecli.events import ErrorOccurred, Event
from voicecli.ports import Codec

__all__ = ["Sender"]

_LIVE_AUDIO_S = 1.0
# In base64 it is still below the write limit of an empty socket, so that writing it never waits.
_SMALL_AUDIO_BYTES = 8 * 2**10


class Sender:
    """Queues commands, has the codec encode each when it is its turn, and writes what comes of it.

    The codec sees a command when it is written, so that its state is that of the wire.

    Args:
        bytes_per_s: of the user's audio, in bytes per second.
        outage_audio_s: how much audio is kept while there is no connection, in seconds.
        tell: passes an event to the program.
        trace: the frame log, if there is one.
    """

    def __init__(
        self,
        codec: Codec,
        bytes_per_s: int,
        outage_audio_s: float,
        tell: Callable[[Event], None],
        trace: FrameLog | None,
    ) -> None:
        self._codec = codec
        self._outage_audio_s = max(outage_audio_s, _LIVE_AUDIO_S)
        self._tell = tell
        self._trace = trace
        self._queue = SendQueue(bytes_per_s, _LIVE_AUDIO_S)
        self._pace = Pace(bytes_per_s)
        self._clock = asyncio.get_running_loop().time
        self._dropped = DroppedAudio(bytes_per_s, self._outage_audio_s, tell)
        self._encoded: deque[bytes] = deque()  # what the codec made, not yet written
        self._socket: Socket | None = None  # the one in use
        self._unsent = asyncio.Event()
        self._room = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._over: RealtimeError | None = None

    @property
    def waiting(self) -> int:
        """The number of commands and encoded messages that have not been written."""
        return len(self._queue) + len(self._encoded)

    # For the program.

    async def send(self, command: Command) -> None:
        """See `WebSocketConnection.send`."""
        live = False
        if isinstance(command, AppendAudio):
            size = len(command.audio)
            if self._can_write_at_once(size):
                # Nearly always. The writing task would do the same, a switch of tasks later.
                self._encode(command)
                self._write_encoded()
                return
            live = self._pace.is_live(size, self._clock())
        while not live and self._over is None and not self._queue.has_room(command):
            self._room.clear()
            await self._room.wait()
            self._pace.waited(self._clock())
        if self._over is not None:
            raise self._over
        dropped = self._queue.put(command)
        self._drained.clear()
        self._unsent.set()
        if dropped:
            self._dropped.add(dropped, connected=self._socket is not None)

    async def drain(self) -> None:
        """Return when all commands have been written, or the conversation is over."""
        await self._drained.wait()

    # For the connection.

    def begin(self, socket: Socket) -> None:
        """Write what the codec opens a new socket with."""
        self._encoded.clear()
        self._codec.open()
        self.reply_at_once(socket)

    def reply_at_once(self, socket: Socket) -> None:
        """Write what the codec has queued, before the provider is ready; nothing when the socket is closed already."""
        self._take_encoded()
        while self._encoded and socket.is_open:
            self._write(socket, self._encoded.popleft())

    def reply(self) -> None:
        """Have what the codec has queued while it received written in its turn."""
        if replies := self._codec.data_to_send():
            self._encoded.extend(replies)
            self._unsent.set()

    async def write_to(self, socket: Socket, liveness: Liveness) -> None:
        """Write to a socket on which the provider is ready, until it is closed. Raises what the codec raises."""
        self._socket = socket
        try:
            while socket.is_open:
                await self._flush(socket, liveness)
                self._unsent.clear()
                await self._unsent.wait()
        except ConnectionClosed:
            pass  # why is told by what was received last
        finally:
            self._socket = None

    def disconnected(self) -> None:
        """The connection is lost, and dialled again: from now on more audio is kept."""
        self._queue.limit_s = self._outage_audio_s

    def end(self, over: RealtimeError) -> None:
        """The conversation is over: from now on `send()` raises this."""
        self._dropped.end()
        self._over = over
        self._room.set()
        self._drained.set()

    def _can_write_at_once(self, size: int) -> bool:
        """True when nothing waits, and so little audio can be written without waiting."""
        socket = self._socket
        return (
            socket is not None
            and not self._encoded
            and not self._queue
            and size <= _SMALL_AUDIO_BYTES
            and socket.is_clear
        )

    def _write_encoded(self) -> None:
        assert self._socket is not None
        while self._encoded:
            self._write(self._socket, self._encoded.popleft())

    def _write(self, socket: Socket, message: bytes) -> None:
        if self._trace is not None:
            self._trace.sent(message)
        socket.write(message)

    async def _flush(self, socket: Socket, liveness: Liveness) -> None:
        """Write all that waits."""
        while (message := self._next_message()) is not None:
            liveness.writing()
            if self._trace is not None:
                self._trace.sent(message)
            await socket.send(message, text=True)
        liveness.written()
        self._dropped.all_sent()
        # What an outage kept has gone out: from here on the network is expected to keep up.
        self._queue.limit_s = _LIVE_AUDIO_S
        self._drained.set()

    def _next_message(self) -> bytes | None:
        while not self._encoded:
            command = self._queue.pop()
            if command is None:
                return None
            self._room.set()
            self._encode(command)
        return self._encoded.popleft()

    def _encode(self, command: Command) -> None:
        try:
            self._codec.send(command)
        except RealtimeError as error:
            self._tell(ErrorOccurred(error))
        self._take_encoded()

    def _take_encoded(self) -> None:
        self._encoded.extend(self._codec.data_to_send())
