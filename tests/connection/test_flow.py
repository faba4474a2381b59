"""Input that must flow: silence where the program sends nothing."""

import asyncio
import itertools

import pytest

from tests.connection.flow import Ear, flow, spoken
from tests.connection.talk import LOUD, chunk, flowing, talking, until
from tests.loopback.faulty import Peer, converse
from tests.support.virtual_time import run_without_io, virtual_time
from voicecli.commands import ClearAudio, Command, EndTurn, PauseAudio, SendImage, SendText, StartTurn
from voicecli.events import Reconnecting, ResponseDone, SessionStarted


@virtual_time
async def test_silence_flows_from_the_start_for_as_long_as_nothing_is_sent() -> None:
    ear = Ear()
    async with flowing(ear):
        await asyncio.sleep(5)
        assert all((number, ms) == (0, 100) for _, number, ms in ear.heard)
        assert ear.silence == pytest.approx([0.25 + 0.1 * n for n in range(48)], abs=0.02)


@pytest.mark.parametrize("ms", [10, 20, 100, 200])
def test_no_silence_comes_into_speech_and_it_goes_on_a_quarter_of_a_second_after_its_end(ms: int) -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, _):
            await asyncio.sleep(2)
            before = len(ear.silence)
            for number in range(20):
                await sender.send(spoken(number, ms))
                await asyncio.sleep(ms / 1000)
            assert len(ear.silence) == before
            assert ear.speech == pytest.approx([2 + ms / 1000 * n for n in range(20)], abs=0.005)
            await asyncio.sleep(1)
            assert ear.silence[before] - ear.speech[-1] == pytest.approx(ms / 1000 + 0.25, abs=0.005)
            assert ear.numbers == list(range(20))

    run_without_io(run())


def test_none_comes_while_the_programs_audio_waits_for_a_slow_network() -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, wire):
            wire.free.clear()
            await sender.send(spoken(0))
            await asyncio.sleep(2)
            wire.free.set()
            await asyncio.sleep(0.15)
            assert [number for _, number, _ in ear.heard] in ([LOUD, 0], [LOUD, 0, 0])

    run_without_io(run())


def test_a_network_that_takes_nothing_gets_no_burst_of_silence() -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (_, wire):
            await asyncio.sleep(1)
            before = len(ear.silence)
            wire.free.clear()
            await asyncio.sleep(10)
            wire.free.set()
            await asyncio.sleep(0.09)
            # What the network held back, and what is due now.
            assert len(ear.silence) - before <= 2
            await asyncio.sleep(1)
            assert len(ear.silence) - before <= 12

    run_without_io(run())


@pytest.mark.parametrize(
    "command", [StartTurn(), EndTurn(), PauseAudio(), ClearAudio(), SendText("Hi"), SendImage(b"x", "image/png")]
)
def test_no_command_but_audio_stops_it(command: Command) -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, _):
            await sender.send(spoken(1))
            for _ in range(20):
                await sender.send(command)
                await asyncio.sleep(0.5)
            assert len(ear.others) == 20
            gaps = [after - before for before, after in itertools.pairwise(ear.silence)]
            assert len(ear.silence) == 98
            assert gaps == pytest.approx([0.1] * 97, abs=0.002)

    run_without_io(run())


@virtual_time
async def test_a_turn_and_its_reply_do_not_stop_it() -> None:
    async with flowing(converse) as (connection, server, events):
        await connection.send(spoken(1))
        await connection.send(EndTurn())
        await connection.send(SendText("Hi"))
        await until(events, ResponseDone)
        await asyncio.sleep(5)
        assert sum(message["type"] == "audio" for message in server.peers[0].received) == pytest.approx(48, abs=2)


@virtual_time
async def test_it_flows_on_each_socket() -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await asyncio.sleep(1)
        await peer.close(1012)

    ear = Ear()
    async with flowing(leave, ear) as (_, _, events):
        seen = await until(events, SessionStarted)
        assert any(isinstance(event, Reconnecting) for event in seen)
        await asyncio.sleep(1.04)
        assert ear.silence == pytest.approx([0.25 + 0.1 * n for n in range(8)], abs=0.03)


@virtual_time
async def test_where_the_input_need_not_flow_none_is_sent_and_nothing_is_paced() -> None:
    ear = Ear()
    async with talking(ear) as (connection, _, _):
        await connection.send(chunk(LOUD, ms=3_000))
        await asyncio.sleep(5)
        assert [(number, ms) for _, number, ms in ear.heard] == [(LOUD, 3_000)]
