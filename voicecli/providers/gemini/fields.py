"""Reading Google's JSON. What is not there, or has another type than promised, has its default: a field that is wrong
must not cost what stands beside it."""

import json
import math
import re
from collections.abc import Mapping
from typing import Any

from voicecli.errors import ProtocolError
from voicecli.providers.fields import decoded, identifier, number, parse_object
from voicecli.text import valid_text

__all__ = [
    "arguments",
    "boolean",
    "child",
    "children",
    "count",
    "offset_ms",
    "parse",
    "seconds",
    "sound",
    "text",
    "texts",
]

_ALONE = {"inputTranscription": "text", "outputTranscription": "text", "error": "message"}
"""Objects in whose place a text may stand, and the field which that is."""
_SNAKE = re.compile(r"(?<=[a-z0-9])_([a-z0-9])")
_MAX_DEPTH = 32
_LONGEST_S = 1e9


def parse(message: bytes) -> dict[str, Any]:
    """A message, with all names of fields in camelCase: relays write snake_case. Raises ProtocolError."""
    parsed = parse_object(message, "Gemini")
    if b"_" in message:  # base64 has none: sound is not looked at
        parsed = _camel(parsed, _MAX_DEPTH)
    if "setupComplete" in parsed and not isinstance(parsed["setupComplete"], dict):
        parsed["setupComplete"] = {}
    return parsed


def _camel(value: Any, depth: int) -> Any:
    if isinstance(value, dict) and depth:
        named = {_SNAKE.sub(lambda found: found[1].upper(), name): inner for name, inner in value.items()}
        # The arguments of a function have names of the program's own.
        return {name: inner if name == "args" else _camel(inner, depth - 1) for name, inner in named.items()}
    return [_camel(inner, depth - 1) for inner in value] if isinstance(value, list) and depth else value


def child(holder: Mapping[str, Any], key: str) -> dict[str, Any] | None:
    """The object under that key; None when there is none."""
    value = holder.get(key)
    if isinstance(value, str) and key in _ALONE:
        return {_ALONE[key]: value}
    return value if isinstance(value, dict) else None


def children(holder: Mapping[str, Any], key: str) -> list[dict[str, Any]]:
    """The objects in the list under that key, or the one object that stands there alone."""
    value = holder.get(key)
    return [item for item in (value if isinstance(value, list) else [value]) if isinstance(item, dict)]


def text(holder: Mapping[str, Any], key: str) -> str:
    return identifier(holder, key)


def texts(holder: Mapping[str, Any], key: str) -> list[str]:
    """The texts in the list under that key; what is no text is left out, and what is no list has none."""
    value = holder.get(key)
    return [valid_text(item) for item in value if isinstance(item, str)] if isinstance(value, list) else []


def boolean(holder: Mapping[str, Any], key: str) -> bool:
    value = holder.get(key)
    return value.lower() == "true" if isinstance(value, str) else value is True or value == 1


def count(holder: Mapping[str, Any], key: str) -> int:
    """A number of tokens; int64 is a text in Google's JSON."""
    value = number(holder, key) or 0
    return value if 0 < value < 2**63 else 0


def arguments(call: Mapping[str, Any]) -> str:
    """The arguments of a function call, as JSON."""
    value = call.get("args")
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except (ValueError, RecursionError):
            value = None
    return json.dumps(value if isinstance(value, dict) else {})


def sound(blob: Mapping[str, Any], rate: int) -> bytes:
    """The sound in a blob, which is PCM16 at that rate, in Hz; b"" where it holds something else.

    Raises:
        ProtocolError: it is no base64, or of another rate.
    """
    kind = text(blob, "mimeType")
    if kind and not kind.lower().startswith("audio/"):  # nothing else comes without a type
        return b""
    if (given := _rate(kind)) not in {None, rate}:
        raise ProtocolError(f"Gemini sent audio at {given} Hz instead of {rate} Hz.")
    try:
        return decoded(blob.get("data"))
    except ValueError as error:
        raise ProtocolError("Gemini sent sound that is no base64.") from error


def _rate(mime_type: str) -> int | None:
    """The sample rate that a type such as "audio/pcm;rate=24000" names, in Hz."""
    for parameter in mime_type.split(";")[1:]:
        name, _, value = parameter.strip().partition("=")
        if name.strip().lower() == "rate":
            return number({"rate": value.strip().strip('"')}, "rate")
    return None


def seconds(holder: Mapping[str, Any], key: str) -> float:
    """The duration under that key, such as "9.5s", in seconds; 0 when it cannot be read, as the end may be near."""
    value = holder.get(key)
    try:
        duration = float(str(value).removesuffix("s"))
    except ValueError:
        return 0.0
    return max(duration, 0.0) if math.isfinite(duration) else 0.0


def offset_ms(holder: Mapping[str, Any], key: str) -> int | None:
    """The place in audio under that key, such as "9.5s", in ms; None when it cannot be read."""
    value = holder.get(key)
    if isinstance(value, bool) or not isinstance(value, str | int | float):
        return None
    try:
        offset = float(str(value).removesuffix("s"))
    except ValueError:
        return None
    return round(offset * 1000) if 0 <= offset < _LONGEST_S else None
