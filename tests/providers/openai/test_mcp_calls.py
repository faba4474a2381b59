"""MCP servers that OpenAI calls itself: their lists, its questions, and its calls, which are told as others are."""

from dataclasses import replace
from typing import Any

import pytest

from tests.loopback.openai_script import McpCall, Reply
from tests.providers.openai.conversation import Conversation
from tests.support.settings import config_of
from voicecli.commands import AnswerApproval, SendText
from voicecli.events import ApprovalRequest, Notice, ResponseDone, ToolCallCancelled, ToolCallFinished, ToolCallRequest
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings

SERVERS = tuple(OpenAIMCPServer(label=label, url=f"https://{label}.example") for label in ("docs", "mail"))
HTTP: dict[str, Any] = {"type": "http_error", "code": 503, "message": "Busy."}


def search(call: McpCall, *servers: OpenAIMCPServer, **options: Any) -> Conversation:
    config = config_of(OpenAISettings, mcp_servers=servers or SERVERS[:1])
    conversation = Conversation(config, replies=[Reply(text="", mcp=call), Reply(text="Found.")], **options)
    conversation.send(SendText("Search"))
    conversation.settle()
    return conversation


def test_a_call_is_told_with_its_server_arguments_and_output() -> None:
    conversation = search(McpCall(name="search", arguments='{"q":1}', output="3 dots"))
    (request,) = conversation.all(ToolCallRequest)
    assert request == ToolCallRequest(request.call_id, "search", '{"q":1}', by_provider=True, server="docs")
    assert conversation.all(ToolCallFinished) == [ToolCallFinished(request.call_id, "search", "3 dots")]
    assert [done.awaits_tools for done in conversation.all(ResponseDone)] == [True, False]
    assert not conversation.codec.busy
    (tool,) = [turn for turn in conversation.transcript.turns if turn.role == "tool"]
    assert (tool.name, tool.text, tool.final) == ("search", "3 dots", True)


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (HTTP, "http_error 503: Busy."),
        (
            {"type": "protocol_error", "code": -32601, "message": "No such tool."},
            "protocol_error -32601: No such tool.",
        ),
        ({"type": "tool_execution_error", "message": "Disk full."}, "tool_execution_error: Disk full."),
    ],
)
def test_a_call_that_fails_is_told_with_its_error(error: dict[str, Any], told: str) -> None:
    conversation = search(McpCall(name="search", error=error))
    (finished,) = conversation.all(ToolCallFinished)
    assert (finished.name, finished.output, finished.is_error) == ("search", told, True)
    assert conversation.said("assistant") == ["Found."]


def test_the_call_that_was_asked_about_is_told_when_it_is_made() -> None:
    conversation = search(McpCall(name="search", arguments='{"q":1}', needs_approval=True, output="3 dots"))
    (asked,) = conversation.all(ApprovalRequest)
    assert asked.tool_id == "", "its list is not known"
    assert not conversation.all(ToolCallRequest)
    conversation.send(AnswerApproval(asked.approval_id, True))
    conversation.settle()
    assert [finished.output for finished in conversation.all(ToolCallFinished)] == ["3 dots"]
    assert conversation.said("assistant") == ["Found."]


def listed(label: str, description: str = "Search.") -> dict[str, Any]:
    tool = {"name": "search", "description": description, "input_schema": {"type": "object"}}
    item = {"id": f"mcpl_{label}", "type": "mcp_list_tools", "server_label": label, "tools": [tool]}
    return {"type": "conversation.item.done", "item": item, "previous_item_id": None}


def test_a_tool_has_one_name_until_it_changes() -> None:
    conversation = Conversation(config_of(OpenAISettings, mcp_servers=SERVERS))
    ids = []
    for number, frame in enumerate([listed("docs"), listed("docs"), listed("docs", "Delete."), listed("mail")]):
        conversation.give(frame)
        label = frame["item"]["server_label"]
        item = {"id": f"m{number}", "type": "mcp_approval_request", "name": "search", "arguments": "{}"}
        item |= {"server_label": label}
        response = {"id": f"r{number}"}
        conversation.give({"type": "response.created", "response": response})
        conversation.give({"type": "response.output_item.done", "response_id": f"r{number}", "item": item})
        conversation.give({"type": "response.done", "response": response | {"status": "completed", "output": [item]}})
        ids.append(conversation.all(ApprovalRequest)[-1].tool_id)
    assert len(conversation.all(ApprovalRequest)) == 4
    assert all(ids)
    assert ids[0] == ids[1]
    assert len(set(ids)) == 3


def test_a_list_that_fails_is_told_with_the_servers_name_and_what_is_said_of_it() -> None:
    conversation = Conversation(config_of(OpenAISettings, mcp_servers=SERVERS))
    item = {"id": "mcpl_2", "type": "mcp_list_tools", "server_label": "mail", "tools": []}
    conversation.give({"type": "conversation.item.added", "item": item, "previous_item_id": None})
    conversation.give({"type": "mcp_list_tools.failed", "item_id": "mcpl_2", "error": HTTP})
    conversation.give({"type": "mcp_list_tools.failed", "item_id": "another"})
    one = Conversation(config_of(OpenAISettings, mcp_servers=SERVERS[:1]))
    one.give({"type": "mcp_list_tools.failed", "item_id": "unknown"})
    could_not = "OpenAI could not get the list of tools of"
    assert [notice.message for notice in (*conversation.all(Notice), *one.all(Notice))] == [
        f"{could_not} the MCP server mail: http_error 503: Busy.",
        f"{could_not} an MCP server (docs, mail).",
        f"{could_not} the MCP server docs.",
    ]


def test_a_call_that_the_connection_took_along_is_told_as_taken_back() -> None:
    config = config_of(OpenAISettings, mcp_servers=SERVERS)
    conversation = Conversation(config, replies=[Reply(text="", mcp=McpCall(name="search"))])
    conversation.send(SendText("Search"))
    conversation.step(until="response.mcp_call.in_progress")
    (request,) = conversation.all(ToolCallRequest)
    conversation.dial()
    assert conversation.all(ToolCallCancelled) == [ToolCallCancelled(request.call_id)]
    assert not conversation.all(ToolCallFinished)


def test_a_call_whose_output_never_comes_ends_all_the_same() -> None:
    conversation = Conversation(config_of(OpenAISettings, mcp_servers=SERVERS))
    item = {"id": "m1", "type": "mcp_call", "name": "search", "arguments": "{}", "server_label": "docs"}
    conversation.give({"type": "response.created", "response": {"id": "r1"}})
    conversation.give({"type": "response.output_item.added", "response_id": "r1", "item": item})
    conversation.give({"type": "response.mcp_call.in_progress", "item_id": "m1"})
    conversation.give({"type": "response.mcp_call.completed", "item_id": "m1"})
    for name in ("r1", "r2"):
        if name != "r1":
            conversation.give({"type": "response.created", "response": {"id": name}})
        conversation.give({"type": "response.done", "response": {"id": name, "status": "completed", "output": []}})
    assert conversation.all(ToolCallFinished) == [ToolCallFinished("m1", "search", "")]
    late = replace(conversation.all(ToolCallFinished)[0])
    conversation.give({"type": "conversation.item.done", "item": item | {"output": "late"}})
    assert conversation.all(ToolCallFinished) == [late], "once"
