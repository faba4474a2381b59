"""A model that hears and speaks at once: what the user says leads to nothing here, and what they write is answered."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.conversation.scripted import SECOND, collect, full_duplex
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import LimitReachedError, RealtimeConfig, RealtimeError, VADMode, converse
from voicecli.audio import Playhead
from voicecli.cli.options import Choices
from voicecli.commands import AppendAudio, CancelResponse, Command, EndTurn, PauseAudio, SendText, ToolResult
from voicecli.conversation.session import VoiceSession
from voicecli.events import (
    AudioChunk,
    AudioDone,
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallRequest,
    TranscriptUpdate,
    Usage,
    UsageUpdated,
)
from voicecli.history import HistoryLog, Store
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, Step, scripted_provider

PAUSE = bytes(2 * 16_000)  # a second, as the microphone sends it
MODES = pytest.mark.parametrize("mode", list(VADMode), ids=lambda mode: mode.value)


def says(name: str, text: str, seconds: int = 1) -> list[Step]:
    """What the model says, told at once."""
    return [
        ResponseStarted(name),
        *[AudioChunk(SECOND, name, f"{name}_item")] * seconds,
        TranscriptUpdate("assistant", f"{name}_item", text, final=True),
        AudioDone(name),
        ResponseDone(name),
    ]


async def speaks(session: VoiceSession, audio: bytes) -> None:
    """A microphone."""
    for start in range(0, len(audio), 640):
        await session.send_audio(audio[start : start + 640], sample_rate=16_000, wait=False)


def besides_audio(connection: ScriptedConnection) -> list[Command]:
    return [command for command in connection.commands if not isinstance(command, AppendAudio)]


# -- the user's voice


@MODES
@virtual_time
async def test_what_the_user_says_into_a_reply_stops_nothing_of_it(mode: VADMode, speech: bytes) -> None:
    voice, connection = full_duplex(vad_mode=mode)
    async with voice.connect() as session:
        session.player = player = Player(Playhead("r_item", 100))
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), *[AudioChunk(SECOND, "r", "r_item")] * 9])
        speaking = asyncio.create_task(speaks(session, PAUSE + speech + PAUSE))
        states = set()
        while not speaking.done():
            await asyncio.sleep(0.1)
            states.add((session.state.user, session.state.assistant))
        assert ("speaking", "speaking") in states, "both at once"
        connection.play([TranscriptUpdate("user", "u", "mm-hmm", final=True), AudioChunk(SECOND, "r", "r_item")])
        await asyncio.sleep(0.1)
        assert player.told == []
        assert besides_audio(connection) == [], "no turns, and nothing is cancelled"
        assert connection.audio == PAUSE + speech + PAUSE, "it hears all of it"
    told = await events
    assert sum(isinstance(event, AudioChunk) for event in told) == 10
    assert [type(event) for event in told if isinstance(event, SpeechStarted | SpeechStopped)] == [
        SpeechStarted,
        SpeechStopped,
    ]


@virtual_time
async def test_a_spoken_turn_is_owed_no_answer(speech: bytes) -> None:
    voice, _ = full_duplex()
    async with voice.connect() as session:
        session.realtime = True
        states = asyncio.create_task(told_states(session))
        await speaks(session, speech + PAUSE)
        assert not session.awaiting_reply
        await session.wait_for_reply()
    assert await states == [("speaking", "listening"), ("silent", "listening")], "nobody says that it thinks"


async def told_states(session: VoiceSession) -> list[tuple[str, str]]:
    told = [event async for event in session if isinstance(event, StateChanged)]
    return [(event.user, event.assistant) for event in told[1:]]  # after the start


@virtual_time
async def test_words_of_both_come_as_they_are_told() -> None:
    """Neither waits for the other's: they may be long."""
    voice, connection = full_duplex()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        connection.play([TranscriptUpdate("user", "u", "I think that", final=False), *says("r", "Mm-hmm.")])
        await asyncio.sleep(0.01)
        connection.play([TranscriptUpdate("user", "u", "I think that we should go", final=True), SessionEnded("")])
        told = [event for event in await events if isinstance(event, TranscriptUpdate | ResponseDone)]
    assert [getattr(event, "text", "done") for event in told] == [
        "I think that",
        "Mm-hmm.",
        "done",
        "I think that we should go",
    ]


@virtual_time
async def test_the_state_follows_the_sound_and_not_the_end_of_the_reply() -> None:
    """Which is told two seconds later: the end of a reply is a silence of some length."""
    voice, connection = full_duplex()
    async with voice.connect() as session:
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        await asyncio.sleep(0.5)
        assert session.state == StateChanged("silent", "speaking")
        await asyncio.sleep(1)
        assert session.state == StateChanged("silent", "listening")
        assert session.awaiting_reply, "more of it may come"


@virtual_time
async def test_sound_that_comes_unevenly_is_told_as_one() -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        states = asyncio.create_task(told_states(session))
        connection.play([ResponseStarted("r")])
        for late_s in (0.0, 0.01, 0.05, -0.04, 0.2, -0.1):
            connection.play([AudioChunk(SECOND, "r", "i")])
            await asyncio.sleep(1 + late_s)
        await asyncio.sleep(1)
    assert await states == [("silent", "thinking"), ("silent", "speaking"), ("silent", "listening")]


# -- the stop key


@virtual_time
async def test_a_key_stops_the_reply_and_what_follows_of_it_is_not_heard() -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        session.player = player = Player(Playhead("r_item", 700))
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "r_item")])
        await asyncio.sleep(0.7)
        await session.interrupt()
        assert player.told == ["clear"]
        assert besides_audio(connection) == [CancelResponse("r", "r_item", 700, "reply")]
        connection.play([AudioChunk(SECOND, "r", "r_item"), ResponseDone("r", "cancelled"), SessionEnded("")])
        told = await events
    assert sum(isinstance(event, AudioChunk) for event in told) == 1
    assert sum(isinstance(event, Interrupted) for event in told) == 1


# -- what is written, and tools


@virtual_time
async def test_what_is_written_is_answered_without_a_microphone() -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        asking = asyncio.create_task(session.send_text("The capital of France?", wait=True))
        await asyncio.sleep(3)
        assert session.state.assistant == "thinking"
        connection.play(says("r", "It is Paris."))
        response = await asking
    assert response.transcript == "It is Paris."
    assert response.metrics.first_audio_ms == pytest.approx(3000, abs=5)


@virtual_time
async def test_no_answer_is_an_error_though_the_time_is_told_meanwhile() -> None:
    """What is used is told by the clock: it is no sign that an answer is coming."""
    voice, connection = full_duplex()
    loop = asyncio.get_running_loop()
    async with voice.connect() as session:
        began = loop.time()
        asking = asyncio.create_task(session.send_text("Hello?", wait=True))
        for seconds in (15, 30):
            await asyncio.sleep(15)
            connection.play([UsageUpdated(Usage(session_seconds=seconds, cost_usd=0.0125))])
        with pytest.raises(RealtimeError, match="No answer came within 20 s"):
            await asking
        assert loop.time() - began < 31


@virtual_time
async def test_the_result_of_a_tool_is_answered() -> None:
    voice, connection = full_duplex()

    @voice.on_tool_call
    async def call(name: str, args: dict[str, object]) -> str:
        return "noon"

    async with voice.connect() as session:
        asking = asyncio.create_task(session.send_text("The time?", wait=True))
        await asyncio.sleep(0.1)
        connection.play(
            [ResponseStarted("r"), ToolCallRequest("c", "clock", "{}"), ResponseDone("r", awaits_tools=True)]
        )
        await asyncio.sleep(1)
        assert [type(command) for command in besides_audio(connection)] == [SendText, ToolResult]
        assert not asking.done()
        connection.play(says("s", "It is noon."))
        assert (await asking).transcript == "It is noon."


# -- recordings


@virtual_time
async def test_a_recording_is_answered_by_what_begins_after_it(speech: bytes) -> None:
    """Neither what the model says into it, nor the end of the recording, is the end of waiting."""
    voice, connection = full_duplex()
    async with voice.connect() as session:
        asking = asyncio.create_task(session.send_audio(speech, sample_rate=16_000, wait=True))
        await asyncio.sleep(1)
        assert session.state.user == "speaking"
        connection.play(says("m", "Mm-hmm.")[:-1])
        await asyncio.sleep(0.2)
        connection.play([ResponseDone("m")])
        await asyncio.sleep(len(speech) / 32_000 + 5)
        assert not asking.done()
        connection.play(says("r", "It is Paris."))
        response = await asking
    assert response.transcript == "Mm-hmm. It is Paris."


@virtual_time
async def test_an_answer_that_begins_in_the_silence_at_the_end_is_one(speech: bytes) -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        asking = asyncio.create_task(session.send_audio(speech + PAUSE * 4, sample_rate=16_000, wait=True))
        await asyncio.sleep(len(speech) / 32_000 + 0.3)  # sooner than the silence is known to be the end
        *answer, done = says("r", "It is Paris.")
        connection.play(answer)
        await asyncio.sleep(3)
        connection.play([done])
        response = await asking
        assert asyncio.get_running_loop().time() < len(speech) / 32_000 + 4.1, "nothing more is waited for"
    assert response.transcript == "It is Paris."
    assert response.metrics.first_audio_ms == pytest.approx(300, abs=150), "from where the speech ends"


@virtual_time
async def test_a_reply_that_goes_on_beyond_the_end_may_hold_the_answer(speech: bytes) -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        asking = asyncio.create_task(session.send_audio(speech, sample_rate=16_000, wait=True))
        await asyncio.sleep(1)
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "i")])
        await asyncio.sleep(len(speech) / 32_000 + 1)
        connection.play([TranscriptUpdate("assistant", "i", "Right, it is Paris.", final=True), ResponseDone("r")])
        response = await asking
    assert response.transcript == "Right, it is Paris."


@virtual_time
async def test_a_recording_without_an_answer_is_an_error(speech: bytes) -> None:
    voice, _ = full_duplex()
    async with voice.connect() as session:
        with pytest.raises(RealtimeError, match="No answer came within 20 s"):
            await session.send_audio(speech, sample_rate=16_000, wait=True)


class Recording:
    sample_rate = 16_000
    realtime = False

    def __init__(self, audio: bytes) -> None:
        self._audio = audio

    async def __aiter__(self) -> AsyncIterator[bytes]:
        for start in range(0, len(self._audio), 3_200):
            yield self._audio[start : start + 3_200]

    async def aclose(self) -> None:
        return


@virtual_time
async def test_recordings_in_order_each_with_its_answer(speech: bytes) -> None:
    """What the model says into the words makes no pause in them; its answer is waited for, and heard."""
    voice, connection = full_duplex()
    told: list[Event] = []
    spoken_s = len(speech) / 32_000
    async with voice.connect() as session:
        talking = asyncio.create_task(
            converse(session, [Recording(speech), Recording(speech)], observers=[told.append])
        )
        await asyncio.sleep(1)
        *begun, over = says("m", "Mm-hmm.")
        connection.play(begun)
        await asyncio.sleep(spoken_s - 1 + 0.2)
        assert connection.audio == speech, "in real time, without a pause"
        connection.play([over])
        await asyncio.sleep(3)
        connection.play(says("a", "First.", 2))
        await asyncio.sleep(1)
        assert len(connection.audio) > len(speech)
        await asyncio.sleep(spoken_s + 3)
        assert not talking.done()
        connection.play(says("b", "Second."))
        await talking
    assert connection.audio == speech * 2
    assert [type(command) for command in besides_audio(connection)] == [EndTurn, EndTurn]


@virtual_time
async def test_the_silence_after_an_answered_recording_is_not_waited_upon(speech: bytes) -> None:
    voice, connection = full_duplex()
    told: list[Event] = []
    loop = asyncio.get_running_loop()
    async with voice.connect() as session:
        talking = asyncio.create_task(converse(session, Recording(speech + PAUSE * 4), observers=[told.append]))
        await asyncio.sleep(len(speech) / 32_000 + 1)
        connection.play(says("r", "It is Paris."))
        await talking
        assert loop.time() < len(speech) / 32_000 + 4.2
    assert told.count(StateChanged("silent", "thinking")) == 1, "before the first sound, and not again"


def test_a_recording_for_such_a_model_is_left_to_it() -> None:
    """It would tell that it is not asked who finds the turns."""
    provider = replace(scripted_provider(), capabilities=Capabilities(24_000, 24_000, full_duplex=True))
    choices = Choices(provider, RealtimeConfig(), (), vad_given=False)
    assert choices.for_recording().config.vad_mode is VADMode.SERVER
    assert replace(choices, provider=scripted_provider()).for_recording().config.vad_mode is VADMode.CLIENT


# -- push-to-talk, mute


@virtual_time
async def test_letting_the_talk_key_go_waits_for_an_answer_no_longer_than_it_is_likely(speech: bytes) -> None:
    voice, _ = full_duplex(vad_mode=VADMode.NONE)
    async with voice.connect() as session:
        session.realtime = True
        await speaks(session, speech)
        await session.end_turn()
        assert session.state == StateChanged("silent", "thinking")
        await asyncio.sleep(3.1)
        assert session.state == StateChanged("silent", "listening"), "it need not answer"


@virtual_time
async def test_a_muted_microphone_ends_the_speech(speech: bytes) -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        session.realtime = True
        await speaks(session, speech[:32_000])
        assert session.state == StateChanged("speaking", "listening")
        await session.pause_audio()
        assert session.state == StateChanged("silent", "listening")
    assert besides_audio(connection) == [PauseAudio()]


# -- time is money


@virtual_time
async def test_the_price_a_minute_is_told_once_at_the_start() -> None:
    voice, connection = full_duplex()
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        await asyncio.sleep(60)
        connection.play([SessionEnded("")])
        notices = [event for event in await events if isinstance(event, Notice)]
    assert notices == [
        Notice(
            "billed_by_minute",
            "This costs $0.05 a minute, $3.00 an hour, also while nobody speaks. It ends when nobody has spoken for "
            "10 min.",
            daily=True,
        )
    ]


@virtual_time
async def test_what_is_told_at_the_goodbye_counts(tmp_path: Path) -> None:
    """In the usage, in the limits, and in the history."""
    voice, connection = full_duplex(max_cost=0.05)
    connection.last_words = [UsageUpdated(Usage(session_seconds=75.5, cost_usd=0.0129))]
    log = HistoryLog("scripted", path=tmp_path / "history.db")
    async with voice.connect(logs=[log]) as session:
        events = asyncio.create_task(collect(session))
        connection.play([UsageUpdated(Usage(session_seconds=60, cost_usd=0.05 - 0.0125))])
        await asyncio.sleep(30)
    assert [type(event) for event in await events][-2:] == [UsageUpdated, SessionEnded]
    assert session.usage == Usage(session_seconds=75.5, cost_usd=pytest.approx(0.0504))  # type: ignore[arg-type]
    assert session.spent.cost_usd == session.usage.cost_usd
    with Store(tmp_path / "history.db") as store:
        assert store.conversation("latest").usage == session.usage


@virtual_time
async def test_a_limit_that_time_reaches_ends_it_with_a_goodbye_that_counts() -> None:
    voice, connection = full_duplex(max_cost=0.05)
    connection.last_words = [UsageUpdated(Usage(session_seconds=62, cost_usd=0.0517))]
    with pytest.raises(LimitReachedError, match=r"\$0\.05"):
        async with voice.connect() as session:
            while session.is_active:
                await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() == pytest.approx(60, abs=3), "a minute costs so much"
    assert session.usage.session_seconds == 62


@virtual_time
async def test_an_hour_in_which_nobody_speaks_is_ended_after_ten_minutes(speech: bytes) -> None:
    voice, _ = full_duplex()
    with pytest.raises(LimitReachedError, match="Nobody has spoken for 10 min"):
        async with voice.connect() as session:
            await speaks(session, speech + PAUSE)
            spoken_at = asyncio.get_running_loop().time()
            while session.is_active:
                await asyncio.sleep(1)
    assert asyncio.get_running_loop().time() - spoken_at == pytest.approx(600, abs=5)
