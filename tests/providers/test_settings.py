"""Each setting has an effect with each provider, or it is told that it has none."""

import json
from collections.abc import Callable
from dataclasses import MISSING, fields
from typing import Any

import pytest

from tests.providers.gemini.conversation import make_codec
from tests.providers.local.fakes import FakeModel
from tests.providers.openai.conversation import Conversation
from voicecli.config import ClientVAD, MCPServer, RealtimeConfig, Reconnect, ServerVAD, VADMode
from voicecli.events import Notice
from voicecli.ports import ConversationSetup
from voicecli.providers.local.loading import notices_for
from voicecli.tools import ToolSchema

TOOL = ToolSchema("search", "Search.", {"type": "object", "properties": {}})

# A value for each setting that is not its default, or several settings where one needs another.
CHOSEN: dict[str, dict[str, Any]] = {
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
    "transcription_model": {"transcription_model": "gpt-4o-transcribe"},
    "noise_reduction": {"noise_reduction": "far_field"},
    "truncation": {"truncation": "disabled"},
    "tool_choice": {"tool_choice": "required"},
    "parallel_tool_calls": {"parallel_tool_calls": False},
    "background_tools": {"background_tools": ("search",)},
    "mcp_servers": {"mcp_servers": (MCPServer(label="docs", url="https://docs.example"),)},
    "google_search": {"google_search": True},
    "code_execution": {"code_execution": True},
    "affective_dialog": {"affective_dialog": True},
    "proactive_audio": {"proactive_audio": True, "model": "gemini-3.1-flash-live-preview"},  # newer ones always are
    "llm": {"llm": "other.gguf"},
    "llm_model": {"llm_model": "qwen3"},
    "llm_api_key": {"llm_api_key": "k-0123456789"},
    "base_url": {"base_url": "http://127.0.0.1:9"},
    "headers": {"headers": {"X-One": "1"}},
    "organization": {"organization": "org"},
    "project": {"project": "project"},
    "location": {"project": "project", "location": "us-central1"},
    "api_version": {"api_version": "v9"},
    "debug_file": {"debug_file": "trace.jsonl"},
}
# The session and the connection see to these, whatever the provider.
OURS = {"client_vad", "tool_timeout_s", "connect_timeout_s", "response_timeout_s", "reconnect", "api_key", "debug_file"}
# The offline engine sees to these when it loads.
ENGINES = {
    *("model", "voice", "system_prompt", "vad_mode", "turn_detection", "output", "temperature", "max_output_tokens"),
    *("speed", "llm"),
}


def openai(settings: dict[str, Any]) -> object:
    conversation = Conversation(RealtimeConfig(api_key="sk-0123456789", **settings), tools=[TOOL])
    codec = conversation.codec
    told = [notice.message for notice in conversation.all(Notice)]
    return codec.url, codec.headers, json.dumps(conversation.sent[0]["session"]), told


def gemini(settings: dict[str, Any]) -> object:
    # A project means Vertex AI, unless there is a key.
    key = None if "project" in settings else "AIza-0123456789"
    tools = [ToolSchema(TOOL.name, TOOL.description, TOOL.parameters, blocking="background_tools" not in settings)]
    codec = make_codec(tools, api_key=key, **settings)
    codec.open()
    (setup,) = codec.data_to_send()
    told = [event.message for event in codec.receive(b'{"setupComplete":{}}') if isinstance(event, Notice)]
    headers = {} if key is None else codec.headers
    return codec.url, headers, setup, told


def local(settings: dict[str, Any]) -> object:
    setup = ConversationSetup(RealtimeConfig(**settings), [TOOL])
    return [notice.message for notice in notices_for(setup, "smollm2", FakeModel([]))]


def test_each_setting_is_looked_at() -> None:
    assert {field.name for field in fields(RealtimeConfig)} == set(CHOSEN) | OURS
    assert all(field.default is not MISSING or field.default_factory is not MISSING for field in fields(RealtimeConfig))
    assert RealtimeConfig(client_vad=ClientVAD(), reconnect=Reconnect()) == RealtimeConfig()


@pytest.mark.parametrize("name", CHOSEN)
@pytest.mark.parametrize("provider", [openai, gemini, local])
def test_a_setting_has_an_effect_or_is_told_to_have_none(
    provider: Callable[[dict[str, Any]], object], name: str
) -> None:
    if name in OURS and provider is not local:
        return
    if name in ENGINES and provider is local:
        return
    settings = CHOSEN[name]
    others = {key: value for key, value in settings.items() if key != name}
    assert provider(settings) != provider(others)
