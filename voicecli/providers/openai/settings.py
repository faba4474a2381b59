"""OpenAI's own settings."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from voicecli.config import ProviderSettings, setting
from voicecli.errors import ConfigurationError
from voicecli.providers.speech_hints import check_keywords, check_languages
from voicecli.setting_fields import Settings

__all__ = ["OpenAIMCPServer", "OpenAISettings", "Retention"]

NoiseReduction = Literal["near_field", "far_field"]
Truncation = Literal["auto", "disabled"]
LiveRate = Literal[16_000, 24_000]


@dataclass(frozen=True, kw_only=True)
class Retention(Settings, prefix="truncation"):
    """Shortening of a conversation that no longer fits the model.

    Attributes:
        ratio: the part kept when it is cut, 0 to 1. Cutting a lot at once keeps the cache warm afterwards.
        post_instructions_tokens: cut already at this many tokens after the system prompt.
    """

    ratio: float = setting(0.8, between=(0, 1))
    post_instructions_tokens: int | None = setting(None, between=(1, 1_000_000))


@dataclass(frozen=True, kw_only=True)
class OpenAIMCPServer(Settings, prefix="mcp_servers"):
    """An MCP server that OpenAI itself calls; those of `voicecli.MCPServer` voicecli calls, for any provider.

    Attributes:
        label: how the model names it.
        url: its address, reachable for OpenAI; not shown, as it may hold a token.
        authorization: an access token for it; never shown.
        headers: sent along to it; never shown.
        allowed_tools: only these; None for all.
        require_approval: "always" sends an ApprovalRequest before each call; None goes by `RealtimeConfig.approve`.
    """

    label: str = setting()
    url: str = setting(shown=False)
    authorization: str | None = setting(None, secret=True)
    headers: Mapping[str, str] = setting(factory=dict, shown=False)
    allowed_tools: tuple[str, ...] | None = None
    require_approval: Literal["always", "never"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if not self.label:
            raise ConfigurationError("mcp_servers: a server needs a label.", advice="Give it a short name.")
        if not self.url.startswith(("https://", "http://")):
            raise ConfigurationError(f"mcp_servers: {self.label!r} has no http(s) URL.")


def _mcp_server(text: str) -> OpenAIMCPServer:
    label, _, url = text.partition("=")
    try:
        return OpenAIMCPServer(label=label, url=url)
    except ConfigurationError as error:
        raise ConfigurationError(error.message, advice=f"{error.advice} Write LABEL=URL.".strip()) from error


def _truncation(text: str) -> Truncation | Retention:
    match text:
        case "auto" | "disabled":
            return text
    try:
        return Retention(ratio=float(text))
    except ValueError as error:
        raise ConfigurationError("truncation: auto, disabled, or a number from 0 to 1.") from error


@dataclass(frozen=True, kw_only=True)
class OpenAISettings(ProviderSettings):
    """Settings that only OpenAI has.

    Attributes:
        transcription_model: that turns the user's speech into text; "none" turns transcripts off.
        transcription_keywords: names and terms that it is likely to hear, each on one line and without < and >.
        transcription_prompt: what it is about, in words.
        transcription_languages: what may be spoken, as codes such as "en"; `RealtimeConfig.language` is for one.
        noise_reduction: "near_field" for a headset, "far_field" for a laptop in a room.
        noise_reduction_strength: how much of it, 0 or more; None leaves it to OpenAI, whose usual one is 1.
        truncation: how a conversation that is too long is cut.
        parallel_tool_calls: whether several tools may be called at once, on models that reason.
        mcp_servers: that OpenAI calls for the model.
        organization, project: to be billed; None takes OPENAI_ORG_ID and OPENAI_PROJECT_ID.
        live_backend_model: to which GPT-Live hands over what needs thought, a tool, or a picture; billed besides. None
            takes gpt-5.6-luna; "none" has it answer everything itself, without tools and pictures.
        live_backend_instructions: for that model; None gives it the system prompt.
        live_ack_delay_ms: how long GPT-Live waits before it says that it looks something up, in ms.
        live_sample_rate: of the sound to and from GPT-Live, in Hz: 16000 takes a third less of the line, and is enough
            for a telephone.
    """

    transcription_model: str | None = setting(
        None, metavar="NAME", help="Writes down what you say; none for no transcript."
    )
    transcription_keywords: tuple[str, ...] = setting(
        (), option="transcription-keyword", metavar="WORD", help="A name or term that you may say."
    )
    transcription_prompt: str | None = setting(
        None, metavar="TEXT", help="What you talk about, to write down better what you say."
    )
    transcription_languages: tuple[str, ...] = setting(
        (), option="transcription-language", metavar="CODE", help="A language that you may speak (en)."
    )
    noise_reduction: NoiseReduction | None = setting(
        None, metavar="WHERE", help="near_field for a headset, far_field for a room."
    )
    noise_reduction_strength: float | None = setting(
        None, metavar="NUMBER", help="How much noise is reduced, with --noise-reduction; 1 is usual."
    )
    truncation: Truncation | Retention | None = setting(
        None,
        parse=_truncation,
        metavar="HOW",
        help="How a long conversation is cut: auto, disabled, or the part to keep (0.8).",
    )
    parallel_tool_calls: bool | None = setting(
        None, option="sequential-tools", value=False, help="Call one tool after the other."
    )
    mcp_servers: tuple[OpenAIMCPServer, ...] = setting(
        (),
        option="openai-mcp",
        parse=_mcp_server,
        metavar="LABEL=URL",
        help="An MCP server for OpenAI to call.",
    )
    organization: str | None = setting(None, metavar="NAME", help="To be billed.")
    project: str | None = setting(None, metavar="NAME", help="To be billed.")
    live_backend_model: str | None = setting(
        None, metavar="NAME", help="Thinks, and calls tools, for GPT-Live; none for nobody."
    )
    live_backend_instructions: str | None = setting(
        None, metavar="TEXT", help="For that model; otherwise it gets the system prompt."
    )
    live_ack_delay_ms: int | None = setting(
        None, between=(0, 10_000), metavar="MS", help="Until GPT-Live says that it looks something up."
    )
    live_sample_rate: LiveRate = setting(
        24_000, metavar="HZ", help="Of GPT-Live's sound: 24000, or 16000 to spare the line."
    )

    def __post_init__(self) -> None:
        super().__post_init__()
        check_keywords("transcription_keywords", self.transcription_keywords, forbidden="<>")
        check_languages("transcription_languages", self.transcription_languages)
        strength = self.noise_reduction_strength
        if strength is not None and not (math.isfinite(strength) and strength >= 0):
            raise ConfigurationError(
                f"noise_reduction_strength: {strength!r} is not possible.", advice="Give a number that is 0 or more."
            )
        if strength is not None and self.noise_reduction is None:
            raise ConfigurationError(
                "noise_reduction_strength: there is no noise reduction.",
                advice="Choose noise_reduction, too: near_field for a headset, far_field for a room.",
            )
