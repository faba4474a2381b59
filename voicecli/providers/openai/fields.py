"""Reading OpenAI's events."""

from voicecli.errors import ProtocolError
from voicecli.providers.fields import JsonObject
from voicecli.text import valid_text

__all__ = ["Frame", "required"]

Frame = JsonObject
"""An event of the wire."""


def required(frame: Frame, name: str) -> str:
    """A text that must be there. Raises ProtocolError."""
    value = frame[name]
    if not isinstance(value, str):
        raise ProtocolError(f"OpenAI sent {name!r} as {type(value).__name__}.")
    return valid_text(value)
