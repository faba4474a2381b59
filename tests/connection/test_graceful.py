"""Ends that the protocol has words for: the goodbye, the last words, and those who never say them."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.connection.flow import Ear
from tests.connection.talk import chunk, flowing, kinds, talking, until
from tests.loopback.faulty import Peer, Refusal, Script
from tests.support.virtual_time import virtual_time
from voicecli.commands import SendText
from voicecli.config import RealtimeConfig, Reconnect
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    Event,
    Notice,
    Reconnecting,
    SessionEnded,
    SessionStarted,
    TranscriptUpdate,
    UsageUpdated,
)
from voicecli.ports import Finishing

LOUD_SOUND = "AEAA" * 400


def now() -> float:
    return asyncio.get_running_loop().time()


async def listen(peer: Peer) -> None:
    """Hear the goodbye, and go on hearing what comes, without a word."""
    await peer.begin()
    while True:
        await peer.receive()


def parting(after_s: float, seconds: float = 42.5, *, hangs_up: bool = True) -> Script:
    """Answer the goodbye so long after it."""

    async def script(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("bye")
        listening = asyncio.create_task(listen_on(peer))
        await asyncio.sleep(after_s)
        await peer.send(type="heard", id="h", text="the last words")
        await peer.send(type="last", seconds=seconds)
        if hangs_up:
            await peer.close(1000)
        await peer.never()
        await asyncio.wait([listening])

    return script


async def listen_on(peer: Peer) -> None:
    try:
        while True:
            await peer.receive()
    except Exception:
        return


async def rest(events: AsyncIterator[Event]) -> list[Event]:
    return [event async for event in events]


@pytest.mark.parametrize("hangs_up", [True, False])
def test_closing_waits_for_the_last_words_while_silence_flows(hangs_up: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with flowing(parting(2.0, hangs_up=hangs_up)) as (connection, server, events):
            await asyncio.sleep(1)
            began = now()
            await connection.aclose()
            assert now() - began == pytest.approx(2.0, abs=0.2)
            told = await rest(events)
            assert [type(event) for event in told] == [TranscriptUpdate, UsageUpdated, SessionEnded]
            assert isinstance(told[1], UsageUpdated)
            assert told[1].usage.session_seconds == 42.5
            assert told[-1] == SessionEnded("closed")
            heard = kinds(server.peers[0])
            after = heard[heard.index("bye") + 1 :]
            assert after == ["audio"] * len(after)
            assert len(after) == pytest.approx(20, abs=2)
            with pytest.raises(RealtimeConnectionError, match="closed"):
                await connection.send(SendText("hello?"))
            assert server.peers[0].connection.close_code == 1000

    run()


@virtual_time
async def test_what_waits_to_be_sent_is_not_sent_after_the_goodbye() -> None:
    async with flowing(listen) as (connection, server, _):
        sending = asyncio.create_task(connection.send(chunk(2_000, ms=3_000)))
        await asyncio.sleep(1)
        closing = asyncio.create_task(connection.aclose())
        await asyncio.sleep(0.5)
        with pytest.raises(RealtimeConnectionError):
            await sending
        with pytest.raises(RealtimeConnectionError):
            await connection.send(chunk(2_001))
        await closing
        heard = server.peers[0].received
        after = heard[[message["type"] for message in heard].index("bye") + 1 :]
        assert after
        assert all(message["type"] == "audio" and not message["data"].strip("A=") for message in after)


async def mute(peer: Peer) -> None:
    await listen(peer)


async def unreading(peer: Peer) -> None:
    await peer.begin()
    peer.stop_reading()
    await peer.never()


@pytest.mark.parametrize("script", [mute, unreading])
def test_a_server_that_never_answers_the_goodbye_is_left_after_five_seconds(script: Script) -> None:
    @virtual_time
    async def run() -> None:
        async with flowing(script) as (connection, _, events):
            await asyncio.sleep(1)
            began = now()
            await connection.aclose()
            assert 4 <= now() - began <= 5.05
            assert await rest(events) == [SessionEnded("closed")]

    run()


@pytest.mark.parametrize("script", [mute, unreading])
def test_closing_twice_ends_at_once(script: Script) -> None:
    @virtual_time
    async def run() -> None:
        async with flowing(script) as (connection, _, events):
            await asyncio.sleep(1)
            first = asyncio.create_task(connection.aclose())
            await asyncio.sleep(1)
            began = now()
            await connection.aclose()
            await first
            assert now() - began <= 0.6
            assert await rest(events) == [SessionEnded("closed")]

    run()


@virtual_time
async def test_a_closing_that_is_cancelled_is_ended_by_the_next() -> None:
    async with flowing(mute) as (connection, _, _):
        first = asyncio.create_task(connection.aclose())
        await asyncio.sleep(1)
        first.cancel()
        with pytest.raises(asyncio.CancelledError):
            await first
        began = now()
        await connection.aclose()
        assert now() - began <= 0.6


@pytest.mark.parametrize("code", [1000, 1005, 1006, 1012])
def test_a_socket_that_is_lost_during_the_goodbye_is_not_dialled_again(code: int) -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("bye")
        await peer.close(code)

    @virtual_time
    async def run() -> None:
        async with flowing(leave, mute) as (connection, server, events):
            began = now()
            await connection.aclose()
            assert now() - began <= 2.5
            assert await rest(events) == [SessionEnded("closed")]
            assert len(server.requests) == 1

    run()


@virtual_time
async def test_without_a_socket_there_is_no_goodbye() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    async with flowing(leave, Refusal(503)) as (connection, _, events):
        await until(events, Reconnecting)
        began = now()
        await connection.finish()
        assert (await rest(events))[-1] == SessionEnded("closed")
        await connection.aclose()
        assert now() - began <= 2.5


@virtual_time
async def test_a_conversation_that_is_over_says_nothing_more() -> None:
    async def over(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="last", seconds=7.0)
        await peer.close(1000)

    async with flowing(over) as (connection, _, events):
        told = await rest(events)
        assert [type(event) for event in told] == [UsageUpdated, SessionEnded]
        assert told[-1] == SessionEnded("It is over.", 1000)
        began = now()
        await connection.finish()
        await connection.aclose()
        assert now() == pytest.approx(began, abs=0.01)


@virtual_time
async def test_what_the_last_message_tells_comes_before_the_next_socket() -> None:
    async def expires(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="last", seconds=7_200.0, retryable=True)
        await peer.never()

    async with flowing(expires, mute) as (_, server, events):
        told = await until(events, SessionStarted)
        assert [type(event) for event in told] == [UsageUpdated, Reconnecting, SessionStarted]
        assert len(server.requests) == 2


@virtual_time
async def test_a_socket_whose_time_is_up_is_left_with_a_goodbye() -> None:
    async def limited(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="expiring", left_s=60)
        await peer.expect("bye")
        await asyncio.sleep(1)
        await peer.send(type="last", seconds=3_590.0)
        await peer.never()

    ear = Ear()
    async with flowing(limited, ear) as (connection, server, events):
        loud = 1_500
        for number in range(60):
            await connection.send(chunk(loud + number, ms=100))
            await asyncio.sleep(0.1)
        told = [event for event in await until(events, SessionStarted) if not isinstance(event, Notice)]
        assert [type(event) for event in told] == [UsageUpdated, SessionStarted]
        heard = kinds(server.peers[0])
        assert set(heard[heard.index("bye") + 1 :]) <= {"audio"}
        assert ear.numbers, "what is said goes on, on the new socket"


@virtual_time
async def test_a_mute_socket_whose_time_is_up_is_left_all_the_same() -> None:
    async def limited(peer: Peer) -> None:
        await peer.begin()
        await peer.send(type="expiring", left_s=60)
        await listen_on(peer)

    async with flowing(limited, mute) as (_, _, events):
        began = now()
        assert [type(event) for event in await until(events, SessionStarted)] == [SessionStarted]
        assert now() - began <= 8


# The input is over.


def interpreter(*late_s: float, closes_after_s: float = 1.0) -> Script:
    """Translate for so many seconds after the start, whatever is said; then answer the goodbye."""

    async def script(peer: Peer) -> None:
        await peer.begin()
        listening = asyncio.create_task(hear_goodbye(peer))
        began = now()
        for number, at in enumerate(late_s):
            await asyncio.sleep(began + at - now())
            await peer.send(type="heard", id=f"w{number}", text="palabra")
        await listening
        hearing = asyncio.create_task(listen_on(peer))
        await asyncio.sleep(closes_after_s)
        await peer.send(type="last", seconds=20.0)
        await peer.close(1000)
        await hearing

    return script


async def hear_goodbye(peer: Peer) -> None:
    await peer.expect("bye")


@virtual_time
async def test_finishing_waits_until_the_output_is_quiet() -> None:
    async with flowing(interpreter(1, 3, 5.5, 7), quiet_s=3.0) as (connection, server, events):
        assert isinstance(connection, Finishing)
        await connection.send(chunk(2_000, ms=2_000))
        began = now()
        await connection.finish()
        assert now() - began == pytest.approx(7 + 3 + 1 - 1.7, abs=0.3)
        told = await rest(events)
        assert [type(event) for event in told] == [*[TranscriptUpdate] * 4, UsageUpdated, SessionEnded]
        heard = kinds(server.peers[0])
        # 2 s of speech, a pause, and silence until the end.
        assert heard.count("audio") == pytest.approx(20 + 87, abs=4)


@pytest.mark.parametrize("silent", [True, False])
def test_finishing_does_not_wait_for_more_than_thirty_seconds_nor_for_silence(silent: bool) -> None:
    async def endless(peer: Peer) -> None:
        await peer.begin()
        hearing = asyncio.create_task(hear_goodbye(peer))
        while not hearing.done():
            await peer.send(type="audio", id="t", data="AAAA" * 1_600 if silent else LOUD_SOUND)
            await asyncio.sleep(0.5)
        await peer.send(type="last", seconds=9.0)
        await peer.never()

    @virtual_time
    async def run() -> None:
        async with flowing(endless, quiet_s=3.0) as (connection, _, events):
            began = now()
            await connection.finish()
            assert now() - began == pytest.approx(3 if silent else 30, abs=0.6)
            assert (await rest(events))[-1] == SessionEnded("closed")

    run()


@virtual_time
async def test_where_the_output_does_not_lag_finishing_is_the_goodbye_of_fifteen_seconds() -> None:
    for after, lasts in ((8.0, 8.0), (100.0, 15.0)):
        async with flowing(parting(after)) as (connection, _, events):
            began = now()
            await connection.finish()
            assert now() - began == pytest.approx(lasts, abs=0.6)
            told = await rest(events)
            assert (UsageUpdated in map(type, told)) is (after < 15)
            await connection.aclose()
            assert now() - began == pytest.approx(lasts, abs=0.6)


@virtual_time
async def test_closing_while_it_finishes_takes_five_seconds_and_closing_again_none() -> None:
    for again in (False, True):
        async with flowing(interpreter(*range(40), closes_after_s=100), quiet_s=3.0) as (connection, _, _):
            finishing = asyncio.create_task(connection.finish())
            await asyncio.sleep(2)
            began = now()
            closing = asyncio.create_task(connection.aclose())
            await asyncio.sleep(1)
            if again:
                await connection.aclose()
            await closing
            await finishing
            assert now() - began == pytest.approx(1 if again else 4.5, abs=0.6)


@virtual_time
async def test_a_socket_that_is_lost_while_it_finishes_keeps_nobody_waiting() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await asyncio.sleep(2)
        await peer.close(1012)

    config = RealtimeConfig(reconnect=Reconnect(attempts=2))
    async with flowing(leave, Refusal(503), config=config, quiet_s=30.0) as (connection, _, events):
        began = now()
        await connection.finish()
        assert now() - began <= 6
        with pytest.raises(RealtimeConnectionError):
            await rest(events)


@virtual_time
async def test_without_a_goodbye_finishing_returns_at_once_and_closing_is_as_before() -> None:
    async with talking() as (connection, _, _):
        began = now()
        await connection.finish()
        assert now() == pytest.approx(began, abs=0.01)
        await connection.send(SendText("still open"))
        await connection.aclose()
        assert now() - began <= 0.5


# Dead lines and mute models.


@virtual_time
async def test_a_server_that_vanishes_is_noticed_although_only_silence_is_sent() -> None:
    async with flowing(unreading, mute) as (_, _, events):
        began = now()
        assert "dead" in (await lost(events)).reason
        assert now() - began <= 65
        await until(events, SessionStarted)


@pytest.mark.parametrize("owed", [True, False])
def test_the_reply_time_out_is_for_what_the_codec_says_is_owed(owed: bool) -> None:
    @virtual_time
    async def run() -> None:
        async with flowing(mute, config=RealtimeConfig(response_timeout_s=4)) as (connection, server, events):
            if owed:
                await connection.send(SendText("hello?"))
                assert "owes an answer" in (await lost(events)).reason
            else:
                await asyncio.sleep(10)
                assert len(server.requests) == 1

    run()


async def lost(events: AsyncIterator[Event]) -> Reconnecting:
    told = (await until(events, Reconnecting))[-1]
    assert isinstance(told, Reconnecting)
    return told
