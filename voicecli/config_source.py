"""The source of `RealtimeConfig.from_settings`, put in by the package: the vocabulary knows no files or providers."""

from collections.abc import Callable
from typing import Any

__all__ = ["read"]

read: Callable[[str | None, str | None], Any]
"""The user's RealtimeConfig, for the name of a provider and that of a profile."""
