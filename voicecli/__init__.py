"""voicecli: talk with speech-to-speech models, from a terminal or from Python.

    voice = RealtimeVoice()
    async with voice.connect() as session:
        response = await session.send_audio(pcm16)

Importing this loads nothing else; each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voicecli._version import __version__ as __version__

if TYPE_CHECKING:
    from voicecli.config import (
        ClientVAD,
        ProviderSettings,
        RealtimeConfig,
        Reconnect,
        SemanticVAD,
        ServerVAD,
        VADMode,
    )
    from voicecli.conversation.response import Response
    from voicecli.conversation.session import VoiceSession
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
    from voicecli.providers.gemini.settings import GeminiSettings
    from voicecli.providers.local.settings import LocalSettings
    from voicecli.providers.openai.settings import MCPServer, OpenAISettings, Retention
    from voicecli.voice import RealtimeVoice

__all__ = [
    "AudioDeviceError",
    "AudioFormatError",
    "AuthenticationError",
    "ClientVAD",
    "ConfigurationError",
    "GeminiSettings",
    "LocalSettings",
    "MCPServer",
    "OpenAISettings",
    "ProtocolError",
    "ProviderSettings",
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

_HOMES = {
    "GeminiSettings": "providers",
    "LocalSettings": "providers",
    "MCPServer": "providers",
    "OpenAISettings": "providers",
    "RealtimeVoice": "voice",
    "Response": "conversation.response",
    "Retention": "providers",
    "VoiceSession": "conversation.session",
}


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    home = _HOMES.get(name, "errors" if name.endswith("Error") else "config")
    value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
    return value
