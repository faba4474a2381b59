"""voicecli: talk with speech-to-speech models, from a terminal or from Python.

    voice = RealtimeVoice()
    async with voice.connect() as session:
        response = await session.send_audio(pcm16)

Importing this loads no heavy library; each is loaded when it is first needed.
"""

from typing import TYPE_CHECKING, Any

from voicecli.config import (
    ClientVAD,
    MCPServer,
    RealtimeConfig,
    Reconnect,
    Retention,
    SemanticVAD,
    ServerVAD,
    VADMode,
)
from voicecli.errors import (
    AudioDeviceError,
    AudioFormatError,
    AuthenticationError,
    ConfigurationError,
    ProtocolError,
    QuotaExceededError,
    RealtimeConnectionError,
    RealtimeError,
    ToolError,
)
from voicecli.voice import RealtimeVoice

if TYPE_CHECKING:
    from voicecli.session import Response, VoiceSession

__all__ = [
    "AudioDeviceError",
    "AudioFormatError",
    "AuthenticationError",
    "ClientVAD",
    "ConfigurationError",
    "MCPServer",
    "ProtocolError",
    "QuotaExceededError",
    "RealtimeConfig",
    "RealtimeConnectionError",
    "RealtimeError",
    "RealtimeVoice",
    "Reconnect",
    "Response",
    "Retention",
    "SemanticVAD",
    "ServerVAD",
    "ToolError",
    "VADMode",
    "VoiceSession",
]

__version__ = "0.1.0"


def __getattr__(name: str) -> Any:
    if name in {"Response", "VoiceSession"}:
        from voicecli import session

        return getattr(session, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
