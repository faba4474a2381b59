"""Conversations with loose servers, without a network and in virtual time."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Sequence
from functools import partial

from tests.loopback.loose import Frame, LooseServer, as_json
from tests.support.codec_connection import CodecConnection
from tests.support.virtual_time import run_without_io
from voicecli.commands import Command
from voicecli.config import RealtimeConfig, VADMode
from voicecli.connection.silence import SilenceFeeder, TurnEndSilence
from voicecli.conversation.response import Response
from voicecli.conversation.session import VoiceSession
from voicecli.errors import ProtocolError, RealtimeConnectionError, RealtimeError
from voicecli.events import ErrorOccurred, Event, SessionStarted
from voicecli.ports import Capabilities, Codec, Ended, Expiring, StartsUnconfirmed
from voicecli.tools import Tool

__all__ = ["LooseConnection", "outcome_of"]

_GAP_S = 0.02
CONNECT_TIMEOUT_S = 10.0


class LooseConnection(CodecConnection):
    """Carries a codec's messages to a loose server and back, each on its own, a moment later."""

    def __init__(self, codec: Codec, capabilities: Capabilities, server: LooseServer, config: RealtimeConfig) -> None:
        super().__init__(codec, capabilities)
        feeder = SilenceFeeder(super().send, capabilities.input_rate)
        finds_turns = config.vad_mode is VADMode.SERVER
        self._turn_end = TurnEndSilence(feeder, config.response_timeout_s, finds_turns=finds_turns)
        self._server = server
        self._coming: asyncio.Queue[Frame] = asyncio.Queue()
        self._before: list[Event] = []
        self._started = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self.failure: RealtimeConnectionError | None = None

    async def begin(self) -> None:
        """Returns when the session has started. Raises RealtimeConnectionError."""
        self.codec.open()
        self._task = asyncio.create_task(self._deliver())
        for frame in self._server.open():
            self._coming.put_nowait(frame)
        self.flush()
        try:
            async with asyncio.timeout(CONNECT_TIMEOUT_S):
                while not self._started.is_set():
                    await self._wait_for_start()
        except TimeoutError:
            raise RealtimeConnectionError("It did not begin a conversation.") from None
        if self.failure is not None:
            raise self.failure

    async def _wait_for_start(self) -> None:
        codec = self.codec
        within_s = codec.confirmed_within_s if isinstance(codec, StartsUnconfirmed) else None
        try:
            async with asyncio.timeout(within_s):
                await self._started.wait()
        except TimeoutError:
            assert isinstance(codec, StartsUnconfirmed)
            self._take(codec.start_unconfirmed)

    async def send(self, command: Command) -> None:
        await super().send(command)
        self._turn_end.sent(command)

    def flush(self) -> list[Frame]:
        sent = super().flush()
        for message in sent:
            for frame in self._server.take(message):
                self._coming.put_nowait(frame)
        return sent

    async def _deliver(self) -> None:
        while True:
            frame = await self._coming.get()
            await asyncio.sleep(_GAP_S)
            self._take(partial(self.codec.receive, as_json(frame)))

    def _take(self, receive: Callable[[], Sequence[Event | Expiring | Ended]]) -> None:
        if self.failure is not None:
            return
        try:
            events = [event for event in receive() if not isinstance(event, Expiring | Ended)]
        except ProtocolError as error:
            events = [ErrorOccurred(error)]
        except RealtimeConnectionError as error:
            self.failure = error
            self._inbox.close(error)
            self._started.set()
            return
        self.flush()
        if not self._started.is_set():
            events, self._before = [*self._before, *events], []
            starts = [event for event in events if isinstance(event, SessionStarted)]
            if not starts:
                self._before = events
                return
            events.remove(starts[0])
            events.insert(0, starts[0])
            self._started.set()
        for event in events:
            self._turn_end.told(event)
        self._inbox.put(events)

    async def aclose(self) -> None:
        self._turn_end.stop()
        if self._task is not None:
            self._task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._task
        await super().aclose()


async def _speech(rate: int) -> AsyncIterator[bytes]:
    """A second of it, as it is spoken."""
    for _ in range(10):
        yield b"\x00\x20" * (rate // 10)
        await asyncio.sleep(0.1)


def outcome_of(
    codec: Codec,
    capabilities: Capabilities,
    server: LooseServer,
    config: RealtimeConfig,
    *,
    spoken: bool = False,
    tools: dict[str, Tool] | None = None,
) -> Response | RealtimeError:
    """The answer to a question, or the error in place of it. Whatever else is raised is a defect."""

    async def talk() -> Response:
        connection = LooseConnection(codec, capabilities, server, config)
        session = VoiceSession(connection, config, tools=tools)
        try:
            await connection.begin()
            await session.start()
            if spoken:
                return await session.send_audio(_speech(capabilities.input_rate), wait=True)
            return await session.send_text("What is it?", wait=True)
        finally:
            await session.aclose()
            await connection.aclose()

    try:
        return run_without_io(talk())
    except RealtimeError as error:
        return error
