"""Replies in their order, tools, and what goes wrong with a reply."""

import asyncio

import pytest

from tests.providers.local.fakes import (
    QUESTION,
    WEATHER,
    FakeHearing,
    FakeModel,
    FakeSpeech,
    conversation,
    finals,
    offline,
    shape,
    silence,
    speech,
    statuses,
)
from tests.support.player import Player
from voicecli.commands import (
    AppendAudio,
    Command,
    EndTurn,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.session import VoiceSession
from voicecli.errors import RealtimeError
from voicecli.events import (
    OUTPUT_LIMIT,
    ErrorOccurred,
    ResponseDone,
    ResponseStarted,
    ToolCallRequest,
)
from voicecli.providers.local.chat_model import Finish, ToolCall


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


async def test_an_answer_that_the_limit_cut_ends_with_a_whole_sentence() -> None:
    model = FakeModel([["One. Two. Thr", Finish(truncated=True)]])
    async with conversation(model, voice=FakeSpeech()) as (connection, events):
        await connection.send(SendText("Count."))
        await events.until_seen(ResponseDone)
    assert [(done.status, done.reason) for done in events.seen if isinstance(done, ResponseDone)] == [
        ("incomplete", OUTPUT_LIMIT)
    ]
    assert finals(events.seen) == ["One. Two."]
