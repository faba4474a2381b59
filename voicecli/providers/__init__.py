"""The providers. A new one is a folder here, and its name in PROVIDERS; or a package of its own (see `plugins`)."""

from voicecli.errors import ConfigurationError
from voicecli.ports import Capabilities, Codec, Connection, ConversationSetup, ModelInfo, Provider, VoiceInfo
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.providers.local import LOCAL
from voicecli.providers.local.settings import LocalSettings
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.settings import MCPServer, OpenAISettings, Retention

__all__ = [
    "PROVIDERS",
    "Capabilities",
    "Codec",
    "Connection",
    "ConversationSetup",
    "GeminiSettings",
    "LocalSettings",
    "MCPServer",
    "ModelInfo",
    "OpenAISettings",
    "Provider",
    "Retention",
    "VoiceInfo",
    "choose_provider",
    "find_provider",
    "settings_with",
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


def settings_with(name: str) -> list[str]:
    """The names of the providers' settings classes that have a setting of that name."""
    return [provider.settings.__name__ for provider in PROVIDERS if name in provider.settings.hints()]
