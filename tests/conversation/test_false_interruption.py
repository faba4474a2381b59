"""A reply is paused while the user may be speaking into it: words cut it, a noise lets it go on."""

import asyncio

import pytest

from tests.conversation.scripted import (
    REPLY_HEARD,
    SECOND,
    SERVER,
    collect,
    conversation,
    overhearing,
    until,
    words_first,
)
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, VADMode
from voicecli.audio import Playhead
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    PauseAudio,
)
from voicecli.conversation.awaited_words import LATE_WORDS_S
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
)
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, scripted_provider


async def test_words_cut_the_reply_that_a_voice_has_paused() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        connection.play([*REPLY_HEARD, SpeechStarted(), SpeechStopped()])
        await until(lambda: session.awaiting_reply)
        assert player.told == ["pause"]
        assert connection.cancelled == []
        connection.play([TranscriptUpdate("user", "u", "Wait", final=False), ResponseStarted("r2")])
        await until(lambda: connection.cancelled)
        connection.play([TranscriptUpdate("user", "u", "Wait!", final=True), ResponseDone("r2")])
        await session.wait_for_reply()
    assert connection.cancelled == [CancelResponse("r", "item", 420, "playback")]
    assert player.told == ["pause", "clear"]


async def test_a_noise_as_long_as_a_word_lets_the_reply_go_on() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        connection.play([*REPLY_HEARD, SpeechStarted(), SpeechStopped()])
        await until(lambda: player.told)
        failure = ErrorOccurred(RealtimeError("Something else failed."))
        connection.play([failure, Notice("no_speech", "No words.")])
        await until(lambda: len(player.told) > 1)
        # Later words are of another turn, that nobody spoke into a reply.
        connection.play([TranscriptUpdate("user", "u", "Hello", final=True), ResponseStarted("r2"), ResponseDone("r2")])
        await session.wait_for_reply()
    assert connection.cancelled == []
    assert player.told == ["pause", "resume"]


async def test_a_turn_found_here_waits_for_its_words_too(speech: bytes) -> None:
    voice, connection = words_first(VADMode.CLIENT)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 700))
        connection.play(REPLY_HEARD)
        await until(lambda: session.state.assistant == "speaking")
        await session.send_audio(speech + bytes(64_000), sample_rate=16_000, wait=False)
        assert player.told == ["pause", "pause"], "a suspicion, then a turn; its end tells nothing yet"
        assert connection.cancelled == []
        connection.play([TranscriptUpdate("user", "u", "Wait", final=True)])
        await until(lambda: connection.cancelled)
    assert connection.cancelled == [CancelResponse("r", "item", 700, "playback")]
    assert player.told == ["pause", "pause", "clear"]


@pytest.mark.parametrize("words", [True, False])
async def test_a_second_voice_before_the_first_words_are_known_waits_for_words_too(words: bool) -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        running: list[Step] = [ResponseStarted("r"), AudioChunk(SECOND, "r", "item")]
        connection.play([*running, SpeechStarted(), SpeechStopped(), SpeechStarted()])
        connection.play([Notice("no_speech", "No words."), SpeechStopped()])
        await until(lambda: len(player.told) == 2)
        await asyncio.sleep(0.01)
        assert player.told == ["pause", "pause"], "the first had none, the second may have"
        assert connection.cancelled == []
        last = TranscriptUpdate("user", "u2", "Stop", final=True) if words else Notice("no_speech", "No words.")
        connection.play([last])
        await until(lambda: len(player.told) == 3)
    assert player.told[-1] == ("clear" if words else "resume")
    assert connection.cancelled == ([CancelResponse("r", "item", 420)] if words else [])


async def test_a_noise_while_an_answer_is_thought_about_does_not_cost_it() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = player = Player()
        connection.play([SpeechStarted(), SpeechStopped(), TranscriptUpdate("user", "u", "Why?", final=True)])
        connection.play([SpeechStarted(), SpeechStopped(), Notice("no_speech", "No words.")])
        await until(lambda: player.told[-1:] == ["resume"])
        assert session.awaiting_reply
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), ResponseDone("r")])
        await session.wait_for_reply()
    assert connection.cancelled == []


async def test_what_was_made_of_a_held_reply_is_no_answer_to_the_turn() -> None:
    voice, connection = words_first(VADMode.SERVER)
    async with voice.connect() as session:
        session.player = Player(Playhead("item", 420))
        events = asyncio.create_task(collect(session))
        running: list[Step] = [ResponseStarted("r"), AudioChunk(SECOND, "r", "item")]
        connection.play([*running, SpeechStarted(), SpeechStopped(), AudioChunk(SECOND, "r", "item")])
        connection.play([TranscriptUpdate("user", "u", "Wait", final=True), ResponseDone("r", "cancelled")])
        connection.play([ResponseStarted("r2"), ResponseDone("r2"), SessionEnded("bye")])
        done = [event for event in await events if isinstance(event, ResponseDone)]
    assert done[1].metrics.audio_ms == 0
    assert done[1].metrics.first_audio_ms is None


@pytest.mark.parametrize("vad_mode", [VADMode.CLIENT, VADMode.SERVER])
async def test_a_microphone_lost_amid_a_suspicion_leaves_no_reply_paused(vad_mode: VADMode, speech: bytes) -> None:
    voice, connection = (
        overhearing() if vad_mode is VADMode.SERVER else conversation(config=RealtimeConfig(vad_mode=VADMode.CLIENT))
    )
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        session.player = player = Player(Playhead("item", 700))
        connection.play(REPLY_HEARD)
        await until(lambda: not session.awaiting_reply and session.state.assistant == "speaking")
        for start in range(0, len(speech), 640):
            await session.send_audio(speech[start : start + 640], sample_rate=16_000, wait=False)
            if player.told:
                break
        await session.pause_audio()
        connection.play([SessionEnded("bye")])
        seen = await events
    assert player.told == ["pause", "resume"]
    assert connection.cancelled == []
    assert [type(event) for event in seen if isinstance(event, SpeechStarted | SpeechStopped)] == [
        SpeechStarted,
        SpeechStopped,
    ]
    assert [command for command in connection.commands if not isinstance(command, AppendAudio)] == [PauseAudio()]


async def test_a_turn_that_is_taken_back_lets_the_reply_go_on(speech: bytes) -> None:
    voice, connection = words_first(VADMode.CLIENT)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 700))
        connection.play(REPLY_HEARD)
        await session.send_audio(speech, sample_rate=16_000, wait=False)
        await session.clear_audio()
        connection.play([TranscriptUpdate("user", "u", "Wait", final=True), SessionEnded("bye")])
        await until(lambda: not session.is_active)
    assert connection.cancelled == []
    assert player.told == ["pause", "pause", "resume"]


@pytest.mark.parametrize(("words", "told"), [(True, ["pause", "clear"]), (False, ["pause", "resume"])])
async def test_a_reply_that_has_come_whole_is_interrupted_here(words: bool, told: list[str], speech: bytes) -> None:
    """Its provider, which finds the turns, is done with it, and does not tell of the user's voice."""
    connection = ScriptedConnection(
        capabilities=Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    )
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        connection.play(REPLY_HEARD)
        async for event in session:
            if isinstance(event, ResponseDone):
                break
        await session.send_audio(bytes(32_000) + speech, wait=False)
        assert player.told == ["pause"]
        if words:
            connection.play([TranscriptUpdate("user", "u", "Wait", final=False)])
            await until(lambda: connection.cancelled)
        await session.send_audio(bytes(64_000), wait=False)
        await until(lambda: len(player.told) == 2)
    assert player.told == told
    assert connection.cancelled == ([CancelResponse("r", "item", 420, "playback")] if words else [])


async def test_the_answer_to_a_voice_is_not_paused_by_it(speech: bytes) -> None:
    """The provider may find the turn's end sooner, and tell its words later."""
    connection = ScriptedConnection(
        capabilities=Capabilities(input_rate=16_000, output_rate=24_000, reports_speech=False)
    )
    voice = RealtimeVoice(scripted_provider(connection=connection), config=SERVER)
    async with voice.connect() as session:
        session.player = player = Player()
        await session.send_audio(bytes(32_000) + speech, wait=False)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item")])
        await until(lambda: session.awaiting_reply)
        connection.play([TranscriptUpdate("user", "u", "Hello", final=True), ResponseDone("r")])
        await session.wait_for_reply()
    assert player.told == ["pause", "resume"]
    assert connection.cancelled == []


@pytest.mark.parametrize("words", [True, False], ids=["words", "answer"])
async def test_words_that_come_after_the_silence_cut_the_reply_still(words: bool, speech: bytes) -> None:
    voice, connection = overhearing()
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        events = aiter(session)
        connection.play(REPLY_HEARD)
        while not isinstance(await anext(events), ResponseDone):
            pass
        await session.send_audio(bytes(32_000) + speech + bytes(64_000), wait=False)
        assert player.told == ["pause", "resume"]
        heard: list[Step] = [TranscriptUpdate("user", "u", "What about Rome?", final=True)] if words else []
        connection.play([*heard, ResponseStarted("r2"), AudioChunk(SECOND, "r2", "item2"), ResponseDone("r2")])
        seen: list[Event] = []
        while not isinstance(seen[-1] if seen else None, ResponseDone):
            seen.append(await anext(events))
    assert player.told == ["pause", "resume", "clear"]
    assert connection.cancelled == [CancelResponse("r", "item", 420, "playback")]
    assert Interrupted("r", "item") in seen
    assert AudioChunk(SECOND, "r2", "item2") in seen, "the answer is heard"


@virtual_time
async def test_words_long_after_a_noise_cut_nothing(speech: bytes) -> None:
    voice, connection = overhearing()
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 420))
        events = aiter(session)
        connection.play(REPLY_HEARD)
        while not isinstance(await anext(events), ResponseDone):
            pass
        await session.send_audio(bytes(32_000) + speech + bytes(64_000), wait=False)
        await asyncio.sleep(LATE_WORDS_S)
        connection.play([TranscriptUpdate("user", "u", "Late", final=True)])
        while not isinstance(await anext(events), TranscriptUpdate):
            pass
    assert player.told == ["pause", "resume"]
