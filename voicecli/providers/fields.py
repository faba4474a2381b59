"""Reading JSON of servers, any field of which may be missing, or of another type than promised."""

import json
import math
import re
from binascii import a2b_base64
from collections.abc import Mapping
from typing import Any

from voicecli.errors import ProtocolError
from voicecli.text import valid_text

__all__ = [
    "JsonObject",
    "at",
    "brief",
    "decoded",
    "error_message",
    "identifier",
    "number",
    "objects",
    "parse_object",
    "reason",
    "text",
]

_MAX_DIGITS = 20
_MAX_CHARACTERS = 300
_READ = 10_000  # of what is shortened
_URL_SAFE = str.maketrans("-_", "+/")
_REASONS = ("message", "error", "detail", "details", "msg", "error_description", "description", "reason", "title")
_MARKUP = re.compile(r"\s*<")
_TITLE = re.compile(r"<title[^>]*>([^<]*)</title", re.IGNORECASE)
# Keys of OpenAI (also half hidden: the server repeats most of a key that it refuses) and Google, and bearer tokens.
_SECRET = re.compile(r"\b((?:sk|ek)[-_]|AIza|Bearer\s+)[\w*.~+/-]+", re.IGNORECASE)

JsonObject = Mapping[str, Any]
"""An object of a server's JSON."""


def parse_object(message: bytes | str, sender: str) -> dict[str, Any]:
    """The JSON object that a message is.

    Args:
        message: UTF-8.
        sender: the server, for people.

    Raises:
        ProtocolError: it is no JSON, or another kind of value.
    """
    try:
        # Of bytes `json` would guess the encoding.
        parsed = json.loads(message.decode() if isinstance(message, bytes) else message)
    except (ValueError, RecursionError) as error:
        raise ProtocolError(f"{sender} sent what is no JSON ({type(error).__name__}).") from error
    if not isinstance(parsed, dict):
        raise ProtocolError(f"{sender} sent JSON that is no object.")
    return parsed


def at(holder: object, *names: str) -> JsonObject:
    """The object inside an object, by the path of its names; an empty one where there is none."""
    for name in names:
        holder = holder.get(name) if isinstance(holder, Mapping) else None
    return holder if isinstance(holder, Mapping) else {}


def text(holder: JsonObject, name: str) -> str:
    """The text under a name; "" where there is none."""
    value = holder.get(name)
    return valid_text(value) if isinstance(value, str) else ""


def objects(holder: JsonObject, name: str) -> list[JsonObject]:
    """The objects in the list under a name, or the one object that stands there without a list."""
    value = holder.get(name)
    listed = value if isinstance(value, list) else [value]
    return [entry for entry in listed if isinstance(entry, Mapping)]


def identifier(holder: JsonObject, name: str) -> str:
    """The id under a name, which some servers write as a number; "" where there is none."""
    value = holder.get(name)
    if isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return text(holder, name)


def number(holder: JsonObject, name: str) -> int | None:
    """The whole number under a name, which may be written as a text or with a fraction; None where there is none."""
    value = holder.get(name)
    if isinstance(value, bool):
        return None
    if isinstance(value, str) and len(value) < _MAX_DIGITS:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, float):
        return int(value) if math.isfinite(value) else None
    return value if isinstance(value, int) else None


def decoded(data: object) -> bytes:
    """Bytes in base64: of either alphabet, with or without padding, line breaks, and the head of a data URL.

    Raises:
        ValueError: it is none. What is no text at all is empty.
    """
    if not isinstance(data, str):
        return b""
    try:
        return a2b_base64(data, strict_mode=True)  # nearly always
    except ValueError:
        pass
    if data.startswith("data:"):
        data = data.partition(",")[2]
    plain = "".join(data.split()).translate(_URL_SAFE).rstrip("=")
    return a2b_base64(plain + "=" * (-len(plain) % 4), strict_mode=True)


def error_message(body: bytes | str) -> str:
    """The message in the body of an HTTP error, on a line, shortened, and without keys; "" where it says nothing.

    JSON says it under one of several names, a page in its title; other text is what is said.
    """
    said = body.decode(errors="replace") if isinstance(body, bytes) else body
    try:
        return brief(reason(json.loads(said)))
    except (ValueError, RecursionError):
        if _MARKUP.match(said):
            title = _TITLE.search(said)
            said = title[1] if title else ""
        return brief(said)


def reason(error: object, depth: int = 4) -> str:
    """The words in an error, whatever it is: a text, an object that has one under a usual name, or a list of them."""
    if isinstance(error, str):
        return valid_text(error).strip()
    if depth and isinstance(error, Mapping):
        return next(filter(None, (reason(error.get(name), depth - 1) for name in _REASONS)), "")
    if depth and isinstance(error, list):
        return "; ".join(filter(None, (reason(entry, depth - 1) for entry in error[:3])))
    return ""


def brief(said: str) -> str:
    """Words of a server for people: on one line, at most 300 characters, and without what looks like a key."""
    line = " ".join("".join(char if char.isprintable() else " " for char in valid_text(said[:_READ])).split())
    line = _SECRET.sub(lambda found: f"{found[1]}...", line)
    return line if len(line) <= _MAX_CHARACTERS else line[: _MAX_CHARACTERS - 3].rstrip() + "..."
