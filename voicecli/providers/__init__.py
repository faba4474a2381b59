"""The providers. A new one is a folder here and its name in PROVIDERS; or a package of its own, see `plugins`."""

from collections.abc import Callable

from voicecli.errors import ConfigurationError
from voicecli.ports import (
    Capabilities,
    ClosesGracefully,
    Codec,
    Connection,
    ConversationSetup,
    Ended,
    Finishing,
    InterpreterSetup,
    ModelInfo,
    Provider,
    Service,
    TranscriberSetup,
    VoiceInfo,
)
from voicecli.pricing import Prices
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.providers.local import LOCAL
from voicecli.providers.local.settings import LocalSettings
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings, Retention
from voicecli.providers.plugins import BrokenProviderWarning, load_plugin, load_plugins, plugin_names, warn
from voicecli.settings.keys import stored_keys

__all__ = [
    "PROVIDERS",
    "BrokenProviderWarning",
    "Capabilities",
    "ClosesGracefully",
    "Codec",
    "Connection",
    "ConversationSetup",
    "Ended",
    "Finishing",
    "GeminiSettings",
    "InterpreterSetup",
    "LocalSettings",
    "ModelInfo",
    "OpenAIMCPServer",
    "OpenAISettings",
    "Prices",
    "Provider",
    "Retention",
    "Service",
    "TranscriberSetup",
    "VoiceInfo",
    "all_providers",
    "choose_provider",
    "find_provider",
    "is_built_in",
]

PROVIDERS: tuple[Provider, ...] = (OPENAI, GEMINI, LOCAL)
"""In the order in which they are tried when the user names none."""


def find_provider(name: str) -> Provider:
    """The provider of that name or alias, built in or brought by a package. Raises ConfigurationError."""
    found = _built_in(name) or load_plugin(name)
    if found is not None:
        return found
    names = ", ".join((*(provider.name for provider in PROVIDERS), *plugin_names()))
    raise ConfigurationError(f"There is no provider {name!r}.", advice=f"Choose one of {names}.")


def is_built_in(name: str) -> bool:
    """Return whether a provider of that name or alias is built in."""
    return _built_in(name) is not None


def all_providers(tell: Callable[[str], None] = warn) -> list[Provider]:
    """Those that are built in, and those that packages bring.

    Args:
        tell: hears about each that a package brings and that cannot be used.
    """
    taken = [name for provider in PROVIDERS for name in (provider.name, *provider.aliases)]
    return [*PROVIDERS, *load_plugins(taken, tell)]


def choose_provider(serves: Callable[[Provider], bool] = lambda provider: True, does: str = "") -> Provider:
    """The first of the built-in ones that is configured.

    Args:
        serves: which ones are in question.
        does: what these do, in a word: "translates".

    Raises:
        ConfigurationError: none is; or stored keys cannot be read, which may be those of an earlier one.
    """
    providers = [provider for provider in PROVIDERS if serves(provider)]
    for provider in providers:
        if provider.is_configured():
            return provider
        stored_keys()  # a damaged file does not change who hears the user
    ways = " ".join(f"For {provider.name}: {provider.setup_advice}" for provider in providers)
    advice = f"Run `voice setup`, which asks three questions; or do one of these. {ways}"
    raise ConfigurationError(f"No provider{f' that {does}' if does else ''} is set up.", advice=advice)


def _built_in(name: str) -> Provider | None:
    return next((each for each in PROVIDERS if name.lower() in (each.name, *each.aliases)), None)
