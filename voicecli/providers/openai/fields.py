"""Reading fields of a server's event, any of which may be missing or of another type than promised."""

from collections.abc import Mapping
from typing import Any

from voicecli.errors import ProtocolError

__all__ = ["Frame", "at", "required", "text", "valid_text"]

Frame = Mapping[str, Any]
"""A JSON object of the wire."""


def required(frame: Frame, name: str) -> str:
    """A text that must be there. Raises ProtocolError."""
    value = frame[name]
    if not isinstance(value, str):
        raise ProtocolError(f"OpenAI sent {name!r} as {type(value).__name__}.")
    return valid_text(value)


def text(frame: Frame, name: str) -> str:
    """A text, or ""."""
    value = frame.get(name)
    return valid_text(value) if isinstance(value, str) else ""


def at(frame: object, *names: str) -> Frame:
    """The object inside an object, or an empty one."""
    for name in names:
        frame = frame.get(name) if isinstance(frame, Mapping) else None
    return frame if isinstance(frame, Mapping) else {}


def valid_text(value: str) -> str:
    """The text with surrogates paired (a delta may end between two) or replaced, so that it can be encoded."""
    if value.isascii():
        return value
    return value.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
