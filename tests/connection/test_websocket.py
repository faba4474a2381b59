"""The connection that drives a codec: order, backpressure, liveness, redial, roll-over, closing."""

import asyncio
import base64
import contextlib
import json
import logging
import os
import stat
import time
from collections.abc import AsyncIterator, Callable
from itertools import pairwise
from pathlib import Path

import pytest

from tests.loopback.faulty import FaultyServer, Peer, Refusal, Script, converse
from tests.loopback.plain import CAPABILITIES, KEY, PlainCodec
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, Command, EndTurn, PauseAudio, SendImage, SendText, ToolResult
from voicecli.config import RealtimeConfig, Reconnect
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import ConfigurationError, ProtocolError, RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
)

SECOND = 48_000  # bytes of PCM16 at 24 kHz
LOUD = 1_000  # from this number on, a chunk is no silence


@contextlib.asynccontextmanager
async def talking(
    *scripts: Script | Refusal, config: RealtimeConfig | None = None, wall_clock: Callable[[], float] = time.time
) -> AsyncIterator[tuple[WebSocketConnection, FaultyServer, AsyncIterator[Event]]]:
    """A conversation with a server that follows the scripts; the events begin after SessionStarted."""
    async with FaultyServer(*scripts) as server:
        connection = await WebSocketConnection.open(
            PlainCodec(server.url), CAPABILITIES, config or RealtimeConfig(), wall_clock=wall_clock
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
    """What was told about dropped audio."""
    found = [event for event in events if isinstance(event, Notice)]
    assert all(notice.code == "audio_dropped" for notice in found)
    return [notice.message for notice in found]


def kinds(peer: Peer) -> list[str]:
    return [message["type"] for message in peer.received]


# Sending and receiving


@virtual_time
async def test_commands_and_audio_arrive_in_the_order_in_which_they_were_sent() -> None:
    async with talking() as (connection, server, events):
        commands: list[Command] = []
        for turn in range(20):
            commands += [*(chunk(turn * 10 + number) for number in range(10)), EndTurn(), SendText(f"text {turn}")]
        for command in commands:
            await connection.send(command)
            await asyncio.sleep(0)
        await eventually(lambda: len(server.peers[0].received) == 1 + len(commands))
        peer = server.peers[0]
        assert numbers(peer) == list(range(200))
        assert kinds(peer)[1:] == (["audio"] * 10 + ["end", "text"]) * 20
        replies = [await until(events, ResponseDone) for _ in range(40)]
        assert all(any(isinstance(event, AudioChunk) for event in reply) for reply in replies)


@virtual_time
async def test_what_receiving_queues_is_sent_without_splitting_other_messages() -> None:
    async def ask(peer: Peer) -> None:
        await peer.begin()
        for number in range(100):
            await peer.send(type="question", number=number)
            await peer.receive()
        await peer.never()

    async with talking(ask) as (connection, server, _):
        big = SendText("x" * 300_000)
        for number in range(30):
            await connection.send(chunk(number))
            await connection.send(big)
        # Each message was parsed as JSON by the server: none was interleaved with another.
        await eventually(lambda: len(server.peers[0].received) > 100)
        answers = [m["number"] for m in server.peers[0].received if m["type"] == "answer"]
        assert answers == sorted(answers)


@virtual_time
async def test_what_receiving_queues_needs_no_command_to_be_sent() -> None:
    answered = asyncio.Event()

    async def ask(peer: Peer) -> None:
        await peer.begin()
        await asyncio.sleep(10)
        await peer.send(type="question", number=1)
        await peer.expect("answer")
        answered.set()
        await peer.never()

    async with talking(ask), asyncio.timeout(30):
        await answered.wait()


@virtual_time
async def test_the_session_starts_before_anything_else_is_told() -> None:
    async def stammer(peer: Peer) -> None:
        await peer.connection.send("eh")
        await peer.begin()
        await peer.never()

    async with talking(stammer) as (_, _, events):
        assert isinstance(await anext(events), ErrorOccurred)


@virtual_time
async def test_a_consumer_that_does_not_read_does_not_stall_the_reader() -> None:
    async def flood(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        for number in range(2_000):
            await peer.send(type="audio", id="r", data=base64.b64encode(number.to_bytes(2, "little") * 2_400).decode())
        await peer.reply("end")
        await peer.expect("text")
        await peer.send(type="speech")
        await peer.never()

    async with talking(flood) as (connection, server, events):
        await connection.send(SendText("go"))
        # The server gets through all of it, and is heard, while no event is taken.
        await eventually(lambda: connection._events.waiting_bytes > 2_000 * 6_400)
        await connection.send(SendText("on"))
        await eventually(lambda: kinds(server.peers[0]).count("text") == 2)
        seen = await until(events, SpeechStarted)
        sounds = [event.audio for event in seen if isinstance(event, AudioChunk)]
        assert [int.from_bytes(sound[:2], "little") for sound in sounds[:2_000]] == list(range(2_000))
        assert connection._events.waiting_bytes == 0


@virtual_time
async def test_events_nobody_reads_end_the_conversation_before_they_eat_the_memory() -> None:
    async def flood(peer: Peer) -> None:
        await peer.begin()
        data = base64.b64encode(bytes(750_000)).decode()
        for _ in range(100):
            await peer.send(type="audio", id="r", data=data)
        await peer.never()

    async with talking(flood) as (connection, _, events):
        with pytest.raises(RealtimeConnectionError, match="not read"):
            async with asyncio.timeout(60):
                while True:
                    await connection.send(chunk(0))
                    await asyncio.sleep(0.1)
        assert connection._events.waiting_bytes < 66 * 2**20
        with pytest.raises(RealtimeConnectionError, match="not read"):
            await until(events, SessionEnded)


@virtual_time
async def test_a_malformed_message_is_an_event_and_the_conversation_goes_on() -> None:
    async def garble(peer: Peer) -> None:
        await peer.begin()
        for garbage in ("", "{", "[]", '{"type":"audio"}', "\x00"):
            await peer.connection.send(garbage)
        await peer.connection.send(bytes(range(256)))
        await peer.send(type="something-new", field=1)
        await peer.reply("r")
        await peer.never()

    async with talking(garble) as (_, _, events):
        seen = await until(events, ResponseDone)
        errors = [event.error for event in seen if isinstance(event, ErrorOccurred)]
        assert len(errors) == 6
        assert all(isinstance(error, ProtocolError) for error in errors)


@virtual_time
async def test_a_command_that_the_codec_refuses_is_an_event() -> None:
    async with talking() as (connection, _, events):
        await connection.send(PauseAudio())
        await connection.send(SendText("still there?"))
        seen = await until(events, ResponseDone)
        assert isinstance(seen[0], ErrorOccurred)


@pytest.mark.parametrize("direction", ["receiving", "sending"])
def test_a_bug_in_the_codec_ends_the_iteration_with_it(direction: str) -> None:
    @virtual_time
    async def test() -> None:
        async def wrong(peer: Peer) -> None:
            await peer.begin()
            if direction == "receiving":
                await peer.send(type="expiring", left_s="soon")
            await peer.never()

        async with talking(wrong) as (connection, _, events):
            if direction == "sending":
                await connection.send(ToolResult("id", "output"))
            with pytest.raises((TypeError, ZeroDivisionError)):
                await until(events, SessionEnded)
            with pytest.raises(RealtimeConnectionError, match="internal error"):
                await connection.send(SendText("hello"))

    test()


# Backpressure


async def deaf(peer: Peer) -> None:
    await peer.begin()
    peer.stop_reading()
    while True:  # it talks, so that it does not count as dead
        await peer.send(type="something")
        await asyncio.sleep(5)


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
            if number % 50 == 0:
                await asyncio.sleep(1)
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
            for _ in range(round(seconds * 50)):
                await connection.send(chunk(LOUD))
                await asyncio.sleep(0.02)

        for stutter in range(1, 4):
            peer.stop_reading()
            await connection.send(SendImage(bytes(12_000_000), "image/png"))  # fills the buffers of both kernels
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

    async def sleepy(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await woken.wait()
        peer.connection.transport.resume_reading()
        while True:
            await peer.receive()

    async with talking(sleepy) as (connection, server, events):
        # Fills the buffers of both kernels.
        await connection.send(SendImage(bytes(12_000_000), "image/png"))
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
        await connection.send(SendImage(bytes(12_000_000), "image/png"))
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
        await connection.send(SendImage(bytes(12_000_000), "image/png"))
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


# Losing the connection


@virtual_time
async def test_what_is_said_during_an_outage_is_sent_after_it() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        peer.reset()

    config = RealtimeConfig(reconnect=Reconnect(first_delay_s=4, max_delay_s=4))
    async with talking(break_off, converse, config=config) as (connection, server, events):
        await connection.send(SendText("first"))
        lost = await anext(events)
        assert isinstance(lost, Reconnecting)
        assert (lost.attempt, 2 <= lost.delay_s <= 4) == (1, True)
        assert "1006" in lost.reason
        for number in range(100):
            await connection.send(chunk(number))
        await connection.send(EndTurn())
        await connection.send(SendText("second"))
        back = await anext(events)
        assert isinstance(back, SessionStarted)
        assert back.resumed
        for _ in range(3):
            await until(events, ResponseDone)
        peer = server.peers[1]
        assert numbers(peer) == list(range(100))
        assert kinds(peer) == ["hello", "restore", *["audio"] * 100, "end", "text"]
        assert peer.received[1] == {"type": "restore", "texts": ["first"], "answer": True}


@virtual_time
async def test_what_was_meant_for_the_last_socket_is_not_sent_on_the_next() -> None:
    async def ask_and_leave(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await asyncio.sleep(1)
        for number in range(5):
            await peer.send(type="question", number=number)
        await asyncio.sleep(1)
        peer.reset()

    async with talking(ask_and_leave, converse) as (connection, server, events):
        await connection.send(SendImage(bytes(12_000_000), "image/png"))
        await until(events, SessionStarted)
        await connection.send(SendText("hello"))
        await until(events, ResponseDone)
        assert kinds(server.peers[1]) == ["hello", "text"]


@virtual_time
async def test_of_a_long_outage_the_last_five_seconds_of_audio_are_kept_and_the_rest_is_counted() -> None:
    config = RealtimeConfig(reconnect=Reconnect(first_delay_s=60, max_delay_s=60))

    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async with talking(leave, converse, config=config) as (connection, server, events):
        await until(events, Reconnecting)
        await asyncio.sleep(2)
        for number in range(LOUD, LOUD + 400):  # 8 s
            await connection.send(chunk(number))
            await asyncio.sleep(0.02)
        seen = await until(events, SessionStarted)
        await eventually(lambda: len(numbers(server.peers[1])) == 250)
        assert numbers(server.peers[1]) == list(range(LOUD + 150, LOUD + 400))
        assert notices(seen) == ["Your speech is being dropped: there is no connection."]
        await connection.send(SendText("go on"))
        seen = await until(events, ResponseDone)
        assert notices(seen) == ["3.0 s of your speech were dropped: there was no connection."]


@virtual_time
async def test_in_a_long_outage_silence_is_dropped_without_a_word() -> None:
    """A muted microphone, or the noise of one in which nobody speaks."""
    config = RealtimeConfig(reconnect=Reconnect(first_delay_s=60, max_delay_s=60))

    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async with talking(leave, converse, config=config) as (connection, _, events):
        await until(events, Reconnecting)
        for _ in range(1_000):  # 20 s
            await connection.send(AppendAudio(b"\x40\x00\xc0\xff" * 240))
            await asyncio.sleep(0.02)
        seen = await until(events, SessionStarted)
        await connection.send(SendText("go on"))
        seen += await until(events, ResponseDone)
        assert notices(seen) == []


@virtual_time
async def test_what_an_outage_dropped_is_told_when_the_connection_is_given_up() -> None:
    config = RealtimeConfig(reconnect=Reconnect(attempts=1, first_delay_s=60, max_delay_s=60))

    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async with talking(leave, Refusal(503), config=config) as (connection, _, events):
        seen = await until(events, Reconnecting)
        for number in range(LOUD, LOUD + 300):  # 6 s
            await connection.send(chunk(number))
            await asyncio.sleep(0.02)
        with pytest.raises(RealtimeConnectionError, match="failed"):
            async for event in events:
                seen.append(event)
        assert notices(seen) == [
            "Your speech is being dropped: there is no connection.",
            "1.0 s of your speech were dropped: there was no connection.",
        ]


@virtual_time
async def test_after_an_outage_a_slow_network_keeps_one_second_again() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async with talking(leave, converse, config=RealtimeConfig()) as (connection, _, events):
        await until(events, SessionStarted)
        await connection.send(chunk(0))
        await eventually(lambda: not connection._sender._queue)
        await asyncio.sleep(0.1)
        assert connection._sender._queue.limit_s == 1.0


@virtual_time
async def test_the_turn_in_which_the_connection_breaks_is_heard_whole() -> None:
    async def break_off(peer: Peer) -> None:
        await peer.begin()
        for _ in range(30):
            await peer.expect("audio")
        peer.reset()

    async with talking(break_off, converse) as (connection, server, events):
        for number in range(60):
            with contextlib.suppress(StopAsyncIteration):
                await connection.send(chunk(number))
            await asyncio.sleep(0.02)
        await connection.send(EndTurn())
        await until(events, ResponseDone)
        assert numbers(server.peers[1]) == list(range(60))


@virtual_time
async def test_the_delay_doubles_with_jitter_up_to_its_maximum_and_then_one_error_ends_it() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1011, "try later")

    config = RealtimeConfig(reconnect=Reconnect(attempts=7, first_delay_s=0.5, max_delay_s=8))
    async with talking(leave, Refusal(503, b"overloaded"), config=config) as (connection, server, events):
        attempts: list[Reconnecting] = []
        with pytest.raises(RealtimeConnectionError) as raised:
            async for event in events:
                assert isinstance(event, Reconnecting)
                attempts.append(event)
        assert [attempt.attempt for attempt in attempts] == [1, 2, 3, 4, 5, 6, 7]
        for attempt, most in zip(attempts, [0.5, 1, 2, 4, 8, 8, 8], strict=True):
            assert most / 2 <= attempt.delay_s <= most
        assert "try later" in attempts[0].reason
        assert "503" in attempts[1].reason
        assert "7 attempts" in str(raised.value)
        assert "503" in str(raised.value)
        assert not raised.value.retryable
        assert len(server.requests) == 8
        with pytest.raises(RealtimeConnectionError, match="7 attempts"):
            await connection.send(SendText("hello?"))


@virtual_time
async def test_without_attempts_the_loss_itself_is_raised() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1011, "oops")

    config = RealtimeConfig(reconnect=Reconnect(attempts=0))
    async with talking(leave, config=config) as (_, server, events):
        with pytest.raises(RealtimeConnectionError, match="oops"):
            await until(events, SessionEnded)
        assert len(server.requests) == 1


@virtual_time
async def test_attempts_count_from_one_again_after_a_healthy_time_or_a_reply() -> None:
    async def last_a_while(peer: Peer) -> None:
        await peer.begin()
        await asyncio.sleep(15)
        await peer.close(1012)

    async def answer_once(peer: Peer) -> None:
        await peer.begin()
        await peer.reply("r")
        await peer.close(1012)

    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async with talking(leave, last_a_while, leave, leave, answer_once, leave, converse) as (_, _, events):
        attempts: list[int] = []
        while len(attempts) < 6:
            lost = (await until(events, Reconnecting))[-1]
            assert isinstance(lost, Reconnecting)
            attempts.append(lost.attempt)
        assert attempts == [1, 1, 2, 3, 1, 2]


@virtual_time
async def test_a_fatal_close_is_raised_and_not_dialled_again() -> None:
    async def refuse(peer: Peer) -> None:
        await peer.begin()
        await peer.close(4000, "no such model")

    async with talking(refuse) as (_, server, events):
        with pytest.raises(RealtimeConnectionError, match="no such model") as raised:
            await until(events, SessionEnded)
        assert raised.value.close_code == 4000
        assert len(server.requests) == 1


@virtual_time
async def test_what_the_provider_says_before_it_closes_counts() -> None:
    async def explain(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="over", code="quota", retryable=False)
        await peer.close(1011)

    async with talking(explain) as (connection, server, events):
        # A write into the closed socket must not outrun what was said before the close.
        await connection.send(SendText("hello"))
        with pytest.raises(RealtimeConnectionError) as raised:
            await until(events, SessionEnded)
        assert raised.value.code == "quota"
        assert len(server.requests) == 1


@virtual_time
async def test_a_clean_close_by_the_server_is_an_event() -> None:
    async def goodbye(peer: Peer) -> None:
        await peer.begin()
        await peer.reply("r")
        await peer.close(1000, "goodbye")

    async with talking(goodbye) as (connection, server, events):
        await until(events, ResponseDone)
        rest = [event async for event in events]
        assert len(rest) == 1
        ended = rest[0]
        assert isinstance(ended, SessionEnded)
        assert ended.close_code == 1000
        assert "goodbye" in ended.reason
        with pytest.raises(RealtimeConnectionError, match="ended"):
            await connection.send(SendText("hello?"))
        assert len(server.requests) == 1


# Liveness


@virtual_time
async def test_a_quiet_but_living_connection_is_left_alone_and_its_round_trip_is_known() -> None:
    async with talking() as (connection, server, events):
        assert connection.round_trip_s is None
        await asyncio.sleep(300)
        assert connection.round_trip_s is not None
        assert 0 < connection.round_trip_s < 5
        await connection.send(SendText("still there?"))
        await until(events, ResponseDone)
        assert len(server.requests) == 1


@virtual_time
async def test_a_silent_line_is_dialled_again_after_a_minute() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await peer.never()

    async with talking(vanish, converse) as (connection, _, events):
        began = asyncio.get_running_loop().time()
        lost = await anext(events)
        assert isinstance(lost, Reconnecting)
        assert "nothing was heard" in lost.reason
        assert 60 <= asyncio.get_running_loop().time() - began <= 65
        await until(events, SessionStarted)
        await connection.send(SendText("there?"))
        await until(events, ResponseDone)


@virtual_time
async def test_a_server_that_never_pongs_but_talks_is_alive() -> None:
    async def talk_only(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        for number in range(10):
            await asyncio.sleep(30)
            await peer.reply(str(number))
        await peer.never()

    async with talking(talk_only) as (_, server, events):
        for _ in range(10):
            seen = await until(events, ResponseDone)
            assert not any(isinstance(event, Reconnecting) for event in seen)
        assert len(server.requests) == 1


@virtual_time
async def test_a_stuck_line_is_dialled_again_sooner() -> None:
    async def vanish(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        await peer.never()

    async with talking(vanish, converse) as (connection, _, events):
        await connection.send(SendImage(bytes(12_000_000), "image/png"))
        began = asyncio.get_running_loop().time()
        lost = await anext(events)
        assert isinstance(lost, Reconnecting)
        assert "nothing could be sent" in lost.reason
        assert 20 <= asyncio.get_running_loop().time() - began <= 25


@pytest.mark.parametrize("survives", [True, False])
def test_after_the_computer_slept_the_line_is_probed(survives: bool) -> None:
    slept = 0.0

    @virtual_time
    async def test() -> None:
        nonlocal slept

        async def sleep(peer: Peer) -> None:
            await peer.begin()
            if not survives:
                peer.stop_reading()
            await peer.never()

        loop = asyncio.get_running_loop()
        async with talking(sleep, converse, wall_clock=lambda: loop.time() + slept) as (connection, server, events):
            await asyncio.sleep(5)
            woke = loop.time()
            slept = 3_600.0
            if survives:
                await asyncio.sleep(30)
                assert len(server.requests) == 1
            else:
                lost = await anext(events)
                assert isinstance(lost, Reconnecting)
                assert "sleep" in lost.reason
                assert loop.time() - woke <= 5
                await until(events, SessionStarted)
            await connection.send(SendText("good morning"))
            if not survives:
                await until(events, ResponseDone)

    test()


@virtual_time
async def test_a_reply_that_stalls_is_asked_for_on_a_new_connection() -> None:
    async def stall(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        await peer.send(type="reply", id="r")
        await peer.never()  # it still answers pings

    config = RealtimeConfig(response_timeout_s=30)
    async with talking(stall, converse, config=config) as (connection, server, events):
        began = asyncio.get_running_loop().time()
        await connection.send(SendText("well?"))
        lost = (await until(events, Reconnecting))[-1]
        assert isinstance(lost, Reconnecting)
        assert "owes an answer" in lost.reason
        assert 30 <= asyncio.get_running_loop().time() - began <= 33
        await until(events, ResponseDone)
        assert server.peers[1].received[1] == {"type": "restore", "texts": ["well?"], "answer": True}


@virtual_time
async def test_a_model_that_is_mute_on_two_connections_ends_the_conversation() -> None:
    async def mute(peer: Peer) -> None:
        await peer.begin()
        await peer.never()

    async with talking(mute) as (connection, server, events):
        await connection.send(SendText("well?"))
        with pytest.raises(RealtimeConnectionError, match="owes an answer") as raised:
            await until(events, SessionEnded)
        assert raised.value.code == "response_timeout"
        assert raised.value.advice
        assert len(server.requests) == 2


# Rolling over


@virtual_time
async def test_a_socket_with_a_time_limit_is_replaced_at_the_first_quiet_moment_of_its_last_minutes() -> None:
    async def limited(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="expiring", left_s=600)
        await asyncio.sleep(250)
        await peer.send(type="speech")
        await asyncio.sleep(150)
        await peer.reply("r")
        await peer.never()

    async with talking(limited, converse) as (_, server, events):
        began = asyncio.get_running_loop().time()
        seen = await until(events, SessionStarted)
        assert not any(isinstance(event, Reconnecting) for event in seen)
        assert 400 <= asyncio.get_running_loop().time() - began <= 410
        assert server.peers[0].connection.close_code == 1000


@virtual_time
async def test_speech_that_does_not_end_is_cut_at_the_last_safe_moment() -> None:
    async def limited(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="speech")
        await peer.send(type="expiring", left_s=50)
        await peer.never()

    async with talking(limited, converse) as (connection, server, events):
        began = asyncio.get_running_loop().time()
        for number in range(100):
            await connection.send(chunk(number))
            await asyncio.sleep(0.5)
            if len(server.requests) == 2:
                break
        assert 38 <= asyncio.get_running_loop().time() - began <= 44
        await until(events, SessionStarted)
        sent = number + 1
        await eventually(lambda: len(numbers(server.peers[1])) == sent)
        assert numbers(server.peers[1]) == list(range(sent))


@virtual_time
async def test_a_roll_over_that_fails_is_an_ordinary_outage() -> None:
    async def limited(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="expiring", left_s=50)
        await peer.never()

    async with talking(limited, Refusal(500), converse) as (_, _, events):
        seen = await until(events, SessionStarted)
        assert [type(event) for event in seen] == [Reconnecting, SessionStarted]


# Closing


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
        await asyncio.sleep(20)
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


# What is written down


@virtual_time
async def test_the_debug_file_has_every_frame_and_no_secret_and_no_audio(tmp_path: Path) -> None:
    path = tmp_path / "frames.jsonl"
    config = RealtimeConfig(debug_file=str(path), api_key=KEY)
    sound = base64.b64encode(bytes(9_600)).decode()

    async def blurt(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="something", api_key="abc", note=f"your key {KEY} and sk-proj-abcdefghijk")
        await peer.connection.send(b"\xff\x00 not json")
        await peer.reply("r", audio=sound)
        await peer.expect("end")
        await peer.close(1000, "bye")

    async with talking(blurt, config=config) as (connection, _, events):
        await until(events, ResponseDone)
        await connection.send(chunk(7))
        await connection.send(EndTurn())
        await until(events, SessionEnded)
    text = path.read_text()
    lines = [json.loads(line) for line in text.splitlines()]
    assert "sk-" not in text
    assert sound not in text
    assert [next(key for key in line if key != "time") for line in lines] == [
        *("opened", "sent", "received", "received", "received"),
        *("received", "received", "received", "sent", "sent", "closed"),
    ]
    assert lines[1]["sent"] == {"type": "hello"}
    assert lines[3]["received"] == {
        "type": "something",
        "api_key": "(hidden)",
        "note": "your key (hidden) and (hidden)",
    }
    assert lines[4]["received"]["bytes"] == 11
    assert lines[6]["received"]["data"] == "(12800 characters of base64)"
    assert lines[8]["sent"]["data"] == "(1280 characters of base64)"
    assert lines[-1]["closed"] == {"code": 1000, "reason": "bye"}
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600


@virtual_time
async def test_a_key_that_looks_like_nothing_is_hidden_too(tmp_path: Path) -> None:
    key = "4f8b6c2e-azure"
    path = tmp_path / "frames.jsonl"

    async def tell(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="something", echo=f"<{key}>", nested=[{"headers": {"X-Mine": ["mine"]}}])
        await peer.reply("r")
        await peer.never()

    async with FaultyServer(tell) as server:
        codec = PlainCodec(server.url, {"api-key": key})
        connection = await WebSocketConnection.open(codec, CAPABILITIES, RealtimeConfig(debug_file=str(path)))
        await until(aiter(connection), ResponseDone)
        await connection.aclose()
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    assert {"type": "something", "echo": "<(hidden)>", "nested": [{"headers": {"X-Mine": ["(hidden)"]}}]} in [
        line.get("received") for line in lines
    ]


@virtual_time
async def test_a_debug_file_that_cannot_be_written_is_told_before_dialling(tmp_path: Path) -> None:
    async with FaultyServer() as server:
        config = RealtimeConfig(debug_file=str(tmp_path / "missing" / "frames.jsonl"))
        with pytest.raises(ConfigurationError, match="debug_file"):
            await WebSocketConnection.open(PlainCodec(server.url), CAPABILITIES, config)
        assert not server.requests


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
@virtual_time
async def test_a_full_disk_ends_the_trace_and_not_the_conversation(caplog: pytest.LogCaptureFixture) -> None:
    async with talking(config=RealtimeConfig(debug_file="/dev/full")) as (connection, _, events):
        await connection.send(SendText("hello"))
        await until(events, ResponseDone)
    assert "debug file is given up" in caplog.text


@virtual_time
async def test_no_log_at_any_level_has_the_key(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("voicecli", "voicecli.websockets", "websockets", "websockets.client"):
        caplog.set_level(logging.DEBUG, logger=name)

    async def leave(peer: Peer) -> None:
        await peer.begin()
        peer.reset()

    async with talking(leave, Refusal(503, KEY.encode()), converse) as (connection, server, events):
        await until(events, SessionStarted)
        assert server.requests[0].headers["Authorization"] == f"Bearer {KEY}"
        assert server.requests[0].headers["User-Agent"].startswith("voicecli/")
        assert "Sec-WebSocket-Extensions" not in server.requests[0].headers
        await connection.aclose()
    ours = [record for record in caplog.records if record.name.startswith("voicecli")]
    assert ours
    assert not any("Bearer" in record.getMessage() for record in ours)


async def test_time_between_reconnects_is_spread() -> None:
    """Two clients of a restarted server do not come back together."""
    async with talking() as (connection, _, _):
        error = RealtimeConnectionError("lost", retryable=True)
        delays = sorted(connection._redial_policy._delay(5, error) for _ in range(50))
        assert all(later > earlier for earlier, later in pairwise(delays))
