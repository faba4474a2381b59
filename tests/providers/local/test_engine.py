"""The engine's order of events, its commands and its end, with models that do exactly what the test says."""

import asyncio
import threading

import pytest

from tests.providers.local.fakes import (
    QUESTION,
    WEATHER,
    FakeHearing,
    FakeModel,
    FakeSpeech,
    conversation,
    cut,
    finals,
    shape,
    speech,
    statuses,
)
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    EndTurn,
    OfferTools,
    SendImage,
    SendText,
    StartTurn,
)
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import (
    AudioChunk,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
    Usage,
)
from voicecli.providers.local.chat_model import Finish
from voicecli.transcript import Turn


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
            "AudioChunk",
            "assistant",
            "AudioChunk",
            "AudioChunk",
            "assistant final",
            "ResponseDone",
        ]
        assert finals(events.seen, "user") == ["What is two and two?"]
        assert finals(events.seen) == ["It is four. Of course."]
        first, second, *others = (event for event in events.seen if isinstance(event, AudioChunk))
        assert len(first.audio + second.audio) == 4410 * len("It is four.")
        assert {event.item_id for event in others} == {first.item_id}
        assert {event.response_id for event in others} == {first.response_id}
        done = events.seen[-1]
        assert isinstance(done, ResponseDone)
        assert (done.status, done.usage, done.usage.cost_usd) == ("completed", usage, 0.0)
        items = {event.item_id for event in events.seen if isinstance(event, SpeechStarted | SpeechStopped)}
        assert items == {event.item_id for event in events.seen if isinstance(event, TranscriptUpdate)} - {
            first.item_id
        }


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


async def test_an_interruption_is_not_overtaken_by_what_was_said_before_it() -> None:
    model = FakeModel([])
    async with conversation(model) as (connection, events):
        await connection.send(SendText("Talk."))
        await connection.send(CancelResponse())  # before the engine has looked at the text
        await events.until_seen(ResponseDone)
        assert statuses(events) == ["cancelled"]
        assert model.asked == []


async def test_a_model_without_tools_is_offered_none() -> None:
    model = FakeModel([["No."]], tools=False)
    async with conversation(model, tools=[WEATHER]) as (connection, events):
        assert not connection.capabilities.tools
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
    assert model.offered == [()]


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


async def test_other_tools_are_offered_with_the_next_reply() -> None:
    model = FakeModel([["Yes."], ["No."]])
    async with conversation(model) as (connection, events):
        for count, tools in enumerate([(WEATHER,), ()], 1):
            await connection.send(OfferTools(tools))
            await connection.send(SendText("Weather?"))
            await events.until_seen(ResponseDone, count)
    assert model.offered == [(WEATHER,), ()]


async def test_tools_that_come_later_and_cannot_be_called_are_told_once() -> None:
    model = FakeModel([["No."]], tools=False)
    async with conversation(model) as (connection, events):
        for _ in range(2):
            await connection.send(OfferTools((WEATHER,)))
        await connection.send(SendText("Weather?"))
        await events.until_seen(ResponseDone)
        assert [event.code for event in events.seen if isinstance(event, Notice)] == ["tools_unsupported"]
    assert model.offered == [()]
