"""The silence that follows the user's audio, where the provider finds the turns."""

import asyncio
from itertools import pairwise

import pytest

from tests.connection.talk import chunk, talking, until
from tests.loopback.faulty import Peer
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, EndTurn, PauseAudio
from voicecli.config import RealtimeConfig, VADMode
from voicecli.connection.silence import SilenceFeeder, TurnEndSilence
from voicecli.errors import RealtimeConnectionError
from voicecli.events import ResponseDone, SpeechStarted, SpeechStopped

SERVER = RealtimeConfig(vad_mode=VADMode.SERVER, response_timeout_s=10)
PIECE = 100 * 48


class Times:
    """Notes when what came."""

    def __init__(self) -> None:
        self.came: list[tuple[float, int]] = []

    async def take(self, command: AppendAudio) -> None:
        assert not any(command.audio)
        self.came.append((round(asyncio.get_running_loop().time(), 3), len(command.audio)))


@virtual_time
async def test_silence_passes_as_it_is_spoken() -> None:
    times, began = Times(), asyncio.get_running_loop().time()
    feeder = SilenceFeeder(times.take, 24_000)
    feeder.run_for(1.0)
    await asyncio.sleep(5)
    assert not feeder.running
    assert [size for _, size in times.came] == [PIECE] * 10
    assert [at - began for at, _ in times.came] == pytest.approx([0.1 * n for n in range(1, 11)], abs=0.02)


@virtual_time
async def test_what_could_not_be_sent_in_time_makes_no_burst() -> None:
    came: list[float] = []

    async def take(command: AppendAudio) -> None:
        came.append(asyncio.get_running_loop().time())
        if len(came) == 2:
            await asyncio.sleep(1)  # the network stalls

    feeder = SilenceFeeder(take, 24_000)
    feeder.run_for(2.0)
    await asyncio.sleep(5)
    gaps = [after - before for before, after in pairwise(came)]
    assert min(gaps[:1] + gaps[3:]) >= 0.099
    assert len(came) <= 12


@virtual_time
async def test_it_can_be_stopped_and_ends_with_the_conversation() -> None:
    async def over(command: AppendAudio) -> None:
        raise RealtimeConnectionError("over")

    times = Times()
    feeder = SilenceFeeder(times.take, 24_000)
    feeder.run_for(5)
    await asyncio.sleep(0.35)
    feeder.stop()
    await asyncio.sleep(5)
    assert len(times.came) == 3
    feeder = SilenceFeeder(over, 24_000)
    feeder.run_for(5)
    await asyncio.sleep(1)
    assert not feeder.running


def silence_ms(peer: Peer) -> float:
    """How much silence the server has had by now, in ms."""
    silent = [message for message in peer.received if message["type"] == "audio" and not message["data"].strip("A=")]
    return len(silent) * 100.0


@pytest.mark.parametrize(("speaks", "seconds"), [(False, 3), (True, 10)])
def test_it_lasts_until_the_timeout_after_a_sign_of_speech_and_three_seconds_without_one(
    speaks: bool, seconds: float
) -> None:
    peers: list[Peer] = []

    async def listen(peer: Peer) -> None:
        peers.append(peer)
        await peer.begin()
        await peer.expect("audio")
        if speaks:
            await peer.send(type="speech")
        while True:
            await peer.receive()

    @virtual_time
    async def run() -> None:
        async with talking(listen, config=SERVER) as (connection, _, events):
            await connection.send(chunk(5_000))
            if speaks:
                await until(events, SpeechStarted)
            else:
                await asyncio.sleep(0.05)
            await connection.send(EndTurn())
            await asyncio.sleep(1)
            await connection.send(EndTurn())  # nothing was said since
            await asyncio.sleep(30)
            assert silence_ms(peers[0]) == pytest.approx(seconds * 1000, abs=100)

    run()


@virtual_time
async def test_it_ends_with_the_turn_and_when_the_user_goes_on() -> None:
    peers: list[Peer] = []

    async def answer(peer: Peer) -> None:
        peers.append(peer)
        await peer.begin()
        await peer.expect("end")
        for _ in range(5):
            await peer.expect("audio")
        await peer.reply("Yes.")
        while True:
            await peer.receive()

    async with talking(answer, config=SERVER) as (connection, _, events):
        await connection.send(chunk(5_000))
        await connection.send(EndTurn())
        await until(events, ResponseDone)
        await asyncio.sleep(5)
        assert silence_ms(peers[0]) == pytest.approx(500, abs=100)
        await connection.send(chunk(5_001))
        await connection.send(EndTurn())
        await asyncio.sleep(1.05)
        await connection.send(chunk(5_002))
        await asyncio.sleep(5)
        assert silence_ms(peers[0]) == pytest.approx(1_500, abs=200)


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
def test_it_is_not_sent_where_the_turns_are_found_here(mode: VADMode) -> None:
    peers: list[Peer] = []

    async def listen(peer: Peer) -> None:
        peers.append(peer)
        await peer.begin()
        while True:
            await peer.receive()

    @virtual_time
    async def run() -> None:
        async with talking(listen, config=RealtimeConfig(vad_mode=mode)) as (connection, _, _events):
            await connection.send(chunk(5_000))
            await connection.send(EndTurn())
            await asyncio.sleep(5)
            assert silence_ms(peers[0]) == 0

    run()


@virtual_time
async def test_a_muted_microphone_sends_silence_until_the_turn_has_ended() -> None:
    times = Times()
    silence = TurnEndSilence(SilenceFeeder(times.take, 24_000), 10, finds_turns=True)
    silence.sent(chunk(5_000))
    silence.told(SpeechStarted())
    silence.sent(PauseAudio())
    await asyncio.sleep(4.05)
    silence.told(SpeechStopped())
    await asyncio.sleep(5)
    assert len(times.came) == 40
