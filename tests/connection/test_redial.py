"""A connection that is lost: what is kept, how often and how soon it is dialled again."""

import asyncio
import contextlib
from itertools import pairwise

import pytest

from tests.connection.talk import LOUD, chunk, eventually, kinds, notices, numbers, talking, until
from tests.loopback.faulty import Peer, Refusal, converse
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn, SendImage, SendText
from voicecli.config import RealtimeConfig, Reconnect
from voicecli.connection.redial import RedialPolicy
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
)

DROPPING = "Your speech is being dropped: there is no connection, and only the newest 5 s of it are kept."


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
        await connection.send(SendImage(bytes(1_000_000), "image/png"))
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
        for number in range(LOUD, LOUD + 80):  # 8 s
            await connection.send(chunk(number, ms=100))
            await asyncio.sleep(0.1)
        seen = await until(events, SessionStarted)
        await eventually(lambda: len(numbers(server.peers[1])) == 50)
        assert numbers(server.peers[1]) == list(range(LOUD + 30, LOUD + 80))
        assert notices(seen) == [DROPPING]
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
        for _ in range(200):  # 20 s
            await connection.send(AppendAudio(b"\x40\x00\xc0\xff" * 1_200))
            await asyncio.sleep(0.1)
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
        for number in range(LOUD, LOUD + 60):  # 6 s
            await connection.send(chunk(number, ms=100))
            await asyncio.sleep(0.1)
        with pytest.raises(RealtimeConnectionError, match="failed"):
            async for event in events:
                seen.append(event)
        assert notices(seen) == [
            DROPPING,
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


def test_time_between_reconnects_is_spread() -> None:
    """Two clients of a restarted server do not come back together."""
    error = RealtimeConnectionError("lost", retryable=True)
    delays = sorted(RedialPolicy(Reconnect(), lambda: 0.0).next(error).delay_s for _ in range(50))
    assert all(later > earlier for earlier, later in pairwise(delays))
