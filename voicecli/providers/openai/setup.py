"""The `session.update` that a RealtimeConfig means.

The update is atomic: one field that the model does not know makes the server refuse all of it. So a field is sent
only where it is allowed, and what is left out is said as a Notice.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from voicecli.config import RealtimeConfig, SemanticVAD, VADMode
from voicecli.errors import ConfigurationError
from voicecli.events import Notice
from voicecli.ports import ConversationSetup
from voicecli.providers.ignored import ignored_setting, ignored_settings
from voicecli.providers.openai.models import (
    DEFAULT_MODEL,
    DEFAULT_TRANSCRIPTION_MODEL,
    DEFAULT_VOICE,
    deprecation,
    is_reasoning,
    takes_keywords,
    takes_prompt,
    voice_on_wire,
)
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings, Retention
from voicecli.tools import ToolSchema

__all__ = [
    "SessionSettings",
    "chosen_settings",
    "lacks",
    "language_code",
    "noise_reduction",
    "session_settings",
    "setting_in",
    "setting_of",
]

JSON = dict[str, Any]

LIVE_SETTINGS = ("live_backend_model", "live_backend_instructions", "live_ack_delay_ms", "live_sample_rate")

_PCM = {"type": "audio/pcm", "rate": 24_000}
_MAX_OUTPUT_TOKENS = 4_096
"""The highest limit a session takes; above it there is only "inf"."""

# Prefixes of the names of fields in errors, longest first, and the settings that fill them.
_SETTINGS = {
    "session.audio.input.turn_detection": "turn_detection",
    "session.audio.input.transcription.keywords": "transcription_keywords",
    "session.audio.input.transcription.prompt": "transcription_prompt",
    "session.audio.input.transcription.languages": "transcription_languages",
    "session.audio.input.transcription.language": "language",
    "session.audio.input.transcription": "transcription_model",
    "session.audio.input.noise_reduction.strength": "noise_reduction_strength",
    "session.audio.input.noise_reduction": "noise_reduction",
    "session.audio.output.language": "to",
    "session.audio.output.voice": "voice",
    "session.audio.output.speed": "speed",
    "session.output_modalities": "output",
    "session.instructions": "system_prompt",
    "session.delegation.responses.model": "live_backend_model",
    "session.delegation.responses.instructions": "live_backend_instructions",
    "session.delegation.responses.tools": "tools",
    "session.delegation.responses.reasoning": "reasoning_effort",
    "session.audio.format": "live_sample_rate",
    "session.reasoning": "reasoning_effort",
    "session.tool_choice": "tool_choice",
    "session.tools": "tools",
    "session.model": "model",
    # Names of the beta, which compatible servers still use.
    "session.input_audio_transcription.prompt": "transcription_prompt",
    "session.input_audio_transcription.language": "language",
    "session.input_audio_transcription": "transcription_model",
    "session.input_audio_noise_reduction": "noise_reduction",
    "session.turn_detection": "turn_detection",
    "session.modalities": "output",
    "session.voice": "voice",
    "session.speed": "speed",
}
_FIELD = re.compile(r"\b(?:session\.)?((?:audio\.(?:in|out)put|input_audio_\w+)(?:\.\w+)*)|\b(session\.\w+)")


@dataclass(frozen=True, slots=True)
class SessionSettings:
    """The first update, and what follows from it.

    Attributes:
        session: the `session` object.
        turn_detection: its part that restoring a conversation withholds for a moment; None when the client finds turns.
        transcription_model: None when transcripts are off.
        notices: about what was left out.
    """

    session: JSON
    turn_detection: JSON | None
    transcription_model: str | None
    notices: tuple[Notice, ...]


def transcription_model(config: RealtimeConfig) -> str | None:
    """The model that writes down what the user says; None when transcripts are off."""
    chosen = config.own(OpenAISettings).transcription_model or DEFAULT_TRANSCRIPTION_MODEL
    return None if chosen == "none" else chosen


def session_settings(setup: ConversationSetup, model: str, *, is_openai: bool = True) -> SessionSettings:
    """The settings to tell the server at the start.

    Args:
        is_openai: whether it is OpenAI's own: no other shuts models down on OpenAI's days.

    Raises:
        ConfigurationError: `tool_choice` names a tool that is not there.
    """
    config, own = setup.config, setup.config.own(OpenAISettings)
    transcription = transcription_model(config)
    turn_detection = _turn_detection(config) if config.vad_mode is VADMode.SERVER else None
    session: JSON = {
        "type": "realtime",
        "output_modalities": [config.output],
        "audio": {"input": _audio_in(config, own, transcription, turn_detection), "output": _audio_out(config)},
    }
    if config.system_prompt is not None:
        session["instructions"] = config.system_prompt
    if config.max_output_tokens is not None:
        fits = config.max_output_tokens <= _MAX_OUTPUT_TOKENS
        session["max_output_tokens"] = config.max_output_tokens if fits else "inf"
    if own.truncation is not None:
        session["truncation"] = _truncation(own.truncation)
    offered = offered_tools(setup)
    if offered["tools"]:
        session |= offered
    if is_reasoning(model):
        session |= _reasoning(config, own)
    return SessionSettings(
        session,
        turn_detection,
        transcription,
        tuple(_notices(config, [model, transcription] if is_openai else [])),
    )


def offered_tools(setup: ConversationSetup) -> JSON:
    """The part of the `session` object that is about tools.

    Raises:
        ConfigurationError: `tool_choice` names a tool that is not there.
    """
    config, own = setup.config, setup.config.own(OpenAISettings)
    return {
        "tools": [*map(_function, setup.tools), *(_mcp(server, config.approve) for server in own.mcp_servers)],
        "tool_choice": _tool_choice(config, setup.tools),
    }


def lacks(config: RealtimeConfig) -> dict[str, str]:
    """The settings that OpenAI or the model does not have, and why."""
    model = config.model or DEFAULT_MODEL
    lacking = {
        "temperature": "OpenAI has no temperature",
        "turn_detection.start_sensitivity": "OpenAI has a threshold instead",
        "turn_detection.end_sensitivity": "OpenAI has a threshold instead",
    }
    lacking |= dict.fromkeys(LIVE_SETTINGS, f"{model} does not speak GPT-Live")
    if not is_reasoning(model):
        lacking["reasoning_effort"] = f"{model} does not reason"
        lacking["parallel_tool_calls"] = f"{model} does not take it"
    return lacking | _transcription_lacks(config)


def setting_of(field: str) -> str:
    """The name that users know for the field an error names, or that field itself."""
    for prefix, setting in _SETTINGS.items():
        if field.startswith(prefix):
            return setting
    return field.removeprefix("session.")


def setting_in(said: str) -> str:
    """The name that users know for the first field of a session that an error's words name; "" where they name none."""
    found = _FIELD.search(said)
    setting = setting_of(found[2] or f"session.{found[1]}") if found else ""
    return setting if setting in _SETTINGS.values() else ""


def chosen_settings(config: RealtimeConfig) -> frozenset[str]:
    """The settings, of those that a session has fields for, that were given another value than their default."""
    held = (config, RealtimeConfig()), (config.own(OpenAISettings), OpenAISettings())
    return frozenset(
        name
        for name in {"tools", *_SETTINGS.values()}
        if any(getattr(given, name, None) != getattr(usual, name, None) for given, usual in held)
    ) | {"tools"}


def _transcription_lacks(config: RealtimeConfig) -> dict[str, str]:
    model = transcription_model(config)
    hints = ("transcription_keywords", "transcription_languages")
    if model is None:
        return dict.fromkeys((*hints, "transcription_prompt", "language"), "nothing is transcribed")
    lacking: dict[str, str] = {}
    if not takes_keywords(model):
        lacking |= dict.fromkeys(hints, f"{model} does not take it")
    elif config.own(OpenAISettings).transcription_languages:
        lacking["language"] = "transcription_languages says what is spoken"
    if not takes_prompt(model):
        lacking["transcription_prompt"] = f"{model} does not take it"
    return lacking


def _notices(config: RealtimeConfig, models: Sequence[str | None]) -> list[Notice]:
    """The notices; `models` are those whose end is told."""
    notices = ignored_settings(config, lacks(config))
    if config.max_output_tokens and config.max_output_tokens > _MAX_OUTPUT_TOKENS:
        notices.append(ignored_setting("max_output_tokens", f"OpenAI's highest limit is {_MAX_OUTPUT_TOKENS}"))
    ends = [
        Notice("model_deprecated", f"{model} is deprecated: {goes_away}.")
        for model in models
        if model and (goes_away := deprecation(model))
    ]
    return [*ends, *notices]


def _audio_in(
    config: RealtimeConfig, own: OpenAISettings, transcription: str | None, turn_detection: JSON | None
) -> JSON:
    audio: JSON = {"format": _PCM, "turn_detection": turn_detection}
    if transcription is not None:
        audio["transcription"] = _transcription(transcription, config, own)
    if noise := noise_reduction(own):
        audio["noise_reduction"] = noise
    return audio


def noise_reduction(own: OpenAISettings) -> JSON:
    """The noise reduction as the API takes it; empty where none is chosen."""
    if not own.noise_reduction:
        return {}
    strength = {} if own.noise_reduction_strength is None else {"strength": own.noise_reduction_strength}
    return {"type": own.noise_reduction, **strength}


def _audio_out(config: RealtimeConfig) -> JSON:
    audio: JSON = {"format": _PCM, "voice": voice_on_wire(config.voice or DEFAULT_VOICE)}
    if config.speed is not None:
        audio["speed"] = config.speed
    return audio


def _reasoning(config: RealtimeConfig, own: OpenAISettings) -> JSON:
    settings: JSON = {}
    if config.reasoning_effort:
        settings["reasoning"] = {"effort": config.reasoning_effort}
    if own.parallel_tool_calls is not None:
        settings["parallel_tool_calls"] = own.parallel_tool_calls
    return settings


def _turn_detection(config: RealtimeConfig) -> JSON:
    detection = config.turn_detection
    answers = {"create_response": detection.create_response, "interrupt_response": detection.interrupt_response}
    if isinstance(detection, SemanticVAD):
        return {"type": "semantic_vad", "eagerness": detection.eagerness, **answers}
    # The documented default of silence_duration_ms is not the one servers use, so it is always sent.
    settings = {"type": "server_vad", "silence_duration_ms": detection.silence_duration_ms, **answers}
    for name in ("threshold", "prefix_padding_ms", "idle_timeout_ms"):
        if (value := getattr(detection, name)) is not None:
            settings[name] = value
    return settings


def _transcription(model: str, config: RealtimeConfig, own: OpenAISettings) -> JSON:
    settings: JSON = {"model": model}
    # The two fields for languages are never sent together, and none is sent empty: either is refused.
    if takes_keywords(model) and own.transcription_languages:
        settings["languages"] = list(dict.fromkeys(map(language_code, own.transcription_languages)))
    elif config.language and model.startswith("gpt-live-transcribe"):
        settings["languages"] = [language_code(config.language)]
    elif config.language:
        settings["language"] = config.language.split("-")[0].lower()
    if takes_keywords(model) and own.transcription_keywords:
        settings["keywords"] = list(own.transcription_keywords)
    if takes_prompt(model) and own.transcription_prompt:
        settings["prompt"] = own.transcription_prompt
    return settings


def language_code(code: str) -> str:
    """A code as `languages` takes it: without a region, but for the kinds of Chinese."""
    code = code.lower()
    return code if code in {"zh-cn", "zh-tw", "zh-hk"} else code.split("-")[0]


def _truncation(truncation: str | Retention) -> str | JSON:
    if not isinstance(truncation, Retention):
        return truncation
    settings: JSON = {"type": "retention_ratio", "retention_ratio": truncation.ratio}
    if truncation.post_instructions_tokens is not None:
        settings["token_limits"] = {"post_instructions": truncation.post_instructions_tokens}
    return settings


def _function(tool: ToolSchema) -> JSON:
    return {
        "type": "function",
        "name": tool.name,
        "description": tool.description,
        "parameters": dict(tool.parameters),
    }


# By its own marks: what is not marked as reading only needs to be allowed.
_APPROVAL: dict[str, str | JSON] = {"writes": {"never": {"read_only": True}}, "always": "always", "never": "never"}


def _mcp(server: OpenAIMCPServer, approve: str) -> JSON:
    settings: JSON = {
        "type": "mcp",
        "server_label": server.label,
        "server_url": server.url,
        "require_approval": server.require_approval or _APPROVAL[approve],
    }
    if server.authorization:
        settings["authorization"] = server.authorization
    if server.headers:
        settings["headers"] = dict(server.headers)
    if server.allowed_tools is not None:
        settings["allowed_tools"] = list(server.allowed_tools)
    return settings


def _tool_choice(config: RealtimeConfig, tools: Sequence[ToolSchema]) -> str | JSON:
    choice = config.tool_choice
    if choice in {"auto", "none", "required"}:
        return choice
    names = [tool.name for tool in tools]
    if choice not in names:
        raise ConfigurationError(
            f"tool_choice: there is no tool {choice!r}.",
            advice=f"Choose one of {', '.join(map(repr, ['auto', 'none', 'required', *names]))}.",
        )
    return {"type": "function", "name": choice}
