"""A conversation over the connection with a server that misbehaves as told, and looks into both."""

import asyncio
import base64
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from functools import partial

from tests.loopback.faulty import FaultyServer, Peer, Refusal, Script
from tests.loopback.plain import CAPABILITIES, FLOWING, PLAIN, FlowingCodec, PlainCodec
from tests.replay.checks import recorder_checked
from voicecli.commands import AppendAudio
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.events import (
    Event,
    Notice,
    SessionStarted,
)
from voicecli.ports import Capabilities, ConversationSetup

__all__ = [
    "LOUD",
    "SECOND",
    "chunk",
    "deaf",
    "eventually",
    "flowing",
    "kinds",
    "notices",
    "numbers",
    "talking",
    "until",
]

SECOND = 48_000  # bytes of PCM16 at 24 kHz
LOUD = 1_000  # from this number on, a chunk is no silence


@contextlib.asynccontextmanager
async def talking(
    *scripts: Script | Refusal, config: RealtimeConfig | None = None, wall_clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[WebSocketConnection, FaultyServer, AsyncIterator[Event]]]:
    """A conversation with a server that follows the scripts, whose replay gives the same; the events begin after
    SessionStarted."""
    async with _talking(scripts, config, wall_clock, CAPABILITIES, PlainCodec) as conversation:
        yield conversation


@contextlib.asynccontextmanager
async def flowing(
    *scripts: Script | Refusal, config: RealtimeConfig | None = None, quiet_s: float = 0.0
) -> AsyncIterator[tuple[WebSocketConnection, FaultyServer, AsyncIterator[Event]]]:
    """The same, where the input must flow and the codec closes gracefully."""
    codec = partial(FlowingCodec, quiet_s=quiet_s)
    async with _talking(scripts, config, time.time, FLOWING, codec) as conversation:
        yield conversation


@contextlib.asynccontextmanager
async def _talking(
    scripts: tuple[Script | Refusal, ...],
    config: RealtimeConfig | None,
    wall_clock: Callable[[], float],
    capabilities: Capabilities,
    make: Callable[[str], PlainCodec],
) -> AsyncIterator[tuple[WebSocketConnection, FaultyServer, AsyncIterator[Event]]]:
    config = config or RealtimeConfig()
    provider = replace(PLAIN, capabilities=capabilities, replay=lambda setup, server: make("ws://nowhere"))
    with recorder_checked(ConversationSetup(config), provider) as recorder:
        async with FaultyServer(*scripts) as server:
            connection = await WebSocketConnection.open(
                make(server.url), capabilities, config, wall_clock=wall_clock, recorder=recorder
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
