"""However a conversation ends, the server sees a close frame: it need not guess that its client is gone."""

import asyncio
from collections.abc import Callable

import pytest

from tests.connection.talk import eventually
from tests.loopback.faulty import FaultyServer, Peer, Script
from tests.support.virtual_time import virtual_time
from voicecli.commands import SendText
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import RealtimeConnectionError
from voicecli.ports import Capabilities, Codec, ConversationSetup
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.providers.openai.codec import OpenAICodec

MakeCodec = Callable[[ConversationSetup], Codec]
CAPABILITIES = Capabilities(input_rate=24_000, output_rate=24_000)
# A close takes at most a second and a half: the server answers the goodbye late, or never.
BOUND_S = 2.0


def openai(setup: ConversationSetup) -> Codec:
    return OpenAICodec(setup)


def gemini(setup: ConversationSetup) -> Codec:
    return GeminiCodec(setup, find_endpoint(setup.config, {}))


async def silent(peer: Peer) -> None:
    await peer.never()


async def refused_update(peer: Peer) -> None:
    await peer.send(type="session.created", session={"id": "s"})
    update = await peer.expect("session.update")
    await peer.send(type="error", error={"code": "unknown_parameter", "message": "No.", "event_id": update["event_id"]})
    await peer.never()


async def refused_key(peer: Peer) -> None:
    await peer.send(type="error", error={"code": "invalid_api_key", "message": "No."})
    await peer.never()


async def no_credit(peer: Peer) -> None:
    await peer.send(type="session.created", session={"id": "s"})
    await peer.expect("session.update")
    await peer.send(type="session.updated", session={"id": "s"})
    await peer.expect("response.create")
    error = {"code": "insufficient_quota", "message": "No credit."}
    details = {"type": "failed", "error": error}
    await peer.send(type="response.done", response={"id": "r", "status": "failed", "status_details": details})
    await peer.never()


async def refused_setup(peer: Peer) -> None:
    await peer.receive()
    await peer.send(error={"code": 8, "message": "You exceeded your current quota."})
    await peer.never()


async def talk(codec: Codec, config: RealtimeConfig) -> None:
    connection = await WebSocketConnection.open(codec, CAPABILITIES, config)
    try:
        await connection.send(SendText("Hi"))
        async for _ in connection:
            pass
    finally:
        await connection.aclose()


@pytest.mark.parametrize(
    ("make", "script"),
    [
        (openai, silent),
        (openai, refused_update),
        (openai, refused_key),
        (openai, no_credit),
        (gemini, silent),
        (gemini, refused_setup),
    ],
)
@virtual_time
async def test_a_start_that_fails_ends_with_a_close_frame(make: MakeCodec, script: Script) -> None:
    async with FaultyServer(script) as server:
        config = RealtimeConfig(api_key="sk-test-0123456789", base_url=server.url, connect_timeout_s=5)
        with pytest.raises(RealtimeConnectionError):
            await talk(make(ConversationSetup(config)), config)
        (peer,) = server.peers
        await peer.connection.wait_closed()
        assert peer.connection.close_code == 1000


@virtual_time
async def test_a_cancelled_start_ends_with_a_close_frame() -> None:
    async with FaultyServer(silent) as server:
        config = RealtimeConfig(api_key="sk-test-0123456789", base_url=server.url, connect_timeout_s=3_600)
        talking = asyncio.create_task(talk(openai(ConversationSetup(config)), config))
        await eventually(lambda: server.peers)
        await asyncio.sleep(1)
        talking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await talking
        await server.peers[0].connection.wait_closed()
        assert server.peers[0].connection.close_code == 1000


@virtual_time
async def test_a_goodbye_that_nobody_answers_is_bounded() -> None:
    async def deaf(peer: Peer) -> None:
        await peer.send(type="error", error={"code": "invalid_api_key", "message": "No."})
        peer.stop_reading()
        await peer.never()

    async with FaultyServer(deaf) as server:
        config = RealtimeConfig(api_key="sk-test-0123456789", base_url=server.url)
        began = asyncio.get_running_loop().time()
        with pytest.raises(RealtimeConnectionError):
            await talk(openai(ConversationSetup(config)), config)
        assert asyncio.get_running_loop().time() - began < BOUND_S
