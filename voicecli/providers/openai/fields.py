"""Reading OpenAI's events."""

from voicecli.providers.fields import JsonObject

__all__ = ["Frame", "delta"]

Frame = JsonObject
"""An event of the wire."""


def delta(frame: Frame) -> str:
    """The words that a delta adds; "" where there are none. A letter may be cut in two by the end of one."""
    value = frame.get("delta")
    return value if isinstance(value, str) else ""
