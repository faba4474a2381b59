"""Audio as fast as it is spoken, where the provider wants that."""

import asyncio
import contextlib
import itertools
import random
from pathlib import Path

import pytest

from tests.connection.flow import Ear, assert_never_faster, assert_never_starves, flow, spoken
from tests.connection.talk import LOUD, chunk, flowing, notices, until
from tests.loopback.faulty import FaultyServer, Peer
from tests.loopback.plain import FLOWING, FlowingCodec
from tests.support.virtual_time import run_without_io, virtual_time
from voicecli.audio.files.source import WavSource
from voicecli.commands import AppendAudio, EndTurn
from voicecli.config import RealtimeConfig, VADMode
from voicecli.connection.websocket import WebSocketConnection
from voicecli.conversation.duplex import converse
from voicecli.conversation.session import VoiceSession
from voicecli.events import Event, Reconnecting


def numbered(number: int, ms: int) -> AppendAudio:
    """A chunk of a recording, from 0 on."""
    return chunk(LOUD + number, ms)


def test_a_recording_sent_at_once_takes_its_own_time_and_loses_nothing() -> None:
    async def run() -> None:
        ear, told = Ear(), list[Event]()
        async with flow(ear, told) as (sender, _):
            time = asyncio.get_running_loop().time
            began = time()
            await sender.send(numbered(0, 5_000))
            assert time() - began == pytest.approx(4.6, abs=0.06)
            for number in range(1, 51):
                await sender.send(numbered(number, 100))
            await sender.send(EndTurn())
            assert time() - began == pytest.approx(9.6, abs=0.06)
            await sender.drain()
            assert time() - began == pytest.approx(9.9, abs=0.06)
            assert ear.numbers == [0] * 50 + list(range(1, 51))
            assert ear.speech == pytest.approx([0.1 * n for n in range(100)], abs=0.06)
            assert [kind for _, kind in ear.others] == ["EndTurn"]
            assert ear.silence == []
            assert told == []

    run_without_io(run())


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.NONE])
@pytest.mark.parametrize("as_file", [True, False])
def test_whatever_a_session_sends_is_paced(mode: VADMode, as_file: bool, tmp_path: Path) -> None:
    config = RealtimeConfig(vad_mode=mode, response_timeout_s=1)
    path = tmp_path / "speech.pcm"
    path.write_bytes(numbered(0, 3_000).audio)

    @virtual_time
    async def run() -> None:
        ear = Ear()
        async with FaultyServer(ear) as server:
            connection = await WebSocketConnection.open(FlowingCodec(server.url), FLOWING, config)
            session = VoiceSession(connection, config)
            await session.start()
            if as_file:
                source = WavSource(str(path), raw_rate=24_000)
                talking = asyncio.create_task(converse(session, source))
                await asyncio.sleep(4)
                talking.cancel()
                await asyncio.wait([talking])
                await source.aclose()
            else:
                await session.send_audio(path.read_bytes(), wait=False)
                await asyncio.sleep(0.5)
                await session.aclose()
            spoken_ms = sum(ms for _, number, ms in ear.heard if number)
            assert spoken_ms == 3_000
            assert ear.speech[-1] == pytest.approx(2.9, abs=0.1)
            assert_never_faster(ear, lead_ms=70)

    run()


def test_what_comes_in_one_go_after_a_stall_is_dropped_but_the_newest() -> None:
    async def run() -> None:
        ear, told = Ear(), list[Event]()
        async with flow(ear, told) as (sender, _):
            for number in range(50):
                await sender.send(spoken(number))
                await asyncio.sleep(0.02)
            await asyncio.sleep(2)  # the microphone's program is held up
            for number in range(50, 150):
                await sender.send(spoken(number))
            for number in range(150, 250):
                await asyncio.sleep(0.02)
                await sender.send(spoken(number))
            await asyncio.sleep(0.4)
            assert ear.numbers[:50] == list(range(50))
            # What is sent at once before the drop begins, then the newest 0.3 s.
            began = ear.numbers.index(135)
            assert 50 < began <= 54
            assert ear.numbers[began:] == list(range(135, 250))
            assert_never_faster(ear)
            assert notices(told) == ["Your speech is being dropped: it is too late to be heard in time."]
            await asyncio.sleep(6)
            assert notices(told)[1:] == ["1.6 s of your speech were dropped: it was too late to be heard in time."]

    run_without_io(run())


def test_a_chunk_that_is_late_by_less_than_the_pause_is_made_up_for() -> None:
    async def run() -> None:
        ear, loop = Ear(), asyncio.get_running_loop()
        async with flow(ear) as (sender, _):
            for number in range(500):
                late = 0.24 if number % 50 == 49 else 0.0
                await asyncio.sleep(max(0.02 * number + late - loop.time(), 0))
                await sender.send(spoken(number))
            await asyncio.sleep(0.3)
            assert ear.numbers == list(range(500))
            assert ear.silence == pytest.approx([ear.speech[-1] + 0.27], abs=0.01)
            assert ear.speech[-2] == pytest.approx(498 * 0.02, abs=0.06)

    run_without_io(run())


def test_what_silence_took_the_place_of_is_not_made_up_for() -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, _):
            await sender.send(spoken(0, ms=100))
            await asyncio.sleep(0.35)  # exactly when the silence begins
            await asyncio.sleep(0)
            assert len(ear.silence) == 1
            for number in range(1, 4):
                await sender.send(spoken(number, ms=100))
            await asyncio.sleep(0.5)
            first, *others = ear.speech[1:]
            assert [at - first for at in others] == pytest.approx([0.05, 0.15], abs=0.01)

    run_without_io(run())


def test_speech_that_is_late_catches_up_in_a_pause() -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, _):
            await sender.send(spoken(0))
            await asyncio.sleep(1)
            for number in range(1, 15):
                await sender.send(spoken(number))  # 0.28 s at once
            for number in range(15, 100):
                await asyncio.sleep(0.02)
                silent = 40 <= number < 60
                await sender.send(AppendAudio(bytes(960), realtime=True) if silent else spoken(number))
            late = len(sender._queue)
            await sender.drain()
            assert late <= 5
            assert ear.numbers == [number for number in range(100) if not 40 <= number < 60]
            assert_never_faster(ear)

    run_without_io(run())


def test_a_pause_in_a_recording_is_no_place_to_catch_up() -> None:
    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, _):
            for _ in range(5):
                await sender.send(numbered(1, 500))
                await sender.send(AppendAudio(bytes(48 * 500)))
            await sender.drain()
            assert sum(ms for _, _, ms in ear.heard) == 5_000
            assert ear.heard[-1][0] == pytest.approx(4.9, abs=0.06)

    run_without_io(run())


def test_live_audio_in_long_chunks_loses_nothing() -> None:
    async def run() -> None:
        ear, told = Ear(), list[Event]()
        async with flow(ear, told) as (sender, _):
            for number in range(10):
                await sender.send(spoken(number, ms=1_000))
                await asyncio.sleep(1)
            assert ear.numbers == [number for number in range(10) for _ in range(10)]
            assert ear.silence == []
            assert told == []

    run_without_io(run())


def test_a_network_that_stalls_brings_no_burst() -> None:
    async def run() -> None:
        ear, told = Ear(), list[Event]()
        async with flow(ear, told) as (sender, wire):
            wire.free.clear()
            for number in range(300):
                await sender.send(spoken(number))
                await asyncio.sleep(0.02)
            wire.free.set()
            for number in range(300, 400):
                await asyncio.sleep(0.02)
                await sender.send(spoken(number))
            await asyncio.sleep(0.4)
            # The first was on its way.
            assert ear.numbers == [0, *range(285, 400)]
            assert_never_faster(ear)
            assert notices(told) == ["Your speech is being dropped: the network is too slow."]

    run_without_io(run())


@pytest.mark.parametrize("live", [True, False])
def test_nothing_of_an_outage_is_sent_late_but_a_recording_waits(live: bool) -> None:
    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.close(1012)

    @virtual_time
    async def run() -> None:
        ear = Ear()
        async with flowing(leave, ear) as (connection, _, events):
            await until(events, Reconnecting)
            for number in range(20):
                await connection.send(AppendAudio(numbered(number, 100).audio, realtime=live))
            await connection.drain()
            await asyncio.sleep(0.01)
            assert ear.numbers == list(range(17 if live else 0, 20))
            assert_never_faster(ear, lead_ms=70)
            await connection.aclose()
            dropped = notices([event async for event in events if type(event).__name__ == "Notice"])
            kept = "and only the newest 0.3 s of it are kept"
            told = [
                f"Your speech is being dropped: there is no connection, {kept}.",
                "1.7 s of your speech were dropped: there was no connection.",
            ]
            assert dropped == (told if live else [])

    run()


@pytest.mark.parametrize("seed", range(10))
def test_never_is_more_sent_than_has_been_spoken(seed: int) -> None:
    """Whoever sends whatever: microphones with jitter and stalls, recordings, pauses, a network that stutters."""
    chance = random.Random(seed)

    async def stutter(wire_free: asyncio.Event) -> None:
        while True:
            await asyncio.sleep(chance.expovariate(0.5))
            wire_free.clear()
            await asyncio.sleep(chance.expovariate(2))
            wire_free.set()

    async def run() -> None:
        ear = Ear()
        async with flow(ear) as (sender, wire):
            stuttering = asyncio.create_task(stutter(wire.free)) if seed % 2 else None
            for _ in range(10):
                live, ms = chance.random() < 0.6, chance.choice([10, 20, 37, 100, 200, 500])
                for number in range(chance.randrange(40)):
                    await sender.send(AppendAudio(numbered(number, ms).audio, realtime=live))
                    await asyncio.sleep(ms / 1000 * chance.choice([0, 1, 1, 1.5, 3]))
                await asyncio.sleep(chance.choice([0, 0.1, 0.3, 1]))
            await asyncio.sleep(1)
            if stuttering is None:
                assert_never_faster(ear)
                assert_never_starves(ear)
            else:  # what the network held back comes with what follows
                assert_never_faster(ear, late_ms=1_000)
                stuttering.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await stuttering
            gaps = [after - before for before, after in itertools.pairwise(ear.silence)]
            assert sum(gap < 0.098 for gap in gaps) <= (0 if stuttering is None else 30)

    run_without_io(run())
