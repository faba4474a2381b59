"""The `session.start` that a RealtimeConfig means.

The service refuses the start for a field that it does not know: only what was chosen is sent, and what GPT-Live does
not have is said as a Notice.
"""

from collections.abc import Sequence
from typing import Any

from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import ConfigurationError
from voicecli.events import Notice
from voicecli.ports import Capabilities, ConversationSetup
from voicecli.providers.ignored import ignored_settings
from voicecli.providers.openai.models import DEFAULT_BACKEND_MODEL, DEFAULT_VOICE, voice_on_wire
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.setup import offered_tools
from voicecli.text import valid_text
from voicecli.tools import ToolSchema

__all__ = ["backend_model", "capabilities", "lacks", "live_notices", "live_session", "tool_policy"]

JSON = dict[str, Any]

_ITSELF = "GPT-Live decides this itself"
_LEAST_OUTPUT_TOKENS = 16
_MOST_DESCRIPTION = 120  # characters


def backend_model(config: RealtimeConfig) -> str | None:
    """The model to which GPT-Live hands work over; None without one."""
    chosen = config.own(OpenAISettings).live_backend_model or DEFAULT_BACKEND_MODEL
    return None if chosen == "none" else chosen


def capabilities(config: RealtimeConfig) -> Capabilities:
    """What a Live session can do: tools and pictures only where there is a backend."""
    rate = config.own(OpenAISettings).live_sample_rate
    backend = backend_model(config) is not None
    return Capabilities(
        input_rate=rate,
        output_rate=rate,
        images=backend,
        tools=backend,
        changes_tools=backend,
        reports_speech=False,
        full_duplex=True,
        input_must_flow=True,
    )


def live_session(setup: ConversationSetup, model: str, history: Sequence[JSON]) -> JSON:
    """The `session` object of the start.

    Args:
        history: the messages to begin with.

    Raises:
        ConfigurationError: what is chosen cannot be: text alone as output, or a tool to call that is not there.
    """
    config, own = setup.config, setup.config.own(OpenAISettings)
    if config.output == "text":
        raise ConfigurationError(
            f"output: {model} always answers aloud.",
            advice="Leave text as the only output out, or choose a model such as gpt-realtime-2.1.",
        )
    session: JSON = {
        "model": valid_text(model),
        "audio": {
            "format": {"type": "audio/pcm", "rate": own.live_sample_rate},
            "output": {"voice": voice_on_wire(config.voice or DEFAULT_VOICE)},
        },
        "delegation": _delegation(setup),
    }
    policy = tool_policy(setup.tools) if setup.tools and backend_model(config) is not None else ""
    if instructions := "\n\n".join(filter(None, ((config.system_prompt or "").strip(), policy))):
        session["instructions"] = valid_text(instructions)
    if history:
        session["input"] = list(history)
    return session


def tool_policy(tools: Sequence[ToolSchema]) -> str:
    """When the Live model is to hand work over: it is not told of the tools otherwise, as the backend calls them."""
    if not tools:
        return "# Delegation policy\nThe backend has no tools."
    lines = [f"- {tool.name}: {_first_line(tool.description)}" for tool in tools]
    return "\n".join(
        ["# Delegation policy", "Delegate whenever an answer needs one of these tools, which the backend has:", *lines]
    )


def lacks(config: RealtimeConfig) -> dict[str, str]:
    """The settings that GPT-Live does not have, and why."""
    lacking = dict.fromkeys(
        (
            *("vad_mode", "turn_detection.threshold", "turn_detection.start_sensitivity"),
            *("turn_detection.end_sensitivity", "turn_detection.prefix_padding_ms"),
            *("turn_detection.silence_duration_ms", "turn_detection.idle_timeout_ms", "turn_detection.eagerness"),
            *("turn_detection.create_response", "turn_detection.interrupt_response"),
            *("temperature", "speed", "noise_reduction", "noise_reduction_strength", "truncation"),
            *("transcription_model", "transcription_keywords", "transcription_languages", "transcription_prompt"),
        ),
        _ITSELF,
    )
    if config.vad_mode is VADMode.NONE:
        lacking["vad_mode"] += "; the talk key opens the microphone"
    lacking["language"] = f"{_ITSELF}, unless the system prompt says what to speak"
    if backend_model(config) is None:
        why = "there is no backend that could do it: live_backend_model is none"
        lacking |= dict.fromkeys(
            (
                *("max_output_tokens", "reasoning_effort", "parallel_tool_calls", "tool_choice", "background_tools"),
                *("mcp_servers", "live_backend_instructions"),
            ),
            why,
        )
    return lacking


def live_notices(config: RealtimeConfig) -> list[Notice]:
    """What was chosen and has no effect."""
    return ignored_settings(config, lacks(config))


def _delegation(setup: ConversationSetup) -> JSON:
    config, own = setup.config, setup.config.own(OpenAISettings)
    model = backend_model(config)
    delegation: JSON = {"type": "client" if model is None else "responses"}
    if own.live_ack_delay_ms is not None:
        delegation["acknowledgement_delay_ms"] = own.live_ack_delay_ms
    if model is None:
        return delegation
    responses: JSON = {"model": valid_text(model)}
    if instructions := own.live_backend_instructions or config.system_prompt:
        responses["instructions"] = valid_text(instructions)
    offered = offered_tools(setup)
    if offered["tools"]:
        responses |= offered
    if own.parallel_tool_calls is not None:
        responses["parallel_tool_calls"] = own.parallel_tool_calls
    if config.reasoning_effort:
        responses["reasoning"] = {"effort": config.reasoning_effort}
    if config.max_output_tokens is not None:
        responses["max_output_tokens"] = max(config.max_output_tokens, _LEAST_OUTPUT_TOKENS)
    return delegation | {"responses": responses}


def _first_line(description: str) -> str:
    line = next(iter(description.strip().splitlines()), "")
    return line if len(line) <= _MOST_DESCRIPTION else line[: _MOST_DESCRIPTION - 3] + "..."
