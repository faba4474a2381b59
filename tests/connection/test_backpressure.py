"""A network that is slow: live audio is dropped, recordings and commands wait."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import replace

import pytest

from tests.connection.talk import LOUD, SECOND, chunk, deaf, eventually, kinds, notices, numbers, talking, until
from tests.loopback.faulty import Peer
from tests.support.virtual_time import virtual_time
from voicecli.commands import EndTurn, SendImage, SendText
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    Event,
    Notice,
    ResponseDone,
    SessionEnded,
)


def sleeping(woken: asyncio.Event) -> Callable[[Peer], Coroutine[None, None, None]]:
    """A server that reads nothing until it is woken."""

    async def serve(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await woken.wait()
        peer.connection.transport.resume_reading()
        while True:
            await peer.receive()

    return serve


@virtual_time
async def test_audio_beyond_a_second_is_dropped_and_counted_when_the_server_reads_nothing() -> None:
    async with talking(deaf) as (connection, _, events):
        loop = asyncio.get_running_loop()
        seen: list[Event] = []

        async def collect() -> None:
            seen.extend([event async for event in events])

        collecting = asyncio.create_task(collect())
        sent = 0
        for number in range(100 * 50):
            before = loop.time()
            await connection.send(chunk(number % 60_000))
            assert loop.time() - before < 1, "send() waited for the network"
            sent += 20
            if number % 25 == 0:
                await asyncio.sleep(0.5)
        outbox = connection._sender._queue
        assert len(outbox) <= 50
        assert outbox._audio_bytes <= SECOND
        await connection.aclose()
        await collecting
        begun, dropped = notices(seen)
        assert begun == "Your speech is being dropped: the network is too slow."
        assert isinstance(seen[-1], SessionEnded)
        seconds = float(dropped.removesuffix(" s of your speech were dropped: the network was too slow."))
        # What is neither told as dropped nor waiting lies in the buffers of both kernels.
        assert sent * 0.5 < seconds * 1000 < sent


@virtual_time
async def test_a_network_that_stutters_is_told_once_until_it_keeps_up() -> None:
    async def listen(peer: Peer) -> None:
        await peer.begin()
        while True:
            await peer.receive()

    async with talking(listen) as (connection, server, events):
        outbox, peer = connection._sender._queue, server.peers[0]

        async def speak(seconds: float) -> None:
            for _ in range(round(seconds * 10)):
                await connection.send(chunk(LOUD, ms=100))
                await asyncio.sleep(0.1)

        for stutter in range(1, 4):
            peer.stop_reading()
            await connection.send(SendImage(bytes(1_000_000), "image/png"))  # fills the buffers of both kernels
            await speak(2)
            peer.connection.transport.resume_reading()
            await eventually(lambda: not outbox)
            assert connection._sender._dropped._bytes == stutter * SECOND
            await speak(3)
        await speak(3)
        assert not connection._sender._dropped._bytes
        await connection.send(SendText("done"))
        await connection.drain()
        await connection.aclose()
        assert notices([event async for event in events]) == [
            "Your speech is being dropped: the network is too slow.",
            "3.0 s of your speech were dropped: the network was too slow.",
        ]


@virtual_time
async def test_commands_survive_a_slow_network_in_their_place() -> None:
    woken = asyncio.Event()
    async with talking(sleeping(woken)) as (connection, server, events):
        # Fills the buffers of both kernels.
        await connection.send(SendImage(bytes(1_000_000), "image/png"))
        await asyncio.sleep(2)
        for number in range(310):
            await connection.send(chunk(LOUD + number))
            await asyncio.sleep(0.02)
            if number % 100 == 99:
                await connection.send(EndTurn())
                await connection.send(SendText(str(number)))
        await asyncio.sleep(2)
        woken.set()
        # That the network keeps up again is told without another command.
        assert notices(await until(events, Notice)) == ["Your speech is being dropped: the network is too slow."]
        assert notices(await until(events, Notice)) == ["5.2 s of your speech were dropped: the network was too slow."]
        peer = server.peers[0]
        await eventually(lambda: len(numbers(peer)) == 50)
        # Only the last second of audio is left; it still stands between its commands.
        assert kinds(peer)[2:] == ["end", "text", "end", "text", *["audio"] * 40, "end", "text", *["audio"] * 10]
        assert numbers(peer) == list(range(LOUD + 260, LOUD + 310))


@virtual_time
@pytest.mark.parametrize(("more_s", "lost"), [(0.3, 0), (1.0, 25)])
async def test_speech_that_was_held_back_waits_besides_what_follows_and_loses_its_oldest_part(
    more_s: float, lost: int
) -> None:
    """As when a voice is suspected in an echo, and is none: 1.5 s go in one go."""
    woken = asyncio.Event()
    async with talking(sleeping(woken)) as (connection, server, events):
        loop = asyncio.get_running_loop()

        async def speak(number: int, ms: int = 20) -> None:
            before = loop.time()
            await connection.send(replace(chunk(LOUD + number, ms), realtime=True))
            assert loop.time() - before < 0.1, "send() waited for the network"

        async def speak_on(begin: int, end: int) -> None:
            for number in range(begin, end):
                await speak(number)
                await asyncio.sleep(0.02)

        await connection.send(SendImage(bytes(1_000_000), "image/png"))  # fills the buffers of both kernels
        await asyncio.sleep(1)
        await speak_on(0, 25)
        await asyncio.sleep(1.5)
        await speak(25, ms=1_500)
        end = 26 + round(more_s * 50)
        await speak_on(26, end)
        woken.set()
        expected = [*range(25), *[25] * 15, *range(26, end)]
        await eventually(lambda: numbers(server.peers[0])[-1:] == [LOUD + end - 1])
        assert numbers(server.peers[0]) == [LOUD + number for number in expected[lost:]]
        if lost:
            assert notices([*await until(events, Notice), *await until(events, Notice)])[1] == (
                f"{lost * 20} ms of your speech were dropped: the network was too slow."
            )
        await eventually(lambda: connection._sender._queue.limit_s == 1.0)  # again


@virtual_time
async def test_a_microphone_that_comes_in_one_go_loses_nothing_to_a_network_that_stops_for_a_moment() -> None:
    woken = asyncio.Event()
    async with talking(sleeping(woken)) as (connection, server, _):
        asyncio.get_running_loop().call_later(2, woken.set)
        await connection.send(SendImage(bytes(1_000_000), "image/png"))
        await asyncio.sleep(1)
        for number in range(100):
            await connection.send(replace(chunk(LOUD + number), realtime=True))
        await connection.send(SendText("that was it"))
        await eventually(lambda: kinds(server.peers[0])[-1] == "text")
        assert numbers(server.peers[0]) == list(range(LOUD, LOUD + 100))


@virtual_time
async def test_audio_from_a_file_waits_for_the_network_and_loses_nothing() -> None:
    woken = asyncio.Event()

    async def sleepy(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await woken.wait()
        peer.connection.transport.resume_reading()
        await peer.expect("text")
        await peer.reply("r")
        await peer.never()

    async with talking(sleepy) as (connection, server, events):
        await connection.send(SendImage(bytes(1_000_000), "image/png"))
        await asyncio.sleep(1)

        async def read_out() -> None:
            await connection.send(chunk(0, ms=3_000))
            for number in range(1, 1_000):
                await connection.send(chunk(number))
            await connection.send(SendText("that was it"))

        reading_out = asyncio.create_task(read_out())
        await asyncio.sleep(10)
        assert not reading_out.done()
        woken.set()
        seen = await until(events, ResponseDone)
        assert not any(isinstance(event, Notice) for event in seen)
        assert numbers(server.peers[0]) == list(range(1_000))


@virtual_time
async def test_drain_returns_when_all_is_written() -> None:
    woken = asyncio.Event()

    async def sleepy(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await woken.wait()
        peer.connection.transport.resume_reading()
        await peer.expect("end")
        await peer.never()

    async with talking(sleepy) as (connection, _, _):
        await connection.drain()
        await connection.send(SendImage(bytes(1_000_000), "image/png"))
        await connection.send(EndTurn())
        draining = asyncio.create_task(connection.drain())
        await asyncio.sleep(10)
        assert not draining.done()
        woken.set()
        await draining
        assert not connection._sender._queue
        assert not connection._sender._encoded


@virtual_time
async def test_pictures_for_a_server_that_reads_nothing_wait_in_send() -> None:
    async with talking(deaf) as (connection, _, _):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(10):
                for _ in range(20):
                    await connection.send(SendImage(bytes(8 * 2**20), "image/png"))
        assert 32 * 2**20 <= connection._sender._queue._other_bytes <= 48 * 2**20
        waiting = asyncio.create_task(connection.send(SendText("late")))
        await asyncio.sleep(0)
        assert not waiting.done()
        await connection.aclose()
        with pytest.raises(RealtimeConnectionError, match="closed"):
            await waiting
