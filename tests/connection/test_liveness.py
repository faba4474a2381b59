"""Dead lines, mute models, and sockets whose time is up."""

import asyncio

import pytest

from tests.connection.talk import chunk, eventually, numbers, talking, until
from tests.loopback.faulty import Peer, Refusal, converse
from tests.support.virtual_time import virtual_time
from voicecli.commands import SendImage, SendText
from voicecli.config import RealtimeConfig
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
)


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
        await connection.send(SendImage(bytes(1_000_000), "image/png"))
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


@pytest.mark.parametrize(("ahead_s", "after_s"), [(400, 100), (5, 700), (-9_000, 700), (9_000, 700)])
@virtual_time
async def test_a_time_of_day_is_believed_where_it_can_be_right(ahead_s: int, after_s: int) -> None:
    async def limited(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="expiring", left_s=1_000, at=1_000_000 + ahead_s)
        await peer.never()

    loop = asyncio.get_running_loop()
    async with talking(limited, converse, wall_clock=lambda: 1_000_000 + loop.time()) as (_, _, events):
        began = loop.time()
        await until(events, SessionStarted)
        assert after_s - 10 <= loop.time() - began <= after_s + 10


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


@virtual_time
async def test_a_server_that_says_goodbye_and_stays_is_left() -> None:
    async def linger(peer: Peer) -> None:
        await peer.begin()
        peer.stop_reading()
        peer.write_raw(b"\x88\x02\x03\xf4")  # a close frame with 1012
        await peer.never()

    async with talking(linger, converse) as (_, _, events):
        began = asyncio.get_running_loop().time()
        lost = await anext(events)
        assert isinstance(lost, Reconnecting)
        assert "1012" in lost.reason
        assert asyncio.get_running_loop().time() - began <= 3
        await until(events, SessionStarted)
