"""Loose servers through real sockets, and what is said when a handshake is refused."""

import asyncio
import json

import pytest
from websockets.asyncio.server import ServerConnection
from websockets.datastructures import Headers
from websockets.http11 import Request, Response

from tests.loopback.loose import Fault
from tests.loopback.loose_openai import LooseOpenAI
from tests.loopback.server import LoopbackServer
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeConnectionError, RealtimeVoice
from voicecli.events import Event, Notice
from voicecli.providers.openai import OPENAI

KEY = "sk-test-0123456789"


class Server(LoopbackServer):
    """A loose server on a socket, or one that refuses each handshake."""

    def __init__(self, fault: Fault | None = None, refusal: Response | None = None) -> None:
        super().__init__()
        self._fault = fault
        self._refusal = refusal

    @property
    def violations(self) -> list[str]:
        return []

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        return self._refusal

    async def talk(self, connection: ServerConnection) -> None:
        model = LooseOpenAI(self._fault)
        for frame in model.open():
            await connection.send(json.dumps(frame))
        async for message in connection:
            for frame in model.take(json.loads(message)):
                await connection.send(json.dumps(frame))


def voice(server: Server) -> RealtimeVoice:
    config = RealtimeConfig(api_key=KEY, base_url=f"http://127.0.0.1:{server.port}/v1", response_timeout_s=3)
    return RealtimeVoice(OPENAI, config=config)


@pytest.mark.parametrize("how", ["never", "twice", "first", "late"])
@pytest.mark.parametrize(
    "kind",
    [
        "session.created",
        "session.updated",
        "conversation.item.added",
        "response.created",
        "response.output_item.added",
        "response.output_audio_transcript.done",
    ],
)
@virtual_time
async def test_messages_that_are_missing_or_out_of_order(kind: str, how: str) -> None:
    fault = Fault(kind, how)  # type: ignore[arg-type]
    async with Server(fault) as server, voice(server).connect() as session:
        answer = await session.send_text("What is it?", wait=True)
        assert answer.transcript == "It is three."
        assert answer.audio


@virtual_time
async def test_settings_that_are_never_confirmed_come_with_a_notice() -> None:
    told: list[Event] = []
    async with Server(Fault("session.updated", "never")) as server:
        began = asyncio.get_running_loop().time()
        async with voice(server).connect() as session:
            assert asyncio.get_running_loop().time() - began < 5
            await session.send_text("What is it?", wait=False)
            async for event in session:
                told.append(event)
                if type(event).__name__ == "ResponseDone":
                    break
    assert [event.code for event in told if isinstance(event, Notice)] == ["settings_unconfirmed"]


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (200, b"Welcome to Realtime!", "HTTP 200: Welcome to Realtime!"),
        (400, b'{"error": {"message": "No such voice."}}', "HTTP 400: No such voice."),
        (400, b'{"detail": [{"loc": ["model"], "msg": "Field required"}]}', "HTTP 400: Field required."),
        (403, b'{"message": "Not from here."}', "HTTP 403: Not from here."),
        (404, b'{"detail": "Not Found"}', "HTTP 404: Not Found."),
        (426, b"Upgrade Required", "HTTP 426: Upgrade Required."),
        (500, b'"It is broken."', "HTTP 500: It is broken."),
        (
            502,
            b"<html><head><title>502 Bad Gateway</title></head><body>nginx</body></html>",
            "HTTP 502: 502 Bad Gateway.",
        ),
        (503, b"", "HTTP 503."),
    ],
)
@virtual_time
async def test_a_refused_handshake_says_who_and_why(status: int, body: bytes, said: str) -> None:
    headers = Headers({"Content-Length": str(len(body)), "Content-Type": "text/plain"})
    async with Server(refusal=Response(status, "", headers, body)) as server:
        with pytest.raises(RealtimeConnectionError) as caught:
            async with voice(server).connect():
                pass
        assert f"127.0.0.1:{server.port} answered {said}".rstrip(".") in caught.value.message
        assert "openai.com" not in str(caught.value)
        assert "<" not in str(caught.value)
        assert caught.value.advice
