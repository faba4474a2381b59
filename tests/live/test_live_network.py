"""A live conversation while the network stammers, devices fail and the provider is slow to answer."""

import asyncio
import base64
import random
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import pytest

from tests.live.live_talk import (
    FADE_MS,
    RATE,
    Heard,
    all_of,
    assistant_speech,
    eventually,
    sound_ms,
    talking,
    user_speech,
)
from tests.loopback.faulty import tcp_server
from tests.loopback.openai_server import OpenAIServer, Reply
from tests.virtual_audio import SoundServer
from voicecli.events import ResponseDone, SessionStarted, SpeechStarted

pytest_plugins = ["tests.virtual_audio.fixture"]

WIRE_BYTES_PER_S = RATE * 2 * 4 // 3


@dataclass
class Network:
    """Stands between the program and the server. Loses nothing and keeps the order, as TCP does.

    Attributes:
        url: what to connect to instead of the server.
        hold_s: how long it lets each connection wait.
        trace: how much goes on to the program and how long nothing does then, in bytes and seconds; over it is clear.
    """

    url: str = ""
    hold_s: float = 0.0
    trace: Iterator[tuple[int, float]] = field(default_factory=lambda: iter(()))


@asynccontextmanager
async def network(server: OpenAIServer) -> AsyncIterator[Network]:
    between = Network()

    async def down(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            while data:
                size, pause_s = next(between.trace, (len(data), 0.0))
                target.write(data[:size])
                data = data[size:]
                await asyncio.sleep(pause_s)
        target.close()

    async def up(source: asyncio.StreamReader, target: asyncio.StreamWriter) -> None:
        while data := await source.read(65_536):
            target.write(data)
        target.close()

    async def connect(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await asyncio.sleep(between.hold_s)
        server_reader, server_writer = await asyncio.open_connection("127.0.0.1", server.port)
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(up(reader, server_writer))
                both_ways.create_task(down(server_reader, writer))
        finally:
            server_writer.close()

    async with tcp_server(connect) as port:
        between.url = f"http://127.0.0.1:{port}/v1"
        yield between


def stammering(seed: int) -> Iterator[tuple[int, float]]:
    """Bursts, stalls, and dripping a little faster than it is spoken. The first stall outlasts what came before."""
    dice = random.Random(seed)
    yield WIRE_BYTES_PER_S, 1.8
    for _ in range(3):
        for _ in range(dice.randint(10, 40)):
            yield round(WIRE_BYTES_PER_S * dice.uniform(0.01, 0.03)), dice.uniform(0.01, 0.02)
        yield WIRE_BYTES_PER_S // dice.randint(2, 8), dice.uniform(0.3, 0.9)


@pytest.mark.usefixtures("patient")
async def test_what_a_bad_network_delivers_is_heard_whole_and_once(sound_server: SoundServer) -> None:
    reply = assistant_speech(4.0)
    server = OpenAIServer(replies=[Reply(text="A story.", audio=reply)])
    async with server, network(server) as between, talking(between.url) as talk:
        with sound_server.record(RATE) as recording:
            between.trace = stammering(seed=1)
            talk.live.say("Tell me a story.")
            await eventually(lambda: bool(talk.of(ResponseDone)), "the reply has arrived")
            await talk.speaker.drain()
            recorded = await all_of(recording)
        stats = talk.speaker.stats
    heard = Heard(recorded, reply)
    assert heard.found_ms == 4_000
    assert heard.missing == []
    assert all(length > 0 for _, length in heard.gaps)
    assert len(heard.gaps) == stats.underruns > 0
    assert sum(length for _, length in heard.gaps) == pytest.approx(stats.gap_ms, abs=10 * stats.underruns)
    # Each silence begins with a fade of the last sound; nothing else sounds twice.
    assert sound_ms(recorded) == pytest.approx(4_000 + FADE_MS * stats.underruns, abs=10 * (1 + stats.underruns))


@pytest.mark.usefixtures("patient")
async def test_what_is_said_while_connecting_is_not_lost(sound_server: SoundServer) -> None:
    spoken = user_speech()
    async with OpenAIServer(replies=[Reply()]) as server, network(server) as between:
        between.hold_s = 3.5
        async with talking(between.url, echo="off", wait=False) as talk:
            await asyncio.to_thread(sound_server.say, spoken, RATE)
            assert talk.of(SessionStarted) == []
            await eventually(lambda: bool(talk.of(ResponseDone)), "it is answered")
    sent = b"".join(base64.b64decode(frame["audio"]) for frame in server.received("input_audio_buffer.append"))
    heard = Heard(sent, spoken[: 1_850 * RATE // 1000 * 2])
    assert heard.missing == []
    assert heard.gaps == []
    assert heard.found_ms == 1_850


@pytest.mark.parametrize("what", ["mic", "speaker", "server"])
async def test_the_conversation_outlives_its_devices(sound_server: SoundServer, what: str) -> None:
    """They fail while a reply is heard. Then the user asks something, and is answered aloud."""
    reply, answer = assistant_speech(20.0), assistant_speech(1.0)
    replies = [Reply(audio=reply), Reply(text="Yes.", audio=answer)]
    async with OpenAIServer(replies=replies) as server, talking(server.url) as talk:
        talk.live.say("Tell me a story.")
        await eventually(lambda: talk.played_ms > 300, "the reply is heard")
        if what == "server":
            sound_server.kill()
        else:
            sound_server.stall(what, True)
        lost = {"mic": ["microphone"], "speaker": ["loudspeaker"], "server": ["microphone", "loudspeaker"]}[what]
        await eventually(lambda: {f"{noun}_lost" for noun in lost} <= set(talk.notices), "the loss is told")
        stopped_at = talk.played_ms
        if what == "server":
            await asyncio.to_thread(sound_server.start)
        else:
            sound_server.stall(what, False)
        await eventually(lambda: {f"{noun}_back" for noun in lost} <= set(talk.notices), "it is back", 30)
        # The echo has moved: until the canceller has learnt from half a second of sound, a voice is not let through.
        await eventually(lambda: talk.played_ms > stopped_at + 1_500, "the reply goes on")
        assert talk.of(SpeechStarted) == []

        with sound_server.record(RATE) as recording:
            await asyncio.to_thread(sound_server.say, user_speech(), RATE)
            await eventually(lambda: len(talk.of(ResponseDone)) == 2, "the user is answered")
            await talk.speaker.drain()
            assert Heard(await all_of(recording), answer).found_ms >= 900
    (cut,) = server.received("conversation.item.truncate")
    assert stopped_at < cut["audio_end_ms"] < 20_000
