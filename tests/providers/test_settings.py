"""Each setting has an effect with each provider, or it is told that it has none."""

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

import pytest

from tests.providers.gemini.conversation import make_codec
from tests.providers.local.fakes import FakeModel
from tests.providers.openai.conversation import Conversation
from tests.support.settings import config_of
from voicecli.config import ClientVAD, RealtimeConfig, Reconnect, SemanticVAD, ServerVAD, VADMode
from voicecli.events import Notice
from voicecli.ports import ConversationSetup, Provider
from voicecli.providers import PROVIDERS
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.providers.ignored import ignored_settings, is_chosen
from voicecli.providers.local.loading import notices_for
from voicecli.providers.local.settings import LocalSettings
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings
from voicecli.setting_fields import Settings
from voicecli.tools import ToolSchema

TOOL = ToolSchema("search", "Search.", {"type": "object", "properties": {}})

# A value for each setting that is not its default, or several settings where one needs another.
COMMON: dict[str, dict[str, Any]] = {
    "model": {"model": "other-model"},
    "voice": {"voice": "Puck"},
    "system_prompt": {"system_prompt": "Be brief."},
    "language": {"language": "de"},
    "vad_mode": {"vad_mode": VADMode.NONE},
    "turn_detection": {"turn_detection": ServerVAD(silence_duration_ms=900)},
    "output": {"output": "text"},
    "temperature": {"temperature": 0.5},
    "max_output_tokens": {"max_output_tokens": 99},
    "speed": {"speed": 1.2},
    "reasoning_effort": {"reasoning_effort": "high"},
    "tool_choice": {"tool_choice": "required"},
    "base_url": {"base_url": "http://127.0.0.1:9"},
    "headers": {"headers": {"X-One": "1"}},
    "debug_file": {"debug_file": "trace.jsonl"},
}
OPENAI: dict[str, dict[str, Any]] = {
    "transcription_model": {"transcription_model": "gpt-4o-transcribe"},
    "transcription_keywords": {"transcription_keywords": ("voicecli",)},
    "transcription_prompt": {"transcription_prompt": "Ships."},
    "transcription_languages": {"transcription_languages": ("en", "de")},
    "noise_reduction": {"noise_reduction": "far_field"},
    "noise_reduction_strength": {"noise_reduction": "far_field", "noise_reduction_strength": 0.5},
    "truncation": {"truncation": "disabled"},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "mcp_servers": {"mcp_servers": (OpenAIMCPServer(label="docs", url="https://docs.example"),)},
    "organization": {"organization": "org"},
    "project": {"project": "project"},
    "live_backend_model": {"live_backend_model": "gpt-6"},
    "live_backend_instructions": {"live_backend_instructions": "Search first."},
    "live_ack_delay_ms": {"live_ack_delay_ms": 900},
    "live_sample_rate": {"live_sample_rate": 16_000},
}
GEMINI: dict[str, dict[str, Any]] = {
    "google_search": {"google_search": True},
    "code_execution": {"code_execution": True},
    "affective_dialog": {"affective_dialog": True},
    "proactive_audio": {"proactive_audio": True, "model": "gemini-3.1-flash-live-preview"},  # newer ones always are
    "transcription_keywords": {"transcription_keywords": ("voicecli",)},
    "transcription_languages": {"transcription_languages": ("en", "de")},
    "project": {"project": "project"},
    "location": {"project": "project", "location": "us-central1"},
    "api_version": {"api_version": "v9"},
}
LOCAL: dict[str, dict[str, Any]] = {
    "llm_model": {"llm_model": "qwen3"},
    "llm_api_key": {"llm_api_key": "k-0123456789"},
}
# The session and the connection see to these, whatever the provider.
OURS = {
    *("provider", "client_vad", "tool_timeout_s", "connect_timeout_s", "response_timeout_s", "reconnect", "api_key"),
    *("debug_file", "turn_model", "max_cost", "max_minutes", "idle_minutes", "prices"),
    *("approve", "background_tools", "session_file"),
}
# The offline engine sees to these when it loads.
ENGINES = {
    *("model", "voice", "system_prompt", "vad_mode", "turn_detection", "output", "temperature", "max_output_tokens"),
    *("speed", "llm", "backchannels"),
}


def openai(settings: dict[str, Any]) -> object:
    conversation = Conversation(config_of(OpenAISettings, api_key="sk-0123456789", **settings), tools=[TOOL])
    codec = conversation.codec
    told = [notice.message for notice in conversation.all(Notice)]
    return codec.url, codec.headers, json.dumps(conversation.sent[0]["session"]), told


def gemini(settings: dict[str, Any]) -> object:
    # A project means Vertex AI, unless there is a key.
    key = None if "project" in settings else "AIza-0123456789"
    codec = make_codec([TOOL], api_key=key, **settings)
    codec.open()
    (setup,) = codec.data_to_send()
    told = [event.message for event in codec.receive(b'{"setupComplete":{}}') if isinstance(event, Notice)]
    headers = {} if key is None else codec.headers
    return codec.url, headers, setup, told


def local(settings: dict[str, Any]) -> object:
    setup = ConversationSetup(config_of(LocalSettings, **settings), [TOOL])
    return [notice.message for notice in notices_for(setup, "smollm2", FakeModel([]))]


def test_each_setting_is_looked_at() -> None:
    looked_at = [
        (RealtimeConfig, {*COMMON, *OURS, "provider_settings"}),
        (OpenAISettings, {*OPENAI}),
        (GeminiSettings, {*GEMINI}),
        (LocalSettings, {*LOCAL, "llm", "backchannels"}),
    ]
    for kind, names in looked_at:
        assert {field.name for field in fields(kind)} == names
        assert all(field.default is not MISSING or field.default_factory is not MISSING for field in fields(kind))
    assert {provider.settings for provider in PROVIDERS} <= {kind for kind, _ in looked_at}
    assert RealtimeConfig(client_vad=ClientVAD(), reconnect=Reconnect()) == RealtimeConfig()


def test_common_settings_and_those_of_a_provider_share_no_name() -> None:
    common = {field.name for field in fields(RealtimeConfig)}
    for provider in PROVIDERS:
        assert common.isdisjoint(provider.settings.hints())


@pytest.mark.parametrize(
    ("provider", "name", "settings"),
    [
        *((openai, *chosen) for chosen in (COMMON | OPENAI).items()),
        *((gemini, *chosen) for chosen in (COMMON | GEMINI).items()),
        *((local, *chosen) for chosen in (COMMON | LOCAL).items()),
    ],
)
def test_a_setting_has_an_effect_or_is_told_to_have_none(
    provider: Callable[[dict[str, Any]], object], name: str, settings: dict[str, Any]
) -> None:
    if name in OURS and provider is not local:
        return
    if name in ENGINES and provider is local:
        return
    others = {key: value for key, value in settings.items() if key != name}
    assert provider(settings) != provider(others)


@pytest.mark.parametrize("provider", PROVIDERS, ids=lambda provider: provider.name)
def test_what_a_provider_lacks_is_a_setting_and_has_a_reason(provider: Provider) -> None:
    classes: dict[str, list[type[Settings]]] = {"turn_detection": [ServerVAD, SemanticVAD]}
    for model in (*(model.name for model in provider.models), "other-model"):
        for path, why in provider.lacks(RealtimeConfig(model=model)).items():
            outer, _, inner = path.partition(".")
            kinds: list[type[Settings]] = classes[outer] if inner else [RealtimeConfig, provider.settings]
            assert any((inner or outer) in kind.hints() for kind in kinds), path
            assert why
            assert not why.endswith(".")


def test_a_setting_is_chosen_when_it_is_not_the_default() -> None:
    config = config_of(
        GeminiSettings, speed=1.0, turn_detection=ServerVAD(threshold=0.5), google_search=True, code_execution=False
    )
    for name, chosen in {
        "speed": True,
        "temperature": False,
        "turn_detection.threshold": True,
        "turn_detection.idle_timeout_ms": False,
        "turn_detection.eagerness": False,
        "google_search": True,
        "code_execution": False,
        "llm": False,
    }.items():
        assert is_chosen(config, name) == chosen, name
    assert is_chosen(RealtimeConfig(turn_detection=SemanticVAD()), "turn_detection.eagerness")
    by_hand = RealtimeConfig(vad_mode=VADMode.NONE, turn_detection=ServerVAD(threshold=0.5))
    assert not is_chosen(by_hand, "turn_detection.threshold"), "nobody finds turns with it"


def test_the_notice_tells_setting_and_reason() -> None:
    told = ignored_settings(RealtimeConfig(speed=1.2), {"speed": "parrots have one speed", "temperature": "no"})
    assert told == [Notice("setting_ignored", "speed is left out: parrots have one speed.")]
