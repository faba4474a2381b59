"""Commands and events on a connection that works: order, replies to what is received, defects."""

import asyncio
import base64
import json

import pytest

from tests.connection.talk import chunk, eventually, kinds, numbers, talking, until
from tests.loopback.faulty import Peer
from tests.support.virtual_time import virtual_time
from voicecli.commands import Command, EndTurn, PauseAudio, SendText, ToolResult
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    ResponseDone,
    SessionEnded,
    SpeechStarted,
    TranscriptUpdate,
)


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


@virtual_time
async def test_a_message_in_fragments_is_put_together_and_keeps_its_place() -> None:
    async def fragment(peer: Peer) -> None:
        await peer.begin()
        for number in range(3):
            message = json.dumps({"type": "heard", "id": str(number), "text": "so" * 500})
            await peer.connection.send([message[:7], message[7:500], "", message[500:]])
            await peer.send(type="heard", id=f"{number} whole", text="")
        await peer.reply("r")
        await peer.never()

    async with talking(fragment) as (_, _, events):
        told = [event for event in await until(events, ResponseDone) if isinstance(event, TranscriptUpdate)]
        assert [update.item_id for update in told] == ["0", "0 whole", "1", "1 whole", "2", "2 whole"]
        assert [len(update.text) for update in told] == [1000, 0] * 3
