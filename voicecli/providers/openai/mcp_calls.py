"""Tools of MCP servers that the provider itself calls: their lists, its questions whether it may, and its calls."""

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from voicecli.events import ApprovalRequest, Event, Notice, ToolCallCancelled, ToolCallFinished, ToolCallRequest
from voicecli.providers.fields import at, identifier, objects, text
from voicecli.providers.openai.fields import Frame
from voicecli.providers.openai.output_items import WireResponse
from voicecli.providers.openai.queues import Wire
from voicecli.providers.openai.response_gate import ResponseGate

__all__ = ["McpCalls"]

_OUTPUT_WITHIN = 2
"""Responses after a call: its output is sent beside the news that it is over, but the reply to it may overtake that."""


@dataclass(slots=True)
class _Call:
    """A call, as far as it is known.

    Attributes:
        response: that it is part of, while it runs; None where it had to be allowed, and runs after its response.
        over: whether the server says so; its output may come later.
        waited: how many responses were over since.
    """

    name: str = ""
    arguments: str = ""
    server: str = ""
    response: WireResponse | None = None
    told: bool = False
    over: bool = False
    waited: int = 0
    failed: bool = False
    finished: bool = False


class McpCalls:
    """Follows them, and tells of them: nothing runs here.

    Args:
        labels: of the servers that were named to the provider.
        continue_reply: asks for the reply that goes on after the calls of a response.
    """

    def __init__(
        self,
        wire: Wire,
        gate: ResponseGate,
        labels: Sequence[str],
        continue_reply: Callable[[WireResponse], None],
    ) -> None:
        self._wire = wire
        self._gate = gate
        self._labels = labels
        self._continue_reply = continue_reply
        self._calls: dict[str, _Call] = {}
        self._reset()

    def _reset(self) -> None:
        self._calls.clear()
        self._approvals: set[str] = set()
        self._lists: dict[str, str] = {}  # item -> server
        self._tool_ids: dict[tuple[str, str], str] = {}

    def restart(self) -> None:
        """The next socket knows of no calls, and asks for its approvals anew."""
        for item_id, call in self._calls.items():
            if call.told and not call.finished:
                self._wire.events.append(ToolCallCancelled(item_id))
        self._reset()

    def item(self, item: Frame, response: WireResponse | None = None, *, begins: bool = False) -> None:
        """An item was announced or completed.

        Args:
            response: that it is part of, if it is told with one.
            begins: whether the response has just begun it.
        """
        match text(item, "type"):
            case "mcp_call":
                self._call_item(item, response if begins else None)
            case "mcp_list_tools":
                self._list_item(item)
            case "mcp_approval_request" if response is not None:
                self._asks(item, response)

    def arguments_done(self, frame: Frame) -> None:
        """The arguments of a call are complete."""
        call = self._calls.setdefault(identifier(frame, "item_id"), _Call())
        call.arguments = text(frame, "arguments") or call.arguments

    def call_started(self, frame: Frame) -> None:
        """A call is made."""
        item_id = identifier(frame, "item_id")
        self._tell(item_id, self._calls.setdefault(item_id, _Call()))

    def call_over(self, frame: Frame) -> None:
        """A call is over; its item says what came of it."""
        item_id = identifier(frame, "item_id")
        call = self._calls.setdefault(item_id, _Call())
        if call.over:
            return
        call.over, call.failed = True, text(frame, "type").endswith("failed")
        self._tell(item_id, call)
        if call.response is None:
            self._gate.want()
        else:
            call.response.open_mcp_calls.discard(item_id)
            self._continue_reply(call.response)

    def response_done(self) -> None:
        """A response is over: tell the end of calls whose output should have come by now."""
        for item_id, call in self._calls.items():
            call.waited += call.over
            if call.waited >= _OUTPUT_WITHIN:
                self._finish(item_id, call, "", is_error=call.failed)

    def list_failed(self, frame: Frame) -> None:
        """The list of a server's tools could not be got."""
        item_id = identifier(frame, "item_id")
        label = self._lists.get(item_id) or (self._labels[0] if len(self._labels) == 1 else "")
        which = f"the MCP server {label}" if label else f"an MCP server ({', '.join(self._labels) or 'unknown'})"
        why = _error_text(frame).rstrip(".")
        message = f"{self._wire.server.name} could not get the list of tools of {which}{f': {why}' if why else ''}."
        self._wire.events.append(Notice("mcp_list_failed", message))

    # -- inside

    def _call_item(self, item: Frame, response: WireResponse | None) -> None:
        item_id = identifier(item, "id")
        call = self._calls.setdefault(item_id, _Call())
        call.name = text(item, "name") or call.name
        call.arguments = text(item, "arguments") or call.arguments
        call.server = text(item, "server_label") or call.server
        if response is not None and not call.over:
            call.response = response
            response.open_mcp_calls.add(item_id)
            response.calls_tools = True
        if why := _error_text(item):
            self._finish(item_id, call, why, is_error=True)
        elif isinstance(item.get("output"), str):
            self._finish(item_id, call, text(item, "output"), is_error=call.failed)

    def _list_item(self, item: Frame) -> None:
        label = text(item, "server_label")
        self._lists[identifier(item, "id")] = label
        for tool in objects(item, "tools"):
            told = json.dumps([label, text(tool, "name"), tool.get("description"), tool.get("input_schema")])
            self._tool_ids[label, text(tool, "name")] = hashlib.sha256(told.encode()).hexdigest()[:16]

    def _asks(self, item: Frame, response: WireResponse) -> None:
        approval_id = identifier(item, "id")
        if approval_id in self._approvals:
            return
        self._approvals.add(approval_id)
        response.asks_approval = True
        self._gate.answered()
        name, label = text(item, "name"), text(item, "server_label")
        tool_id = self._tool_ids.get((label, name), "")
        self._wire.events.append(ApprovalRequest(approval_id, name, text(item, "arguments"), label, tool_id=tool_id))

    def _tell(self, item_id: str, call: _Call) -> None:
        if not call.told:
            call.told = True
            self._note(ToolCallRequest(item_id, call.name, call.arguments, by_provider=True, server=call.server))

    def _finish(self, item_id: str, call: _Call, output: str, *, is_error: bool) -> None:
        if not call.finished:
            self._tell(item_id, call)
            call.finished = True
            self._note(ToolCallFinished(item_id, call.name, output, is_error))

    def _note(self, event: Event) -> None:
        self._wire.transcript.apply(event)
        self._wire.events.append(event)


def _error_text(told: Frame) -> str:
    """The error of a call or a list: an object of one of several types, by the specification; some servers write it."""
    if message := text(told, "error"):
        return message
    error = at(told, "error")
    kind, message, code = text(error, "type"), text(error, "message"), error.get("code")
    name = kind + (f" {code}" if isinstance(code, int) else "")
    return f"{name}: {message}" if name and message else message or name
