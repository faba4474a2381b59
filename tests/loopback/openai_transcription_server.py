"""OpenAI's transcription on loopback: `TranscriptionSession` behind a real WebSocket, with faults on demand."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.openai_transcription import TranscriptionSession
from tests.loopback.server import LoopbackServer, http_answer
from tests.loopback.spoken_words import words_in

__all__ = ["KEY", "Fault", "TranscriptionServer"]

KEY = "sk-loopback-0123456789abcdef"
Stage = Literal["before_created", "before_updated", "idle", "user_speaking", "committed", "completed"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a connection that reaches a stage.

    Attributes:
        close: a close code; None breaks the TCP connection.
        reason: of the close.
        error: a code: an `error` event is sent before.
        silent: nothing at all is sent from then on, and the socket stays open.
        after: how often the stage is passed before.
    """

    stage: Stage
    close: int | None = None
    reason: str = ""
    error: str = ""
    silent: bool = False
    after: int = 0


class TranscriptionServer(LoopbackServer):
    """`async with TranscriptionServer() as server:` and connect to `server.url` with KEY.

    Leaving it raises AssertionError if a client broke a rule, unless `forgiving`.

    Args:
        hears, next_of: as for TranscriptionSession; they go on over connections.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP statuses for the first connections.
        lag_s: between a commit and what comes of it.
        keys: what the server lets in.

    Attributes:
        sessions: one for each connection that got as far as session.created.
    """

    def __init__(
        self,
        *,
        hears: Callable[[bytes], str] = words_in,
        next_of: Callable[[int], int] = lambda waiting: 0,
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[int] = (),
        lag_s: float = 0.0,
        keys: Iterable[str] = (KEY,),
        forgiving: bool = False,
    ) -> None:
        super().__init__(forgiving=forgiving)
        self.hears = hears
        self.next_of = next_of
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.lag_s = lag_s
        self.keys = set(keys)
        self.sessions: list[TranscriptionSession] = []
        self.handshakes: list[Headers] = []

    @property
    def violations(self) -> list[str]:
        return [violation for session in self.sessions for violation in session.violations]

    @property
    def url(self) -> str:
        """A base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def received(self, kind: str) -> list[dict[str, Any]]:
        return [frame for session in self.sessions for frame in session.received if frame["type"] == kind]

    # One connection

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request.headers)
        if self.refuse:
            return http_answer(self.refuse.popleft(), {"error": {"message": "Not now."}})
        address = urlsplit(request.path)
        if address.path != "/v1/realtime":
            return http_answer(404, {"error": {"message": "There is nothing."}})
        if parse_qs(address.query, keep_blank_values=True) != {"intent": ["transcription"]}:
            return http_answer(400, {"error": {"message": f"What is {address.query!r}?"}})
        if request.headers.get("Authorization", "").removeprefix("Bearer ") not in self.keys:
            return http_answer(401, {"error": {"code": "invalid_api_key", "message": "Incorrect API key provided."}})
        return None

    async def talk(self, connection: ServerConnection) -> None:
        await _Talk(self, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(self, server: TranscriptionServer, connection: ServerConnection, fault: Fault | None) -> None:
        self._server = server
        self._connection = connection
        self._fault = fault
        self._passed = 0
        self._mute = False
        self._telling: set[asyncio.Task[None]] = set()
        self._session = TranscriptionSession(hears=server.hears, next_of=server.next_of)

    async def run(self) -> None:
        if await self._befalls("before_created"):
            return
        self._server.sessions.append(self._session)
        await self._send(self._session.start())
        try:
            while not await self._take(await self._connection.recv()):
                pass
        finally:
            for task in self._telling:
                task.cancel()
            await asyncio.gather(*self._telling, return_exceptions=True)

    async def _take(self, message: str | bytes) -> bool:
        """Returns whether the connection has met its fault."""
        kind = json.loads(message).get("type")
        if kind == "session.update" and await self._befalls("before_updated"):
            return True
        await self._send(self._session.receive(message))
        if kind == "session.update" and await self._befalls("idle"):
            return True
        if kind == "input_audio_buffer.append" and self._session.speaking and await self._befalls("user_speaking"):
            return True
        if kind == "input_audio_buffer.commit":
            if await self._befalls("committed"):
                return True
            task = asyncio.create_task(self._tell())
            self._telling.add(task)
            task.add_done_callback(self._telling.discard)
        return False

    async def _tell(self) -> None:
        await asyncio.sleep(self._server.lag_s)
        with contextlib.suppress(ConnectionClosed):
            await self._send(self._session.step())
            await self._befalls("completed")

    async def _send(self, frames: Iterable[dict[str, Any]]) -> None:
        for frame in frames:
            if not self._mute:
                await self._connection.send(json.dumps(frame))
        await self._server.note()

    async def _befalls(self, stage: Stage) -> bool:
        fault = self._fault
        if fault is None or fault.stage != stage:
            return False
        self._passed += 1
        if self._passed <= fault.after:
            return False
        self._fault = None
        if fault.error:
            await self._send([self._session.error(fault.error, f"It happened: {fault.error}.")])
        if fault.silent:
            self._mute = True
            await self._connection.wait_closed()
        elif fault.close is None:
            self._connection.transport.abort()
        elif fault.close in {1005, 1006, 1015}:  # no close frame can say these
            self._connection.transport.close()
        else:
            await self._connection.close(fault.close, fault.reason)
        return True
