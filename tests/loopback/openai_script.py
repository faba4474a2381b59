"""Scripts for a loopback model, and the beginnings of its session and of its responses."""

import time
from dataclasses import dataclass

import numpy as np

from tests.loopback.openai_wire import Frame

__all__ = ["Call", "McpCall", "Reply", "begun_response", "default_session", "tone"]


def tone(ms: int, *, level: int = 8_000) -> bytes:
    """Something loud enough to be speech: a square wave of 200 Hz at 24 kHz."""
    period = [level] * 60 + [-level] * 60
    samples = np.resize(np.array(period, dtype="<i2"), ms * 24)
    return bytes(samples.tobytes())


@dataclass(frozen=True, kw_only=True)
class Call:
    name: str
    arguments: str = "{}"
    call_id: str = ""
    incomplete: bool = False


@dataclass(frozen=True, kw_only=True)
class McpCall:
    """A call that the server makes itself.

    Attributes:
        output: of the tool.
        error: what went wrong instead.
    """

    name: str
    arguments: str = "{}"
    needs_approval: bool = False
    output: str = "found"
    error: Frame | None = None


@dataclass(frozen=True, kw_only=True)
class Reply:
    """The next thing that the model does.

    Attributes:
        text: what it says; "" for nothing.
        audio: how it sounds; None for a tone of 60 ms a word.
        delta_bytes: of audio in one delta; an odd number splits samples.
        commentary: said before, as an item of its own.
        fails_with: an error code; nothing is said.
        stops_for: "max_output_tokens" or "content_filter": it is cut off in the middle.
    """

    text: str = "Hello there, how are you?"
    audio: bytes | None = None
    delta_bytes: int = 4_800
    commentary: str = ""
    calls: tuple[Call, ...] = ()
    mcp: McpCall | None = None
    fails_with: str = ""
    stops_for: str = ""

    def sound(self, text: str) -> bytes:
        return self.audio if self.audio is not None else tone(60 * len(text.split()))


def default_session(model: str, session_id: str) -> Frame:
    """The session as it is before the client asks for anything."""
    pcm = {"type": "audio/pcm", "rate": 24_000}
    detection = {"type": "server_vad", "threshold": 0.5, "prefix_padding_ms": 300, "silence_duration_ms": 200}
    detection |= {"create_response": True, "interrupt_response": True, "idle_timeout_ms": None}
    return {
        "type": "realtime",
        "object": "realtime.session",
        "id": session_id,
        "model": model,
        "output_modalities": ["audio"],
        "instructions": "Be friendly.",
        "tools": [],
        "tool_choice": "auto",
        "max_output_tokens": "inf",
        "tracing": None,
        "truncation": "auto",
        "expires_at": int(time.time()) + 3_600,
        "audio": {
            "input": {"format": pcm, "transcription": None, "noise_reduction": None, "turn_detection": detection},
            "output": {"format": pcm, "voice": "alloy", "speed": 1.0},
        },
    }


def begun_response(response_id: str, session: Frame) -> Frame:
    """A response as it is before the model has said anything."""
    return {
        "id": response_id,
        "object": "realtime.response",
        "status": "in_progress",
        "status_details": None,
        "output": [],
        "conversation_id": "conv_1",
        "output_modalities": session["output_modalities"],
        "max_output_tokens": session["max_output_tokens"],
        "usage": None,
        "metadata": None,
    }
