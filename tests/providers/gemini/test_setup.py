"""The first message, by model and settings."""

import dataclasses
import json
from typing import Any

import pytest

from tests.loopback.gemini_session import GeminiSession
from tests.providers.gemini.conversation import Conversation, make_codec, weather
from voicecli.config import SemanticVAD, ServerVAD, VADMode
from voicecli.errors import ConfigurationError
from voicecli.events import Notice, SessionStarted
from voicecli.providers.gemini.models import MODELS
from voicecli.providers.gemini.schema import gemini_schema
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.tools import ToolSchema

MODEL_NAMES = [model.info.name for model in MODELS]
EVERYTHING: dict[str, Any] = {
    "voice": "puck",
    "system_prompt": "Be brief.",
    "language": "pt-BR",
    "temperature": 0.7,
    "max_output_tokens": 500,
    "reasoning_effort": "minimal",
    "google_search": True,
    "code_execution": True,
    "affective_dialog": True,
    "proactive_audio": True,
    "transcription_keywords": ["voicecli", "Grace Hopper"],
    "transcription_languages": ["en-US", "de"],
}
NON_GEMINI: dict[str, Any] = {
    "speed": 1.2,
    "tool_choice": "required",
}
VADS: list[dict[str, Any]] = [
    {"vad_mode": mode, "turn_detection": detection}
    for mode in VADMode
    for detection in (
        ServerVAD(),
        ServerVAD(
            start_sensitivity="low",
            end_sensitivity="high",
            prefix_padding_ms=None,
            interrupt_response=False,
            threshold=0.5,
        ),
        SemanticVAD(),
    )
]


def setup_of(**settings: Any) -> dict[str, Any]:
    setup = Conversation(**settings).session.setup
    assert setup is not None
    return setup


@pytest.mark.parametrize("vad", VADS)
@pytest.mark.parametrize("settings", [{}, EVERYTHING, {**EVERYTHING, **NON_GEMINI}])
@pytest.mark.parametrize("model", MODEL_NAMES)
def test_every_model_accepts_what_is_sent_to_it(model: str, settings: dict[str, Any], vad: dict[str, Any]) -> None:
    aside = dataclasses.replace(weather, name="search")
    codec = make_codec([weather, aside], model=model, background_tools=("search",), **settings, **vad)
    codec.open()
    session = GeminiSession()
    assert session.receive(codec.data_to_send()[0]) == [{"setupComplete": {}}], session.close


def test_the_defaults() -> None:
    assert setup_of() == {
        "model": "models/gemini-3.8-live",
        "generationConfig": {
            "responseModalities": ["AUDIO"],
            "speechConfig": {"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Kore"}}},
        },
        "realtimeInputConfig": {
            "automaticActivityDetection": {"silenceDurationMs": 500, "prefixPaddingMs": 300},
            "turnCoverage": "TURN_INCLUDES_AUDIO_ACTIVITY_AND_ALL_VIDEO",
        },
        "inputAudioTranscription": {},
        "outputAudioTranscription": {},
        "sessionResumption": {},
        "contextWindowCompression": {"slidingWindow": {}},
    }


def test_all_that_can_be_set() -> None:
    setup = setup_of(model="gemini-2.5-flash-native-audio-latest", **EVERYTHING)
    assert setup["generationConfig"] == {
        "responseModalities": ["AUDIO"],
        "speechConfig": {
            "languageCode": "pt-BR",
            "voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "Puck"}},
        },
        "temperature": 0.7,
        "maxOutputTokens": 500,
        "thinkingConfig": {"thinkingBudget": 0},
        "enableAffectiveDialog": True,
    }
    assert setup["systemInstruction"] == {"parts": [{"text": "Be brief."}]}
    assert setup["tools"] == [{"googleSearch": {}}, {"codeExecution": {}}]
    assert setup["proactivity"] == {"proactiveAudio": True}
    assert setup["inputAudioTranscription"] == {
        "customVocabulary": ["voicecli", "Grace Hopper"],
        "languageCodes": ["en-US", "de"],
    }
    assert setup["outputAudioTranscription"] == {}, "what the model says needs no hints"


@pytest.mark.parametrize(
    ("model", "effort", "thinking"),
    [
        ("gemini-3.8-live", "high", None),
        ("gemini-3.8-live-extended-thinking", None, {"thinkingLevel": "LOW"}),
        ("gemini-3.8-live-extended-thinking", "minimal", {"thinkingLevel": "LOW"}),
        ("gemini-3.8-live-extended-thinking", "xhigh", {"thinkingLevel": "HIGH"}),
        ("gemini-3.1-flash-live-preview", None, None),
        ("gemini-3.1-flash-live-preview", "minimal", {"thinkingLevel": "MINIMAL"}),
        ("gemini-live-2.5-flash-native-audio", "low", {"thinkingBudget": 1_024}),
    ],
)
def test_thinking_by_model(model: str, effort: str | None, thinking: dict[str, Any] | None) -> None:
    assert setup_of(model=model, reasoning_effort=effort)["generationConfig"].get("thinkingConfig") == thinking


@pytest.mark.parametrize(
    ("model", "blocking", "behavior"),
    [
        ("gemini-3.8-live", True, "BLOCKING"),
        ("gemini-3.8-live", False, "NON_BLOCKING"),
        ("gemini-3.8-live-extended-thinking", True, "NON_BLOCKING"),
        ("gemini-3.1-flash-live-preview", False, "BLOCKING"),
    ],
)
def test_the_behavior_of_a_tool_is_always_said(model: str, blocking: bool, behavior: str) -> None:
    setup = setup_of(model=model, tools=[weather], background_tools=() if blocking else (weather.name,))
    assert setup["tools"][0]["functionDeclarations"][0]["behavior"] == behavior


def test_an_unknown_model_gets_only_what_every_model_takes() -> None:
    codec = make_codec([weather], model="gemini-9-live", **EVERYTHING)
    codec.open()
    (message,) = codec.data_to_send()
    for name in (b"behavior", b"thinking", b"enableAffectiveDialog", b"proactivity", b"turnCoverage"):
        assert name not in message


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
def test_nothing_stands_beside_a_detection_that_is_off(mode: VADMode) -> None:
    assert setup_of(vad_mode=mode)["realtimeInputConfig"]["automaticActivityDetection"] == {"disabled": True}


def test_detection_by_the_server() -> None:
    detection = ServerVAD(
        start_sensitivity="low",
        end_sensitivity="high",
        prefix_padding_ms=20,
        silence_duration_ms=800,
        interrupt_response=False,
    )
    realtime = setup_of(turn_detection=detection)["realtimeInputConfig"]
    assert realtime["automaticActivityDetection"] == {
        "startOfSpeechSensitivity": "START_SENSITIVITY_LOW",
        "endOfSpeechSensitivity": "END_SENSITIVITY_HIGH",
        "prefixPaddingMs": 20,
        "silenceDurationMs": 800,
    }
    assert realtime["activityHandling"] == "NO_INTERRUPTION"


def notices_of(**settings: Any) -> dict[str, list[str]]:
    told: dict[str, list[str]] = {}
    codec = make_codec(**settings)
    codec.open()
    for event in codec.receive(b'{"setupComplete":{}}'):
        if isinstance(event, Notice):
            told.setdefault(event.code, []).append(event.message)
        else:
            assert isinstance(event, SessionStarted)
    codec.open()
    assert not [event for event in codec.receive(b'{"setupComplete":{}}') if isinstance(event, Notice)]
    return told


def test_what_gemini_lacks_is_told_once() -> None:
    assert notices_of() == {}
    told = notices_of(**NON_GEMINI, turn_detection=SemanticVAD(), output="text")["setting_ignored"]
    for name in (*NON_GEMINI, "by meaning", "output"):
        assert any(name in message for message in told), name
    told = notices_of(turn_detection=ServerVAD(threshold=0.5, idle_timeout_ms=5_000, create_response=False))[
        "setting_ignored"
    ]
    assert len(told) == 3


def test_deprecated_models_and_unknown_voices_are_told() -> None:
    told = notices_of(model="gemini-3.1-flash-live-preview", voice="Nobody")
    assert "2026-11-17" in told["model_deprecated"][0]
    assert "Nobody" in told["voice_unknown"][0]


def test_that_no_model_is_known_to_run_code_is_told() -> None:
    told = notices_of(code_execution=True)
    assert list(told) == ["setting_unlisted"]
    assert "code_execution" in told["setting_unlisted"][0]
    assert setup_of(code_execution=True)["tools"] == [{"codeExecution": {}}], "it is asked for all the same"


@pytest.mark.parametrize("model", MODEL_NAMES)
def test_hints_go_to_vertex_ai_too(model: str) -> None:
    codec = make_codec(
        model=model, api_key=None, project="p", transcription_keywords=("voicecli",), transcription_languages=("en",)
    )
    codec.open()
    (message,) = codec.data_to_send()
    hints = json.loads(message)["setup"]["inputAudioTranscription"]
    assert hints == {"customVocabulary": ["voicecli"], "languageCodes": ["en"]}


@pytest.mark.parametrize(
    ("settings", "named"),
    [
        ({"transcription_keywords": ("a\nb",)}, "transcription_keywords"),
        ({"transcription_keywords": ("",)}, "empty"),
        ({"transcription_languages": ("german",)}, "german"),
    ],
)
def test_hints_that_cannot_be_are_an_error_at_once(settings: dict[str, Any], named: str) -> None:
    with pytest.raises(ConfigurationError, match=named):
        GeminiSettings(**settings)


# Schemas


@pytest.mark.parametrize(
    ("schema", "expected"),
    [
        ({"type": "string", "title": "X", "default": "a"}, {"type": "STRING"}),
        ({"type": "string", "format": "uuid"}, {"type": "STRING"}),
        ({"type": "string", "format": "date-time"}, {"type": "STRING", "format": "date-time"}),
        ({"enum": ["a", "b"]}, {"type": "STRING", "enum": ["a", "b"]}),
        ({"const": "a"}, {"type": "STRING", "enum": ["a"]}),
        ({"enum": [1, 2], "type": "integer"}, {"type": "INTEGER", "description": "One of: 1, 2."}),
        ({"type": ["string", "null"]}, {"type": "STRING", "nullable": True}),
        ({"type": ["string", "integer"]}, {"anyOf": [{"type": "STRING"}, {"type": "INTEGER"}]}),
        (
            {"anyOf": [{"type": "integer", "minimum": 1}, {"type": "null"}], "description": "How many."},
            {"type": "INTEGER", "minimum": 1, "nullable": True, "description": "How many."},
        ),
        (
            {"oneOf": [{"type": "integer"}, {"type": "boolean"}]},
            {"anyOf": [{"type": "INTEGER"}, {"type": "BOOLEAN"}]},
        ),
        ({"type": "array"}, {"type": "ARRAY", "items": {"type": "STRING"}}),
        (
            {"type": "array", "prefixItems": [{"type": "number"}, {"type": "string"}]},
            {"type": "ARRAY", "items": {"anyOf": [{"type": "NUMBER"}, {"type": "STRING"}]}},
        ),
        ({"type": "object", "additionalProperties": {"type": "integer"}}, {"type": "OBJECT"}),
        (
            {"properties": {"a": {}, "b": {"exclusiveMinimum": 1, "type": "integer"}}, "required": ["a", "ghost"]},
            {"type": "OBJECT", "properties": {"a": {"type": "STRING"}, "b": {"type": "INTEGER"}}, "required": ["a"]},
        ),
    ],
)
def test_schemas_become_what_gemini_takes(schema: dict[str, Any], expected: dict[str, Any]) -> None:
    assert gemini_schema(schema) == expected
    parameters = {"type": "object", "properties": {"value": schema}}
    setup_of(tools=[ToolSchema("f", "", parameters)])  # the SDK's types take it too


def test_a_tool_without_parameters_declares_none() -> None:
    (tool,) = setup_of(tools=[ToolSchema("now", "The time.", {"type": "object", "properties": {}})])["tools"]
    assert tool["functionDeclarations"] == [{"name": "now", "description": "The time.", "behavior": "BLOCKING"}]
