"""The user's turns, and the replies that are begun before a turn is over."""

import asyncio
from itertools import pairwise

import pytest

from tests.providers.local.fakes import (
    QUESTION,
    FakeHearing,
    FakeModel,
    FakeSpeech,
    conversation,
    finals,
    shape,
    silence,
    speech,
    statuses,
)
from tests.support.virtual_time import virtual_time
from voicecli.commands import (
    AppendAudio,
    ClearAudio,
    EndTurn,
    PauseAudio,
    SendText,
    StartTurn,
)
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.errors import RealtimeError
from voicecli.events import (
    ErrorOccurred,
    Notice,
    ResponseDone,
    ResponseStarted,
    TranscriptUpdate,
)
from voicecli.providers.local.engine import LocalConnection


@virtual_time
async def test_words_appear_while_the_user_speaks() -> None:
    hearing = FakeHearing(["all of it"])
    async with conversation(FakeModel([["Ok."]]), hearing) as (connection, events):
        for _ in range(6):
            await connection.send(AppendAudio(speech(500)))
            await connection.drain()
            await asyncio.sleep(0.5)
        partials = events.of(TranscriptUpdate)
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
    assert 3 <= len(partials) <= 6
    assert {utterance for utterance, _ in hearing.partials} == {"user_1"}
    heard = b"".join(audio for _, audio in hearing.partials)
    assert heard == speech(len(heard) // 32)
    assert finals(events.seen, "user") == ["all of it"]


async def speak_for(connection: LocalConnection, seconds: int) -> None:
    for _ in range(2 * seconds):
        await connection.send(AppendAudio(speech(500)))
        await connection.drain()
        await asyncio.sleep(0.001)


async def test_a_slow_recogniser_is_free_half_of_the_time_while_the_user_speaks() -> None:
    class Slow(FakeHearing):
        def __init__(self) -> None:
            super().__init__(["all of it"])
            self.times: list[tuple[float, float]] = []

        async def partial(self, utterance: str, audio: bytes) -> str:
            clock = asyncio.get_running_loop().time
            begun = clock()
            await asyncio.sleep(0.05)
            self.times.append((begun, clock()))
            return await super().partial(utterance, audio)

    async with conversation(FakeModel([["Ok."]]), hearing := Slow()) as (connection, events):
        while len(hearing.times) < 3:
            await speak_for(connection, 1)
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
    for (begun, over), (next_begun, _) in pairwise(hearing.times):
        assert next_begun - over >= 0.9 * (over - begun)


async def test_the_model_reads_what_the_user_says_while_they_speak() -> None:
    model = FakeModel([["Ok."], ["Fine."]])
    async with conversation(model, FakeHearing(["all of it", "more"])) as (connection, events):
        await speak_for(connection, 2)
        assert model.read[:2] == [[("user", "part 1")], [("user", "part 2")]]
        assert not model.asked
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
        model.read.clear()
        await speak_for(connection, 1)
        assert model.read[0][:2] == [("user", "all of it"), ("assistant", "Ok.")]
        assert model.read[0][2][0] == "user"


async def test_a_model_that_answers_reads_nothing_meanwhile() -> None:
    never = asyncio.Event()
    model = FakeModel([["Well, ", never], ["Ok."]])
    async with conversation(model, FakeHearing(["all of it"])) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until(lambda: model.streaming)
        await speak_for(connection, 2)
        assert events.of(TranscriptUpdate)
        assert model.read == []


async def test_the_answer_is_begun_in_the_pause_and_told_when_the_turn_is_over() -> None:
    model = FakeModel([["Yes. ", "No."]])
    async with conversation(model, FakeHearing(["Is it?"]), voice := FakeSpeech()) as (connection, events):
        await connection.send(AppendAudio(speech(800) + silence(300)))
        await connection.drain()
        while voice.spoken != ["Yes.", "No."]:
            await asyncio.sleep(0.001)
        assert shape(events.seen) == ["SessionStarted", "SpeechStarted"]
        await connection.send(AppendAudio(silence(250)))
        await events.until_seen(ResponseDone)
        assert shape(events.seen)[2:5] == ["SpeechStopped", "user final", "ResponseStarted"]
        assert len(model.asked) == 1


async def test_speech_that_resumes_discards_the_speculative_reply_without_a_trace() -> None:
    model = FakeModel([["Wrong."], ["Right."], ["Later."]])
    hearing = FakeHearing(["Is it", "Is it blue?"])
    async with conversation(model, hearing, voice := FakeSpeech()) as (connection, events):
        await connection.send(AppendAudio(speech(800) + silence(300)))
        await connection.drain()
        while voice.spoken != ["Wrong."]:
            await asyncio.sleep(0.001)
        await connection.send(AppendAudio(speech(800) + silence(600)))
        await events.until_seen(ResponseDone)
        assert finals(events.seen, "user") == ["Is it blue?"]
        assert finals(events.seen) == ["Right."]
        assert len(events.of(ResponseStarted)) == 1
        await connection.send(SendText("And now?"))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[-1] == [("user", "Is it blue?"), ("assistant", "Right."), ("user", "And now?")]


async def test_a_speculative_reply_that_is_still_being_made_is_stopped_when_speech_resumes() -> None:
    never = asyncio.Event()
    model = FakeModel([["Wr", never], ["Right."]])
    async with conversation(model, FakeHearing(["Is it", "Is it blue?"])) as (connection, events):
        await connection.send(AppendAudio(speech(800) + silence(300)))
        while model.streaming != 1:
            await asyncio.sleep(0.001)
        await connection.send(AppendAudio(speech(300)))
        while model.streaming:
            await asyncio.sleep(0.001)
        await connection.send(AppendAudio(silence(600)))
        await events.until_seen(ResponseDone)
        assert finals(events.seen) == ["Right."]


async def test_a_speculative_reply_is_not_used_when_the_conversation_changed_meanwhile() -> None:
    model = FakeModel([["Guess."], ["To the text."], ["Anew."]])
    async with conversation(model, FakeHearing(["Spoken?", "Spoken?"])) as (connection, events):
        await connection.send(AppendAudio(speech(800) + silence(300)))
        while not model.asked:
            await connection.drain()
            await asyncio.sleep(0.001)
        await connection.send(SendText("Written?"))
        await events.until_seen(ResponseDone)
        await connection.send(AppendAudio(silence(300)))
        await events.until_seen(ResponseDone, 2)
        assert finals(events.seen) == ["To the text.", "Anew."]
    assert model.asked[-1] == [("user", "Written?"), ("assistant", "To the text."), ("user", "Spoken?")]


async def test_noise_is_no_turn_that_is_answered() -> None:
    async with conversation(FakeModel([]), FakeHearing([""])) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(Notice)
        assert shape(events.seen) == ["SessionStarted", "SpeechStarted", "SpeechStopped", "Notice"]
        notice = events.seen[-1]
        assert isinstance(notice, Notice)
        assert notice.code == "no_speech"


async def test_a_turn_that_is_taken_back_was_no_speech() -> None:
    async with conversation(FakeModel([]), FakeHearing(), FakeSpeech()) as (connection, events):
        await connection.send(AppendAudio(speech(400)))
        await connection.send(ClearAudio())
        await events.until_seen(Notice)
        assert shape(events.seen)[1:] == ["SpeechStarted", "SpeechStopped", "Notice"]


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
async def test_turns_marked_by_the_caller(mode: VADMode) -> None:
    hearing = FakeHearing(["One.", "Two."])
    model = FakeModel([["Ok."], ["Fine."]])
    async with conversation(model, hearing, config=RealtimeConfig(vad_mode=mode)) as (connection, events):
        await connection.send(StartTurn())
        await connection.send(AppendAudio(speech(300) + silence(2000) + speech(300)))
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
        # Whoever finds the turns tells of them, too.
        assert shape(events.seen) == [
            "SessionStarted",
            "user final",
            "ResponseStarted",
            "assistant",
            "assistant final",
            "ResponseDone",
        ]
        assert hearing.heard[-1] == speech(300) + silence(2000) + speech(300)
        await connection.send(EndTurn())
        await events.until_seen(Notice)
        assert len(events.of(ResponseStarted)) == 1


async def test_a_turn_without_speech_is_not_even_transcribed() -> None:
    config = RealtimeConfig(vad_mode=VADMode.NONE)
    async with conversation(FakeModel([]), hearing := FakeHearing(["You"]), config=config) as (connection, events):
        await connection.send(AppendAudio(silence(800)))
        await connection.send(EndTurn())
        await events.until_seen(Notice)
    assert hearing.heard == []


async def test_audio_that_was_no_speech_is_forgotten() -> None:
    config = RealtimeConfig(vad_mode=VADMode.NONE)
    hearing = FakeHearing(["One."])
    async with conversation(FakeModel([["Ok."]]), hearing, config=config) as (connection, events):
        await connection.send(AppendAudio(speech(300)))
        await connection.send(ClearAudio())
        await connection.send(AppendAudio(speech(100)))
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
    assert hearing.heard == [speech(100)]


async def test_ending_a_turn_that_silence_has_ended_already_changes_nothing() -> None:
    async with conversation(FakeModel([["Ok."]]), FakeHearing(["One."])) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
        await connection.drain()
        assert not events.of(Notice)
        await connection.send(EndTurn())
        await events.until_seen(Notice)


@pytest.mark.parametrize("command", [EndTurn(), PauseAudio()])
async def test_a_turn_can_be_ended_before_the_silence_does(command: EndTurn | PauseAudio) -> None:
    async with conversation(FakeModel([["Ok."]]), FakeHearing(["One."])) as (connection, events):
        await connection.send(AppendAudio(speech(600)))
        await connection.send(command)
        await events.until_seen(ResponseDone)
    assert finals(events.seen) == ["Ok."]


async def test_without_automatic_answers_turns_wait_for_end_turn() -> None:
    config = RealtimeConfig(turn_detection=ServerVAD(create_response=False))
    model = FakeModel([["Ok."]])
    async with conversation(model, FakeHearing(["One.", "Two."]), config=config) as (connection, events):
        await connection.send(AppendAudio(QUESTION + QUESTION))
        await events.until(lambda: finals(events.seen, "user") == ["One.", "Two."])
        assert not events.of(ResponseStarted)
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
    assert model.asked == [[("user", "One. Two.")]]


async def test_speech_that_could_not_be_recognised_counts_as_none() -> None:
    """After the failure: a reply that was held for its words goes on."""

    class Deaf(FakeHearing):
        async def transcribe(self, audio: bytes) -> str:
            raise RealtimeError("It broke.")

    async with conversation(FakeModel([]), Deaf()) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(Notice)
        assert shape(events.seen)[-4:] == ["ResponseStarted", "ErrorOccurred", "ResponseDone", "Notice"]


async def test_a_speculative_reply_that_fails_is_told_only_when_the_turn_is_over() -> None:
    model = FakeModel([[RealtimeError("It broke.")]])
    async with conversation(model, FakeHearing(["One."])) as (connection, events):
        await connection.send(AppendAudio(speech(600) + silence(300)))
        while not model.asked:
            await asyncio.sleep(0.001)
        await connection.drain()
        assert not events.of(ErrorOccurred)
        await connection.send(AppendAudio(silence(300)))
        await events.until_seen(ResponseDone)
    assert statuses(events) == ["failed"]
