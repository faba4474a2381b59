"""Work that GPT-Live hands over: tools, partial batches, failures, repetitions, pictures, and nobody to do it."""

import base64
import json
from dataclasses import replace
from typing import Any

import pytest

from tests.loopback.live_script import Call, LiveReply, Loose, Work
from tests.providers.openai.live.talk import CONFIG, WEATHER, LiveTalk
from voicecli.commands import AnswerApproval, OfferTools, SendImage, SendText, ToolResult
from voicecli.events import (
    ApprovalRequest,
    AudioChunk,
    ErrorOccurred,
    ResponseDone,
    ResponseStarted,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
)
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.tools import ToolSchema

TWO = Work(calls=(Call(name="weather", call_id="a"), Call(name="weather", call_id="b")))
ALONE = replace(CONFIG, provider_settings=OpenAISettings(live_backend_model="none"))


def asked(talk: LiveTalk) -> int:
    return len(talk.sent_of("response.create"))


def outputs(talk: LiveTalk) -> list[tuple[str, str]]:
    items = [frame["item"] for frame in talk.sent_of("response.item.create")]
    return [(item["call_id"], item["output"]) for item in items if item["type"] == "function_call_output"]


def test_two_calls_are_gone_on_with_once_both_are_answered() -> None:
    talk = LiveTalk(hears=["Weather?"], replies=[LiveReply(text="It rains.", work=TWO)], tools=[WEATHER])
    talk.speak(500)
    talk.until(ToolCallRequest)
    talk.send(ToolResult("b", "rain"))
    talk.run(9_000)
    assert asked(talk) == 0
    assert talk.all(ResponseDone)[-1].awaits_tools
    talk.send(ToolResult("a", "wind"))
    talk.run(5_000)
    assert (asked(talk), outputs(talk)) == (1, [("b", "rain"), ("a", "wind")])
    assert talk.said("assistant") == ["It rains."]


def test_the_results_are_answered_by_what_comes_of_all_of_them() -> None:
    talk = LiveTalk(hears=["Weather?"], replies=[LiveReply(text="It rains.", work=TWO)], tools=[WEATHER])
    talk.speak(500)
    talk.until(ToolCallRequest)
    talk.send(ToolResult("b", "rain", input_id="input_b"))
    assert talk.until(ResponseDone).awaits_tools
    talk.send(ToolResult("a", "wind", input_id="input_a"))
    assert set(talk.all(ResponseStarted)[-1].answers) == {"input_a", "input_b"}


def test_calls_of_two_tasks() -> None:
    works = [Work(calls=(Call(name="weather", call_id=name),)) for name in "ab"]
    replies = [LiveReply(text="It rains.", work=works[0]), LiveReply(text="It snows.", work=works[1])]
    talk = LiveTalk(hears=["Rome?", "Oslo?"], replies=replies, tools=[WEATHER])
    for _ in replies:
        talk.speak(500)
        talk.run(4_000)
    talk.send(ToolResult("a", "rain"))
    talk.run(2_000)
    assert asked(talk) == 0
    talk.send(ToolResult("b", "snow"))
    talk.run(9_000)
    assert asked(talk) == 1
    assert " ".join(talk.said("assistant")) == "It rains. It snows."
    assert not talk.codec.busy


def backend_event(kind: str, task: str, **fields: Any) -> dict[str, Any]:
    event = {"type": kind, **fields}
    return {"type": "response.event", "event_id": f"{kind} {task} {fields}", "event": event, "delegation_id": task}


def test_one_response_may_go_on_with_two_tasks() -> None:
    talk = LiveTalk(start=False)
    codec = talk.codec
    codec.open()
    talk.give({"type": "session.started", "event_id": "s", "session": {}})
    for task in "ab":
        told = {"id": task, "target": "responses", "type": "delegation"}
        talk.give({"type": "session.delegation.created", "event_id": task, "delegation": told, "offset_ms": 0})
        talk.give(backend_event("response.created", task, response={"id": task}))
        call = {"type": "function_call", "status": "completed", "call_id": task, "name": "weather", "arguments": "{}"}
        talk.give(backend_event("response.output_item.done", task, item=call))
        talk.give(backend_event("response.completed", task, response={"id": task}))
    for task in "ab":
        codec.send(ToolResult(task, "rain"))
    assert [json.loads(data)["type"] for data in codec.data_to_send()].count("response.create") == 1
    talk.give(backend_event("response.created", "b", response={"id": "c"}))
    assert codec.busy
    talk.give(backend_event("response.completed", "b", response={"id": "c"}))
    sound = base64.b64encode(bytes(48 * 4_000)).decode()
    talk.give({"type": "session.output_audio.delta", "delta": sound})
    talk.give({"type": "session.output_audio.delta", "delta": sound})
    assert not codec.busy


def test_a_call_after_a_call() -> None:
    work = Work(calls=(Call(name="weather", call_id="a"),), then=(Call(name="weather", call_id="b"),))
    talk = LiveTalk(hears=["Weather?"], replies=[LiveReply(text="It rains.", work=work)], tools=[WEATHER])
    talk.speak(500)
    for name in "ab":
        while not any(call.call_id == name for call in talk.all(ToolCallRequest)):
            talk.run(100)
        talk.send(ToolResult(name, "rain"))
    talk.run(6_000)
    assert asked(talk) == 2


def test_what_is_told_twice_is_done_once() -> None:
    loose = Loose(tells_twice=True)
    talk = LiveTalk(hears=["Weather?"], replies=[LiveReply(text="It rains.", work=TWO)], tools=[WEATHER], loose=loose)
    talk.speak(500)
    talk.run(2_000)
    assert [call.call_id for call in talk.all(ToolCallRequest)] == ["a", "b"]
    talk.send(ToolResult("a", "rain"), ToolResult("b", "rain"), ToolResult("b", "rain"))
    talk.run(6_000)
    assert (asked(talk), len(outputs(talk))) == (1, 2)


@pytest.mark.parametrize("fails", ["response.failed", "response.incomplete", "handoff"])
def test_work_that_fails_ends_the_reply(fails: str) -> None:
    replies = [LiveReply(text="It rains.", work=Work(fails=fails)), LiveReply(text="Yes.")]
    talk = LiveTalk(hears=["Weather?", "Hello?"], replies=replies, tools=[WEATHER])
    talk.speak(500)
    done = talk.until(ResponseDone)
    assert done.status == "failed"
    assert len(talk.all(ErrorOccurred)) == 1
    assert not talk.codec.busy
    talk.speak(500)
    talk.run(5_000)
    assert talk.said("assistant") == ["Yes."]


def test_a_failure_after_the_model_has_said_something() -> None:
    reply = LiveReply(text="It rains.", first="Let me see.", work=Work(fails="handoff", takes_ms=1_000))
    talk = LiveTalk(hears=["Weather?"], replies=[reply], tools=[WEATHER])
    talk.speak(500)
    assert talk.until(ResponseDone).status == "completed"
    assert talk.said("assistant") == ["Let me see."]


def test_work_without_news_is_given_up() -> None:
    talk = LiveTalk()
    told = {"id": "item_1", "target": "responses", "type": "delegation"}
    talk.give({"type": "session.delegation.created", "event_id": "e1", "delegation": told, "offset_ms": 0})
    talk.run(100_000)
    assert talk.all(ResponseDone) == []
    talk.run(30_000)
    assert talk.all(ResponseDone)[0].status == "failed"


def test_a_text_that_is_typed_while_a_tool_runs_is_answered_after_it() -> None:
    work = Work(calls=(Call(name="weather", call_id="a"),))
    replies = [LiveReply(text="It rains.", work=work), LiveReply(text="It is blue.")]
    talk = LiveTalk(hears=["Weather?"], replies=replies, tools=[WEATHER])
    talk.speak(500)
    talk.until(ToolCallRequest)
    talk.send(SendText("And the sky?", input_id="input_1"))
    assert asked(talk) == 0
    talk.send(ToolResult("a", "rain"))
    talk.run(9_000)
    assert asked(talk) == 1
    assert "It rains." in talk.said("assistant")[0]


def test_an_interruption_answers_the_calls() -> None:
    reply = LiveReply(text="It rains.", first="Let me look that up.", work=TWO)
    talk = LiveTalk(hears=["Weather?"], replies=[reply, LiveReply(text="Yes?")], tools=[WEATHER])
    talk.speak(500)
    talk.until(ToolCallRequest)
    talk.send(talk.cut(played_ms=0))
    talk.run(100)
    assert talk.all(ToolCallCancelled) == [ToolCallCancelled("a"), ToolCallCancelled("b")]
    assert [call_id for call_id, _ in outputs(talk)] == ["a", "b"]
    talk.send(ToolResult("a", "rain"))
    assert (len(outputs(talk)), asked(talk)) == (2, 0)
    talk.run(4_000)
    [done] = talk.all(ResponseDone)
    assert (done.status, done.awaits_tools) == ("cancelled", False)


def test_a_background_tool() -> None:
    config = replace(CONFIG, background_tools=("weather",))
    work = Work(calls=(Call(name="weather", call_id="a"),))
    replies = [LiveReply(text="I look.", work=work), LiveReply(text="It rains.")]
    talk = LiveTalk(config, hears=["Weather?"], replies=replies, tools=[WEATHER])
    talk.speak(500)
    assert talk.until(ToolCallRequest).background
    done = talk.until(ResponseDone)
    assert not done.awaits_tools
    talk.send(ToolResult("a", "rain", input_id="input_1"))
    assert talk.all(ResponseStarted)[-1].answers == ("input_1",)
    talk.run(6_000)
    assert talk.said("assistant") == ["I look.", "It rains."]


def test_a_background_result_is_answered_by_another_reply_than_the_one_under_way() -> None:
    config = replace(CONFIG, background_tools=("weather",))
    work = Work(calls=(Call(name="weather", call_id="a"),))
    replies = [LiveReply(text="I look.", work=work), LiveReply(text="It rains.")]
    talk = LiveTalk(config, hears=["Weather?"], replies=replies, tools=[WEATHER])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.run(1_000)
    assert talk.all(ResponseDone) == []
    talk.send(ToolResult("a", "rain", input_id="input_1"))
    talk.run(8_000)
    assert [started.answers for started in talk.all(ResponseStarted)] == [(), ("input_1",)]
    assert talk.said("assistant") == ["I look.", "It rains."]


def test_a_long_result_is_the_backends() -> None:
    config = replace(CONFIG, background_tools=("weather",))
    replies = [LiveReply(text="I look.", work=Work(calls=(Call(name="weather", call_id="a"),)))]
    talk = LiveTalk(config, hears=["Weather?"], replies=replies, tools=[WEATHER])
    talk.speak(500)
    talk.until(ToolCallRequest)
    talk.send(ToolResult("a", "rain " * 20_000))
    assert talk.sent_of("response.item.create")[-1]["item"]["content"][0]["text"].count("rain") == 20_000
    assert 1 <= len(talk.sent_of("session.thinking.append")) <= 5


def test_a_picture_is_for_the_backend() -> None:
    talk = LiveTalk(replies=[LiveReply(text="A dot.")])
    talk.send(SendImage(b"\x89PNG", "image/png"), SendText("What is it?"))
    talk.run(6_000)
    content = [frame["item"]["content"][0] for frame in talk.sent_of("response.item.create")]
    assert [part["type"] for part in content] == ["input_image", "input_text"]
    assert content[0]["image_url"] == "data:image/png;base64,iVBORw=="
    assert talk.said("assistant") == ["A dot."]


def test_other_tools() -> None:
    talk = LiveTalk(tools=[WEATHER])
    tool = ToolSchema("search", "Finds things.", {"type": "object", "properties": {}})
    talk.send(OfferTools((tool,)))
    [update] = talk.sent_of("session.update")
    responses = update["session"]["delegation"]["responses"]
    assert [each["name"] for each in responses["tools"]] == ["search"]
    assert "search" in talk.sent_of("session.instructions.append")[0]["content"]
    talk.dial()
    session = talk.sent_of("session.start")[0]["session"]
    assert "search" in session["instructions"]


def test_nobody_to_hand_work_over_to() -> None:
    loose = Loose(tells_twice=True)
    replies = [LiveReply(text="I cannot.", work=Work()), LiveReply(text="That is not possible.")]
    talk = LiveTalk(ALONE, hears=["Weather?"], replies=replies, loose=loose)
    assert not talk.sent_of("session.start")[0]["session"]["delegation"].keys() - {"type"}
    talk.speak(500)
    talk.run(5_000)
    [told] = talk.sent_of("session.commentary.append")
    assert told["delegation_id"]
    assert "not available" in told["content"]
    assert talk.said("assistant") == ["That is not possible."]


def test_a_text_without_a_backend() -> None:
    talk = LiveTalk(ALONE, replies=[LiveReply(text="Yes.")])
    talk.send(SendText("Do you?", input_id="input_1"))
    talk.run(6_000)
    assert talk.said("assistant") == ["Yes."]
    assert [started.answers for started in talk.all(ResponseStarted)] == [("input_1",)]


def backend_item(item: dict[str, Any], number: int) -> dict[str, Any]:
    event = {"type": "response.output_item.done", "item": item, "output_index": 0, "sequence_number": 1}
    return {"type": "response.event", "event_id": f"b{number}", "event": event}


def test_a_call_that_the_backend_makes_itself() -> None:
    talk = LiveTalk()
    call = {"id": "m1", "type": "mcp_call", "name": "search", "arguments": "{}", "server_label": "docs", "output": "3"}
    talk.give(backend_item(call, 1), backend_item(call, 2))
    talk.give(backend_item(call | {"id": "m2", "error": {"message": "Busy."}}, 3))
    assert talk.all(ToolCallRequest)[0] == ToolCallRequest("m1", "search", "{}", by_provider=True, server="docs")
    finished = [(call.output, call.is_error) for call in talk.all(ToolCallFinished)]
    assert finished == [("3", False), ("Busy.", True)]


def test_a_call_that_the_user_has_to_allow() -> None:
    talk = LiveTalk()
    request = {"id": "p1", "type": "mcp_approval_request", "name": "search", "arguments": "{}", "server_label": "docs"}
    talk.give(backend_item(request, 1))
    assert talk.all(ApprovalRequest) == [ApprovalRequest("p1", "search", "{}", "docs")]
    talk.send(AnswerApproval("p1", True))
    items = [frame["item"] for frame in talk.sent_of("response.item.create")]
    assert items == [{"type": "mcp_approval_response", "approval_request_id": "p1", "approve": True}]


def test_what_a_long_result_costs_in_events() -> None:
    talk = LiveTalk()
    talk.send(SendText("word " * 2_000))
    parts = [frame["content"] for frame in talk.sent_of("session.thinking.append")]
    assert len(parts) > 2
    assert " ".join(parts).split() == ["The", "user", "typed:", *["word"] * 2_000]
