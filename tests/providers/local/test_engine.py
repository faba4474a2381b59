"""The engine's order of events, its guesses and interruptions, with models that do exactly what the test says."""

import asyncio
import threading

import pytest

from tests.providers.local.fakes import (
    Events,
    FakeHearing,
    FakeModel,
    FakeSpeech,
    conversation,
    offline,
    silence,
    speech,
)
from tests.support.player import Player
from voicecli.audio import Playhead
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.conversation.session import VoiceSession
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import (
    OUTPUT_LIMIT,
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
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
    Usage,
)
from voicecli.providers.local.chat_model import Finish, ToolCall
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

QUESTION = silence(500) + speech(1200) + silence(600)
WEATHER = ToolSchema("weather", "The weather.", {"type": "object", "properties": {}})


def shape(events: list[Event]) -> list[str]:
    """The events' names; of transcripts who, and whether final."""
    return [
        f"{event.role}{' final' if event.final else ''}"
        if isinstance(event, TranscriptUpdate)
        else type(event).__name__
        for event in events
        if not (isinstance(event, TranscriptUpdate) and event.role == "user" and not event.final)
    ]


def finals(events: list[Event], role: str = "assistant") -> list[str]:
    return [
        event.text for event in events if isinstance(event, TranscriptUpdate) and event.final and event.role == role
    ]


def statuses(events: Events) -> list[str]:
    return [event.status for event in events.seen if isinstance(event, ResponseDone)]


def cut(events: Events, item_id: str | None = None, played_ms: int | None = None) -> CancelResponse:
    """The command that cuts the last response that began."""
    started = [event.response_id for event in events.seen if isinstance(event, ResponseStarted)]
    return CancelResponse(started[-1], item_id, played_ms)


async def test_a_spoken_turn_gives_its_events_in_order() -> None:
    usage = Usage(input_text_tokens=9, output_text_tokens=4)
    model = FakeModel([["It ", "is four. ", "Of course.", Finish(usage)]])
    async with conversation(model, FakeHearing(["What is two and two?"]), FakeSpeech()) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(ResponseDone)
        assert shape(events.seen) == [
            "SessionStarted",
            "SpeechStarted",
            "SpeechStopped",
            "user final",
            "ResponseStarted",
            "assistant",
            "AudioChunk",
            "assistant",
            "AudioChunk",
            "assistant final",
            "ResponseDone",
        ]
        assert finals(events.seen, "user") == ["What is two and two?"]
        assert finals(events.seen) == ["It is four. Of course."]
        first, second = (event for event in events.seen if isinstance(event, AudioChunk))
        assert len(first.audio) == 4410 * len("It is four.")
        assert first.item_id == second.item_id
        assert first.response_id == second.response_id
        done = events.seen[-1]
        assert isinstance(done, ResponseDone)
        assert (done.status, done.usage, done.usage.cost_usd) == ("completed", usage, 0.0)
        items = {event.item_id for event in events.seen if isinstance(event, SpeechStarted | SpeechStopped)}
        assert items == {event.item_id for event in events.seen if isinstance(event, TranscriptUpdate)} - {
            first.item_id
        }


async def test_words_appear_while_the_user_speaks() -> None:
    hearing = FakeHearing(["all of it"])
    async with conversation(FakeModel([["Ok."]]), hearing) as (connection, events):
        for _ in range(6):
            await connection.send(AppendAudio(speech(500)))
            await connection.drain()
            await asyncio.sleep(0)
        partials = events.of(TranscriptUpdate)
        await connection.send(EndTurn())
        await events.until_seen(ResponseDone)
    assert 3 <= len(partials) <= 6
    assert {utterance for utterance, _ in hearing.partials} == {"user_1"}
    heard = b"".join(audio for _, audio in hearing.partials)
    assert heard == speech(len(heard) // 32)
    assert finals(events.seen, "user") == ["all of it"]


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


async def test_speech_that_resumes_takes_the_guess_back_without_a_trace() -> None:
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


async def test_a_guess_that_is_still_being_made_is_stopped_when_speech_resumes() -> None:
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


async def test_a_guess_is_not_used_when_the_conversation_changed_meanwhile() -> None:
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


async def test_text_needs_no_ears_and_the_model_remembers() -> None:
    model = FakeModel([["Hello Ann."], ["Ann."]])
    async with conversation(model) as (connection, events):
        await connection.send(SendText("I am Ann."))
        await events.until_seen(ResponseDone)
        await connection.send(SendText("Who am I?"))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "I am Ann."), ("assistant", "Hello Ann."), ("user", "Who am I?")]


async def test_history_is_remembered() -> None:
    model = FakeModel([["Ann."]])
    history = [Turn("user", "a", "I am Ann.", final=True), Turn("assistant", "b", "Hello.", final=True)]
    async with conversation(model, history=history) as (connection, events):
        await connection.send(SendText("Who am I?"))
        await events.until_seen(ResponseDone)
    assert model.asked == [[("user", "I am Ann."), ("assistant", "Hello."), ("user", "Who am I?")]]


async def test_text_that_comes_during_a_reply_is_answered_after_it() -> None:
    go_on = asyncio.Event()
    model = FakeModel([["One", go_on, "."], ["Two."]])
    async with conversation(model) as (connection, events):
        await connection.send(SendText("First."))
        await events.until_seen(ResponseStarted)
        await connection.send(SendText("Second."))
        await connection.drain()
        go_on.set()
        await events.until_seen(ResponseDone, 2)
    assert finals(events.seen) == ["One.", "Two."]
    assert model.asked[1] == [("user", "First."), ("assistant", "One."), ("user", "Second.")]


async def test_interrupting_stops_the_generation_and_every_event_at_once() -> None:
    never = asyncio.Event()
    model = FakeModel([["One two three. ", "Four five six. ", never], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk, 2)
        item = next(event.item_id for event in events.seen if isinstance(event, AudioChunk))
        # 1.4 s of sound for the first sentence, then 0.6 of the 1.5 s of the second.
        started = asyncio.get_running_loop().time()
        await connection.send(cut(events, item, 2000))
        await events.until_seen(ResponseDone)
        while model.streaming:
            await asyncio.sleep(0)
        assert asyncio.get_running_loop().time() - started < 0.05
        assert shape(events.seen)[-2:] == ["assistant final", "ResponseDone"]
        final = events.seen[-2]
        assert isinstance(final, TranscriptUpdate)
        assert (final.text, final.interrupted) == ("One two three. Four", True)
        assert statuses(events) == ["cancelled"]
        assert not events.of(Interrupted)  # who asks for it needs not be told
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "Count."), ("assistant", "One two three. Four"), ("user", "Go on.")]


async def test_speech_under_synthesis_is_dropped_by_an_interruption() -> None:
    voice = FakeSpeech()
    voice.may_speak.clear()
    async with conversation(FakeModel([["One. ", "Two."]]), voice=voice) as (connection, events):
        await connection.send(SendText("Count."))
        while not voice.spoken:
            await asyncio.sleep(0.001)
        await connection.send(cut(events))
        await events.until_seen(ResponseDone)
        count = len(events.seen)
        voice.may_speak.set()
        await asyncio.sleep(0.02)
        assert len(events.seen) == count
        assert not events.of(AudioChunk)


async def test_a_reply_that_is_made_but_not_heard_is_cut_too() -> None:
    model = FakeModel([["One two three. ", "Four."], ["Ok."], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        item = next(event.item_id for event in events.seen if isinstance(event, AudioChunk))
        await connection.send(cut(events, item, 800))
        await events.until(lambda: finals(events.seen)[-1] == "One two")
        assert statuses(events) == ["completed"]  # once only
        await connection.send(SendText("Go on."))
        await events.until_seen(ResponseDone, 2)
        await connection.send(cut(events))  # nothing unheard was dropped: nothing is cut
        await connection.send(SendText("More."))
        await events.until_seen(ResponseDone, 3)
    assert model.asked[2][1:4] == [("assistant", "One two"), ("user", "Go on."), ("assistant", "Ok.")]


async def test_an_unheard_reply_is_forgotten_altogether() -> None:
    model = FakeModel([["One."], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        item = next(event.item_id for event in events.seen if isinstance(event, AudioChunk))
        await connection.send(cut(events, item, 0))
        await connection.send(SendText("Stop."))
        await events.until_seen(ResponseDone, 2)
    assert model.asked[1] == [("user", "Count. Stop.")]


async def test_what_was_not_heard_is_forgotten_before_the_interruption_is_answered() -> None:
    """The whole reply was made when the user speaks into it. How far it was heard, its player knows."""
    model = FakeModel([["One two."], ["Ok."]])
    session = VoiceSession(offline(model, FakeHearing(["Stop."]), FakeSpeech()), RealtimeConfig())
    await session.start()
    session.player = player = Player()
    await session.send_text("Count.", wait=False)
    await session.wait_for_reply()
    player.playhead = Playhead("reply_2", 400)
    await session.send_audio(speech(200) + silence(600), wait=False)
    await session.wait_for_reply()
    await session.aclose()
    assert model.asked[1] == [("user", "Count."), ("assistant", "One"), ("user", "Stop.")]
    assert [(turn.role, turn.text) for turn in session.history[-3:]] == [
        ("assistant", "One"),
        ("user", "Stop."),
        ("assistant", "Ok."),
    ]


async def test_the_answer_to_an_interruption_is_not_cancelled_with_what_it_interrupts() -> None:
    never = asyncio.Event()
    model = FakeModel([["One two. ", never], ["Ok."]])
    async with conversation(model, FakeHearing(["Stop."]), FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk)
        await connection.send(AppendAudio(speech(200) + silence(600)))
        await events.until(lambda: finals(events.seen, "user"))
        assert events.of(ResponseDone) == events.of(Interrupted) == [], "who plays the reply decides"
        (chunk,) = events.of(AudioChunk)
        assert isinstance(chunk, AudioChunk)
        await connection.send(cut(events, chunk.item_id, 400))
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["cancelled", "completed"]
    assert finals(events.seen) == ["One", "Ok."]
    assert model.asked[1] == [("user", "Count."), ("assistant", "One"), ("user", "Stop.")]


async def test_a_cut_does_not_refuse_what_was_said_meanwhile() -> None:
    """The turn's end waits in the engine when its first words cut the reply."""
    never = asyncio.Event()
    model = FakeModel([["One two. ", never], ["Ok."]])
    config = RealtimeConfig(vad_mode=VADMode.CLIENT)
    async with conversation(model, FakeHearing(["Stop."]), FakeSpeech(), config=config) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk)
        await connection.send(StartTurn())
        await connection.send(AppendAudio(speech(1200)))
        await connection.send(EndTurn())  # returns before it is looked at
        await connection.send(cut(events, "reply_2", 400))
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["cancelled", "completed"]


async def test_a_turn_that_is_taken_back_was_no_speech() -> None:
    async with conversation(FakeModel([]), FakeHearing(), FakeSpeech()) as (connection, events):
        await connection.send(AppendAudio(speech(400)))
        await connection.send(ClearAudio())
        await events.until_seen(Notice)
        assert shape(events.seen)[1:] == ["SpeechStarted", "SpeechStopped", "Notice"]


async def test_a_noise_stops_nothing() -> None:
    go_on = asyncio.Event()
    model = FakeModel([["One two. ", go_on, "Three."]])
    async with conversation(model, FakeHearing([""]), FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(AudioChunk)
        await connection.send(AppendAudio(speech(200) + silence(600)))
        await events.until(lambda: "no_speech" in [notice.code for notice in events.seen if isinstance(notice, Notice)])
        go_on.set()
        await events.until_seen(ResponseDone)
    assert statuses(events) == ["completed"]
    assert finals(events.seen) == ["One two. Three."]


async def test_the_users_speech_interrupts_nothing_when_told_so() -> None:
    go_on = asyncio.Event()
    model = FakeModel([["One", go_on, "."], ["Ok."]])
    config = RealtimeConfig(turn_detection=ServerVAD(interrupt_response=False))
    async with conversation(model, FakeHearing(["Hm."]), config=config) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseStarted)
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(SpeechStopped)
        go_on.set()
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["completed", "completed"]
    assert model.asked[1] == [("user", "Count."), ("assistant", "One."), ("user", "Hm.")]


async def test_who_speaks_on_before_the_answer_began_is_not_answered_twice() -> None:
    hearing = FakeHearing(["My name", "is Ann."])
    hearing.may_hear.clear()
    model = FakeModel([["Hello Ann."]])
    async with conversation(model, hearing) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await connection.send(AppendAudio(QUESTION))
        await connection.drain()
        hearing.may_hear.set()
        await events.until_seen(ResponseDone)
    assert finals(events.seen, "user") == ["My name", "is Ann."]
    assert model.asked == [[("user", "My name is Ann.")]]
    assert len(events.of(ResponseStarted)) == 1


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT])
@pytest.mark.parametrize("words", ["", "In Rome."])
async def test_who_speaks_into_the_thinking_is_heard_out_first(mode: VADMode, words: str) -> None:
    """A noise costs nothing of the answer, and words are answered together with those before them."""
    hearing = FakeHearing(["How warm is it?", words])
    hearing.may_hear.clear()
    model = FakeModel([["Warm."]])
    config = RealtimeConfig(vad_mode=mode)
    start: list[Command] = [StartTurn()] if mode is VADMode.CLIENT else []
    end: Command = EndTurn() if mode is VADMode.CLIENT else AppendAudio(silence(600))
    async with conversation(model, hearing, config=config) as (connection, events):
        for command in [*start, AppendAudio(speech(1200)), end, *start, AppendAudio(speech(300))]:
            await connection.send(command)
        await connection.drain()
        hearing.may_hear.set()
        await events.until(lambda: finals(events.seen, "user"))
        await asyncio.sleep(0.01)
        assert not events.of(ResponseStarted), "it would talk over the user"
        await connection.send(end)
        await events.until_seen(ResponseDone)
        await connection.drain()
    assert statuses(events) == ["completed"]
    assert model.asked == [[("user", f"How warm is it? {words}".strip())]]


async def test_a_text_is_not_kept_waiting_by_a_voice() -> None:
    hearing = FakeHearing(["How warm is it?"])
    async with conversation(model := FakeModel([["Warm."]]), hearing) as (connection, events):
        hearing.may_hear.clear()
        await connection.send(AppendAudio(speech(1200) + silence(600) + speech(300)))
        await connection.send(SendText("In Rome."))
        await connection.drain()
        hearing.may_hear.set()
        await events.until_seen(ResponseDone)
    assert model.asked[-1] == [("user", "How warm is it? In Rome.")]


async def test_a_noise_while_the_engine_thinks_does_not_cost_the_answer() -> None:
    """The same with the session before it, and a loudspeaker."""
    hearing = FakeHearing(["How warm is it?", ""])
    hearing.may_hear.clear()
    session = VoiceSession(offline(FakeModel([["Warm."]]), hearing, FakeSpeech()), RealtimeConfig())
    await session.start()
    session.player = Player()
    await session.send_audio(speech(1200) + silence(600) + speech(300), wait=False)
    hearing.may_hear.set()
    await session.send_audio(silence(600), wait=False)
    await session.wait_for_reply()
    await session.aclose()
    assert session.history[-1].text == "Warm."
    assert not session.history[-1].interrupted


async def test_an_interruption_before_the_answer_began_is_told() -> None:
    hearing = FakeHearing(["Hello?"])
    hearing.may_hear.clear()
    async with conversation(FakeModel([]), hearing) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(SpeechStopped)
        await connection.send(CancelResponse())
        hearing.may_hear.set()
        await events.until_seen(ResponseDone)
        assert shape(events.seen)[-3:] == ["user final", "ResponseStarted", "ResponseDone"]
        assert statuses(events) == ["cancelled"]


async def test_an_interruption_is_not_overtaken_by_what_was_said_before_it() -> None:
    model = FakeModel([])
    async with conversation(model) as (connection, events):
        await connection.send(SendText("Talk."))
        await connection.send(CancelResponse())  # before the engine has looked at the text
        await events.until_seen(ResponseDone)
        assert statuses(events) == ["cancelled"]
        assert model.asked == []


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


async def test_tools_are_called_and_all_results_awaited() -> None:
    calls = [ToolCall("a", "weather", '{"city": "Paris"}'), ToolCall("b", "weather", "{}")]
    model = FakeModel([["Let me see. ", *calls], ["Sunny."]])
    async with conversation(model, tools=[WEATHER]) as (connection, events):
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
        assert shape(events.seen)[-4:] == ["assistant final", "ToolCallRequest", "ToolCallRequest", "ResponseDone"]
        assert events.of(ToolCallRequest)[0] == ToolCallRequest("a", "weather", '{"city": "Paris"}')
        done = events.seen[-1]
        assert isinstance(done, ResponseDone)
        assert done.awaits_tools
        await connection.send(ToolResult("b", "rain"))
        await connection.send(ToolResult("nobody asked", "?"))
        await connection.drain()
        assert len(model.asked) == 1
        await connection.send(ToolResult("a", "sun"))
        await events.until_seen(ResponseDone, 2)
    assert finals(events.seen) == ["Let me see.", "Sunny."]
    assert model.offered == [(WEATHER,), (WEATHER,)]
    assert sorted(model.asked[1][2:]) == [("tool", "rain"), ("tool", "sun")]


@pytest.mark.parametrize("words", ["", "And in Rome?"])
@pytest.mark.parametrize("mode", list(VADMode))
async def test_the_result_of_a_tool_is_not_answered_into_the_users_turn(mode: VADMode, words: str) -> None:
    model = FakeModel([[ToolCall("a", "weather", "{}")], ["Sunny."]])
    config = RealtimeConfig(vad_mode=mode)
    end = AppendAudio(silence(600)) if mode is VADMode.SERVER else EndTurn()
    async with conversation(model, FakeHearing([words]), config=config, tools=[WEATHER]) as (connection, events):
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
        if mode is not VADMode.SERVER:
            await connection.send(StartTurn())
        await connection.send(AppendAudio(speech(300)))
        await connection.drain()
        await connection.send(ToolResult("a", "sun"))
        await asyncio.sleep(0.01)
        assert len(events.of(ResponseStarted)) == 1, "it would talk over the user"
        await connection.send(end)
        await events.until_seen(ResponseDone, 2)
    assert finals(events.seen) == ["Sunny."]
    assert len(model.asked) == 2
    assert ("tool", "sun") in model.asked[1]


async def test_an_interruption_cancels_the_tools_that_are_awaited() -> None:
    model = FakeModel([[ToolCall("a", "weather", "{}")], ["Fine."]])
    async with conversation(model, tools=[WEATHER]) as (connection, events):
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
        await connection.send(CancelResponse())
        await events.until_seen(ToolCallCancelled)
        await connection.send(ToolResult("a", "sun"))  # too late
        await connection.send(SendText("Never mind."))
        await events.until_seen(ResponseDone, 2)
    assert [role for role, _ in model.asked[1]] == ["user", "assistant", "tool", "user"]
    assert "cancelled" in model.asked[1][2][1]


async def test_a_model_without_tools_is_offered_none() -> None:
    model = FakeModel([["No."]], tools=False)
    async with conversation(model, tools=[WEATHER]) as (connection, events):
        assert not connection.capabilities.tools
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
    assert model.offered == [()]


async def test_a_model_that_fails_fails_the_reply_and_not_the_conversation() -> None:
    failure = RealtimeError("It broke.")
    model = FakeModel([["One. ", "Two. Th", failure], ["Ok."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        assert shape(events.seen)[-3:] == ["assistant final", "ErrorOccurred", "ResponseDone"]
        assert events.of(ErrorOccurred) == [ErrorOccurred(failure)]
        await connection.send(SendText("Again."))
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["failed", "completed"]


async def test_speech_that_could_not_be_recognised_counts_as_none() -> None:
    """After the failure: a reply that was held for its words goes on."""

    class Deaf(FakeHearing):
        async def transcribe(self, audio: bytes) -> str:
            raise RealtimeError("It broke.")

    async with conversation(FakeModel([]), Deaf()) as (connection, events):
        await connection.send(AppendAudio(QUESTION))
        await events.until_seen(Notice)
        assert shape(events.seen)[-4:] == ["ResponseStarted", "ErrorOccurred", "ResponseDone", "Notice"]


async def test_a_guess_that_fails_is_told_only_when_the_turn_is_over() -> None:
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


async def test_an_answer_that_the_limit_cut_ends_with_a_whole_sentence() -> None:
    model = FakeModel([["One. Two. Thr", Finish(truncated=True)]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
    assert [(done.status, done.reason) for done in events.seen if isinstance(done, ResponseDone)] == [
        ("incomplete", OUTPUT_LIMIT)
    ]
    assert finals(events.seen) == ["One. Two."]


async def test_pictures_are_refused_with_a_notice() -> None:
    async with conversation(FakeModel([])) as (connection, events):
        await connection.send(SendImage(b"", "image/png"))
        await events.until_seen(Notice)


async def test_a_defect_ends_the_conversation_instead_of_hanging_it() -> None:
    async with conversation(FakeModel([["One", ZeroDivisionError("oops")]])) as (connection, events):
        await connection.send(SendText("Count."))
        with pytest.raises(RealtimeError, match="ZeroDivisionError: oops"):
            await events.until_over()
        with pytest.raises(RealtimeError, match="oops"):
            await connection.send(SendText("Hello?"))


async def test_closing_ends_everything() -> None:
    never = asyncio.Event()
    before = set(threading.enumerate())
    model = FakeModel([["One. ", never]])
    async with conversation(model, FakeHearing(["One?"]), FakeSpeech()) as (connection, events):
        await connection.send(AppendAudio(QUESTION + speech(300)))
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseStarted)
        await connection.aclose()
        await connection.aclose()
        await events.until_seen(SessionEnded)
        assert statuses(events) == ["cancelled"]
        assert model.streaming == 0
        with pytest.raises(RealtimeConnectionError, match="over"):
            await connection.send(EndTurn())
        await connection.drain()
    assert [task for task in asyncio.all_tasks() if task.get_name().startswith("voicecli-")] == []
    deadline = asyncio.get_running_loop().time() + 10
    while set(threading.enumerate()) - before:  # it ends within a moment of its last work
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


async def test_a_cut_hits_the_reply_that_it_names_and_no_other() -> None:
    """The engine has begun the next one by the time the command comes."""
    go_on = asyncio.Event()
    model = FakeModel([["One two three. "], ["Two. ", go_on, "Three."]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
        command = cut(events, "reply_2", 800)
        await connection.send(SendText("Go on."))
        await events.until_seen(AudioChunk, 2)
        await connection.send(command)
        go_on.set()
        await events.until_seen(ResponseDone, 2)
    assert statuses(events) == ["completed", "completed"]
    assert finals(events.seen) == ["One two three.", "One two", "Two. Three."]


async def test_a_reply_says_which_inputs_it_answers() -> None:
    hearing = FakeHearing(["One.", ""])
    config = RealtimeConfig(vad_mode=VADMode.NONE)
    async with conversation(FakeModel([["Yes."], ["Yes."]]), hearing, config=config) as (connection, events):
        await connection.send(SendText("Hello?", input_id="a"))
        await events.until_seen(ResponseDone)
        for input_id in ("b", "c"):
            await connection.send(StartTurn())
            await connection.send(AppendAudio(speech(600)))
            await connection.send(EndTurn(input_id))
        await events.until_seen(Notice)
        await events.until_seen(ResponseDone, 2)
    assert [event.answers for event in events.of(ResponseStarted) if isinstance(event, ResponseStarted)] == [
        ("a",),
        ("b",),
    ]
    assert [event.input_id for event in events.of(Notice) if isinstance(event, Notice)] == ["c"]
