"""GPT-Live on loopback: `LiveSession` behind a real WebSocket, with faults on demand."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.live_script import Call, LiveReply, Loose, Work, tone
from tests.loopback.live_session import LiveSession
from tests.loopback.server import LoopbackServer, http_answer

__all__ = ["KEY", "Call", "Fault", "LiveReply", "LiveServer", "Loose", "Work", "tone"]

KEY = "sk-loopback-0123456789abcdef"
_PATHS = {"/v1/live/sessions", "/openai/v1/live/sessions"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What befalls a connection.

    Attributes:
        at_ms: when, on the session's clock; 0 as soon as it starts.
        close: a close code; None breaks the TCP connection.
        ends: the reason of a `session.closed` that is told before; "" for none.
        error: the code of an error that is told before; "" for none.
        silent: nothing at all is sent from then on, and the socket stays open.
    """

    at_ms: int = 0
    close: int | None = None
    ends: str = ""
    error: str = ""
    silent: bool = False


class LiveServer(LoopbackServer):
    """`async with LiveServer() as server:` and connect to `server.url` with KEY.

    Leaving it raises AssertionError if a client broke a rule, unless `forgiving`.

    Args:
        replies, hears: as for LiveSession; they go on over connections.
        loose: how it differs from what is documented.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP statuses that answer the first connections.
        keys: what the server lets in.

    Attributes:
        frames: all events received, over all connections.
        sessions: one for each connection.
    """

    def __init__(
        self,
        *,
        replies: Iterable[LiveReply] = (),
        hears: Iterable[str] = (),
        loose: Loose | None = None,
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[int] = (),
        keys: Iterable[str] = (KEY,),
        forgiving: bool = False,
    ) -> None:
        super().__init__(forgiving=forgiving)
        self.replies = deque(replies)
        self.hears = deque(hears)
        self.loose = loose or Loose()
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.keys = set(keys)
        self.sessions: list[LiveSession] = []
        self.frames: list[dict[str, Any]] = []
        self.handshakes: list[Headers] = []
        self.paths: list[str] = []

    @property
    def violations(self) -> list[str]:
        return [violation for session in self.sessions for violation in session.violations]

    @property
    def url(self) -> str:
        """A base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def received(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame.get("type") == kind]

    # -- one connection

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request.headers)
        self.paths.append(request.path)
        key = request.headers.get("Authorization", "").removeprefix("Bearer ") or request.headers.get("api-key")
        path = urlsplit(request.path).path
        if self.refuse:
            return http_answer(self.refuse.popleft(), {"error": {"message": "Not now."}})
        if key not in self.keys:
            wrong = {"code": "invalid_api_key", "type": "invalid_request_error", "message": "Incorrect API key."}
            return http_answer(401, {"error": wrong})
        if path.endswith("/models"):
            listed = [{"id": name} for name in ("gpt-live-1.1", "gpt-live-9", "gpt-realtime-2.1", "gpt-9")]
            return http_answer(200, {"object": "list", "data": listed})
        if path not in _PATHS or urlsplit(request.path).query:
            return http_answer(404, {"error": {"message": f"Nothing is at {request.path}."}})
        return None

    async def talk(self, connection: ServerConnection) -> None:
        session = LiveSession(replies=self.replies, hears=self.hears, loose=self.loose, number=len(self.sessions) + 1)
        self.sessions.append(session)
        await _Talk(self, session, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(
        self, server: LiveServer, session: LiveSession, connection: ServerConnection, fault: Fault | None
    ) -> None:
        self._server = server
        self._session = session
        self._connection = connection
        self._fault = fault
        self._mute = False

    async def run(self) -> None:
        clock = asyncio.get_running_loop().time
        while not self._session.ended:
            message = await self._connection.recv()
            with contextlib.suppress(ValueError):
                self._server.frames.append(json.loads(message))
            await self._server.note()
            if self._session.config is None and self._server.loose.start_ms:
                await asyncio.sleep(self._server.loose.start_ms / 1000)
            await self._send(self._session.receive(message, clock()))
            if await self._befalls():
                return
        await self._connection.close(1000)

    async def _send(self, frames: Iterable[dict[str, Any]]) -> None:
        if self._mute:
            return
        with contextlib.suppress(ConnectionClosed):
            for frame in frames:
                await self._connection.send(json.dumps(frame))

    async def _befalls(self) -> bool:
        fault, session = self._fault, self._session
        if fault is None or session.config is None or session.now_ms < fault.at_ms:
            return False
        self._fault = None
        if fault.error:
            await self._send([session.error(fault.error, f"It happened: {fault.error}.")])
        if fault.ends:
            await self._send(session.end(fault.ends))
        if fault.silent:
            self._mute = True
            return False
        if fault.close is None:
            self._connection.transport.abort()
        else:
            await self._connection.close(fault.close)
        return True
