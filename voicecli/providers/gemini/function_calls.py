"""The function calls of a Gemini conversation: read from its messages, and kept, pending or answered, over sockets."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicecli.commands import ToolResult
from voicecli.events import ToolCallRequest
from voicecli.providers.gemini.fields import arguments, children, text
from voicecli.providers.gemini.models import ToolBehavior

__all__ = ["FunctionCall", "FunctionCalls", "read_calls"]

# A larger result closes the socket with 1007.
_MAX_RESULT_CHARACTERS = 40_000
_CLIPPED = " [the rest is left out]"
# Answered calls that are remembered, in case the server asks again after a resumption.
_REMEMBERED = 64


@dataclass(frozen=True, slots=True)
class FunctionCall:
    """A call as the server sends it.

    Attributes:
        wire_id: the server's name for it; "" where it gave none.
        arguments: JSON.
    """

    wire_id: str
    name: str
    arguments: str


def read_calls(message: Mapping[str, Any]) -> list[FunctionCall]:
    """The calls in a `toolCall` message. Raises ProtocolError where a field is of a wrong type."""
    return [
        FunctionCall(text(call, "id"), text(call, "name"), arguments(call))
        for call in children(message, "functionCalls")
    ]


@dataclass(slots=True)
class _Call:
    wire_id: str  # as the server knows it; "" where it gave none
    name: str
    behavior: ToolBehavior | None


class FunctionCalls:
    """Function calls by id.

    Args:
        behaviors: of the functions that were declared, by name.
        scheduling: whether the model takes `scheduling` on the result of a NON_BLOCKING call.
    """

    def __init__(self, behaviors: Mapping[str, ToolBehavior | None], *, scheduling: bool) -> None:
        self._behaviors = behaviors
        self._scheduling = scheduling
        self._made = 0
        self._made_aside = False  # the present response has made a NON_BLOCKING call
        self._pending: dict[str, _Call] = {}
        self._answered: OrderedDict[str, dict[str, Any]] = OrderedDict()
        self._lost: dict[str, None] = {}  # in order: a set's is another in each process

    def declared(self, behaviors: Mapping[str, ToolBehavior | None]) -> None:
        """A new socket was told of these functions."""
        self._behaviors = behaviors

    @property
    def pending(self) -> bool:
        """Whether the model waits for a result, now or later."""
        return bool(self._pending or self._lost)

    @property
    def lost(self) -> bool:
        """Whether the program works on calls that a former socket's server made, and this one knows nothing of."""
        return bool(self._lost)

    @property
    def blocking(self) -> bool:
        """Whether the model can do nothing else before a result comes."""
        return any(call.behavior == "BLOCKING" for call in self._pending.values())

    @property
    def followed_by_response(self) -> bool:
        """Whether another response speaks of the calls that the present one made."""
        return self.pending or self._made_aside

    def response_ends(self) -> None:
        self._made_aside = False

    def requested(self, call: FunctionCall) -> ToolCallRequest | dict[str, Any] | None:
        """The server calls a function.

        Returns:
            what the program is to be asked, or the functionResponse that was sent before when the server repeats
            itself, or None when the program is working on it.
        """
        if call.wire_id in self._pending:
            return None
        if call.wire_id in self._answered:
            return self._answered[call.wire_id]
        self._made += 1
        pending = _Call(call.wire_id, call.name, self._behaviors.get(call.name))
        self._made_aside = self._made_aside or pending.behavior == "NON_BLOCKING"
        call_id = call.wire_id or f"call-{self._made}"
        self._pending[call_id] = pending
        return ToolCallRequest(call_id, call.name, call.arguments)

    def refused(self, call: FunctionCall, why: str) -> dict[str, Any]:
        """The functionResponse that answers a call without running it."""
        return self._response(_Call(call.wire_id, call.name, None), ToolResult(call.wire_id, why, is_error=True))

    def answered(self, result: ToolResult) -> dict[str, Any] | None:
        """The functionResponse for a result; None when this socket's server does not wait for it."""
        self._lost.pop(result.call_id, None)
        call = self._pending.pop(result.call_id, None)
        if call is None:
            return None
        response = self._response(call, result)
        if call.wire_id:
            self._answered[call.wire_id] = response
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        return response

    def cancelled(self, wire_id: str) -> str | None:
        """The server takes a call back; the call's id if it was pending."""
        call_id = next((call_id for call_id, call in self._pending.items() if call.wire_id == wire_id), None)
        if call_id is not None:
            del self._pending[call_id]
        return call_id

    def abandoned(self) -> list[str]:
        """Nobody wants the results any more: the ids of the calls that were pending."""
        call_ids = [*self._pending, *self._lost]
        self._pending.clear()
        self._lost.clear()
        return call_ids

    def socket_lost(self) -> None:
        """The next server does not know the calls that are pending."""
        self._lost.update(dict.fromkeys(self._pending))
        self._pending.clear()
        self._made_aside = False

    def _response(self, call: _Call, result: ToolResult) -> dict[str, Any]:
        output = result.output
        if len(output) > _MAX_RESULT_CHARACTERS:
            output = output[: _MAX_RESULT_CHARACTERS - len(_CLIPPED)] + _CLIPPED
        response: dict[str, Any] = {"error" if result.is_error else "output": output}
        answer: dict[str, Any] = {"name": call.name, "response": response}
        if call.wire_id:
            answer["id"] = call.wire_id
        if self._scheduling and call.behavior == "NON_BLOCKING":
            # The reference names the field, Google's samples put it into the response: said in both places.
            answer["scheduling"] = response["scheduling"] = "WHEN_IDLE"
        return answer
