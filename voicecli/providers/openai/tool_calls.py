"""Calls of tools that the program answers."""

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass

from voicecli.commands import ToolResult
from voicecli.events import ToolCallCancelled, ToolCallRequest
from voicecli.providers.fields import at, identifier, text
from voicecli.providers.openai.fields import Frame
from voicecli.providers.openai.history import call_items
from voicecli.providers.openai.mcp_calls import McpCalls
from voicecli.providers.openai.output_items import WireResponse
from voicecli.providers.openai.queues import Wire
from voicecli.providers.openai.response_gate import ResponseGate
from voicecli.text import valid_text

__all__ = ["ToolCalls"]

_CANCELLED = "Cancelled: the user interrupted."


@dataclass(slots=True)
class _Call:
    name: str
    arguments: str
    response: WireResponse
    socket: int
    background: bool


class ToolCalls:
    """Calls by id; those without output outlive sockets.

    Args:
        background: names of tools whose result is not waited for: the server lets the conversation go on.
        mcp_labels: of the servers whose tools the provider calls itself.

    Attributes:
        mcp: those calls.
    """

    def __init__(
        self, wire: Wire, gate: ResponseGate, background: Collection[str] = (), mcp_labels: Sequence[str] = ()
    ) -> None:
        self._wire = wire
        self._gate = gate
        self._background = background
        self._open: dict[str, _Call] = {}
        self.mcp = McpCalls(wire, gate, mcp_labels, self.continue_reply)

    @property
    def pending(self) -> bool:
        """Whether the model waits for a result of the program's."""
        return bool(self._open)

    def item_added(self, item: Frame, response: WireResponse) -> None:
        """A call begins to be written."""
        if text(item, "type") == "function_call":
            self.note(response, identifier(item, "id"), item)
        else:
            self.mcp.item(item, response, begins=True)

    def note(self, response: WireResponse, item_id: str, told: Frame) -> None:
        """Remember what is told of a call before it is complete."""
        known = response.told_calls.setdefault(item_id, {})
        for name, value in (
            ("call_id", identifier(told, "call_id")),
            ("name", text(told, "name")),
            ("arguments", _arguments(told)),
        ):
            if value:
                known[name] = value

    def item_done(self, item: Frame, response: WireResponse, *, complete: bool = True) -> None:
        """Make the call that an item is; `complete`: whether its response goes on, or ended well."""
        if text(item, "type") != "function_call":
            self.mcp.item(item, response)
            return
        # Some servers give no status, or the one it had at its beginning.
        status = text(item, "status")
        if status == "completed" or (complete and status in {"", "in_progress"}):
            self._call(item, response)
        else:  # what was told of it may be cut off
            response.told_calls.pop(identifier(item, "id"), None)
            response.told_calls.pop(identifier(item, "call_id"), None)

    def call_told(self, response: WireResponse) -> None:
        """Make the calls that were told, and whose items never came."""
        for item_id, told in response.told_calls.items():
            if told.get("arguments"):
                self._call({"id": item_id, **told}, response)

    def _call(self, item: Frame, response: WireResponse) -> None:
        """A tool is to be called, once, however often the server says so."""
        item_id = identifier(item, "id")
        told = response.told_calls.get(item_id, {})
        call_id = identifier(item, "call_id") or told.get("call_id") or item_id or self._wire.id("call")
        if call_id in response.known_calls:
            return
        name = text(item, "name") or text(at(item, "function"), "name") or told.get("name", "")
        arguments = _arguments(item) or _arguments(at(item, "function")) or told.get("arguments", "")
        response.known_calls.add(call_id)
        background = name in self._background and not response.interrupted
        if background:
            response.calls_aside = True
        else:
            response.calls_tools = True
            response.open_calls.add(call_id)
        self._open[call_id] = _Call(name, arguments, response, self._wire.sockets, background)
        if not response.interrupted:
            self._gate.answered()
            request = ToolCallRequest(call_id, name, arguments, background)
            self._wire.transcript.apply(request)
            self._wire.events.append(request)

    def result(self, result: ToolResult) -> None:
        """Give the result of a call to the model."""
        call = self._open.pop(result.call_id, None)
        if call is None:
            return
        self._wire.transcript.apply(result)
        output = valid_text(result.output)
        items = call_items(result.call_id, call.name, call.arguments, output)
        for item in items[1:] if call.socket == self._wire.sockets else items:
            asks = item["type"] == "function_call_output"
            self._wire.create_item(item, input_id=result.input_id if asks else "")
        call.response.open_calls.discard(result.call_id)
        if call.background:
            self._gate.want(to_tools=True)
        else:
            self.continue_reply(call.response)

    def cancel(self, response: WireResponse) -> None:
        """Nobody wants the results of a reply that was cut off, but no call may stay without output."""
        for call_id in sorted(response.open_calls):
            del self._open[call_id]
            self._wire.transcript.apply(ToolResult(call_id, _CANCELLED))
            self._wire.create_item({"type": "function_call_output", "call_id": call_id, "output": _CANCELLED})
            self._wire.events.append(ToolCallCancelled(call_id))
        response.open_calls.clear()
        response.calls_tools = False

    def continue_reply(self, response: WireResponse) -> None:
        """One reply to all results of a response, once it is over and all of them are there."""
        if response.done and response.calls_tools and not response.open_calls and not response.open_mcp_calls:
            response.calls_tools = False
            self._gate.want(to_tools=True)


def _arguments(call: Frame) -> str:
    """The arguments of a call as JSON, which some servers do not write as a text."""
    value = call.get("arguments")
    return json.dumps(value) if isinstance(value, dict | list) else text(call, "arguments")
