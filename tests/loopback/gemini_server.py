"""Gemini's Live API on loopback: `GeminiSession` behind a real WebSocket, with faults on demand."""

import asyncio
import contextlib
import json
import re
import ssl
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal
from urllib.parse import urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.gemini_session import Call, GeminiSession, Google, Reply, tone
from tests.loopback.gemini_wire import Frame
from tests.loopback.server import LoopbackServer, http_answer

__all__ = ["KEY", "Call", "Fault", "GeminiServer", "Google", "Refuse", "Reply", "tone"]

KEY = "AIza-loopback-0123456789abcdef"
GO_AWAY_IGNORED = "Connection aborted because the client failed to close the connection after receiving a GoAway"
_PATH = re.compile(
    r"/ws/google\.ai\.generativelanguage\.v1(alpha|beta)?\.GenerativeService\.BidiGenerateContent(Constrained)?"
    r"|/ws/google\.cloud\.aiplatform\.v1beta1\.LlmBidiService/BidiGenerateContent"
)
Stage = Literal["before_setup", "idle", "user_speaking", "mid_response", "mid_tool"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a connection that reaches a stage.

    Attributes:
        close: a close code; None breaks the TCP connection.
        reason: of the close.
        silent: nothing at all is sent from then on, and the socket stays open.
        go_away_s: a goAway with this much time left is sent; ignored, the socket is closed after it with 1008.
    """

    stage: Stage
    close: int | None = None
    reason: str = ""
    silent: bool = False
    go_away_s: float | None = None


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """An HTTP answer in place of a WebSocket."""

    status: int
    message: str = ""


class GeminiServer(LoopbackServer):
    """`async with GeminiServer() as server:` and connect to `server.url` with KEY.

    Leaving it raises AssertionError if a client broke a rule, unless `forgiving`.

    Args:
        google: what outlives a connection; the other arguments say the same in short.
        replies, hears: as for Google.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP answers to the first connections.
        delay_s: between two messages of a reply.
        keys: what the server lets in.
        voice_detector: makes what each session knows a voice by, as `is_voice` of GeminiSession.
        tls: the server's certificate.

    Attributes:
        frames: all messages received, over all connections, in camelCase and with bytes decoded.
        sessions: one for each connection.
    """

    def __init__(
        self,
        *,
        google: Google | None = None,
        replies: Iterable[Reply] = (),
        hears: Iterable[str] = (),
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[Refuse] = (),
        delay_s: float = 0.0,
        keys: Iterable[str] = (KEY,),
        voice_detector: Callable[[], Callable[[bytes], bool]] | None = None,
        tls: ssl.SSLContext | None = None,
        forgiving: bool = False,
    ) -> None:
        super().__init__(tls=tls, forgiving=forgiving)
        self.google = google or Google()
        self.google.replies.extend(replies)
        self.google.hears.extend(hears)
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.delay_s = delay_s
        self.keys = set(keys)
        self.voice_detector = voice_detector
        self.sessions: list[GeminiSession] = []
        self.handshakes: list[Request] = []

    @property
    def frames(self) -> list[Frame]:
        return [frame for session in self.sessions for frame in session.received]

    @property
    def violations(self) -> list[str]:
        return [violation for session in self.sessions for violation in session.violations]

    @property
    def url(self) -> str:
        """A base URL."""
        return f"{'https' if self.tls else 'http'}://127.0.0.1:{self.port}"

    def received(self, kind: str) -> list[Frame]:
        """The bodies of all messages of a kind."""
        return [frame[kind] for frame in self.frames if kind in frame]

    # -- one connection

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request)
        address = urlsplit(request.path)
        if self.refuse:
            refusal = self.refuse.popleft()
            return http_answer(refusal.status, {"error": {"code": refusal.status, "message": refusal.message}})
        if address.path.endswith("/models"):
            return self._models(request)
        if not _PATH.fullmatch(address.path):
            return http_answer(404, {"error": {"code": 404, "message": "Method not found."}})
        return None

    def _models(self, request: Request) -> Response:
        if request.headers.get("x-goog-api-key") not in self.keys:
            return http_answer(
                400, {"error": {"code": 400, "message": "API key not valid. Please pass a valid API key."}}
            )
        listed = [
            {"name": "models/gemini-3.8-live", "supportedGenerationMethods": ["bidiGenerateContent"]},
            {
                "name": "models/gemini-9-live",
                "displayName": "Nine",
                "supportedGenerationMethods": ["bidiGenerateContent"],
            },
            {"name": "models/gemini-3-pro", "supportedGenerationMethods": ["generateContent"]},
        ]
        return http_answer(200, {"models": listed})

    async def talk(self, connection: ServerConnection) -> None:
        await _Talk(self, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(self, server: GeminiServer, connection: ServerConnection, fault: Fault | None) -> None:
        self._server = server
        self._connection = connection
        self._fault = fault
        self._speaking: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._mute = False
        assert connection.request is not None
        headers = connection.request.headers
        given = headers.get("x-goog-api-key") or headers.get("Authorization", "").removeprefix("Bearer ")
        self._session = GeminiSession(
            server.google,
            key_is_good=given in server.keys,
            has_key=bool(given),
            is_voice=server.voice_detector and server.voice_detector(),
        )

    async def run(self) -> None:
        self._server.sessions.append(self._session)
        try:
            while True:
                await self._take(await self._connection.recv())
        finally:
            for task in (self._speaking, self._leaving):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)

    async def _take(self, message: str | bytes) -> None:
        session = self._session
        first = session.setup is None
        if first and await self._befalls("before_setup"):
            return
        await self._send(session.receive(message))
        if session.close is not None:
            await self._connection.close(*session.close)
            return
        if first and await self._befalls("idle"):
            return
        if session.speaking and len(session.heard) and await self._befalls("user_speaking"):
            return
        if self._speaking is None or self._speaking.done():
            self._speaking = asyncio.create_task(self._speak())

    async def _speak(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            began = asyncio.get_running_loop().time()
            while frames := self._session.step():
                await self._send(frames)
                if self._server.google.holds_end and frames[0].get("serverContent", {}).get("generationComplete"):
                    await self._play(began)
                if any("modelTurn" in frame.get("serverContent", {}) for frame in frames) and await self._befalls(
                    "mid_response"
                ):
                    return
                if any("toolCall" in frame for frame in frames) and await self._befalls("mid_tool"):
                    return
                await asyncio.sleep(self._server.delay_s)

    async def _play(self, began: float) -> None:
        """Wait until what was said since then would have been heard, or is interrupted."""
        time = asyncio.get_running_loop().time
        while self._session.replying and time() < began + self._session.played_s:
            await asyncio.sleep(0.5)

    async def _send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if not self._mute:
                await self._connection.send(json.dumps(frame).encode())
        await self._server.note()

    async def _befalls(self, stage: Stage) -> bool:
        """Whether the connection is to be served no longer."""
        fault = self._fault
        if fault is None or fault.stage != stage:
            return False
        self._fault = None
        if fault.go_away_s is not None:
            await self._send([{"goAway": {"timeLeft": f"{fault.go_away_s:g}s"}}])
            self._leaving = asyncio.create_task(self._leave(fault.go_away_s))
            return False
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

    async def _leave(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._connection.close(1008, GO_AWAY_IGNORED)
