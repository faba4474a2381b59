"""Notices about settings that were chosen and that the provider or model does not have."""

from collections.abc import Mapping

from voicecli.config import RealtimeConfig, VADMode
from voicecli.events import Notice

__all__ = ["ignored_setting", "ignored_settings", "is_chosen"]

_DEFAULT = RealtimeConfig()


def ignored_settings(config: RealtimeConfig, lacking: Mapping[str, str]) -> list[Notice]:
    """A notice for each setting that is lacking and was chosen all the same.

    Args:
        lacking: settings as errors name them, and why the provider does not have them; as of `Provider.lacks`.
    """
    return [ignored_setting(name, why) for name, why in lacking.items() if is_chosen(config, name)]


def ignored_setting(name: str, why: str) -> Notice:
    """The notice that a setting has no effect."""
    return Notice("setting_ignored", f"{name} is left out: {why}.")


def is_chosen(config: RealtimeConfig, name: str) -> bool:
    """Return whether a setting is another than it is by default.

    Args:
        name: of a common setting ("speed", "turn_detection.threshold") or of one of the provider's own.
    """
    outer, _, inner = name.partition(".")
    own = config.provider_settings
    if own is not None and hasattr(own, outer):
        return bool(getattr(own, outer) != getattr(type(own)(), outer))
    if not hasattr(config, outer):
        return False
    chosen, default = getattr(config, outer), getattr(_DEFAULT, outer)
    if not inner:
        return bool(chosen != default)
    if outer == "turn_detection" and config.vad_mode is not VADMode.SERVER:
        return False  # nobody asks the provider to find turns
    # What another class of settings has besides, was chosen with it: turns found by meaning, however eagerly.
    return hasattr(chosen, inner) and getattr(chosen, inner) != getattr(default, inner, object())
