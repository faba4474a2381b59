"""A sender with its feeder and a wire without a network, and what a server hears of it."""

import asyncio
import base64
import contextlib
import itertools
import json
from collections.abc import AsyncIterator
from typing import cast

from tests.connection.talk import LOUD, chunk
from tests.loopback.faulty import Peer
from tests.loopback.plain import FLOWING, FlowingCodec
from voicecli.commands import AppendAudio
from voicecli.connection.liveness import Liveness
from voicecli.connection.sender import Sender
from voicecli.connection.silence import SilenceFeeder
from voicecli.connection.socket import Socket
from voicecli.events import Event

__all__ = ["Ear", "Wire", "assert_never_faster", "assert_never_starves", "flow", "spoken"]


class Ear:
    """Notes what a server hears, and when, in seconds since its SessionStarted; as a script, over a real socket.

    Attributes:
        heard: (time, number of the chunk, milliseconds); the number of silence is 0.
        others: (time, type) of every other message.
    """

    def __init__(self) -> None:
        self.heard: list[tuple[float, int, float]] = []
        self.others: list[tuple[float, str]] = []
        self.began = 0.0
        self.peer: Peer | None = None

    async def __call__(self, peer: Peer) -> None:
        self.peer = peer
        await peer.begin()
        self.began = asyncio.get_running_loop().time()
        while True:
            await peer.receive()
            self.take(peer.received.pop())

    def take(self, message: dict[str, str]) -> None:
        """A message came."""
        at = round(asyncio.get_running_loop().time() - self.began, 3)
        if message["type"] != "audio":
            self.others.append((at, message["type"]))
            return
        audio = base64.b64decode(message["data"])
        assert audio == audio[:2] * (len(audio) // 2), "chunks are not mixed"
        self.heard.append((at, int.from_bytes(audio[:2], "little"), len(audio) / 48))

    @property
    def silence(self) -> list[float]:
        """When it came."""
        return [at for at, number, _ in self.heard if not number]

    @property
    def speech(self) -> list[float]:
        """When it came."""
        return [at for at, number, _ in self.heard if number]

    @property
    def numbers(self) -> list[int]:
        """Which chunks came, counted from 0."""
        return [number - LOUD for _, number, _ in self.heard if number]


class Wire:
    """The part of a `Socket` that a sender uses.

    Attributes:
        free: unset while the network takes nothing.
    """

    def __init__(self, ear: Ear) -> None:
        self.free = asyncio.Event()
        self.free.set()
        self.is_open = True
        self.heard_at = 0.0
        self._ear = ear

    @property
    def is_clear(self) -> bool:
        return self.free.is_set()

    def write(self, message: bytes) -> None:
        self._ear.take(json.loads(message))

    async def send(self, message: bytes, *, text: bool) -> None:
        await self.free.wait()
        self.write(message)


@contextlib.asynccontextmanager
async def flow(ear: Ear, told: list[Event] | None = None) -> AsyncIterator[tuple[Sender, Wire]]:
    """A sender whose audio must flow, as a connection has it; what it tells the program goes into `told`."""
    codec, wire = FlowingCodec("ws://nowhere"), Wire(ear)
    socket = cast(Socket, wire)
    sender = Sender(codec, FLOWING, 5.0, (told if told is not None else []).append, None)
    sender.begin(socket)
    ear.others.clear()
    ear.began = asyncio.get_running_loop().time()
    writing = asyncio.create_task(sender.write_to(socket, Liveness(socket, codec, 20.0, lambda: 0.0)))
    feeder = SilenceFeeder(sender.feed, FLOWING.input_rate, lambda: sender.resumes_at)
    await asyncio.sleep(0)
    feeder.run_for(1e9)
    try:
        yield sender, wire
    finally:
        feeder.stop()
        writing.cancel()
        await asyncio.wait([writing])


def spoken(number: int, ms: int = 20) -> AppendAudio:
    """A microphone's chunk of this number, from 0 on."""
    return AppendAudio(chunk(LOUD + number, ms).audio, realtime=True)


def assert_never_faster(ear: Ear, lead_ms: float = 51, late_ms: float = 450) -> None:
    """In no stretch of time does more come than it lasts, but for what was late by less than the pause.

    Args:
        lead_ms: how early a chunk may be.
        late_ms: the pause, and a chunk on each side.
    """
    least = total = 0.0
    for at, _, ms in ear.heard:
        ahead = total - at * 1000
        least = min(least, ahead)
        assert ahead <= lead_ms, f"{ahead:.0f} ms too early at {at}"
        total += ms
    for first, last in itertools.combinations(range(0, len(ear.heard), 17), 2):
        came = sum(ms for _, _, ms in ear.heard[first:last])
        assert came <= (ear.heard[last][0] - ear.heard[first][0]) * 1000 + late_ms + lead_ms, (
            f"a burst: {ear.heard[first:last]}"
        )


def assert_never_starves(ear: Ear) -> None:
    """No more than the pause is ever missing."""
    ends = 0.0
    for at, _, ms in ear.heard:
        assert at - ends <= 0.251, f"nothing from {ends:.3f} to {at}"
        ends = max(ends, at) + ms / 1000
