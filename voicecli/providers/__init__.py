"""The providers. A new one is a file or folder here, and its name in PROVIDERS."""

from voicecli.errors import ConfigurationError
from voicecli.ports import Capabilities, Codec, Connection, ConversationSetup, ModelInfo, Provider, VoiceInfo
from voicecli.providers.gemini import GEMINI
from voicecli.providers.local import LOCAL
from voicecli.providers.openai import OPENAI

__all__ = [
    "PROVIDERS",
    "Capabilities",
    "Codec",
    "Connection",
    "ConversationSetup",
    "ModelInfo",
    "Provider",
    "VoiceInfo",
    "choose_provider",
    "find_provider",
]

PROVIDERS: tuple[Provider, ...] = (OPENAI, GEMINI, LOCAL)
"""In the order in which they are tried when the user names none."""


def find_provider(name: str) -> Provider:
    """The provider of that name or alias. Raises ConfigurationError."""
    for provider in PROVIDERS:
        if name.lower() in (provider.name, *provider.aliases):
            return provider
    names = ", ".join(provider.name for provider in PROVIDERS)
    raise ConfigurationError(f"There is no provider {name!r}.", advice=f"Choose one of {names}.")


def choose_provider() -> Provider:
    """The first that is configured. Raises ConfigurationError when none is."""
    for provider in PROVIDERS:
        if provider.is_configured():
            return provider
    ways = " Or: ".join(provider.setup_advice for provider in PROVIDERS)
    raise ConfigurationError("No provider is set up.", advice=ways)
