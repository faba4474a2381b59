"""The end of a conversation, and what it leaves behind."""

import asyncio

import pytest

from tests.connection.talk import chunk, deaf, eventually, talking, until
from tests.loopback.faulty import FaultyServer, Peer, Refusal
from tests.loopback.plain import CAPABILITIES, PlainCodec
from tests.support.virtual_time import virtual_time
from voicecli.commands import SendText
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
)


@virtual_time
async def test_closing_says_goodbye_and_ends_the_iteration() -> None:
    async with talking() as (connection, server, events):
        await connection.aclose()
        await connection.aclose()
        assert [event async for event in events] == [SessionEnded("closed")]
        assert server.peers[0].connection.close_code == 1000
        with pytest.raises(RealtimeConnectionError, match="closed"):
            await connection.send(SendText("hello?"))


@virtual_time
async def test_closing_is_bounded_when_the_server_reads_nothing() -> None:
    async with talking(deaf) as (connection, _, _):
        for number in range(20):
            await connection.send(SendText("x" * 1_000_000))
            await connection.send(chunk(number))
        await asyncio.sleep(1)
        began = asyncio.get_running_loop().time()
        await connection.aclose()
        assert asyncio.get_running_loop().time() - began <= 2.5
        assert connection._supervisor.done()


@virtual_time
async def test_closing_ends_a_redial() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async def silent(peer: Peer) -> None:
        await peer.never()

    for second in (Refusal(503), silent):
        async with talking(leave, second) as (connection, server, events):
            await until(events, Reconnecting)
            while len(server.requests) < 2:
                await asyncio.sleep(0.01)
            await connection.aclose()
            ended = [event async for event in events][-1]
            assert ended == SessionEnded("closed")


@virtual_time
async def test_a_beginning_that_is_cancelled_leaves_nothing() -> None:
    async def silent(peer: Peer) -> None:
        await peer.never()

    async with FaultyServer(silent) as server:
        opening = asyncio.create_task(
            WebSocketConnection.open(PlainCodec(server.url), CAPABILITIES, RealtimeConfig(connect_timeout_s=3_600))
        )
        await eventually(lambda: server.peers)
        opening.cancel()
        with pytest.raises(asyncio.CancelledError):
            await opening
        await server.peers[0].connection.wait_closed()


@virtual_time
async def test_a_hundred_drops_leave_no_task_and_no_growth() -> None:
    async def drop(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        await peer.reply("r")
        await asyncio.sleep(12)
        peer.reset()

    async with talking(drop) as (connection, server, events):
        tasks: list[int] = []
        for number in range(100):
            await connection.send(SendText(f"word {number}"))
            await until(events, ResponseDone)
            tasks.append(len(asyncio.all_tasks()))
            for sent in range(50):
                await connection.send(chunk(sent))
            await until(events, SessionStarted)
        assert len(server.peers) == 101
        assert max(tasks[50:]) <= max(tasks[:50])
        assert len(connection._sender._queue) <= 50
        assert not connection._events._batches
        # Every word reached the provider once on each socket that knew it.
        last = next(message for message in server.peers[-1].received if message["type"] == "restore")
        assert last["texts"] == [f"word {number}" for number in range(100)]
