"""Faults before and during a conversation: recovered with nothing lost, or one clear error."""

import asyncio
import base64
import contextlib
import ssl

import pytest

from tests.connection.plain_talk import failure, opened, reply, talk
from tests.loopback.faulty import (
    FaultyServer,
    Peer,
    Refusal,
    converse,
    free_port,
    tcp_server,
)
from tests.loopback.plain import KEY
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn, SendText
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeConnectionError
from voicecli.events import AudioChunk, Event, Reconnecting, ResponseDone, SessionEnded, SessionStarted
from voicecli.tls import tls_context

RETRYABLE = [1001, 1005, 1006, 1011, 1012, 1013]
FATAL = [1008, 3000, 4000, 4004]

# The beginning


@virtual_time
async def test_a_server_that_is_not_there_is_told_at_once() -> None:
    port = free_port()
    error = await failure(f"ws://127.0.0.1:{port}/talk?key={KEY}")
    assert error.message == f"Cannot reach 127.0.0.1:{port}: it refuses connections."
    assert error.advice
    assert error.code == "unreachable"


async def test_a_host_that_does_not_exist_is_told() -> None:
    error = await failure("ws://provider.invalid/talk")
    assert error.message.startswith("Cannot reach provider.invalid: there is no such host")
    assert error.code == "unreachable"


@virtual_time
async def test_a_port_that_accepts_and_says_nothing() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async with tcp_server(silent) as port:
        began = asyncio.get_running_loop().time()
        error = await failure(f"ws://127.0.0.1:{port}", RealtimeConfig(connect_timeout_s=7))
        assert asyncio.get_running_loop().time() - began == pytest.approx(7, abs=0.5)
        assert "no answer within 7 s" in error.message


@virtual_time
async def test_a_server_that_is_silent_after_the_upgrade() -> None:
    async def silent(peer: Peer) -> None:
        await peer.never()

    async with FaultyServer(silent) as server:
        error = await failure(server.url, RealtimeConfig(connect_timeout_s=7))
        assert "did not begin a conversation within 7 s" in error.message
        assert len(server.requests) == 1


@virtual_time
async def test_a_port_where_something_else_speaks() -> None:
    dialled = 0

    async def mail(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        nonlocal dialled
        dialled += 1
        writer.write(b"220 mail.example ESMTP\r\n")
        await reader.read()

    async def cut(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")

    for behaviour in (mail, cut):
        async with tcp_server(behaviour) as port:
            error = await failure(f"ws://127.0.0.1:{port}")
            assert "does not answer like a WebSocket server" in error.message
    assert dialled == 1


@pytest.mark.parametrize("status", [400, 401, 403, 404])
def test_a_refusal_is_told_once(status: int) -> None:
    @virtual_time
    async def test() -> None:
        async with FaultyServer(Refusal(status, b"because")) as server:
            error = await failure(server.url)
            assert f"HTTP {status}: because" in error.message
            assert isinstance(error, AuthenticationError) == (status in {401, 403})
            assert len(server.requests) == 1

    test()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_temporary_trouble_at_the_beginning_is_sat_out(status: int) -> None:
    @virtual_time
    async def test() -> None:
        trouble = Refusal(status, headers={"Retry-After": "3"})
        began = asyncio.get_running_loop().time()
        async with FaultyServer(trouble, trouble, converse) as server, opened(server.url) as (connection, events):
            assert 6 <= asyncio.get_running_loop().time() - began < 7
            first = await anext(events)
            assert isinstance(first, SessionStarted)
            assert not first.resumed
            await talk(connection, events, "hello")
        async with FaultyServer(trouble) as server:
            error = await failure(server.url)
            assert error.code == str(status)
            assert len(server.requests) == 3

    test()


@virtual_time
async def test_a_long_retry_after_is_told_and_not_waited_for() -> None:
    async with FaultyServer(Refusal(429, headers={"Retry-After": "3600"})) as server:
        error = await failure(server.url)
        assert error.retry_after_s == 3_600
        assert len(server.requests) == 1

    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    later = Refusal(429, headers={"Retry-After": "3600"})
    async with FaultyServer(leave, later) as server, opened(server.url) as (_, events):
        with pytest.raises(RealtimeConnectionError) as raised:
            await reply(events)
        assert raised.value.code == "429"
        assert len(server.requests) == 2


@virtual_time
async def test_a_redirect_does_not_carry_the_key_to_another_server() -> None:
    async with FaultyServer() as elsewhere, FaultyServer(Refusal(307, headers={"Location": elsewhere.url})) as server:
        error = await failure(server.url)
        assert error.code == "307"
        assert not elsewhere.requests


@pytest.mark.parametrize("code", [*RETRYABLE, *FATAL, 1000])
@pytest.mark.parametrize("stage", ["before hello", "after hello"])
def test_a_close_before_the_provider_is_ready(code: int, stage: str) -> None:
    @virtual_time
    async def test() -> None:
        async def leave(peer: Peer) -> None:
            if stage == "after hello":
                await peer.expect("hello")
            await peer.close(code, "not now")

        async with FaultyServer(leave, converse) as server:
            if code in RETRYABLE:
                async with opened(server.url) as (connection, events):
                    await talk(connection, events, "hello")
                assert len(server.requests) == 2
            else:
                error = await failure(server.url)
                assert error.close_code == code
                assert "not now" in error.message
                assert len(server.requests) == 1

    test()


# Settings


@pytest.mark.parametrize("url", ["ftp://host/?key=secret", "ws://", "ws://host:port/?key=secret"])
async def test_an_address_that_is_none_is_told_without_repeating_it(url: str) -> None:
    with pytest.raises(ConfigurationError, match="base_url") as raised:
        async with opened(url):
            pass
    assert "secret" not in str(raised.value)


@pytest.mark.parametrize("value", ["Bearer sk-1\n", "Bearer “sk-1”", "a\r\nX-Evil: 1"])
async def test_a_key_copied_with_a_line_break_is_told(value: str) -> None:
    async with FaultyServer() as server:
        with pytest.raises(ConfigurationError, match="Authorization") as raised:
            async with opened(server.url, headers={"Authorization": value}):
                pass
        assert "sk-1" not in str(raised.value)
        assert not server.requests


# The conversation


@pytest.mark.parametrize("code", [*RETRYABLE, *FATAL, 1000])
@pytest.mark.parametrize("stage", ["idle", "mid user speech", "waiting for the reply", "mid response"])
def test_a_close_in_the_conversation(code: int, stage: str) -> None:
    @virtual_time
    async def test() -> None:
        async def leave(peer: Peer) -> None:
            await peer.begin()
            if stage != "idle":
                for _ in range(5):
                    await peer.expect("audio")
            if stage in {"waiting for the reply", "mid response"}:
                await peer.expect("end")
            if stage == "mid response":
                await peer.send(type="heard", id="u", text="what I said")
                await peer.send(type="reply", id="cut off")
                await peer.send(type="audio", id="cut off", data="AAAA")
            await peer.close(code, "bye")

        async with FaultyServer(leave, converse) as server, opened(server.url) as (connection, events):
            assert isinstance(await anext(events), SessionStarted)
            seen: list[Event] = []
            with contextlib.suppress(RealtimeConnectionError):
                for number in range(10):
                    await connection.send(AppendAudio(bytes([number, 0]) * 480))
                    await asyncio.sleep(0.02)
                await connection.send(EndTurn())
            if code in FATAL:
                with pytest.raises(RealtimeConnectionError, match="bye") as raised:
                    await reply(events)
                assert raised.value.close_code == code
            elif code == 1000:
                seen = [event async for event in events]
                assert isinstance(seen[-1], SessionEnded)
            else:
                if stage == "mid response":
                    # The provider had answered that turn: it is not said twice.
                    while not isinstance(await anext(events), Reconnecting):
                        pass
                    await connection.send(SendText("go on"))
                seen = await reply(events)
                assert any(isinstance(event, AudioChunk) for event in seen)
                again = [
                    base64.b64decode(message["data"])[0]
                    for message in server.peers[1].received
                    if message["type"] == "audio"
                ]
                assert again == ([] if stage == "mid response" else list(range(10)))
            assert len(server.requests) == (2 if code in RETRYABLE else 1)

    test()


@virtual_time
async def test_bytes_that_are_no_frame_are_a_broken_connection() -> None:
    async def garble(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        peer.write_raw(b"\xff" * 100)
        await peer.never()

    async with FaultyServer(garble, converse) as server, opened(server.url) as (connection, events):
        seen = await talk(connection, events, "hello")
        lost = [event for event in seen if isinstance(event, Reconnecting)]
        assert len(lost) == 1
        assert "1006" in lost[0].reason


@virtual_time
async def test_a_message_of_20_mb_is_taken_and_one_of_70_mb_is_refused() -> None:
    big = base64.b64encode(bytes(15_000_000)).decode()

    async def burst(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        await peer.reply("big", audio=big)
        await peer.expect("text")
        await peer.connection.send("x" * 70 * 2**20)
        await peer.never()

    async with FaultyServer(burst) as server, opened(server.url) as (connection, events):
        seen = await talk(connection, events, "hello")
        assert max(len(event.audio) for event in seen if isinstance(event, AudioChunk)) == 15_000_000
        with pytest.raises(RealtimeConnectionError, match="67108864 bytes"):
            await talk(connection, events, "more")
        assert len(server.requests) == 1


@virtual_time
async def test_a_server_that_drips_is_alive() -> None:
    payload = b'{"type":"reply","id":"slow"}'
    done = b'{"type":"done","id":"slow"}'

    async def drip(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        peer.stop_reading()  # no pong either
        for message in (payload, done):
            for byte in bytes([0x81, len(message)]) + message:
                peer.write_raw(bytes([byte]))
                await asyncio.sleep(10)
        await peer.never()

    config = RealtimeConfig(response_timeout_s=3_600)
    async with FaultyServer(drip) as server, opened(server.url, config) as (connection, events):
        await talk(connection, events, "hello")
        assert len(server.requests) == 1


@virtual_time
async def test_a_message_in_fragments_is_one_message() -> None:
    async def split(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        await peer.connection.send(['{"type":', '"reply","id"', ':"f"}'])
        await peer.connection.send(iter([b'{"type":"done",', b'"id":"f"}']))
        await peer.never()

    async with FaultyServer(split) as server, opened(server.url) as (connection, events):
        assert ResponseDone("f") in await talk(connection, events, "hello")


@virtual_time
async def test_a_server_that_restarts_is_waited_for() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        peer.reset()

    async with FaultyServer(leave) as first:
        port = first.port
        async with opened(first.url) as (connection, events):
            assert isinstance(await anext(events), SessionStarted)
            first.stop_listening()
            await connection.send(SendText("hello"))
            for attempt in (1, 2, 3):
                lost = await anext(events)
                assert isinstance(lost, Reconnecting)
                assert lost.attempt == attempt
                assert ("refuses connections" in lost.reason) == (attempt > 1)
            async with FaultyServer(converse, port=port) as second:
                seen = await reply(events)
                assert any(isinstance(event, SessionStarted) and event.resumed for event in seen)
                assert second.peers[0].received[1]["texts"] == ["hello"]
                await connection.aclose()


def test_the_tls_settings_are_loaded_once() -> None:
    assert isinstance(tls_context(), ssl.SSLContext)
    assert tls_context() is tls_context()
