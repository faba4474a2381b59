"""The way up: commands from the program to the provider, over one socket after the other."""

import asyncio
import contextlib
from collections import deque
from collections.abc import Callable

from websockets.exceptions import ConnectionClosed

from voicecli.commands import AppendAudio, Command
from voicecli.connection.dropped_audio import DroppedAudio, Why
from voicecli.connection.frame_log import FrameLog
from voicecli.connection.liveness import Liveness
from voicecli.connection.pacer import Pacer, pieces
from voicecli.connection.send_queue import Pace, SendQueue
from voicecli.connection.socket import Socket
from voicecli.errors import RealtimeError
from voicecli.events import ErrorOccurred, Event
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Capabilities, ClosesGracefully, Codec

__all__ = ["Sender"]

_LIVE_AUDIO_S = 1.0
# Where audio must keep to real time, what is late stays late: so much is as good as no delay.
_PACED_AUDIO_S = 0.3
# Of it, what a microphone's jitter makes.
_JITTER_S = 0.1
# A turn detector holds back up to 1.5 s (`conversation.withheld`) of what is spoken, and sends it in one go.
_HELD_BACK_S = 2.0
# Of what is to be written down, no word is old: this is 20 to 30 MB.
_ALL_AUDIO_S = 600.0
# In base64 it is still below the write limit of an empty socket, so that writing it never waits.
_SMALL_AUDIO_BYTES = 8 * 2**10


class Sender:
    """Queues commands, has the codec encode each when it is its turn, and writes what comes of it.

    The codec sees a command when it is written, so that its state is that of the wire.

    Args:
        capabilities: the rate of the user's audio, and whether it must flow.
        outage_audio_s: how much audio is kept while there is no connection, in seconds; where it must flow, none.
        tell: passes an event to the program.
        trace: the frame log, if there is one.
        is_full: as for `WebSocketConnection.open`.
    """

    def __init__(
        self,
        codec: Codec,
        capabilities: Capabilities,
        outage_audio_s: float,
        tell: Callable[[Event], None],
        trace: FrameLog | None,
        is_full: Callable[[], bool] | None = None,
    ) -> None:
        self._codec = codec
        self._is_full = is_full
        self._tell = tell
        self._trace = trace
        self._pacer = Pacer(capabilities.input_rate) if capabilities.input_must_flow else None
        self._format = PcmFormat(capabilities.input_rate)
        bytes_per_s = self._format.bytes_per_s
        ahead_s = _LIVE_AUDIO_S if self._pacer is None or is_full is not None else _PACED_AUDIO_S
        self._live_audio_s = ahead_s if is_full is None else _ALL_AUDIO_S
        self._outage_audio_s = max(outage_audio_s if self._pacer is None else 0.0, self._live_audio_s)
        self._queue = SendQueue(bytes_per_s, self._live_audio_s, None if is_full is None else _LIVE_AUDIO_S)
        self._pace = Pace(bytes_per_s, ahead_s)
        self._clock = asyncio.get_running_loop().time
        self._dropped = DroppedAudio(bytes_per_s, self._outage_audio_s, tell)
        self._encoded: deque[bytes] = deque()  # what the codec made, not yet written
        self._socket: Socket | None = None  # the one in use
        self._unsent = asyncio.Event()
        self._room = asyncio.Event()
        self._drained = asyncio.Event()
        self._drained.set()
        self._over: RealtimeError | None = None
        self._leaving = False  # the codec has said goodbye on this socket
        self._silence: AppendAudio | None = None  # of the connection's own
        self._blocked = False  # the network has not taken the last message yet

    @property
    def resumes_at(self) -> float:
        """See `Pacer.resumes_at`; only where audio must flow."""
        assert self._pacer is not None
        return self._pacer.resumes_at

    @property
    def waiting(self) -> int:
        """The number of commands and encoded messages that have not been written."""
        return len(self._queue) + len(self._encoded)

    # For the program.

    async def send(self, command: Command) -> None:
        """See `WebSocketConnection.send`."""
        if not isinstance(command, AppendAudio) or (self._pacer is None and not command.realtime):
            await self._send(command)
            return
        lasts_s = self._format.duration_ms(len(command.audio)) / 1000
        parts = list(pieces(command, self._format))
        held_back_s = min(lasts_s, _HELD_BACK_S) if self._pacer is None and len(parts) > 1 else 0.0
        if self._pacer is not None and command.realtime:  # the pieces of one chunk do not push each other out
            self._live_audio_s = max(self._live_audio_s, lasts_s)
            self._queue.limit_s = max(self._queue.limit_s, self._live_audio_s)
        for part in parts:
            await self._send(part, held_back_s)

    async def drain(self) -> None:
        """Return when all commands have been written, or the conversation is over."""
        await self._drained.wait()

    async def feed(self, silence: AppendAudio) -> None:
        """Send silence of the connection's own now; while something of the program's waits to be sent, none."""
        if self._socket is None or self._blocked or (self._queue and not self._leaving):
            return
        self._silence = silence
        if self._pacer is not None:
            self._pacer.silent()
        if self._can_write_at_once(len(silence.audio)):
            self._encode(silence)
            self._write_encoded()
        elif not self._leaving:
            self._queue.put(silence)
            self._unsent.set()

    # For the connection.

    def begin(self, socket: Socket) -> None:
        """Write what the codec opens a new socket with."""
        self._encoded.clear()
        self._leaving = False
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
        if replies or self._queue:  # which may have waited for what was received
            self._unsent.set()

    async def write_to(self, socket: Socket, liveness: Liveness) -> None:
        """Write to a socket on which the provider is ready, until it is closed. Raises what the codec raises."""
        self._socket = socket
        self._blocked = False
        if self._pacer is not None:
            self._pacer.begin()
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

    def say_goodbye(self, codec: ClosesGracefully) -> bool:
        """Have the codec end the conversation on this socket: nothing else is sent on it any more but silence.

        Returns:
            Whether the codec says anything, so that there is an answer to wait for.
        """
        if self._leaving:
            return True
        self._leaving = True
        codec.close()
        unsaid = len(self._encoded)
        self.reply()
        return len(self._encoded) > unsaid

    def end(self, over: RealtimeError) -> None:
        """The conversation is over: from now on `send()` raises this."""
        self._dropped.end()
        self._over = over
        self._room.set()
        self._drained.set()

    async def _send(self, command: Command, held_back_s: float = 0.0) -> None:
        live = False
        if isinstance(command, AppendAudio):
            size = len(command.audio)
            may_go = not self._queue and not self._too_early_s(command) and not self._must_wait()
            if may_go and self._can_write_at_once(size):
                # Nearly always. The writing task would do the same, a switch of tasks later.
                self._encode(command)
                self._write_encoded()
                return
            if held_back_s:  # it comes on top of what may wait, until all of that has left
                self._queue.limit_s = max(self._queue.limit_s, self._live_audio_s + held_back_s)
            # Not its own length: where that just fits, the rounding of its parts would decide.
            live = self._pace.is_live(size, self._clock(), _HELD_BACK_S if held_back_s else 0.0)
            live = live or (self._pacer is not None and command.realtime)
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
            self._dropped.add(dropped, self._why_dropped())

    def _why_dropped(self) -> Why:
        if self._socket is None or self._leaving:
            return Why.NO_CONNECTION
        return Why.TOO_LATE if self._pacer is not None and self._socket.is_clear else Why.TOO_SLOW

    def _too_early_s(self, audio: AppendAudio) -> float:
        """How long the program's next audio has to wait, in seconds."""
        if self._pacer is None or (self._is_full is not None and audio.realtime):
            return 0.0  # what is spoken now, and is to be written down, is late where it has waited
        return self._pacer.wait_s()

    def _must_wait(self) -> bool:
        """Whether nothing of the program's may be sent for now, however long it has waited."""
        return self._leaving or (self._is_full is not None and self._is_full())

    def _can_write_at_once(self, size: int) -> bool:
        """True when so little audio can be written without waiting."""
        socket = self._socket
        return socket is not None and not self._encoded and size <= _SMALL_AUDIO_BYTES and socket.is_clear

    def _write_encoded(self) -> None:
        assert self._socket is not None
        while self._encoded:
            self._write(self._socket, self._encoded.popleft())

    def _write(self, socket: Socket, message: bytes) -> None:
        if self._trace is not None:
            self._trace.sent(message)
        socket.write(message)

    async def _flush(self, socket: Socket, liveness: Liveness) -> None:
        """Write all that waits, each piece of audio when it is time."""
        while True:
            if early_s := self._next_is_early_s():
                self._caught_up(liveness)
                self._unsent.clear()
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(early_s):
                        await self._unsent.wait()
                continue
            message = self._next_message()
            if message is None:
                break
            liveness.writing()
            if self._trace is not None:
                self._trace.sent(message)
            self._blocked = True
            await socket.send(message, text=True)
            self._blocked = False
        self._caught_up(liveness)
        if not self._queue:
            self._drained.set()

    def _caught_up(self, liveness: Liveness) -> None:
        """All that may be sent by now has left."""
        liveness.written()
        self._dropped.all_sent()
        # What an outage kept has gone out: from here on the network is expected to keep up.
        self._queue.limit_s = self._live_audio_s

    def _next_is_early_s(self) -> float:
        """How long what is to be written next has to wait, in seconds; 0 where it has not."""
        if self._encoded or self._leaving or self._pacer is None:
            return 0.0
        if self._is_full is None and self._queue.skip_silence(_JITTER_S):
            self._room.set()
        head = self._queue.head
        return self._too_early_s(head) if isinstance(head, AppendAudio) and head is not self._silence else 0.0

    def _next_message(self) -> bytes | None:
        while not self._encoded:
            command = self._queue.pop() if not self._must_wait() else None
            if command is None:
                return None
            self._room.set()
            self._encode(command)
        return self._encoded.popleft()

    def _encode(self, command: Command) -> None:
        if self._pacer is not None and isinstance(command, AppendAudio) and command is not self._silence:
            self._pacer.sent(len(command.audio))
        try:
            self._codec.send(command)
        except RealtimeError as error:
            self._tell(ErrorOccurred(error))
        self._take_encoded()

    def _take_encoded(self) -> None:
        self._encoded.extend(self._codec.data_to_send())
