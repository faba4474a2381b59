"""OpenAI's Realtime API on loopback: `OpenAISession` behind a real WebSocket, with faults on demand."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.openai_script import Call, McpCall, Reply, tone
from tests.loopback.openai_session import OpenAISession
from tests.loopback.server import LoopbackServer, http_answer

__all__ = ["KEY", "Call", "Fault", "McpCall", "OpenAIServer", "Refuse", "Reply", "tone"]

KEY = "sk-loopback-0123456789abcdef"
Stage = Literal["before_created", "before_updated", "idle", "user_speaking", "mid_response", "mid_tool"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a connection that reaches a stage.

    Attributes:
        close: a close code; None breaks the TCP connection.
        reason: of the close.
        error: a code: an `error` event is sent before.
        silent: nothing at all is sent from then on, and the socket stays open.
    """

    stage: Stage
    close: int | None = None
    reason: str = ""
    error: str = ""
    silent: bool = False


@dataclass(frozen=True, kw_only=True)
class Refuse:
    """An HTTP answer in place of a WebSocket."""

    status: int
    code: str = ""
    headers: Mapping[str, str] = field(default_factory=dict)


class OpenAIServer(LoopbackServer):
    """`async with OpenAIServer() as server:` and connect to `server.url` with KEY.

    Leaving it raises AssertionError if a client broke a rule, unless `forgiving`.

    Args:
        replies, hears, transcribe, late_deltas, needs_silence_ms: as for OpenAISession; the first two go on over
            connections.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP answers to the first connections.
        delay_s: between two frames of a reply.
        voice_detector: makes what each session knows a voice by, as `is_voice` of OpenAISession.
        keys: what the server lets in.

    Attributes:
        frames: all events received, over all connections.
        sessions: one for each connection that got as far as session.created.
    """

    def __init__(
        self,
        *,
        replies: Iterable[Reply] = (),
        hears: Iterable[str] = (),
        transcribe: str = "reply",
        late_deltas: int = 0,
        needs_silence_ms: int | None = None,
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[Refuse] = (),
        delay_s: float = 0.0,
        keys: Iterable[str] = (KEY,),
        models: Callable[[str], bool] = lambda name: name.startswith("gpt-"),
        voice_detector: Callable[[], Callable[[bytes], bool]] | None = None,
        forgiving: bool = False,
    ) -> None:
        super().__init__(forgiving=forgiving)
        self.replies = deque(replies)
        self.hears = deque(hears)
        self.transcribe = transcribe
        self.late_deltas = late_deltas
        self.needs_silence_ms = needs_silence_ms
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.delay_s = delay_s
        self.voice_detector = voice_detector
        self.keys = set(keys)
        self.models = models
        self.sessions: list[OpenAISession] = []
        self.frames: list[dict[str, Any]] = []
        self.handshakes: list[Headers] = []

    @property
    def violations(self) -> list[str]:
        return [violation for session in self.sessions for violation in session.violations]

    @property
    def url(self) -> str:
        """A base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def received(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.frames if frame.get("type") == kind]

    # One connection

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.handshakes.append(request.headers)
        if urlsplit(request.path).path == "/v1/models":
            listed = {
                "object": "list",
                "data": [{"id": name} for name in ("gpt-realtime-2.1", "gpt-realtime-9", "gpt-9")],
            }
            allowed = request.headers.get("Authorization", "").removeprefix("Bearer ") in self.keys
            return (
                http_answer(200, listed)
                if allowed
                else http_answer(401, {"error": {"message": "Incorrect API key provided: sk-x"}})
            )
        if not self.refuse:
            return None
        refusal = self.refuse.popleft()
        body = {"error": {"code": refusal.code, "message": f"Refused: {refusal.code}."}} if refusal.code else {}
        return http_answer(refusal.status, body, refusal.headers)

    async def talk(self, connection: ServerConnection) -> None:
        await _Talk(self, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(self, server: OpenAIServer, connection: ServerConnection, fault: Fault | None) -> None:
        self._server = server
        self._connection = connection
        self._fault = fault
        self._speaking: asyncio.Task[None] | None = None
        self._mute = False
        self._over = False
        assert connection.request is not None
        self._request = connection.request
        query = parse_qs(urlsplit(self._request.path).query)
        self._model = query.get("model", [""])[0]
        self._session = OpenAISession(
            model=self._model,
            replies=server.replies,
            hears=server.hears,
            transcribe=server.transcribe,
            late_deltas=server.late_deltas,
            needs_silence_ms=server.needs_silence_ms,
            is_voice=server.voice_detector and server.voice_detector(),
        )

    async def run(self) -> None:
        if refused := self._refused_start():
            code, message, close = refused
            await self._send([self._session.error(code, message)])
            await self._connection.close(close, f"invalid_request_error.{code}")
            return
        if await self._befalls("before_created"):
            return
        self._server.sessions.append(self._session)
        await self._send(self._session.start())
        try:
            while not await self._take(await self._connection.recv()):
                pass
        finally:
            if self._speaking is not None:
                self._speaking.cancel()
                await asyncio.gather(self._speaking, return_exceptions=True)

    def _refused_start(self) -> tuple[str, str, int] | None:
        headers = self._request.headers
        key = headers.get("Authorization", "").removeprefix("Bearer ")
        if "OpenAI-Beta" in headers:
            return "beta_api_shape_disabled", "The Realtime Beta API is no longer supported.", 4000
        if key not in self._server.keys:
            return "invalid_api_key", f"Incorrect API key provided: {key[:7]}***{key[-4:]}.", 3000
        if not self._model:
            return "missing_model", "You must provide a model parameter.", 4000
        if not self._server.models(self._model):
            return "invalid_model", f"Model {self._model!r} is not supported in realtime mode.", 4000
        return None

    async def _take(self, message: str | bytes) -> bool:
        """Returns whether the connection has met its fault."""
        session, server = self._session, self._server
        with contextlib.suppress(ValueError):
            server.frames.append(json.loads(message))
        await server.note()
        kind = server.frames[-1].get("type") if server.frames else None
        if self._over or (kind == "session.update" and await self._befalls("before_updated")):
            return True
        await self._send(session.receive(message))
        if kind == "session.update" and await self._befalls("idle"):
            return True
        speaking = session.speech is not None or session.config["audio"]["input"]["turn_detection"] is None
        if kind == "input_audio_buffer.append" and speaking and await self._befalls("user_speaking"):
            return True
        if self._speaking is None or self._speaking.done():
            self._speaking = asyncio.create_task(self._speak())
        return False

    async def _speak(self) -> None:
        with contextlib.suppress(ConnectionClosed):
            while frames := self._session.step():
                await self._send(frames)
                kinds = {frame["type"] for frame in frames}
                if kinds & {"response.output_audio.delta"} and await self._befalls("mid_response"):
                    return
                if "response.done" in kinds and self._session.unanswered_calls and await self._befalls("mid_tool"):
                    return
                await asyncio.sleep(self._server.delay_s)

    async def _send(self, frames: Iterable[dict[str, Any]]) -> None:
        for frame in frames:
            if not self._mute:
                await self._connection.send(json.dumps(frame))
        await self._server.note()

    async def _befalls(self, stage: Stage) -> bool:
        fault = self._fault
        if fault is None or fault.stage != stage:
            return False
        self._fault, self._over = None, True
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
