"""The script that programs test with: it answers in order, under ids of its own, and says when it is at its end."""

import inspect
from collections.abc import Sequence
from typing import Any

import pytest

from tests.support.virtual_time import virtual_time
from voicecli import ConfigurationError, RealtimeConfig, RealtimeError, RealtimeVoice, VADMode
from voicecli import testing as public
from voicecli.commands import EndTurn, SendText, ToolResult
from voicecli.events import AudioChunk, Event, ResponseDone, ResponseStarted, ToolCallRequest, TranscriptUpdate
from voicecli.testing import ScriptedConnection, Step, reply, scripted_provider, tool_call

MANUAL = RealtimeConfig(vad_mode=VADMode.NONE, response_timeout_s=5)


def get_weather(city: str) -> str:
    """Tell the weather."""
    return f"sunny in {city}"


async def texts(voice: RealtimeVoice, *questions: str) -> tuple[list[str], list[str]]:
    """The answer to each, and the assistant's words in the history."""
    answers = []
    async with voice.connect() as session:
        for question in questions:
            response = await session.send_text(question, wait=True)
            assert response is not None
            answers.append(response.transcript)
        return answers, [turn.text for turn in session.history if turn.role == "assistant"]


@virtual_time
async def test_each_reply_of_a_script_is_kept() -> None:
    for script in ([reply("One."), reply("Two."), reply("Three.")], [reply("One.")] * 3):
        voice = RealtimeVoice(scripted_provider(*script), config=MANUAL)
        answers, history = await texts(voice, "a", "b", "c")
        assert answers == history == [str(step[-2].text) for step in script if isinstance(step[-2], TranscriptUpdate)]


async def played(script: Sequence[Sequence[Step]]) -> list[Event]:
    connection = ScriptedConnection(script)
    for _ in script:
        await connection.send(SendText("?"))
    await connection.aclose()
    return [event async for event in connection]


async def test_ids_that_were_used_are_counted_on() -> None:
    events = await played([reply("A", user="a"), reply("B", user="b"), reply("C", response_id="mine")])
    assert [event.response_id for event in events if isinstance(event, ResponseStarted)] == [
        "response_1",
        "response_2",
        "mine",
    ]
    assert [event.response_id for event in events if isinstance(event, ResponseDone)] == [
        "response_1",
        "response_2",
        "mine",
    ]
    assert [event.item_id for event in events if isinstance(event, AudioChunk)] == [
        "response_1_item",
        "response_2_item",
        "mine_item",
    ]
    assert [event.item_id for event in events if isinstance(event, TranscriptUpdate) and event.role == "user"] == [
        "response_1_item_user",
        "response_2_item_user",
    ]


async def test_ids_without_a_number_and_calls_are_counted_on_too() -> None:
    events = await played(
        [
            reply("A", response_id="r"),
            reply("B", response_id="r"),
            tool_call("f", response_id="x"),
            tool_call("f", response_id="y"),
        ]
    )
    started = [event.response_id for event in events if isinstance(event, ResponseStarted)]
    assert started == ["r", "r_2", "x", "y"]
    assert [event.call_id for event in events if isinstance(event, ToolCallRequest)] == ["call_1", "call_2"]


async def test_a_response_that_goes_on_in_the_next_entry_keeps_its_id() -> None:
    begun: list[Step] = [ResponseStarted("r"), ToolCallRequest("c", "f", "")]
    gone_on: list[Step] = [AudioChunk(b"\0\0", "r", "i"), ResponseDone("r")]
    events = await played([begun, gone_on])
    assert [event.response_id for event in events if isinstance(event, AudioChunk | ResponseDone)] == ["r", "r"]


@virtual_time
async def test_a_script_at_its_end_says_so() -> None:
    voice = RealtimeVoice(scripted_provider(reply("One.")), config=MANUAL)
    with pytest.raises(RealtimeError, match=r"The script has no entry for turn 2\. It needs one for each"):
        await texts(voice, "a", "b")
    with pytest.raises(RealtimeError, match="no entry for turn 1"):
        await texts(RealtimeVoice(scripted_provider(), config=MANUAL), "a")


@virtual_time
async def test_a_tool_whose_result_no_entry_answers_says_so() -> None:
    voice = RealtimeVoice(scripted_provider(tool_call("get_weather", '{"city": "Oslo"}')), tools=[get_weather])
    with pytest.raises(RealtimeError, match="no entry for turn 2"):
        await texts(voice, "How is the weather?")


@virtual_time
async def test_a_connection_has_one_conversation() -> None:
    voice = RealtimeVoice(scripted_provider(connection=ScriptedConnection([reply("One."), reply("Two.")])))
    assert await texts(voice, "a") == (["One."], ["One."])
    with pytest.raises(RealtimeError, match=r"has had its conversation\. Make one for each"):
        await texts(voice, "b")


@virtual_time
async def test_an_empty_script_leaves_it_to_the_test() -> None:
    connection = ScriptedConnection()
    async with RealtimeVoice(scripted_provider(connection=connection), config=MANUAL).connect() as session:
        await session.send_text("Hello", wait=False)
        connection.play(reply("By hand."))
        await session.wait_for_reply()
        assert session.history[-1].text == "By hand."


@virtual_time
@pytest.mark.parametrize("arguments", [{"city": "Paris"}, '{"city": "Paris"}'], ids=["mapping", "JSON"])
async def test_arguments_of_a_call_are_given_by_name_or_as_json(arguments: Any) -> None:
    voice = RealtimeVoice(
        scripted_provider(tool_call("get_weather", arguments), reply("Sunny.")), config=MANUAL, tools=[get_weather]
    )
    async with voice.connect() as session:
        await session.send_text("How is the weather?", wait=True)
        assert ("tool", "sunny in Paris") in [(turn.role, turn.text) for turn in session.history]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["Paris"], r'The arguments of f are a list\. Give them by name, as in tool_call\("get_weather"'),
        (None, "are a NoneType"),
        ({"when": object()}, "The arguments of f cannot be JSON"),
    ],
)
def test_other_arguments_are_refused(arguments: Any, says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        tool_call("f", arguments)


async def test_a_response_says_what_it_answers() -> None:
    connection = ScriptedConnection([reply("A"), tool_call("f"), reply("B"), reply("C")])
    await connection.send(SendText("a", input_id="input_1"))
    await connection.send(EndTurn("input_2"))
    await connection.send(ToolResult("call_1", "out", input_id="input_3"))
    await connection.send(EndTurn())  # nobody asks
    connection.play([ResponseStarted("unasked"), ResponseStarted("told", ("input_9",))])
    await connection.aclose()
    events = [event async for event in connection]
    assert [event.answers for event in events if isinstance(event, ResponseStarted)] == [
        ("input_1",),
        ("input_2",),
        ("input_3",),
        (),
        (),
        ("input_9",),
    ]


async def test_several_inputs_may_be_answered_together() -> None:
    connection = ScriptedConnection()
    await connection.send(SendText("a", input_id="input_1"))
    await connection.send(EndTurn("input_2"))
    connection.play(reply("To both."))
    await connection.aclose()
    events = [event async for event in connection]
    assert [event.answers for event in events if isinstance(event, ResponseStarted)] == [("input_1", "input_2")]


def test_the_sound_of_a_reply_is_silence_unless_given() -> None:
    sounds = [step.audio for step in reply("Hello.") if isinstance(step, AudioChunk)]
    assert sounds == [bytes(4_800)]
    assert [step for step in reply("Hello.", audio=b"") if isinstance(step, AudioChunk)] == []


@pytest.mark.parametrize("name", public.__all__)
def test_the_defaults_in_a_signature_can_be_read(name: str) -> None:
    for parameter in inspect.signature(getattr(public, name)).parameters.values():
        assert len(repr(parameter.default)) < 100
