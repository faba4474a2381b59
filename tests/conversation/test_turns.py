"""The user's turns: who finds them, what is sent of them, and how fast they are answered."""

import asyncio
from typing import Any

import pytest

from tests.conversation.scripted import MANUAL, SECOND, SERVER, collect, conversation, overhearing, until
from tests.support.player import Player
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.commands import (
    AppendAudio,
    EndTurn,
    PauseAudio,
    StartTurn,
)
from voicecli.events import (
    AudioChunk,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
)
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, reply, scripted_provider


async def test_client_turns_send_only_speech_and_say_so(speech: bytes) -> None:
    """Speech between two seconds of silence: one turn, most of the silence unsent."""
    voice, connection = conversation(reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    silence = bytes(16_000 * 2 * 2)
    audio = silence + speech + silence
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        for start in range(0, len(audio), 640):
            await session.send_audio(audio[start : start + 640], sample_rate=16_000)
        await session.wait_for_reply()
    kinds = [type(event) for event in await events]
    assert kinds[:3] == [SessionStarted, SpeechStarted, SpeechStopped]
    assert [type(command) for command in connection.commands if not isinstance(command, AppendAudio)] == [
        StartTurn,
        EndTurn,
    ]
    sent_s = len(connection.audio) / 48_000
    speech_s = len(speech) / 32_000
    assert speech_s - 0.2 < sent_s < speech_s + 1.5


async def test_an_utterance_without_speech_is_no_turn() -> None:
    voice, connection = conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        response = await session.send_audio(SECOND)
    assert response is not None
    assert response.status == "no_speech"
    assert connection.commands == []


async def test_an_utterance_with_a_pause_is_one_turn(speech: bytes) -> None:
    voice, connection = conversation(reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        await session.send_audio(speech + bytes(64_000) + speech, sample_rate=16_000)
    assert sum(isinstance(command, EndTurn) for command in connection.commands) == 1


async def test_ending_no_turn_sends_nothing() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        await session.end_turn()
    assert connection.commands == []


async def test_muting_ends_the_turn_that_is_found_here(speech: bytes) -> None:
    voice, connection = conversation(reply("Yes."), config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    async with voice.connect() as session:
        await session.send_audio(speech, sample_rate=16_000, wait=False)
        await session.pause_audio()
        await session.wait_for_reply()
    kinds = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert kinds == [StartTurn, EndTurn, PauseAudio]


async def test_a_microphone_lost_amid_a_pressed_key_ends_no_turn() -> None:
    voice, connection = conversation(reply("Yes."))
    async with voice.connect() as session:
        await session.send_audio(SECOND, wait=False)
        await session.pause_audio()
        assert session.user_speaking
        await session.end_turn()
        await session.wait_for_reply()
    kinds = [type(command) for command in connection.commands if not isinstance(command, AppendAudio)]
    assert kinds == [StartTurn, PauseAudio, EndTurn]


async def test_the_end_of_a_turn_does_not_overtake_its_audio() -> None:
    """A connection may take its time with a chunk, while another task ends the turn."""

    class Busy(ScriptedConnection):
        async def send(self, command: Any) -> None:
            for _ in range(5 if isinstance(command, AppendAudio | StartTurn) else 0):
                await asyncio.sleep(0)
            await super().send(command)

    connection = Busy([reply("Yes.")])
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        speaking = asyncio.create_task(session.send_audio(SECOND[:960], wait=False))
        await asyncio.sleep(0)
        await session.end_turn()
        await speaking
        await session.wait_for_reply()
    assert [type(command) for command in connection.commands] == [StartTurn, AppendAudio, EndTurn]


async def test_long_audio_is_sent_in_pieces_that_wait_for_the_connection() -> None:
    """A connection drops live audio it cannot get rid of; a long recording must not be taken for that."""
    drained: list[int] = []

    class Slow(ScriptedConnection):
        async def drain(self) -> None:
            drained.append(len(self.audio))

    connection = Slow()
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    voice.on_audio(lambda audio: None)
    async with voice.connect() as session:
        await session.send_audio(SECOND)
        await session.send_audio(SECOND[:960])
    assert connection.audio == SECOND + SECOND[:960]
    assert max(later - earlier for earlier, later in zip([0, *drained], drained, strict=False)) <= 4_800
    assert drained[-1] == len(SECOND), "a chunk from a microphone is not held up"


async def test_speech_is_told_although_the_provider_does_not(speech: bytes) -> None:
    """Only told: the provider finds the turns, and decides what interrupts the reply."""
    connection = ScriptedConnection(
        capabilities=Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    )
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        audio = bytes(32_000) + speech + bytes(64_000)
        for start in range(0, len(audio), 640):
            await session.send_audio(audio[start : start + 640], wait=False)
        connection.play([SessionEnded("bye")])
        seen = await events
    kinds = [type(event) for event in seen if isinstance(event, SpeechStarted | SpeechStopped | Interrupted)]
    assert kinds == [SpeechStarted, SpeechStopped]
    assert connection.cancelled == []
    assert connection.audio == audio, "and all of it is sent"


@pytest.mark.parametrize("tools", [False, True], ids=["one response", "over tools"])
async def test_a_noise_does_not_change_how_fast_the_running_reply_came(tools: bool, speech: bytes) -> None:
    voice, connection = overhearing()
    async with voice.connect() as session:
        session.player = Player()
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_audio(bytes(32_000) + speech + bytes(64_000), wait=False)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        await until(lambda: session.awaiting_reply)
        await asyncio.sleep(0.1)
        await session.send_audio(speech + bytes(64_000), wait=False)  # the server takes it for a noise
        if tools:
            connection.play([ResponseDone("r", awaits_tools=True), ResponseStarted("r2")])
        connection.play([AudioChunk(SECOND, "r", "i"), ResponseDone("r2" if tools else "r"), SessionEnded("bye")])
        done = [event for event in await events if isinstance(event, ResponseDone)][-1]
    assert done.metrics.done_ms is not None
    assert done.metrics.done_ms >= 100
    assert done.metrics.audio_ms == 2_000


@pytest.mark.parametrize("realtime", [True, False])
async def test_latency_counts_from_the_end_of_the_speech(realtime: bool, speech: bytes) -> None:
    """The silence that ended the turn was waited for, unless the audio came from a file."""
    from voicecli import ClientVAD

    config = RealtimeConfig(vad_mode=VADMode.CLIENT, client_vad=ClientVAD(hangover_ms=9_000))
    voice, _ = conversation(reply("Yes."), config=config)
    async with voice.connect() as session:
        session.realtime = realtime
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(0)
        await session.send_audio(speech + bytes(320_000), sample_rate=16_000, wait=False)
        await session.wait_for_reply()
    (done,) = [event for event in await events if isinstance(event, ResponseDone)]
    assert done.metrics.first_audio_ms is not None
    assert (done.metrics.first_audio_ms >= 9_000) == realtime
