"""Gemini's transcription on loopback: `GeminiTranscribing` behind a real WebSocket, with faults on demand."""

import asyncio
import contextlib
import json
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.gemini_transcription import GeminiTranscribing
from tests.loopback.gemini_wire import Frame
from tests.loopback.server import LoopbackServer, http_answer
from tests.loopback.spoken_words import words_in

__all__ = ["KEY", "Fault", "GeminiTranscriptionServer"]

KEY = "AIza-loopback-0123456789abcdef"
Stage = Literal["before_setup", "idle", "speaking", "previewed", "told"]


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a connection that reaches a stage.

    Attributes:
        close: a close code; None breaks the TCP connection.
        go_away_s: a goAway with this much time left is sent; ignored, the socket is closed after it with 1008.
        silent: nothing at all is sent from then on, and the socket stays open.
        after: how many utterances were told before.
    """

    stage: Stage
    close: int | None = None
    reason: str = ""
    go_away_s: float | None = None
    silent: bool = False
    after: int = 0


class GeminiTranscriptionServer(LoopbackServer):
    """`async with GeminiTranscriptionServer() as server:` and connect to `server.url` with KEY.

    Args:
        hears, offsets, activity: as for GeminiTranscribing.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP statuses for the first connections.
        lives_s: how long a connection lasts: a goAway comes 50 s before; None for ever.
        keys: what the server lets in.

    Attributes:
        sessions: one for each connection.
    """

    def __init__(
        self,
        *,
        hears: Callable[[bytes], str] = words_in,
        offsets: bool = True,
        activity: bool = True,
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[int] = (),
        lives_s: float | None = None,
        keys: Iterable[str] = (KEY,),
        forgiving: bool = False,
    ) -> None:
        super().__init__(forgiving=forgiving)
        self.hears = hears
        self.offsets = offsets
        self.activity = activity
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.lives_s = lives_s
        self.keys = set(keys)
        self.sessions: list[GeminiTranscribing] = []
        self.ignored = 0  # goAways

    @property
    def violations(self) -> list[str]:
        return [violation for session in self.sessions for violation in session.violations]

    @property
    def url(self) -> str:
        """A base URL."""
        return f"http://127.0.0.1:{self.port}"

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse:
            return http_answer(self.refuse.popleft(), {"error": {"message": "Not now."}})
        if not request.path.endswith("v1beta.GenerativeService.BidiGenerateContent"):
            return http_answer(404, {"error": {"message": "Method not found."}})
        return None

    async def talk(self, connection: ServerConnection) -> None:
        await _Talk(self, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(self, server: GeminiTranscriptionServer, connection: ServerConnection, fault: Fault | None) -> None:
        self._server = server
        self._connection = connection
        self._fault = fault
        assert connection.request is not None
        self._key = connection.request.headers.get("x-goog-api-key")
        self._session = GeminiTranscribing(hears=server.hears, offsets=server.offsets, activity=server.activity)
        self._leaving: asyncio.Task[None] | None = None
        self._mute = self._over = False

    async def run(self) -> None:
        self._server.sessions.append(self._session)
        if self._server.lives_s is not None:
            self._leaving = asyncio.create_task(self._live(self._server.lives_s))
        try:
            with contextlib.suppress(ConnectionClosed):
                while not self._over:
                    await self._take(await self._connection.recv())
        finally:
            if self._leaving is not None:
                self._leaving.cancel()
                await asyncio.gather(self._leaving, return_exceptions=True)

    async def _take(self, message: str | bytes) -> None:
        session, told = self._session, self._session.finals
        first = session.setup is None
        if first and await self._befalls("before_setup"):
            return
        if first and self._key not in self._server.keys:
            await self._connection.close(1007, "API key not valid. Please pass a valid API key.")
            return
        frames = session.receive(message)
        if session.finals > told and await self._befalls("told"):  # its words are on their way
            return
        await self._send(frames)
        if session.close is not None:
            await self._connection.close(*session.close)
        elif first:
            await self._befalls("idle")
        elif session.speaking and not await self._befalls("speaking") and session.previewed:
            await self._befalls("previewed")

    async def _send(self, frames: Iterable[Frame]) -> None:
        for frame in frames:
            if not self._mute:
                await self._connection.send(json.dumps(frame).encode())
        await self._server.note()

    async def _befalls(self, stage: Stage) -> bool:
        fault = self._fault
        if fault is None or fault.stage != stage or self._session.finals < fault.after:
            return False
        self._fault = None
        if fault.go_away_s is not None:
            self._leaving = asyncio.create_task(self._leave(fault.go_away_s))
            return False
        if fault.silent:
            self._mute = True
            return False
        self._over = True
        if fault.close is None:
            self._connection.transport.abort()
        elif fault.close in {1005, 1006, 1015}:  # no close frame can say these
            self._connection.transport.close()
        else:
            await self._connection.close(fault.close, fault.reason)
        return True

    async def _live(self, lives_s: float) -> None:
        await asyncio.sleep(lives_s - 50)
        await self._leave(50)

    async def _leave(self, after_s: float) -> None:
        await self._send([{"goAway": {"timeLeft": f"{after_s:g}s"}}])
        await asyncio.sleep(after_s)
        self._server.ignored += 1
        await self._connection.close(1008, "Connection aborted because the client failed to close the connection")
