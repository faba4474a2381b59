"""Puts calls of tools together from the pieces that chat endpoints send, however they number and name them."""

import json
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Any

from voicecli.providers.local.chat_model import ToolCall
from voicecli.text import valid_text

__all__ = ["ToolCallParts"]


@dataclass(slots=True, eq=False)
class _Call:
    index: int | None
    call_id: str = ""
    name: str = ""
    pieces: list[str] = field(default_factory=list)

    @property
    def arguments(self) -> str:
        """All pieces; or the last, where each holds all there was so far."""
        joined = "".join(self.pieces)
        if _is_object(joined):
            return joined
        alone = [piece for piece in self.pieces if _is_object(piece) and piece.strip() != "{}"]
        if alone and alone[-1] == self.pieces[-1]:
            return alone[-1]
        if joined.startswith("{}") and _is_object(joined[2:]):  # a placeholder came first
            return joined[2:]
        return joined or "{}"

    @property
    def complete(self) -> bool:
        return any(self.pieces) and _is_object(self.arguments) and self.arguments.strip() != "{}"


class ToolCallParts:
    """Collects pieces of calls.

    Args:
        names: the tools that were offered.
    """

    def __init__(self, names: Collection[str] = ()) -> None:
        self._names = names
        self._calls: list[_Call] = []

    def add(self, pieces: Iterable[dict[str, Any]]) -> None:
        """Take the pieces of one delta.

        A piece belongs to the call with its id, else to the last with its index, else to the last; but a name or
        arguments that cannot go on with that call begin another.
        """
        for piece in pieces:
            function = piece.get("function")
            if not isinstance(function, dict):
                function = piece  # flat: {"name": ..., "arguments": ...}
            name = function.get("name")
            self._take(
                _index(piece.get("index")),
                str(piece.get("id") or ""),
                name if isinstance(name, str) else "",
                _arguments(function.get("arguments", function.get("parameters"))),
            )

    def calls(self) -> list[ToolCall]:
        """The calls, in the order in which they began; those without a name are left out. An id may be ""."""
        seen: set[str] = set()
        result = []
        for call in self._calls:
            if not call.name:
                continue
            call_id = "" if call.call_id in seen else call.call_id
            seen.add(call_id)
            result.append(ToolCall(call_id, call.name, valid_text(call.arguments)))
        return result

    @property
    def nameless(self) -> bool:
        """True when a call had no name."""
        return any(not call.name for call in self._calls)

    def _take(self, index: int | None, call_id: str, name: str, arguments: str) -> None:
        call = self._find(index, call_id, name)
        if call is None or self._begins_another(call, call_id, name, arguments):
            call = _Call(index, call_id, name if name or call is None or call_id else call.name)
            self._calls.append(call)
        elif name and name != call.name:
            joined = call.name + name  # a name in pieces; or, where that is no tool, a better one
            call.name = joined if any(known.startswith(joined) for known in self._names) else name
        call.call_id = call.call_id or call_id
        if arguments and not (call.complete and arguments == call.pieces[-1]):  # sent twice
            call.pieces.append(arguments)

    def _find(self, index: int | None, call_id: str, name: str) -> _Call | None:
        if call_id:
            for call in self._calls:
                if call.call_id == call_id:
                    return call
        for call in reversed(self._calls):
            if index is None or call.index in (index, None):
                return call
        last = self._calls[-1] if self._calls else None
        return last if last and not (call_id or name or last.complete) else None

    def _begins_another(self, call: _Call, call_id: str, name: str, arguments: str) -> bool:
        if call_id and call.call_id == call_id:
            return False
        if call_id and call.call_id:
            return True  # some servers number every call 0
        if name and call.name and name != call.name and (call.pieces or name in self._names):
            return not any(known.startswith(call.name + name) for known in self._names) or bool(call.pieces)
        return call.complete and bool(arguments) and arguments != call.pieces[-1] and arguments.lstrip()[:1] == "{"


def _index(value: Any) -> int | None:
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    return int(value) if isinstance(value, int | float) and not isinstance(value, bool) else None


def _arguments(value: Any) -> str:
    """The arguments as text; some servers send the object itself."""
    if value is None or isinstance(value, str):
        return value or ""
    return json.dumps(value)


def _is_object(text: str) -> bool:
    try:
        return isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False
