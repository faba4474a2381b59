"""Prices of tokens, and the cost of a Usage."""

from dataclasses import dataclass, replace

from voicecli.events import Usage

__all__ = ["Prices", "with_cost"]


@dataclass(frozen=True, slots=True)
class Prices:
    """US dollars per million tokens; cached input apart."""

    text_in: float
    text_cached: float
    text_out: float
    audio_in: float
    audio_cached: float
    audio_out: float
    image_in: float = 0.0
    image_cached: float = 0.0


def with_cost(usage: Usage, prices: Prices | None, *, transcription_per_minute: float | None = 0.0) -> Usage:
    """The usage with `cost_usd` filled in, or None there when a price that it needs is not known."""
    if usage.transcription_seconds and transcription_per_minute is None:
        return replace(usage, cost_usd=None)
    transcription = usage.transcription_seconds / 60 * (transcription_per_minute or 0.0)
    if prices is None:
        tokens = usage.input_tokens + usage.output_tokens
        return replace(usage, cost_usd=None if tokens else transcription)
    per_million = (
        (usage.input_text_tokens - usage.cached_text_tokens) * prices.text_in
        + usage.cached_text_tokens * prices.text_cached
        + (usage.input_audio_tokens - usage.cached_audio_tokens) * prices.audio_in
        + usage.cached_audio_tokens * prices.audio_cached
        + (usage.input_image_tokens - usage.cached_image_tokens) * prices.image_in
        + usage.cached_image_tokens * prices.image_cached
        + usage.output_text_tokens * prices.text_out
        + usage.output_audio_tokens * prices.audio_out
    )
    return replace(usage, cost_usd=per_million / 1e6 + transcription)
