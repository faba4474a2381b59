"""Prices of tokens and of time, and the cost of a Usage."""

import math
from dataclasses import dataclass, fields, replace

from voicecli.errors import ConfigurationError
from voicecli.events import Usage

__all__ = ["FREE", "Prices", "with_cost"]

_HIGHEST = 1_000_000
"""US dollars. With it, no sum is too large for JSON."""


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens, and per minute; None where not known: a usage that needs it has no known cost.

    Attributes:
        text_in, audio_in, image_in: input.
        text_cached, audio_cached, image_cached: input that was read from the cache; None for the price of other input.
        text_out, audio_out: output.
        transcription_minute: a minute of audio that a separately billed model transcribes.
        session_minute: a minute of the session, whether or not anybody speaks; 0 where only use is billed.

    Raises:
        ConfigurationError: a price that cannot be.
    """

    text_in: float | None = None
    text_cached: float | None = None
    text_out: float | None = None
    audio_in: float | None = None
    audio_cached: float | None = None
    audio_out: float | None = None
    image_in: float | None = None
    image_cached: float | None = None
    transcription_minute: float | None = None
    session_minute: float = 0.0

    def __post_init__(self) -> None:
        for field in fields(self):
            price = getattr(self, field.name)
            if price is None and field.name != "session_minute":
                continue
            is_number = isinstance(price, int | float) and not isinstance(price, bool)
            if not (is_number and math.isfinite(price) and 0 <= price <= _HIGHEST):
                raise ConfigurationError(
                    f"{field.name.replace('_', '-')}: {price!r} is no price.",
                    advice=f"Give US dollars: a number from 0 to {_HIGHEST}.",
                )

    def __repr__(self) -> str:
        known = ((field.name, getattr(self, field.name)) for field in fields(self))
        return f"Prices({', '.join(f'{name}={price!r}' for name, price in known if price)})"


FREE = Prices(*[0.0] * 10)
"""The prices of what costs nothing."""


def with_cost(usage: Usage, prices: Prices | None, *, seconds_before: float = 0.0) -> Usage:
    """The usage with `cost_usd` filled in, or None there when a price that it needs is not known.

    Args:
        seconds_before: of `session_seconds`, those that an earlier usage had, and that were paid for with it.
    """
    prices = prices or Prices()
    per_million = [
        *_input(usage.input_text_tokens, usage.cached_text_tokens, prices.text_in, prices.text_cached),
        *_input(usage.input_audio_tokens, usage.cached_audio_tokens, prices.audio_in, prices.audio_cached),
        *_input(usage.input_image_tokens, usage.cached_image_tokens, prices.image_in, prices.image_cached),
        (usage.output_text_tokens, prices.text_out),
        (usage.output_audio_tokens, prices.audio_out),
    ]
    per_minute = [
        (usage.transcription_seconds, prices.transcription_minute),
        (max(usage.session_seconds - seconds_before, 0.0), prices.session_minute),
    ]
    tokens, time = _sum(per_million), _sum(per_minute)
    return replace(usage, cost_usd=None if tokens is None or time is None else tokens / 1e6 + time / 60)


def _input(given: int, cached: int, price: float | None, cached_price: float | None) -> list[tuple[int, float | None]]:
    return [(given - cached, price), (cached, price if cached_price is None else cached_price)]


def _sum(amounts: list[tuple[int, float | None]] | list[tuple[float, float | None]]) -> float | None:
    """The sum of amounts times prices; None when one that is not 0 has no price."""
    total = 0.0
    for amount, price in amounts:
        if amount and price is None:
            return None
        total += amount * (price or 0.0)
    return total
