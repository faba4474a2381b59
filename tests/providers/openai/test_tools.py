"""Calls of tools, and the gate that lets one response out at a time."""

import pytest

from tests.loopback.openai_script import Call, McpCall, Reply, tone
from tests.providers.openai.conversation import WEATHER, Conversation
from tests.support.settings import config_of
from voicecli.commands import (
    AnswerApproval,
    AppendAudio,
    ClearAudio,
    EndTurn,
    OfferTools,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
    ToolSchema,
)
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import ConfigurationError
from voicecli.events import (
    ApprovalRequest,
    ErrorOccurred,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    ToolCallCancelled,
    ToolCallRequest,
)
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings

ONE = Reply(text="", calls=(Call(name="weather", arguments='{"place":"Rome"}', call_id="c1"),))
TWO = Reply(text="", calls=(Call(name="weather", call_id="c1"), Call(name="weather", call_id="c2")))
SILENCE = AppendAudio(bytes(48 * 1_000))


def ask(reply: Reply) -> Conversation:
    conversation = Conversation(tools=[WEATHER], replies=[reply, Reply(text="It rains.")])
    conversation.send(SendText("The weather?"))
    return conversation


def test_a_call_and_the_reply_to_its_result() -> None:
    conversation = ask(ONE)
    conversation.settle()
    assert conversation.all(ToolCallRequest) == [ToolCallRequest("c1", "weather", '{"place":"Rome"}')]
    assert conversation.all(ResponseDone)[0].awaits_tools
    assert conversation.codec.busy
    assert not conversation.codec.awaiting_reply
    conversation.send(ToolResult("c1", '{"sky":"grey"}'))
    conversation.settle()
    output = conversation.sent_of("conversation.item.create")[-1]["item"]
    assert (output["type"], output["output"]) == ("function_call_output", '{"sky":"grey"}')
    assert conversation.said("assistant") == ["It rains."]
    assert not conversation.all(ResponseDone)[1].awaits_tools


def test_one_reply_to_all_results() -> None:
    conversation = ask(TWO)
    conversation.settle()
    conversation.send(ToolResult("c2", "two"))
    assert len(conversation.sent_of("conversation.item.create")) == 2
    assert len(conversation.sent_of("response.create")) == 1
    conversation.send(ToolResult("c1", "one"))
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2


def test_results_that_come_before_the_response_is_over_wait_for_its_end() -> None:
    conversation = ask(ONE)
    conversation.step(until="response.output_item.done")
    conversation.send(ToolResult("c1", "early"))
    assert len(conversation.sent_of("conversation.item.create")) == 2
    assert len(conversation.sent_of("response.create")) == 1
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2
    assert conversation.said("assistant") == ["It rains."]


def test_what_is_said_before_a_call_is_heard() -> None:
    conversation = ask(Reply(text="", commentary="Let me look.", calls=ONE.calls))
    conversation.settle()
    assert conversation.said("assistant") == ["Let me look."]
    assert conversation.audio == Reply().sound("Let me look.")


def test_a_call_without_arguments_and_a_broken_one_reach_the_program_as_they_are() -> None:
    conversation = ask(Reply(text="", calls=(Call(name="a", arguments=""), Call(name="b", arguments='{"x"'))))
    conversation.settle()
    assert [call.arguments for call in conversation.all(ToolCallRequest)] == ["", '{"x"']


def test_a_call_that_was_not_finished_is_not_made() -> None:
    conversation = ask(Reply(text="", calls=(Call(name="weather", incomplete=True),)))
    conversation.settle()
    assert not conversation.all(ToolCallRequest)
    assert not conversation.codec.busy


def test_calls_that_only_the_end_of_the_response_tells_of() -> None:
    conversation = ask(ONE)
    while frames := conversation.session.step():
        conversation.give(*(frame for frame in frames if frame["type"] != "response.output_item.done"))
    assert len(conversation.all(ToolCallRequest)) == 1


def test_results_nobody_asked_for_or_sent_twice_are_dropped() -> None:
    conversation = ask(ONE)
    conversation.settle()
    conversation.send(ToolResult("unknown", "x"), ToolResult("c1", "rain"), ToolResult("c1", "again"))
    conversation.settle()
    outputs = [item["item"] for item in conversation.sent_of("conversation.item.create") if "output" in item["item"]]
    assert [item["output"] for item in outputs] == ["rain"]


def test_a_cancelled_response_cancels_its_calls_and_leaves_none_without_output() -> None:
    conversation = ask(Reply(text="", calls=(*ONE.calls, Call(name="weather", call_id="c2"))))
    conversation.step(until="response.output_item.done")
    conversation.send(conversation.cut())
    conversation.settle()
    assert conversation.all(ToolCallCancelled) == [ToolCallCancelled("c1")]
    conversation.send(ToolResult("c1", "too late"))
    conversation.settle()
    assert conversation.all(ResponseDone)[0].status == "cancelled"
    assert not conversation.all(ResponseDone)[0].awaits_tools
    assert len(conversation.sent_of("response.create")) == 1
    outputs = [item["item"].get("output", "") for item in conversation.sent_of("conversation.item.create")]
    assert outputs[-1].startswith("Cancelled")


def test_a_result_while_the_user_speaks_is_answered_with_the_users_turn() -> None:
    conversation = ask(ONE)
    conversation.settle()
    conversation.send(AppendAudio(tone(400)))
    conversation.deliver()
    conversation.send(ToolResult("c1", "rain"))
    assert len(conversation.sent_of("response.create")) == 1
    conversation.deliver()
    conversation.send(SILENCE)
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 1
    assert len(conversation.all(ResponseDone)) == 2


def test_a_result_that_the_users_reply_does_not_know_is_answered_after_it() -> None:
    conversation = ask(ONE)
    conversation.settle()
    conversation.send(AppendAudio(tone(400)), SILENCE)  # the server has begun to answer, and we do not know yet
    conversation.send(ToolResult("c1", "rain"))
    conversation.settle()
    assert [event.status for event in conversation.all(ResponseDone)] == ["completed"] * 3
    assert len(conversation.all(ResponseStarted)) == 3


def test_two_texts_at_once_are_two_turns_one_after_the_other() -> None:
    conversation = Conversation()
    conversation.send(SendText("One"), SendText("Two"))
    assert len(conversation.sent_of("response.create")) == 1
    conversation.settle()
    assert len(conversation.all(ResponseDone)) == 2
    assert not conversation.all(ErrorOccurred)


def test_a_refused_create_is_made_up_for_after_the_response_that_was_in_the_way() -> None:
    conversation = Conversation()
    conversation.send(AppendAudio(tone(400)), SILENCE)  # answered by the server: our request comes too late
    conversation.send(SendText("And in writing"))
    conversation.settle()
    errors = [frame["error"]["code"] for frame in conversation.session.sent if frame["type"] == "error"]
    assert errors == ["conversation_already_has_active_response"]
    assert len(conversation.all(ResponseDone)) == 2
    assert not conversation.all(ErrorOccurred)


def test_a_response_the_server_never_announced_is_waited_for() -> None:
    conversation = Conversation()
    conversation.session.ignores.add("response.create")
    conversation.send(SendText("Hi"))
    create = conversation.sent_of("response.create")[0]["event_id"]
    busy = conversation.session.error("conversation_already_has_active_response", "Busy.", None, create)
    conversation.give(busy)
    assert conversation.codec.awaiting_reply
    assert len(conversation.sent_of("response.create")) == 1
    conversation.session.ignores.clear()
    conversation.give({"type": "response.done", "response": {"id": "unknown", "status": "completed", "output": []}})
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2
    assert len(conversation.all(ResponseDone)) == len(conversation.all(ResponseStarted)) == 2


def test_the_end_of_an_older_response_leaves_the_gate_shut() -> None:
    conversation = Conversation()
    for name in ("old", "new"):
        conversation.give({"type": "response.created", "response": {"id": name}})
    conversation.send(SendText("Wait"))
    conversation.give({"type": "response.done", "response": {"id": "old", "status": "cancelled"}})
    assert not conversation.sent_of("response.create")
    conversation.give({"type": "response.done", "response": {"id": "new", "status": "completed"}})
    assert len(conversation.sent_of("response.create")) == 1


def test_events_that_come_twice_count_once() -> None:
    conversation = ask(ONE)
    conversation.deliver()
    while frames := conversation.session.step():
        for frame in frames:
            conversation.give(frame, frame)
    assert len(conversation.all(ToolCallRequest)) == 1
    assert len(conversation.all(ResponseDone)) == len(conversation.all(ResponseStarted)) == 1


@pytest.mark.parametrize("approve", [True, False])
def test_an_approval_goes_through_and_its_outcome_is_answered_once(approve: bool) -> None:
    server = OpenAIMCPServer(label="docs", url="https://docs.example")
    reply = Reply(text="", mcp=McpCall(name="search", arguments='{"q":1}', needs_approval=True))
    conversation = Conversation(config_of(OpenAISettings, mcp_servers=(server,)), replies=[reply, Reply(text="Found.")])
    conversation.send(SendText("Search"))
    conversation.settle()
    (request,) = conversation.all(ApprovalRequest)
    assert (request.name, request.arguments, request.server) == ("search", '{"q":1}', "docs")
    assert conversation.all(ResponseDone)[0].awaits_tools
    conversation.send(AnswerApproval(request.approval_id, approve))
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2
    assert conversation.said("assistant") == ["Found."]


def test_a_call_by_the_server_is_answered_after_it_is_over() -> None:
    server = OpenAIMCPServer(label="docs", url="https://docs.example", require_approval="never")
    replies = [Reply(text="", mcp=McpCall(name="search")), Reply(text="Found.")]
    conversation = Conversation(config_of(OpenAISettings, mcp_servers=(server,)), replies=replies)
    conversation.send(SendText("Search"))
    conversation.settle()
    assert conversation.said("assistant") == ["Found."]
    assert len(conversation.sent_of("response.create")) == 2


def test_an_mcp_server_that_does_not_answer_is_a_notice() -> None:
    conversation = Conversation()
    conversation.give({"type": "mcp_list_tools.failed", "item_id": "x"})
    assert conversation.all(Notice)[0].code == "mcp_list_failed"


def test_a_refused_request_is_not_repeated_when_the_other_response_covers_it() -> None:
    conversation = Conversation()
    conversation.session.ignores |= {"conversation.item.create", "response.create"}
    conversation.send(SendText("And in writing", "mine"))
    item = {"id": "mine", "type": "message", "role": "user", "content": []}
    conversation.give({"type": "conversation.item.added", "item": item})
    conversation.give({"type": "response.created", "response": {"id": "by-voice"}})
    conversation.give(conversation.session.error("conversation_already_has_active_response", "Busy."))
    conversation.give({"type": "response.done", "response": {"id": "by-voice", "status": "completed"}})
    assert len(conversation.sent_of("response.create")) == 1
    assert not conversation.codec.busy


def test_items_lost_with_a_socket_are_not_waited_for_on_the_next() -> None:
    conversation = ask(ONE)
    conversation.settle()
    conversation.send(SendImage(b"\x89PNG", "image/png"))
    conversation.dial()
    conversation.send(AppendAudio(tone(400)))
    conversation.deliver()
    conversation.send(ToolResult("c1", "rain"))
    conversation.deliver()
    conversation.send(SILENCE)
    conversation.settle()
    assert not conversation.sent_of("response.create")
    assert conversation.said("assistant") == ["It rains."]


BY_KEY = RealtimeConfig(vad_mode=VADMode.CLIENT)


def asked_by_voice() -> Conversation:
    """A tool runs for what was written, and the user has begun to speak."""
    conversation = Conversation(BY_KEY, tools=[WEATHER], replies=[ONE, Reply(text="It rains.")], hears=["And then?"])
    conversation.send(SendText("The weather?"))
    conversation.settle()
    conversation.send(StartTurn(), AppendAudio(tone(400)), ToolResult("c1", "rain"))
    assert len(conversation.sent_of("response.create")) == 1, "it would talk over the user"
    return conversation


def test_a_result_that_comes_while_the_user_speaks_is_answered_with_the_turn() -> None:
    conversation = asked_by_voice()
    conversation.send(EndTurn())
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2
    assert conversation.said("assistant") == ["It rains."]


@pytest.mark.parametrize("end", [ClearAudio(), EndTurn()])
def test_a_result_is_answered_when_the_turn_came_to_nothing(end: ClearAudio | EndTurn) -> None:
    conversation = Conversation(BY_KEY, tools=[WEATHER], replies=[ONE, Reply(text="It rains.")])
    conversation.send(SendText("The weather?"))
    conversation.settle()
    conversation.send(StartTurn(), AppendAudio(tone(50)), ToolResult("c1", "rain"), end)
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2
    assert conversation.said("assistant") == ["It rains."]


def test_a_text_amid_a_turn_is_answered_at_once_and_with_it_the_result() -> None:
    conversation = asked_by_voice()
    conversation.send(SendText("Now!"))
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 2


NEWS = ToolSchema("news", "What is new.", {"type": "object", "properties": {}})


def test_other_tools_are_offered_at_once_and_on_the_next_socket() -> None:
    server = OpenAIMCPServer(label="docs", url="https://docs.example")
    conversation = Conversation(config_of(OpenAISettings, mcp_servers=(server,)), tools=[WEATHER])
    conversation.send(OfferTools((WEATHER, NEWS)))
    conversation.settle()
    update = conversation.sent_of("session.update")[-1]["session"]
    assert set(update) == {"type", "tools", "tool_choice"}
    assert [tool.get("name") for tool in update["tools"]] == ["weather", "news", None]
    assert [tool.get("name") for tool in conversation.session.config["tools"]] == ["weather", "news", None]
    assert len(conversation.all(SessionStarted)) == 1
    conversation.send(OfferTools(()))
    conversation.settle()
    assert [tool["type"] for tool in conversation.session.config["tools"]] == ["mcp"]
    conversation.dial()
    assert [tool["type"] for tool in conversation.session.config["tools"]] == ["mcp"]


def test_a_chosen_tool_that_goes_is_told_and_the_others_stay() -> None:
    conversation = Conversation(RealtimeConfig(tool_choice="weather"), tools=[WEATHER])
    with pytest.raises(ConfigurationError, match="there is no tool 'weather'"):
        conversation.send(OfferTools((NEWS,)))
    conversation.dial()
    assert [tool["name"] for tool in conversation.session.config["tools"]] == ["weather"]
