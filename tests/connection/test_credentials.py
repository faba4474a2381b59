"""Credentials that are fetched before each dial: on time, too late, refused, renewed; and never in a trace."""

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from pathlib import Path

import pytest

from tests.loopback.faulty import FaultyServer, Peer, converse
from tests.loopback.plain import CAPABILITIES, PlainCodec
from tests.support.virtual_time import virtual_time
from voicecli.commands import SendText
from voicecli.config import RealtimeConfig, Reconnect
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.events import Event, Reconnecting, ResponseDone, SessionStarted
from voicecli.threads import run_in_thread

Fetch = Callable[[], Awaitable[Mapping[str, str]]]


async def leave(peer: Peer) -> None:
    await peer.begin()
    await peer.close(1012)


def numbered() -> Fetch:
    """Another token each time."""
    fetched = 0

    async def fetch() -> Mapping[str, str]:
        nonlocal fetched
        fetched += 1
        return {"Authorization": f"Bearer token-number-{fetched}"}

    return fetch


@contextlib.asynccontextmanager
async def talking(
    server: FaultyServer, credentials: Fetch, config: RealtimeConfig | None = None
) -> AsyncIterator[tuple[WebSocketConnection, AsyncIterator[Event]]]:
    codec = PlainCodec(server.url, {"X-Mine": "mine"})
    connection = await WebSocketConnection.open(
        codec, CAPABILITIES, config or RealtimeConfig(), credentials=credentials
    )
    try:
        yield connection, aiter(connection)
    finally:
        await connection.aclose()


async def until(events: AsyncIterator[Event], kind: type) -> Event:
    async for event in events:
        if isinstance(event, kind):
            return event
    raise AssertionError(f"no {kind.__name__}")


@virtual_time
async def test_they_are_sent_beside_the_headers_and_fetched_anew_for_each_dial() -> None:
    async with FaultyServer(leave, leave, converse) as server, talking(server, numbered()) as (connection, events):
        for _ in range(3):
            await until(events, SessionStarted)
        await connection.send(SendText("hello"))
        await until(events, ResponseDone)
        sent = [(request.headers["X-Mine"], request.headers["Authorization"]) for request in server.requests]
        assert sent == [("mine", f"Bearer token-number-{number}") for number in (1, 2, 3)]


@virtual_time
async def test_a_refusal_is_raised_as_it_is() -> None:
    for error in (AuthenticationError("no token"), ConfigurationError("a package is missing")):

        async def fetch(error: RealtimeError = error) -> Mapping[str, str]:
            raise error

        async with FaultyServer() as server:
            with pytest.raises(type(error), match=error.message):
                async with talking(server, fetch):
                    pass
            assert not server.requests


@virtual_time
async def test_a_passing_failure_at_a_redial_is_tried_again() -> None:
    fetch_anew, calls = numbered(), 0

    async def fetch() -> Mapping[str, str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise RealtimeConnectionError("no token just now", code="unreachable", retryable=True)
        return await fetch_anew()

    async with FaultyServer(leave, converse) as server, talking(server, fetch) as (_, events):
        await until(events, Reconnecting)
        again = await until(events, Reconnecting)
        assert isinstance(again, Reconnecting)
        assert again.reason == "no token just now"
        await until(events, SessionStarted)
        assert len(server.requests) == 2


@virtual_time
async def test_a_refusal_at_a_redial_ends_the_conversation() -> None:
    fetch_anew, calls = numbered(), 0

    async def fetch() -> Mapping[str, str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            raise AuthenticationError("the account is closed")
        return await fetch_anew()

    async with FaultyServer(leave) as server, talking(server, fetch) as (_, events):
        await until(events, Reconnecting)
        with pytest.raises(AuthenticationError, match="the account is closed"):
            await until(events, SessionStarted)


@virtual_time
async def test_credentials_that_do_not_come_are_told_after_the_timeout() -> None:
    async def fetch() -> Mapping[str, str]:
        await asyncio.Event().wait()
        raise AssertionError

    async with FaultyServer() as server:
        began = asyncio.get_running_loop().time()
        with pytest.raises(RealtimeConnectionError, match="credentials did not come within 3 s") as raised:
            async with talking(server, fetch, RealtimeConfig(connect_timeout_s=3)):
                pass
        assert 3 <= asyncio.get_running_loop().time() - began < 4
        assert "127.0.0.1" in raised.value.message
        assert raised.value.retryable
        assert not server.requests


@virtual_time
async def test_the_loop_goes_on_while_a_thread_that_fetches_hangs() -> None:
    release, ticks, main = threading.Event(), 0, threading.current_thread()

    def hang() -> Mapping[str, str]:
        assert threading.current_thread() is not main
        release.wait(30)
        return {}

    async def tick() -> None:
        nonlocal ticks
        while True:
            await asyncio.sleep(0.001)
            ticks += 1

    ticking = asyncio.create_task(tick())
    try:
        async with FaultyServer() as server:
            with pytest.raises(RealtimeConnectionError, match="credentials did not come"):
                async with talking(server, lambda: run_in_thread(hang), RealtimeConfig(connect_timeout_s=0.1)):
                    pass
    finally:
        release.set()
        ticking.cancel()
        await asyncio.wait([ticking])
    assert ticks > 5


@virtual_time
async def test_a_call_that_is_closed_while_it_fetches_ends_at_once() -> None:
    fetch_anew, calls = numbered(), 0

    async def fetch() -> Mapping[str, str]:
        nonlocal calls
        calls += 1
        if calls == 2:
            await asyncio.Event().wait()
        return await fetch_anew()

    config = RealtimeConfig(reconnect=Reconnect(first_delay_s=0))
    async with FaultyServer(leave) as server, talking(server, fetch, config) as (connection, events):
        await until(events, Reconnecting)
        while calls < 2:
            await asyncio.sleep(0.01)
        began = asyncio.get_running_loop().time()
        await connection.aclose()
        assert asyncio.get_running_loop().time() - began < 1


@virtual_time
async def test_what_was_fetched_is_not_in_the_trace(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"

    async def echo(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="something", note=peer.headers["Authorization"].removeprefix("Bearer "))
        await peer.reply("r")
        await peer.never()

    config = RealtimeConfig(debug_file=str(path))
    async with FaultyServer(echo) as server, talking(server, numbered(), config) as (_, events):
        await until(events, ResponseDone)
    assert "(hidden)" in path.read_text()
    assert "token-number" not in path.read_text()
