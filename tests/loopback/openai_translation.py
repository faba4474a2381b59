"""OpenAI's Realtime translation on loopback, as strict as the SDK's types and the documentation are."""

import asyncio
import base64
import binascii
import contextlib
import json
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from itertools import count
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

from openai.types.realtime.realtime_translation_client_event_param import RealtimeTranslationClientEventParam
from openai.types.realtime.realtime_translation_server_event import RealtimeTranslationServerEvent
from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from websockets.asyncio.server import ServerConnection
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

from tests.loopback.interpreting import Flow, Interpreting, Said, Sentence
from tests.loopback.server import LoopbackServer, http_answer

__all__ = ["KEY", "Fault", "OpenAITranslationServer", "Sentence"]

KEY = "sk-loopback-0123456789abcdef"
RATE = 24_000
Frame = dict[str, Any]
_LONGEST_MS = 200
_ids = count(1)


@dataclass(frozen=True, kw_only=True)
class Fault:
    """A fault of a connection that reaches a stage.

    Attributes:
        close: a close code; None breaks the TCP connection.
        error: a code: an `error` event is sent before.
        silent: nothing at all is sent from then on, and the socket stays open.
    """

    stage: Literal["before_created", "before_updated", "speaking", "translating", "closing"]
    close: int | None = None
    reason: str = ""
    error: str = ""
    silent: bool = False


class OpenAITranslationServer(LoopbackServer):
    """`async with OpenAITranslationServer() as server:` and connect to `server.url` with KEY.

    Args:
        sentences: what is heard, and said, over all connections.
        faults: each befalls one connection, in order; a connection after the last one is healthy.
        refuse: HTTP statuses with codes, for the first connections.
        keys: what the server lets in.
        chatters: whether it says silence where it has nothing to say.
        confirms: whether it tells that it took the settings.

    Attributes:
        frames: all events received, over all connections; of audio the length in ms in place of the sound.
        sessions: what each connection has heard.
    """

    def __init__(
        self,
        *,
        sentences: Iterable[Sentence] = (),
        faults: Iterable[Fault | None] = (),
        refuse: Iterable[tuple[int, str]] = (),
        keys: Iterable[str] = (KEY,),
        chatters: bool = False,
        confirms: bool = True,
        forgiving: bool = False,
    ) -> None:
        super().__init__(forgiving=forgiving)
        self.sentences = deque(sentences)
        self.faults = deque(faults)
        self.refuse = deque(refuse)
        self.keys = set(keys)
        self.chatters = chatters
        self.confirms = confirms
        self.frames: list[Frame] = []
        self.paths: list[str] = []
        self.sessions: list[Interpreting] = []
        self.broken: list[str] = []

    @property
    def violations(self) -> list[str]:
        return self.broken

    @property
    def url(self) -> str:
        """A base URL."""
        return f"http://127.0.0.1:{self.port}/v1"

    def received(self, kind: str) -> list[Frame]:
        return [frame for frame in self.frames if frame.get("type") == kind]

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        self.paths.append(request.path)
        if self.refuse:
            status, code = self.refuse.popleft()
            return http_answer(status, {"error": {"code": code, "message": f"Refused: {code}."}})
        if urlsplit(request.path).path != "/v1/realtime/translations":
            return http_answer(404, {"error": {"message": "Not found."}})
        return None

    async def talk(self, connection: ServerConnection) -> None:
        await _Talk(self, connection, self.faults.popleft() if self.faults else None).run()


class _Talk:
    """One connection of the server."""

    def __init__(self, server: OpenAITranslationServer, connection: ServerConnection, fault: Fault | None) -> None:
        self._server = server
        self._connection = connection
        self._fault = fault
        assert connection.request is not None
        self._headers = connection.request.headers
        self._model = parse_qs(urlsplit(connection.request.path).query).get("model", [""])[0]
        self._input: Frame = {}
        self._language = ""
        self._session = Interpreting(RATE, server.sentences)
        self._flow: Flow | None = None
        self._over = self._mute = False

    async def run(self) -> None:
        key = self._headers.get("Authorization", "").removeprefix("Bearer ")
        if key not in self._server.keys or not self._model.startswith("gpt-realtime-translate"):
            code = "invalid_api_key" if key not in self._server.keys else "invalid_model"
            await self._send(_error(code, f"Refused: {code}."))
            await self._connection.close(3000, f"invalid_request_error.{code}")
            return
        if await self._befalls("before_created"):
            return
        self._server.sessions.append(self._session)
        await self._send({"type": "session.created", "session": self._described()})
        with contextlib.suppress(ConnectionClosed):
            while not self._over:
                await self._take(await self._connection.recv())
        if self._flow is not None:
            self._server.broken += self._flow.violations

    async def _take(self, message: str | bytes) -> None:
        try:
            frame = json.loads(message)
            _check_client(frame)
        except (ValueError, _RefusedError) as error:
            await self._refuse("invalid_value", str(error))
            return
        match frame["type"]:
            case "session.update":
                self._server.frames.append(frame)
                if await self._befalls("before_updated"):
                    return
                await self._update(frame["session"])
            case "session.input_audio_buffer.append":
                await self._hear(frame["audio"])
            case "session.close":
                self._server.frames.append(frame)
                if await self._befalls("closing"):
                    return
                await self._close()
        await self._server.note()

    async def _update(self, session: Frame) -> None:
        audio = session.get("audio", {})
        self._language = audio.get("output", {}).get("language") or self._language
        self._input |= audio.get("input", {})
        if not self._language:
            await self._refuse("missing_required_parameter", "Missing 'session.audio.output.language'.")
            return
        if self._server.confirms:
            await self._send({"type": "session.updated", "session": self._described()})

    async def _hear(self, encoded: str) -> None:
        audio = base64.b64decode(encoded)
        ms = len(audio) / (RATE * 2) * 1000
        self._server.frames.append({"type": "session.input_audio_buffer.append", "ms": ms})
        if not self._language:
            await self._refuse("invalid_value", "Audio came before the target language.")
            return
        if ms > _LONGEST_MS or len(audio) % 2:
            self._server.broken.append(f"a chunk of {ms:.0f} ms, of {len(audio)} bytes")
        now = asyncio.get_running_loop().time()
        self._flow = self._flow or Flow(now)
        self._flow.came(ms, now)
        said = self._session.hear(audio)
        if any(audio) and await self._befalls("speaking"):
            return
        await self._say(said)
        if self._server.chatters and not any(each.audio for each in said):
            await self._send(self._sound(bytes(len(audio))))
        if any(each.side == "target" for each in said):
            await self._befalls("translating")

    async def _close(self) -> None:
        await self._say(self._session.flush())
        await self._send({"type": "session.closed"})
        self._over = True
        await self._connection.close(1000)

    async def _say(self, said: Iterable[Said]) -> None:
        for each in said:
            elapsed = int(self._session.clock_ms // 200 * 200)
            if each.side == "source":
                if self._input.get("transcription"):
                    delta = {"type": "session.input_transcript.delta", "delta": each.text, "elapsed_ms": elapsed}
                    await self._send(delta)
                continue
            await self._send({"type": "session.output_transcript.delta", "delta": each.text, "elapsed_ms": elapsed})
            await self._send(self._sound(each.audio))

    def _sound(self, audio: bytes) -> Frame:
        about = {"channels": 1, "format": "pcm16", "sample_rate": RATE, "elapsed_ms": 0}
        return {"type": "session.output_audio.delta", "delta": base64.b64encode(audio).decode(), **about}

    def _described(self) -> Frame:
        audio: Frame = {"input": self._input, "output": {"language": self._language or None}}
        return {
            "id": "sess_1",
            "type": "translation",
            "model": self._model,
            "expires_at": 2_000_000_000,
            "audio": audio,
        }

    async def _refuse(self, code: str, message: str) -> None:
        self._server.broken.append(message)
        await self._send(_error(code, message))

    async def _send(self, frame: Frame) -> None:
        frame = {"event_id": f"event_{next(_ids)}", **frame}
        _check_server(frame)
        if not self._mute:
            await self._connection.send(json.dumps(frame))
        await self._server.note()

    async def _befalls(self, stage: str) -> bool:
        fault = self._fault
        if fault is None or fault.stage != stage:
            return False
        self._fault = None
        if fault.error:
            await self._send(_error(fault.error, f"It happened: {fault.error}."))
        if fault.silent:
            self._mute = True
            return False
        self._over = True
        if fault.close is None:
            self._connection.transport.abort()
        else:
            await self._connection.close(fault.close, fault.reason)
        return True


class _RefusedError(Exception):
    """An event that the server refuses."""


def _error(code: str, message: str) -> Frame:
    return {"type": "error", "error": {"type": "invalid_request_error", "code": code, "message": message}}


@cache
def _client_types() -> TypeAdapter[Any]:
    return TypeAdapter(RealtimeTranslationClientEventParam, config=ConfigDict(extra="forbid"))


@cache
def _server_types() -> TypeAdapter[Any]:
    return TypeAdapter(RealtimeTranslationServerEvent)


def _check_client(frame: Any) -> None:
    try:
        _client_types().validate_python(frame, strict=True)
        if "audio" in frame:
            base64.b64decode(frame["audio"], validate=True)
    except (ValidationError, binascii.Error) as error:
        raise _RefusedError(str(error)) from error


def _check_server(frame: Frame) -> None:
    extras = list(_extras(_server_types().validate_python(frame)))
    assert not extras, f"{frame['type']} has {extras}"


def _extras(value: object) -> Iterator[str]:
    if isinstance(value, BaseModel):
        yield from value.model_extra or {}
        for name in type(value).model_fields:
            yield from _extras(getattr(value, name))
