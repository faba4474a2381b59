"""The format of a recording: JSON lines in UTF-8, of which the first says what it is a recording of.

    {"kind": "header", "format": "voicecli-session", "version": 1, "voicecli": "0.1.0", "provider": "openai", ...}
    {"kind": "connection", "at_ms": 0.1, "capabilities": {...}, "host": "api.openai.com", "server": {...}}
    {"kind": "opened", "at_ms": 212.0}
    {"kind": "received", "at_ms": 230.5, "frame": {"type": "session.created", ...}}
    {"kind": "sent", "at_ms": 230.7, "frame": {"type": "session.update", ...}}
    {"kind": "event", "at_ms": 260.1, "event": {"class": "SessionStarted", ...}}
    {"kind": "command", "at_ms": 301.2, "command": {"class": "AppendAudio", "audio": "AAAA..."}}

Times are in ms since the conversation began, before anything was dialled, by its clock. What goes into the codec
(`opened`, `command`, `received`, `unconfirmed`, `closing`, `refused`, `closed`) is followed by what came of it
(`event`, `sent`, `raised`). `told` are events of the connection itself: that it dials again, for one. `ended` is the
last line of a recording that was finished, with the error that ended the conversation, if one did.
"""

import json
from typing import Any

from voicecli.redaction import Redaction

__all__ = ["FORMAT", "INPUTS", "KINDS", "VERSION", "frame", "frame_bytes"]

FORMAT = "voicecli-session"
VERSION = 1

INPUTS = frozenset({"opened", "command", "received", "unconfirmed", "closing", "refused", "closed"})
"""Kinds of lines that go into a codec."""
KINDS = INPUTS | {"connection", "ended", "event", "raised", "sent", "told"}
"""Kinds of lines, besides the header."""


def frame(message: bytes, redaction: Redaction) -> dict[str, Any]:
    """What stands in a line for a message: its JSON, or its text where it is none; without secrets."""
    try:
        return {"frame": redaction.value(json.loads(message.decode()))}
    except (ValueError, RecursionError):
        return {"text": redaction.text(message.decode("utf-8", "surrogateescape"))}


def frame_bytes(line: dict[str, Any]) -> bytes:
    """The message that stands in a line; JSON may be written in another way than it came."""
    if "text" in line:
        return str(line["text"]).encode("utf-8", "surrogateescape")
    return json.dumps(line["frame"], separators=(",", ":")).encode()
