"""A conversation so far, as the items that tell a new session of it."""

from collections.abc import Sequence
from typing import Any

from voicecli.transcript import Turn

__all__ = ["call_items", "recent", "text_items"]

_MAX_CHARACTERS = 60_000
"""About 15,000 tokens: it leaves room in the smallest context, of 28,224 tokens of input."""


def recent(turns: Sequence[Turn]) -> list[Turn]:
    """The last turns, as many as fit a model's context; all but very long conversations do."""
    size, first = 0, len(turns)
    while first and (size := size + len(turns[first - 1].text) + len(turns[first - 1].arguments)) <= _MAX_CHARACTERS:
        first -= 1
    return list(turns[first:])


def text_items(turn: Turn) -> tuple[dict[str, Any], ...]:
    """The items that stand for a turn: none for one without words, or for a call without output."""
    if turn.role == "tool":
        return call_items(turn.item_id, turn.name, turn.arguments, turn.text) if turn.final else ()
    if not turn.text.strip():
        return ()
    kind = "input_text" if turn.role == "user" else "output_text"
    return ({"type": "message", "role": turn.role, "content": [{"type": kind, "text": turn.text}]},)


def call_items(call_id: str, name: str, arguments: str, output: str) -> tuple[dict[str, Any], ...]:
    """A call and its output: a session takes neither without the other."""
    return (
        {"type": "function_call", "call_id": call_id, "name": name, "arguments": arguments},
        {"type": "function_call_output", "call_id": call_id, "output": output},
    )
