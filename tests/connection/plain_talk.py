"""Conversations in the plain protocol of `tests/loopback/plain`, over a real socket."""

import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.loopback.plain import CAPABILITIES, KEY, PlainCodec
from voicecli.commands import SendText
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import RealtimeConnectionError
from voicecli.events import Event, ResponseDone

__all__ = ["failure", "opened", "reply", "talk"]


@contextlib.asynccontextmanager
async def opened(
    url: str, config: RealtimeConfig | None = None, headers: dict[str, str] | None = None
) -> AsyncIterator[tuple[WebSocketConnection, AsyncIterator[Event]]]:
    codec = PlainCodec(url, headers)
    connection = await WebSocketConnection.open(codec, CAPABILITIES, config or RealtimeConfig())
    try:
        yield connection, aiter(connection)
    finally:
        await connection.aclose()


async def failure(url: str, config: RealtimeConfig | None = None) -> RealtimeConnectionError:
    """The error with which the beginning fails; it must tell no secret and give advice."""
    with pytest.raises(RealtimeConnectionError) as raised:
        async with opened(url, config):
            pass
    assert KEY not in str(raised.value)
    return raised.value


async def talk(connection: WebSocketConnection, events: AsyncIterator[Event], text: str) -> list[Event]:
    """Say something and wait for the reply."""
    await connection.send(SendText(text))
    return await reply(events)


async def reply(events: AsyncIterator[Event]) -> list[Event]:
    seen: list[Event] = []
    async for event in events:
        seen.append(event)
        if isinstance(event, ResponseDone):
            return seen
    raise AssertionError(f"no reply in {seen}")
