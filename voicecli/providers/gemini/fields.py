"""Reading Google's JSON: what is there must have its type, what is not there has its default."""

import math
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from voicecli.errors import ProtocolError
from voicecli.text import valid_text

__all__ = ["audio_rate", "boolean", "child", "children", "data", "seconds", "text", "texts"]


def child(holder: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The object under that key; None when there is none. Raises ProtocolError, as all of these do."""
    value = holder.get(key)
    if value is None or isinstance(value, dict):
        return value
    raise ProtocolError(f"Gemini sent a {key} that is no object.")


def children(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in the list under that key."""
    value = holder.get(key)
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(item, dict) for item in value):
        raise ProtocolError(f"Gemini sent {key} that are no list of objects.")
    return value


def text(holder: Mapping[str, Any], key: str) -> str:
    value = holder.get(key)
    if value is None:
        return ""
    if not isinstance(value, str):
        raise ProtocolError(f"Gemini sent a {key} that is no text.")
    return valid_text(value)


def texts(holder: Mapping[str, Any], key: str) -> list[str]:
    """The texts in the list under that key; what is no text is left out, and what is no list has none."""
    value = holder.get(key)
    return [valid_text(item) for item in value if isinstance(item, str)] if isinstance(value, list) else []


def boolean(holder: Mapping[str, Any], key: str) -> bool:
    value = holder.get(key)
    if value is None or isinstance(value, bool):
        return bool(value)
    raise ProtocolError(f"Gemini sent a {key} that is neither true nor false.")


def data(holder: Mapping[str, Any], key: str) -> bytes:
    """The bytes under that key, which are in base64."""
    try:
        return a2b_base64(text(holder, key).encode(), strict_mode=True)
    except ValueError as error:
        raise ProtocolError(f"Gemini sent {key} that is no base64.") from error


def seconds(holder: Mapping[str, Any], key: str) -> float:
    """The duration under that key, such as "9.5s", in seconds; 0 when it cannot be read, as the end may be near."""
    value = holder.get(key)
    try:
        duration = float(value.removesuffix("s")) if isinstance(value, str) else 0.0
    except ValueError:
        return 0.0
    return max(duration, 0.0) if math.isfinite(duration) else 0.0


def audio_rate(mime_type: str, default: int) -> int:
    """The sample rate that a type such as "audio/pcm;rate=24000" names, in Hz."""
    for parameter in mime_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.lower() == "rate":
            if not (value.isascii() and value.isdigit() and len(value) < 10):
                raise ProtocolError(f"Gemini sent audio of a rate that is no number: {mime_type[:60]!r}.")
            return int(value)
    return default
