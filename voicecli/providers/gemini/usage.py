"""Gemini's token counts as Usage."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from voicecli.errors import ProtocolError
from voicecli.events import Usage

__all__ = ["read_usage"]

_MODALITIES = {"TEXT": "text", "AUDIO": "audio", "IMAGE": "image", "VIDEO": "image", "DOCUMENT": "image"}


def read_usage(metadata: Mapping[str, Any]) -> Usage:
    """The tokens of a `usageMetadata`, without their cost.

    Counts without detail, and what the details leave out, are guessed (the audio price is the higher one, so a guess
    is rather too high) and make the usage `approximate`. Thinking, which is billed as text, comes on top of the
    response's tokens; what a built-in tool put in (a search's results), on top of the prompt's.
    Vertex AI calls the response's tokens the candidates'.

    Raises:
        ProtocolError: a count is no count.
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
        output_text_tokens=output["text"] + output["image"] + _count(metadata, "thoughtsTokenCount"),
        output_audio_tokens=output["audio"],
    )
    return replace(usage, approximate=guess_in or guess_tools or guess_cached or guess_out)


def _split(metadata: Mapping[str, Any], total: str, details: str, *, missing: str) -> tuple[dict[str, int], bool]:
    """Tokens by modality, and whether some of them had to be guessed."""
    tokens = {"text": 0, "audio": 0, "image": 0}
    listed = metadata.get(details) or []
    if not isinstance(listed, list):
        raise ProtocolError(f"usageMetadata.{details} is no list.")
    for detail in listed:
        if not isinstance(detail, dict):
            raise ProtocolError(f"usageMetadata.{details} holds no objects.")
        modality = detail.get("modality")
        kind = _MODALITIES.get(modality, "text") if isinstance(modality, str) else "text"
        tokens[kind] += _count(detail, "tokenCount")
    rest = _count(metadata, total) - sum(tokens.values())
    if rest > 0:
        tokens["text" if listed else missing] += rest
    return tokens, rest > 0


def _count(holder: Mapping[str, Any], key: str) -> int:
    value = holder.get(key) or 0
    # int64 is a string in Google's JSON.
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < 2**63:
        return value
    raise ProtocolError(f"usageMetadata.{key} is no count.")
