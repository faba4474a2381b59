"""Answers freed of what is not for the user, and bounded."""

import asyncio
from collections.abc import Sequence
from typing import Any

import pytest

from tests.providers.local.fakes import FakeModel, FakeSpeech, conversation
from voicecli.commands import SendText
from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import Notice, ResponseDone, TranscriptUpdate
from voicecli.providers.local.chat_model import Delta, Finish, Message, Thought, ToolCall
from voicecli.providers.local.filtered_model import FilteredModel
from voicecli.tools import ToolSchema

ASK = [Message("user", "Hi")]
WEATHER = ToolSchema("weather", "The weather.", {"type": "object"})
CALL = '<tool_call>{"name": "weather", "arguments": {}}</tool_call>'


def model(*answers: Sequence[Delta | asyncio.Event | Exception], **settings: Any) -> FilteredModel:
    return FilteredModel(FakeModel(answers), **{"thinking_timeout_s": 30.0, **settings})


async def ask(model: FilteredModel, *, tools: Sequence[ToolSchema] = (), after_tool: bool = False) -> list[Delta]:
    messages = [*ASK, Message("tool", "Sunny.", "call")] if after_tool else ASK
    return [delta async for delta in model.stream(messages, tools)]


def text(answer: Sequence[Delta]) -> str:
    return "".join(delta for delta in answer if isinstance(delta, str))


async def test_reasoning_is_dropped() -> None:
    assert await ask(model(["<thi", "nk>Hm.</th", "ink>Hel", "lo.<|im_end|>"])) == ["Hel", "lo.", Finish()]
    assert await ask(model([Thought(), Thought(), "Hello."])) == ["Hello.", Finish()]


async def test_calls_as_text_are_calls_with_an_id_of_their_own() -> None:
    first, second, end = await ask(model([CALL + CALL]), tools=[WEATHER])
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.name == second.name == "weather"
    assert first.call_id
    assert first.call_id != second.call_id
    assert end == Finish()


async def test_an_id_is_used_once_in_a_conversation() -> None:
    asked = model([ToolCall("call_0", "weather", "{}")], [ToolCall("call_0", "weather", "{}")])
    first, second = (await ask(asked))[0], (await ask(asked))[0]
    assert isinstance(first, ToolCall)
    assert isinstance(second, ToolCall)
    assert first.call_id == "call_0"
    assert second.call_id not in ("call_0", "")


async def test_without_tools_no_text_is_a_call() -> None:
    json = '{"name": "weather"}'
    assert text(await ask(model([json]))) == json


async def test_thoughts_that_no_tag_opens_are_known_from_the_second_answer_on() -> None:
    asked = model(["They ask.\n</think>\nHi."], ["They ask again.", "\n</think>\n", "Hi."], ["Hello."], ["Hel", "lo."])
    await ask(asked)
    assert text(await ask(asked)) == "Hi."
    assert text(await ask(asked)) == "Hello."  # it had no thoughts: given out, if late
    assert (await ask(asked))[:2] == ["Hel", "lo."]


async def test_a_server_that_tells_thoughts_apart_is_believed() -> None:
    fake = FakeModel([[Thought(), "Hel", "lo."]])
    fake.name = "deepseek-r1"
    asked = FilteredModel(fake, thinking_timeout_s=30)
    assert await ask(asked) == ["Hel", "lo.", Finish()]


async def test_an_endless_answer_is_cut() -> None:
    never = asyncio.Event()
    *words, end = await ask(model(["word " * 30, "word " * 30, never], longest_answer=200))
    assert len(text(words)) == 200
    assert isinstance(end, Finish)
    assert (end.truncated, end.reason) == (True, "cut after 200 characters")
    assert [notice.code for notice in end.notices] == ["answer_cut"]


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        ([], "empty answer"),
        ([" ", "\n"], "empty answer"),
        (["<|im_end|>"], "empty answer"),
        (["<think>Hm."], "thought, and did not answer"),
        ([Thought()], "thought, and did not answer"),
        (["<think>Hm.", Finish(truncated=True)], "limit of tokens.*max_output_tokens"),
        ([Thought(), Finish(truncated=True)], "limit of tokens.*max_output_tokens"),
    ],
)
async def test_what_is_no_answer_is_an_error(answer: Sequence[Delta], says: str) -> None:
    with pytest.raises(RealtimeError, match=says):
        await ask(model(answer))


async def test_after_a_tool_there_may_be_nothing_to_say() -> None:
    assert await ask(model([]), after_tool=True) == [Finish()]


@pytest.mark.parametrize("beginning", [Thought(), "<think>Hm."])
async def test_thinking_without_an_end_is_an_error(beginning: Delta) -> None:
    with pytest.raises(RealtimeConnectionError, match=r"no word for 0\.05 s.*response_timeout_s"):
        await ask(model([beginning, asyncio.Event()], thinking_timeout_s=0.05))


async def test_a_cut_answer_is_told_as_incomplete_with_its_reason() -> None:
    end = Finish(truncated=True, reason="cut after 200 characters", notices=(Notice("answer_cut", "Cut."),))
    async with conversation(FakeModel([["Hello.", end]])) as (connection, events):
        await connection.send(SendText("Hi"))
        await events.until_seen(ResponseDone)
    (done,) = (event for event in events.seen if isinstance(event, ResponseDone))
    assert (done.status, done.reason) == ("incomplete", "cut after 200 characters")
    assert events.of(Notice) == [Notice("answer_cut", "Cut.")]


async def test_what_is_only_shown_is_not_spoken() -> None:
    voice = FakeSpeech()
    text = "See https://example.com/a/b:\n```\nx = 1\n```\nThat is it."
    async with conversation(FakeModel([[text], ["```\nx = 1\n```"]]), voice=voice) as (connection, events):
        for count in (1, 2):
            await connection.send(SendText("Hi"))
            await events.until_seen(ResponseDone, count)
    assert voice.spoken == ["See example.com:", "That is it.", "The answer is on the screen."]
    finals = [event.text for event in events.seen if isinstance(event, TranscriptUpdate) and event.final]
    assert [final for final in finals if final != "Hi"] == [text, "```\nx = 1\n```"]
