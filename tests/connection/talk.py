"""A conversation over the connection with a server that misbehaves as told, and looks into both."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable

from tests.loopback.faulty import FaultyServer, Peer, Refusal, Script
from tests.loopback.plain import CAPABILITIES, PLAIN, PlainCodec
from tests.replay.checks import recorder_checked
from voicecli.commands import AppendAudio
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.events import (
    Event,
    Notice,
    SessionStarted,
)
from voicecli.ports import ConversationSetup

__all__ = ["LOUD", "SECOND", "chunk", "deaf", "eventually", "kinds", "notices", "numbers", "talking", "until"]

SECOND = 48_000  # bytes of PCM16 at 24 kHz
LOUD = 1_000  # from this number on, a chunk is no silence


@contextlib.asynccontextmanager
async def talking(
    *scripts: Script | Refusal, config: RealtimeConfig | None = None, wall_clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[WebSocketConnection, FaultyServer, AsyncIterator[Event]]]:
    """A conversation with a server that follows the scripts, whose replay gives the same; the events begin after
    SessionStarted."""
    config = config or RealtimeConfig()
    with recorder_checked(ConversationSetup(config), PLAIN) as recorder:
        async with FaultyServer(*scripts) as server:
            connection = await WebSocketConnection.open(
                PlainCodec(server.url), CAPABILITIES, config, wall_clock=wall_clock, recorder=recorder
            )
            try:
                events = aiter(connection)
                assert isinstance(await anext(events), SessionStarted)
                yield connection, server, events
            finally:
                await connection.aclose()


async def until(events: AsyncIterator[Event], kind: type) -> list[Event]:
    """The events up to the first of this type."""
    seen: list[Event] = []
    async for event in events:
        seen.append(event)
        if isinstance(event, kind):
            return seen
    raise AssertionError(f"no {kind.__name__} in {seen}")


async def eventually(condition: Callable[[], object]) -> None:
    async with asyncio.timeout(600):
        while not condition():
            await asyncio.sleep(0.01)


def chunk(number: int, ms: int = 20) -> AppendAudio:
    return AppendAudio(number.to_bytes(2, "little") * (24 * ms))


def numbers(peer: Peer) -> list[int]:
    """Which chunks the server received."""
    return [
        int.from_bytes(base64.b64decode(message["data"])[:2], "little")
        for message in peer.received
        if message["type"] == "audio"
    ]


def notices(events: list[Event]) -> list[str]:
    """The notices about dropped audio."""
    found = [event for event in events if isinstance(event, Notice)]
    assert all(notice.code == "audio_dropped" for notice in found)
    return [notice.message for notice in found]


def kinds(peer: Peer) -> list[str]:
    return [message["type"] for message in peer.received]


async def deaf(peer: Peer) -> None:
    await peer.begin()
    peer.stop_reading()
    while True:  # it talks, so that it does not count as dead
        await peer.send(type="something")
        await asyncio.sleep(5)
