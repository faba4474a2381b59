"""The function calls of a Gemini conversation: which are pending, which were answered, over several sockets."""

from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from voicecli.commands import ToolResult
from voicecli.events import ToolCallRequest
from voicecli.providers.gemini.models import ToolBehavior

__all__ = ["FunctionCalls"]

# A larger result closes the socket with 1007.
_MAX_RESULT_CHARACTERS = 40_000
_CLIPPED = " [the rest is left out]"
# Answered calls that are remembered, in case the server asks again after a resumption.
_REMEMBERED = 64


@dataclass(slots=True)
class _Call:
    call_id: str  # as the program knows it
    wire_id: str  # as this socket's server knows it; "" where it gave none
    name: str
    arguments: str
    behavior: ToolBehavior | None
    result: ToolResult | None = None


class FunctionCalls:
    """Function calls by id.

    A call that the server makes again after a lost connection, with another id, is the same call for the program:
    it runs once.

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
        self._answered: OrderedDict[str, _Call] = OrderedDict()
        self._of_turn: list[_Call] = []
        self._lost: list[_Call] = []

    @property
    def pending(self) -> bool:
        """Whether the model waits for a result, now or later."""
        return bool(self._pending)

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

    def turn_begins(self) -> None:
        """The user's next turn: the same call is a new one now."""
        self._of_turn.clear()
        self._lost.clear()

    def requested(self, wire_id: str, name: str, arguments: str) -> ToolCallRequest | dict[str, Any] | None:
        """The server calls a function.

        Returns:
            what the program is to be asked, or the functionResponse where the answer is known already, or None when
            the program is working on it.
        """
        if wire_id in self._pending:
            return None
        if wire_id and (known := self._answered.get(wire_id)):
            return self._response(known)
        again = next((call for call in self._lost if (call.name, call.arguments) == (name, arguments)), None)
        if again is not None:
            self._lost.remove(again)
            self._of_turn.append(again)
            again.wire_id = wire_id
            if again.result is not None:
                self._remember(again)
                return self._response(again)
            self._pending[again.call_id] = again
            return None
        self._made += 1
        self._made_aside = self._made_aside or self._behaviors.get(name) == "NON_BLOCKING"
        call = _Call(wire_id or f"call-{self._made}", wire_id, name, arguments, self._behaviors.get(name))
        self._pending[call.call_id] = call
        self._of_turn.append(call)
        return ToolCallRequest(call.call_id, name, arguments)

    def refuse(self, wire_id: str, name: str, why: str) -> dict[str, Any]:
        """The functionResponse that answers a call without running it."""
        call = _Call(wire_id, wire_id, name, "", None, ToolResult(wire_id, why, is_error=True))
        return self._response(call)

    def answered(self, result: ToolResult) -> dict[str, Any] | None:
        """The functionResponse for a result; None when the server does not wait for it any more."""
        call = self._pending.pop(result.call_id, None)
        if call is None:
            for lost in self._lost:
                if lost.call_id == result.call_id:
                    lost.result = result
            return None
        call.result = result
        self._remember(call)
        return self._response(call)

    def cancelled(self, wire_id: str) -> str | None:
        """The server takes a call back; the call's id if it was pending."""
        call = next((call for call in self._pending.values() if call.wire_id == wire_id), None)
        if call is None:
            return None
        del self._pending[call.call_id]
        return call.call_id

    def socket_lost(self, *, asked_again: bool) -> list[str]:
        """The server has forgotten the calls of this turn.

        Args:
            asked_again: whether the user's turn is put to the server again, which will then make them again.

        Returns:
            the ids of those nobody waits for any more.
        """
        if asked_again:
            self._lost.extend(self._of_turn)
        dropped = [] if asked_again else list(self._pending)
        self._of_turn.clear()
        self._pending.clear()
        return dropped

    def _remember(self, call: _Call) -> None:
        if call.wire_id:
            self._answered[call.wire_id] = call
            if len(self._answered) > _REMEMBERED:
                self._answered.popitem(last=False)

    def _response(self, call: _Call) -> dict[str, Any]:
        assert call.result is not None
        output = call.result.output
        if len(output) > _MAX_RESULT_CHARACTERS:
            output = output[: _MAX_RESULT_CHARACTERS - len(_CLIPPED)] + _CLIPPED
        response: dict[str, Any] = {"error" if call.result.is_error else "output": output}
        answer: dict[str, Any] = {"name": call.name, "response": response}
        if call.wire_id:
            answer["id"] = call.wire_id
        if self._scheduling and call.behavior == "NON_BLOCKING":
            # The reference names the field, Google's samples put it into the response: said in both places.
            answer["scheduling"] = response["scheduling"] = "WHEN_IDLE"
        return answer
