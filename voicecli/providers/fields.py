"""Reading JSON of servers, any field of which may be missing, or of another type than promised."""

import json
from collections.abc import Mapping
from typing import Any

from voicecli.errors import ProtocolError
from voicecli.text import valid_text

__all__ = ["JsonObject", "at", "error_message", "parse_object", "text"]

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


def error_message(body: bytes | str) -> str:
    """The message in the JSON body of an HTTP error: `error.message`, or `error` itself; "" where there is none."""
    try:
        error = parse_object(body, "").get("error")
    except ProtocolError:
        return ""
    return valid_text(error) if isinstance(error, str) else text(at(error), "message")
