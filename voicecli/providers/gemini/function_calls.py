"""The function calls of a Gemini conversation: read from its messages, and kept, pending or answered, over sockets."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicecli.commands import ToolResult
from voicecli.events import ToolCallCancelled, ToolCallRequest
from voicecli.providers.gemini.fields import arguments, children, text
from voicecli.providers.gemini.models import ToolBehavior

__all__ = ["FunctionCall", "FunctionCalls", "in_words", "read_calls"]

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


def in_words(name: str, arguments: str, output: str) -> str:
    """A call and its result as a sentence: a call of another socket's cannot be told as one, which closes this one."""
    return f"(The function {name} was called with {arguments or '{}'} and answered: {output})"


@dataclass(slots=True)
class _Call:
    wire_id: str  # as the server knows it; "" where it gave none
    name: str
    behavior: ToolBehavior | None
    arguments: str = ""

    @property
    def background(self) -> bool:
        return self.behavior == "NON_BLOCKING"


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
        self._lost_aside: dict[str, _Call] = {}
        self._late: list[str] = []  # results of those, to be told in writing

    def declared(self, behaviors: Mapping[str, ToolBehavior | None]) -> None:
        """A new socket was told of these functions."""
        self._behaviors = behaviors

    @property
    def pending(self) -> bool:
        """Whether the model waits for a result, now or later."""
        return bool(self._pending or self._lost)

    @property
    def awaited(self) -> bool:
        """Whether the present answer goes on after a result: any but those of earlier NON_BLOCKING calls."""
        return bool(self._lost) or any(self._made_aside or not call.background for call in self._pending.values())

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
        return self.awaited or self._made_aside

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
        pending = _Call(call.wire_id, call.name, self._behaviors.get(call.name), call.arguments)
        self._made_aside = self._made_aside or pending.background
        call_id = call.wire_id or f"call-{self._made}"
        self._pending[call_id] = pending
        return ToolCallRequest(call_id, call.name, call.arguments, background=pending.background)

    def refused(self, call: FunctionCall, why: str) -> dict[str, Any]:
        """The functionResponse that answers a call without running it."""
        return self._response(_Call(call.wire_id, call.name, None), ToolResult(call.wire_id, why, is_error=True))

    def answered(self, result: ToolResult) -> dict[str, Any] | None:
        """The functionResponse for a result; None when this socket's server does not wait for it."""
        self._lost.pop(result.call_id, None)
        if (lost := self._lost_aside.pop(result.call_id, None)) is not None:
            self._late.append(in_words(lost.name, lost.arguments, _clipped(result.output)))
        call = self._pending.pop(result.call_id, None)
        if call is None:
            return None
        response = self._response(call, result)
        if call.wire_id:
            self._answered[call.wire_id] = response
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)
        return response

    def cancelled(self, wire_id: str) -> list[ToolCallCancelled] | None:
        """The server takes a call back; what is to be told, or None where it was not pending.

        It does so for all calls when it is interrupted. A NON_BLOCKING one runs on: its result is told in writing, as
        the server does not wait for it any more.
        """
        call_id = next((call_id for call_id, call in self._pending.items() if call.wire_id == wire_id), None)
        if call_id is None:
            return None
        call = self._pending.pop(call_id)
        if not call.background:
            return [ToolCallCancelled(call_id)]
        self._lost_aside[call_id] = call
        return []

    def take_late(self) -> str:
        """The results, in words, of NON_BLOCKING calls of which this socket's server knows nothing; "" for none."""
        late, self._late = self._late, []
        return "\n".join(late)

    def abandoned(self) -> list[str]:
        """The answer is given up: the ids of the calls that were pending for it. NON_BLOCKING ones run on."""
        call_ids = [call_id for call_id, call in self._pending.items() if not call.background] + [*self._lost]
        for call_id in call_ids:
            self._pending.pop(call_id, None)
        self._lost.clear()
        self._made_aside = False
        return call_ids

    def socket_lost(self) -> None:
        """The next server does not know the calls that are pending."""
        for call_id, call in self._pending.items():
            if call.background and not self._made_aside:
                self._lost_aside[call_id] = call
            else:  # the question is put again, once there is a result
                self._lost[call_id] = None
        self._pending.clear()
        self._made_aside = False

    def _response(self, call: _Call, result: ToolResult) -> dict[str, Any]:
        response: dict[str, Any] = {"error" if result.is_error else "output": _clipped(result.output)}
        answer: dict[str, Any] = {"name": call.name, "response": response}
        if call.wire_id:
            answer["id"] = call.wire_id
        if self._scheduling and call.background:
            # The reference names the field, Google's samples put it into the response: said in both places.
            answer["scheduling"] = response["scheduling"] = "WHEN_IDLE"
        return answer


def _clipped(output: str) -> str:
    if len(output) <= _MAX_RESULT_CHARACTERS:
        return output
    return output[: _MAX_RESULT_CHARACTERS - len(_CLIPPED)] + _CLIPPED
