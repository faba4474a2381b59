"""voicecli: talk with speech-to-speech models, from a terminal or from Python.

    async with RealtimeVoice().connect() as session:
        response = await session.ask("What is the capital of France?")

Importing this loads nothing else; each name is loaded when it is first used.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from voicecli import config_source
from voicecli._version import __version__ as __version__

if TYPE_CHECKING:
    from voicecli.config import (
        ClientVAD,
        Prices,
        ProviderSettings,
        RealtimeConfig,
        Reconnect,
        SemanticVAD,
        ServerVAD,
        VADMode,
    )
    from voicecli.conversation.devices import open_devices
    from voicecli.conversation.duplex import converse
    from voicecli.conversation.response import Response
    from voicecli.conversation.session import VoiceSession
    from voicecli.errors import (
        AudioDeviceError,
        AudioFormatError,
        AuthenticationError,
        ConfigurationError,
        LimitReachedError,
        ProtocolError,
        QuotaExceededError,
        RealtimeConnectionError,
        RealtimeError,
        ToolError,
    )
    from voicecli.interpreter import Interpreter
    from voicecli.interpreting.session import InterpreterSession
    from voicecli.mcp.config import MCPServer
    from voicecli.providers.gemini.settings import GeminiSettings
    from voicecli.providers.local.settings import LocalSettings
    from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings, Retention
    from voicecli.transcriber import Transcriber
    from voicecli.voice import RealtimeVoice, ask

__all__ = [
    "AudioDeviceError",
    "AudioFormatError",
    "AuthenticationError",
    "ClientVAD",
    "ConfigurationError",
    "GeminiSettings",
    "Interpreter",
    "InterpreterSession",
    "LimitReachedError",
    "LocalSettings",
    "MCPServer",
    "OpenAIMCPServer",
    "OpenAISettings",
    "Prices",
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
    "Transcriber",
    "VADMode",
    "VoiceSession",
    "ask",
    "converse",
    "open_devices",
]

_HOMES = {
    "GeminiSettings": "providers",
    "Interpreter": "interpreter",
    "InterpreterSession": "interpreting.session",
    "LocalSettings": "providers",
    "MCPServer": "mcp.config",
    "OpenAIMCPServer": "providers",
    "OpenAISettings": "providers",
    "RealtimeVoice": "voice",
    "Response": "conversation.response",
    "Retention": "providers",
    "Transcriber": "transcriber",
    "VoiceSession": "conversation.session",
    "ask": "voice",
    "converse": "conversation.duplex",
    "open_devices": "conversation.devices",
}


def _read_settings(provider: str | None, profile: str | None) -> "RealtimeConfig":
    from voicecli.voice import read_settings

    return read_settings(provider, profile)


config_source.read = _read_settings


if not TYPE_CHECKING:  # with it, a type checker would take any name for one that there is

    def __getattr__(name: str) -> Any:
        if name not in __all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        home = _HOMES.get(name, "errors" if name.endswith("Error") else "config")
        if name == "RealtimeConfig":
            import_module(f"{__name__}.providers")  # so that it can tell in which of their classes a setting is
        value = globals()[name] = getattr(import_module(f"{__name__}.{home}"), name)
        return value


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
