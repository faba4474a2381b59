"""Settings for a provider from one flat set of names."""

from typing import Any

from voicecli.config import ProviderSettings, RealtimeConfig

__all__ = ["config_of"]


def config_of(kind: type[ProviderSettings], **settings: Any) -> RealtimeConfig:
    """A config in which the settings that the provider's class has are its own, and the others the common ones."""
    own = {name: value for name, value in settings.items() if name in kind.hints()}
    common = {name: value for name, value in settings.items() if name not in own}
    return RealtimeConfig(**common, provider_settings=kind(**own) if own else None)
