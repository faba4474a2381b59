"""Gemini's token counts as Usage."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voicecli.events import Usage
from voicecli.providers.gemini.fields import children, count

__all__ = ["read_usage"]

_MODALITIES = {"TEXT": "text", "AUDIO": "audio", "IMAGE": "image", "VIDEO": "image", "DOCUMENT": "image"}


def read_usage(metadata: Mapping[str, Any]) -> Usage:
    """The tokens of a `usageMetadata`, without their cost.

    Counts without detail, and what the details leave out, are guessed (the audio price is the higher one, so a guess
    is rather too high) and make the usage `approximate`. Thinking, which is billed as text, comes on top of the
    response's tokens; what a built-in tool put in (a search's results), on top of the prompt's.
    Vertex AI calls the response's tokens the candidates'. A count that is none counts nothing.
    """
    prompt, guess_in = _split(metadata, "promptTokenCount", "promptTokensDetails", missing="audio")
    tools, guess_tools = _split(metadata, "toolUsePromptTokenCount", "toolUsePromptTokensDetails", missing="text")
    cached, guess_cached = _split(metadata, "cachedContentTokenCount", "cacheTokensDetails", missing="text")
    name = "response" if "responseTokenCount" in metadata or "responseTokensDetails" in metadata else "candidates"
    output, guess_out = _split(metadata, f"{name}TokenCount", f"{name}TokensDetails", missing="audio")
    entered = {kind: prompt[kind] + tools[kind] for kind in prompt}
    usage = Usage(
        input_text_tokens=entered["text"],
        input_audio_tokens=entered["audio"],
        input_image_tokens=entered["image"],
        cached_text_tokens=min(cached["text"], entered["text"]),
        cached_audio_tokens=min(cached["audio"], entered["audio"]),
        cached_image_tokens=min(cached["image"], entered["image"]),
        # There is no price for pictures that a Live model might make one day: as text.
        output_text_tokens=output["text"] + output["image"] + count(metadata, "thoughtsTokenCount"),
        output_audio_tokens=output["audio"],
    )
    return replace(usage, approximate=guess_in or guess_tools or guess_cached or guess_out)


def _split(metadata: Mapping[str, Any], total: str, details: str, *, missing: str) -> tuple[dict[str, int], bool]:
    """Tokens by modality, and whether some of them had to be guessed."""
    tokens = {"text": 0, "audio": 0, "image": 0}
    listed = children(metadata, details)
    for detail in listed:
        modality = detail.get("modality")
        kind = _MODALITIES.get(modality, "text") if isinstance(modality, str) else "text"
        tokens[kind] += count(detail, "tokenCount")
    rest = count(metadata, total) - sum(tokens.values())
    if rest > 0:
        tokens["text" if listed else missing] += rest
    return tokens, rest > 0
