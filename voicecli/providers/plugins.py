"""Providers that other packages bring: the entry points of the group "voicecli.providers".

One is loaded when it is asked for by name, or when all providers are listed, and is never chosen unasked. What is
wrong with one is told, and keeps nothing else from working.
"""

import contextlib
import sys
import warnings
from collections.abc import Callable, Collection
from typing import TYPE_CHECKING

from voicecli.config import ProviderSettings, RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.ports import Capabilities, ModelInfo, Provider, VoiceInfo
from voicecli.text import described

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUP", "BrokenProviderWarning", "load_plugin", "load_plugins", "plugin_names", "warn"]

GROUP = "voicecli.providers"


class BrokenProviderWarning(UserWarning):
    """A provider that a package brings cannot be used."""


def warn(message: str) -> None:
    """Tell of a broken provider as a BrokenProviderWarning."""
    warnings.warn(message, BrokenProviderWarning, stacklevel=3)


def plugin_names() -> list[str]:
    """The names that packages bring, without loading any."""
    return list(dict.fromkeys(point.name for point in _entry_points()))


def load_plugin(name: str) -> Provider | None:
    """The provider that a package brings under this name, or None.

    Raises:
        ConfigurationError: it cannot be used.
    """
    point = next((point for point in _entry_points() if point.name.lower() == name.lower()), None)
    return _load(point) if point is not None else None


def load_plugins(taken: Collection[str], tell: Callable[[str], None] = warn) -> list[Provider]:
    """All providers that packages bring and that can be used.

    Args:
        taken: names of other providers.
        tell: hears about each that cannot be used.
    """
    found: dict[str, Provider] = {}
    for point in _entry_points():
        try:
            if point.name in taken or point.name in found:
                raise _broken(point, "another provider has this name.")
            found[point.name] = _load(point)
        except ConfigurationError as error:
            tell(str(error))
    return list(found.values())


def _entry_points() -> "tuple[EntryPoint, ...]":
    from importlib.metadata import entry_points  # slow to import

    return tuple(entry_points(group=GROUP))


def _load(point: "EntryPoint") -> Provider:
    try:
        with contextlib.redirect_stdout(sys.stderr):  # what it prints was not asked for
            provider = point.load()
            _check(point.name, provider)
    except KeyboardInterrupt:
        raise
    except BaseException as error:
        raise _broken(point, f"{described(error).rstrip('.')}.") from error
    assert isinstance(provider, Provider)
    return provider


def _check(name: str, provider: object) -> None:
    """Raises TypeError or ValueError for what is no provider, and whatever the provider's own functions do."""
    if not isinstance(provider, Provider):
        raise TypeError(f"this is a {type(provider).__name__}, not a voicecli.providers.Provider")
    if name not in (provider.name, *provider.aliases):
        raise ValueError(f"it calls itself {provider.name!r}")
    texts = (provider.title, provider.default_model, provider.default_voice, provider.setup_advice)
    if not all(isinstance(text, str) for text in texts):
        raise TypeError("its title, default model, default voice or advice is no text")
    if not isinstance(provider.capabilities, Capabilities):
        raise TypeError("its capabilities are no Capabilities")
    if not callable(provider.connect):
        raise TypeError("its connect is no function")
    if not issubclass(provider.settings, ProviderSettings):
        raise TypeError("its settings are no class of ProviderSettings")
    if not all(isinstance(model, ModelInfo) for model in provider.models):
        raise TypeError("its models are no ModelInfos")
    if not all(isinstance(voice, VoiceInfo) for voice in provider.voices):
        raise TypeError("its voices are no VoiceInfos")
    provider.settings()
    provider.is_configured()
    for config in (RealtimeConfig(), *(RealtimeConfig(model=model.name) for model in provider.models)):
        dict(provider.lacks(config))
        provider.prices(config)


def _broken(point: "EntryPoint", why: str) -> ConfigurationError:
    package = point.dist.name if point.dist is not None else point.value
    return ConfigurationError(
        f"The provider {point.name!r} of the package {package} cannot be used: {why}",
        advice="Update the package, or uninstall it.",
    )
