"""The first message of a Gemini Live conversation: what the model is to be like.

One field that the model does not know closes the socket, so only what the settings ask for and the model has is
sent; what it lacks is told.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.events import Notice
from voicecli.ports import ConversationSetup
from voicecli.providers.gemini.function_calls import in_words
from voicecli.providers.gemini.models import DEFAULT_MODEL, DEFAULT_VOICE, VOICES, LiveModel, ToolBehavior, find_model
from voicecli.providers.gemini.schema import gemini_schema
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.providers.ignored import ignored_settings
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

__all__ = ["history_turns", "lacks", "notices", "setup_message", "tool_behaviors", "voice_name"]

_LACKS = {
    "output": "Gemini always speaks; its audio is dropped",
    "speed": "Gemini has one speed",
    "tool_choice": "Gemini's models choose",
    "turn_detection.eagerness": "Gemini finds turns by silence, not by meaning",
    "turn_detection.threshold": "Gemini has sensitivities instead",
    "turn_detection.idle_timeout_ms": "Gemini does not speak up by itself",
    "turn_detection.create_response": "Gemini answers each turn",
}
# Thinking budgets in tokens; the models that have them take 0 (off) to 24,576.
_BUDGETS = {"minimal": 0, "low": 1_024, "medium": 4_096, "high": 12_288, "xhigh": 24_576}
_LEVELS = {"minimal": "MINIMAL", "low": "LOW", "medium": "MEDIUM", "high": "HIGH", "xhigh": "HIGH"}
# Seeded history is billed again with each turn; about 8,000 tokens of the newest is memory enough.
_HISTORY_CHARACTERS = 32_000


def setup_message(
    setup: ConversationSetup, model: LiveModel, resource: str, *, handle: str | None, seeded: bool
) -> dict[str, Any]:
    """The `setup` message.

    Args:
        resource: the model's resource name.
        handle: of the session to resume.
        seeded: whether history follows, which is not to be answered.
    """
    config, own = setup.config, setup.config.own(GeminiSettings)
    body: dict[str, Any] = {
        "model": resource,
        "generationConfig": _generation(config, own, model),
        "realtimeInputConfig": _realtime_input(config, model),
        "inputAudioTranscription": _transcription(own),
        "outputAudioTranscription": {},
        "sessionResumption": {"handle": handle} if handle else {},
        "contextWindowCompression": {"slidingWindow": {}},
    }
    if config.system_prompt:
        body["systemInstruction"] = {"parts": [{"text": config.system_prompt}]}
    if tools := _tools(config, model, setup.tools):
        body["tools"] = tools
    if own.proactive_audio and model.proactive_audio:
        body["proactivity"] = {"proactiveAudio": True}
    if seeded:
        body["historyConfig"] = {"initialHistoryInClientContent": True}
    return {"setup": body}


def voice_name(config: RealtimeConfig) -> str:
    """The voice as Gemini spells it; an unknown one is passed on."""
    wanted = config.voice or DEFAULT_VOICE
    return next((voice.name for voice in VOICES if voice.name.lower() == wanted.lower()), wanted)


def lacks(config: RealtimeConfig) -> dict[str, str]:
    """The settings that Gemini or the model does not have, and why."""
    model = find_model(config.model or DEFAULT_MODEL)
    by_model = {
        "background_tools": "NON_BLOCKING" in model.tool_behaviors,
        "reasoning_effort": model.thinking != "none",
        "affective_dialog": model.affective_dialog,
        "proactive_audio": model.proactive_audio or model.always_proactive,
    }
    return _LACKS | {name: f"{model.info.name} does not have it" for name, has in by_model.items() if not has}


def notices(config: RealtimeConfig, model: LiveModel) -> list[Notice]:
    """Notices about settings that Gemini or the model lacks or may lack, the model's end, and an unknown voice."""
    found = ignored_settings(config, lacks(config))
    if config.own(GeminiSettings).code_execution:
        message = "No Live model is listed as able to run code: code_execution may have no effect."
        found.append(Notice("setting_unlisted", message))
    if model.info.deprecated:
        found.append(Notice("model_deprecated", f"{model.info.name}: {model.info.deprecated}."))
    if voice_name(config) not in {voice.name for voice in VOICES}:
        found.append(Notice("voice_unknown", f"{config.voice} is none of Gemini's known voices."))
    return found


def tool_behaviors(setup: ConversationSetup, model: LiveModel) -> dict[str, ToolBehavior | None]:
    """The behaviors that the functions declare, by name."""
    return {tool.name: _behavior(tool.name, setup.config, model) for tool in setup.tools}


def _behavior(name: str, config: RealtimeConfig, model: LiveModel) -> ToolBehavior | None:
    """The behavior that a function declares; None leaves it to a model of which nothing is known."""
    wanted: ToolBehavior = "NON_BLOCKING" if name in config.background_tools else "BLOCKING"
    if wanted in model.tool_behaviors:
        return wanted
    return model.tool_behaviors[0] if model.tool_behaviors else None


def history_turns(turns: Iterable[Turn]) -> list[dict[str, Any]]:
    """Turns as Gemini takes them in writing: text only, user and model by turns, the newest that fit.

    A function call cannot be told as one (it closes the socket), so it becomes a sentence of the user's side.
    """
    said: list[tuple[str, str]] = []
    for turn in turns:
        role = "model" if turn.role == "assistant" else "user"
        text = turn.text.strip()
        if turn.role == "tool" and turn.final:
            text = in_words(turn.name, turn.arguments, text)
        if not text:
            continue
        if said and said[-1][0] == role:
            said[-1] = (role, f"{said[-1][1]}\n{text}")
        else:
            said.append((role, text))
    kept: list[tuple[str, str]] = []
    room = _HISTORY_CHARACTERS
    for role, text in reversed(said):
        if room <= 0:
            break
        kept.append((role, text[-room:]))
        room -= len(text)
    return [{"role": role, "parts": [{"text": text}]} for role, text in reversed(kept)]


def _generation(config: RealtimeConfig, own: GeminiSettings, model: LiveModel) -> dict[str, Any]:
    speech: dict[str, Any] = {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": voice_name(config)}}}
    if config.language:
        speech["languageCode"] = config.language
    generation: dict[str, Any] = {"responseModalities": ["AUDIO"], "speechConfig": speech}
    if config.temperature is not None:
        generation["temperature"] = config.temperature
    if config.max_output_tokens is not None:
        generation["maxOutputTokens"] = config.max_output_tokens
    if thinking := _thinking(config, model):
        generation["thinkingConfig"] = thinking
    if own.affective_dialog and model.affective_dialog:
        generation["enableAffectiveDialog"] = True
    return generation


def _transcription(own: GeminiSettings) -> dict[str, Any]:
    """The hints for writing down what the user says, which every model takes, on Vertex AI, too."""
    hints = {"customVocabulary": own.transcription_keywords, "languageCodes": own.transcription_languages}
    return {name: list(values) for name, values in hints.items() if values}


def _thinking(config: RealtimeConfig, model: LiveModel) -> dict[str, Any]:
    effort = config.reasoning_effort
    if model.thinking == "level_required":
        level = _LEVELS[effort or "low"]
        return {"thinkingLevel": "LOW" if level == "MINIMAL" else level}
    if effort is None or model.thinking == "none":
        return {}
    return {"thinkingBudget": _BUDGETS[effort]} if model.thinking == "budget" else {"thinkingLevel": _LEVELS[effort]}


def _realtime_input(config: RealtimeConfig, model: LiveModel) -> dict[str, Any]:
    realtime: dict[str, Any] = {}
    if config.vad_mode is not VADMode.SERVER:
        # Any other setting beside `disabled` is refused.
        realtime["automaticActivityDetection"] = {"disabled": True}
    else:
        detection = config.turn_detection
        if isinstance(detection, ServerVAD):
            realtime["automaticActivityDetection"] = _activity_detection(detection)
        if not detection.interrupt_response:
            realtime["activityHandling"] = "NO_INTERRUPTION"
    if model.all_video:
        realtime["turnCoverage"] = "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO"
    return realtime


def _activity_detection(detection: ServerVAD) -> dict[str, Any]:
    settings: dict[str, Any] = {"silenceDurationMs": detection.silence_duration_ms}
    if detection.prefix_padding_ms is not None:
        settings["prefixPaddingMs"] = detection.prefix_padding_ms
    if detection.start_sensitivity is not None:
        settings["startOfSpeechSensitivity"] = f"START_SENSITIVITY_{detection.start_sensitivity.upper()}"
    if detection.end_sensitivity is not None:
        settings["endOfSpeechSensitivity"] = f"END_SENSITIVITY_{detection.end_sensitivity.upper()}"
    return settings


def _tools(config: RealtimeConfig, model: LiveModel, schemas: Sequence[ToolSchema]) -> list[dict[str, Any]]:
    own, tools = config.own(GeminiSettings), list[dict[str, Any]]()
    if schemas:
        tools.append({"functionDeclarations": [_declaration(schema, config, model) for schema in schemas]})
    if own.google_search:
        tools.append({"googleSearch": {}})
    if own.code_execution:
        tools.append({"codeExecution": {}})
    return tools


def _declaration(schema: ToolSchema, config: RealtimeConfig, model: LiveModel) -> Mapping[str, Any]:
    declaration: dict[str, Any] = {"name": schema.name, "description": schema.description}
    if behavior := _behavior(schema.name, config, model):
        # The default of this has changed between models.
        declaration["behavior"] = behavior
    # A function without parameters must not describe them by an empty object.
    if schema.parameters.get("properties"):
        declaration["parameters"] = gemini_schema(schema.parameters)
    return declaration
