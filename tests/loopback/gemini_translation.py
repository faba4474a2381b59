"""Gemini's live translation on loopback, as strict as Google's SDK and what is known of the service."""

import asyncio
import base64
import contextlib
import json
from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.gemini_wire import Frame, RefusedError, check_client_frame, check_server_frame
from tests.loopback.interpreting import Flow, Interpreting, Said, Sentence
from tests.loopback.server import LoopbackServer, http_answer

__all__ = ["KEY", "Fault", "GeminiTranslationServer", "Sentence"]

KEY = "AIza-loopback-0123456789abcdef"
RATE = 16_000
_MODEL = "models/gemini-3.5-live-translate-preview"
_SHORTEST_MS, _LONGEST_MS = 20, 100
_GENERATION = {"responseModalities", "translationConfig"}
_SETUP = {"model", "generationConfig", "inputAudioTranscription", "outputAudioTranscription"}


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a connection that reaches a stage.

    Attributes:
        close: a close code; None breaks the TCP connection.
        go_away_s: a goAway with this much time left is sent; ignored, the socket is closed after it.
    """

    stage: Literal["before_setup", "speaking", "translating"]
    close: int | None = None
    reason: str = ""
    go_away_s: float | None = None


class GeminiTranslationServer(LoopbackServer):
    """`async with GeminiTranslationServer() as server:` and connect to `server.url` with KEY.

    Args:
        sentences: what is heard, and said, over all connections.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP statuses with messages, for the first connections.
        keys: what the server lets in.
        tags: what leads the first transcript of each sentence, such as a language code.

    Attributes:
        frames: all messages received, over all connections; of audio the length in ms in place of the sound.
        sessions: what each connection has heard.
    """

    def __init__(
        self,
        *,
        sentences: Iterable[Sentence] = (),
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[tuple[int, str]] = (),
        keys: Iterable[str] = (KEY,),
        tags: str = "",
        forgiving: bool = False,
    ) -> None:
        super().__init__(forgiving=forgiving)
        self.sentences = deque(sentences)
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.keys = set(keys)
        self.tags = tags
        self.frames: list[Frame] = []
        self.sessions: list[Interpreting] = []
        self.broken: list[str] = []

    @property
    def violations(self) -> list[str]:
        return self.broken

    @property
    def url(self) -> str:
        """A base URL."""
        return f"http://127.0.0.1:{self.port}"

    def received(self, kind: str) -> list[Frame]:
        """The bodies of all messages of a kind."""
        return [frame[kind] for frame in self.frames if kind in frame]

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        if self.refuse:
            status, message = self.refuse.popleft()
            return http_answer(status, {"error": {"code": status, "message": message}})
        if not request.path.endswith("v1beta.GenerativeService.BidiGenerateContent"):
            return http_answer(404, {"error": {"code": 404, "message": "Method not found."}})
        return None

    async def talk(self, connection: ServerConnection) -> None:
        await _Talk(self, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(self, server: GeminiTranslationServer, connection: ServerConnection, fault: Fault | None) -> None:
        self._server = server
        self._connection = connection
        self._fault = fault
        assert connection.request is not None
        self._key = connection.request.headers.get("x-goog-api-key")
        self._setup: Frame = {}
        self._session = Interpreting(RATE, server.sentences)
        self._flow: Flow | None = None
        self._leaving: asyncio.Task[None] | None = None
        self._resting: asyncio.Task[None] | None = None
        self._over = False

    async def run(self) -> None:
        self._server.sessions.append(self._session)
        try:
            with contextlib.suppress(ConnectionClosed):
                while not self._over:
                    await self._take(await self._connection.recv())
        finally:
            for task in (self._leaving, self._resting):
                if task is not None:
                    task.cancel()
                    await asyncio.gather(task, return_exceptions=True)
        if self._flow is not None:
            self._server.broken += self._flow.violations

    async def _take(self, message: str | bytes) -> None:
        try:
            kind, body = check_client_frame(json.loads(message))
            if not self._setup:
                await self._begin(kind, body)
                return
            if kind != "realtimeInput":
                raise RefusedError(f"{kind} is not for translations")
        except (ValueError, RefusedError) as error:
            reason = getattr(error, "reason", str(error))
            self._server.broken.append(reason)
            await self._leave_with(getattr(error, "code", 1007), reason)
            return
        if "audio" in body:
            await self._hear(body["audio"])
        else:
            self._server.frames.append({kind: body})
            if body.get("audioStreamEnd"):
                if self._flow is not None:
                    self._server.broken += self._flow.violations
                self._flow = None  # nothing has to flow any more
                self._session.end()
                self._resting = asyncio.create_task(self._say_the_rest())
        await self._server.note()

    async def _begin(self, kind: str, setup: Frame) -> None:
        self._server.frames.append({kind: setup})
        if await self._befalls("before_setup"):
            return
        if self._key not in self._server.keys:
            await self._leave_with(1007, "API key not valid. Please pass a valid API key.")
            return
        generation = setup.get("generationConfig", {})
        if kind != "setup" or set(setup) - _SETUP or set(generation) - _GENERATION or setup["model"] != _MODEL:
            raise RefusedError(f"a setup with {sorted(setup)}, {sorted(generation)}")
        if not generation.get("translationConfig", {}).get("targetLanguageCode"):
            self._server.broken.append("no targetLanguageCode: it would be silent for ever")
        self._setup = setup
        await self._send({"setupComplete": {"sessionId": "s1"}})

    async def _hear(self, blob: Frame) -> None:
        data = blob["data"]
        audio = data if isinstance(data, bytes) else base64.urlsafe_b64decode(data)
        ms = len(audio) / (RATE * 2) * 1000
        self._server.frames.append({"realtimeInput": {"audio": ms}})
        if not _SHORTEST_MS <= ms <= _LONGEST_MS or blob["mimeType"] != "audio/pcm;rate=16000":
            self._server.broken.append(f"a frame of {ms:.1f} ms, {blob['mimeType']}")
        now = asyncio.get_running_loop().time()
        self._flow = self._flow or Flow(now)
        self._flow.came(ms, now)
        said = self._session.hear(audio)
        if any(audio) and await self._befalls("speaking"):
            return
        await self._say(said)
        if any(each.side == "target" for each in said):
            await self._befalls("translating")

    async def _say_the_rest(self) -> None:
        """What is still to be said, when its time comes."""
        with contextlib.suppress(ConnectionClosed):
            while self._session.owes:
                await asyncio.sleep(0.1)
                await self._say(self._session.wait(100))

    async def _say(self, said: Iterable[Said]) -> None:
        for each in said:
            text = each.text if each.text.startswith(" ") else f"{self._server.tags}{each.text}"
            if each.side == "source":
                if "inputAudioTranscription" in self._setup:
                    await self._send({"serverContent": {"inputTranscription": {"text": text}}})
                continue
            if "outputAudioTranscription" in self._setup:
                await self._send({"serverContent": {"outputTranscription": {"text": text}}})
            data = base64.b64encode(each.audio).decode()
            parts = [{"inlineData": {"mimeType": "audio/pcm;rate=24000", "data": data}}]
            # The end of a turn means nothing here: it comes at any time.
            await self._send({"serverContent": {"modelTurn": {"parts": parts}, "turnComplete": True}})

    async def _send(self, frame: Frame) -> None:
        check_server_frame(frame)
        await self._connection.send(json.dumps(frame).encode())
        await self._server.note()

    async def _befalls(self, stage: str) -> bool:
        fault = self._fault
        if fault is None or fault.stage != stage:
            return False
        self._fault = None
        if fault.go_away_s is not None:
            await self._send({"goAway": {"timeLeft": f"{fault.go_away_s:g}s"}})
            self._leaving = asyncio.create_task(self._leave(fault.go_away_s))
            return False
        self._over = True
        if fault.close is None:
            self._connection.transport.abort()
        else:
            await self._connection.close(fault.close, fault.reason)
        return True

    async def _leave(self, after_s: float) -> None:
        await asyncio.sleep(after_s)
        await self._leave_with(1008, "Connection aborted because the client failed to close the connection.")

    async def _leave_with(self, code: int, reason: str) -> None:
        self._over = True
        await self._connection.close(code, reason[:120])
