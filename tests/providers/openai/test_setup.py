"""The address that the codec connects to, and its request to the session."""

import json
import subprocess
import sys
from typing import Any

import pytest

from tests.loopback.openai_wire import RefusedError, check_client_frame
from tests.providers.openai.conversation import WEATHER, Conversation
from tests.support.settings import config_of
from voicecli.config import RealtimeConfig, SemanticVAD, ServerVAD, VADMode
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.events import Notice
from voicecli.ports import ConversationSetup
from voicecli.providers.openai import OPENAI, OpenAICodec
from voicecli.providers.openai.endpoint import find_endpoint
from voicecli.providers.openai.settings import OpenAIMCPServer, OpenAISettings, Retention

EVERYTHING = config_of(
    OpenAISettings,
    voice="cedar",
    system_prompt="Be brief.",
    language="pt-BR",
    turn_detection=ServerVAD(threshold=0.7, prefix_padding_ms=200, silence_duration_ms=800, idle_timeout_ms=6_000),
    max_output_tokens=500,
    speed=1.25,
    reasoning_effort="low",
    noise_reduction="near_field",
    truncation=Retention(ratio=0.7, post_instructions_tokens=8_000),
    tool_choice="weather",
    parallel_tool_calls=True,
    mcp_servers=(
        OpenAIMCPServer(
            label="docs", url="https://docs.example", authorization="t", headers={"a": "b"}, allowed_tools=("x",)
        ),
    ),
)


def codec(config: RealtimeConfig | None = None) -> OpenAICodec:
    return OpenAICodec(ConversationSetup(config or RealtimeConfig()))


def session(config: RealtimeConfig) -> dict[str, Any]:
    """The accepted session of the first update."""
    conversation = Conversation(config, tools=[WEATHER])
    (update,) = conversation.sent_of("session.update")
    assert not any(frame["type"] == "error" for frame in conversation.session.sent)
    given: dict[str, Any] = update["session"]
    return given


@pytest.mark.parametrize(
    ("base_url", "url"),
    [
        (None, "wss://api.openai.com/v1/realtime?model=m"),
        ("http://localhost:8000", "ws://localhost:8000/realtime?model=m"),
        ("https://eu.api.openai.com/v1/", "wss://eu.api.openai.com/v1/realtime?model=m"),
        ("wss://host/openai/v1", "wss://host/openai/v1/realtime?model=m"),
        ("https://host/v1/realtime", "wss://host/v1/realtime?model=m"),
        ("https://host/my/own/path?x=1", "wss://host/my/own/path?model=m&x=1"),
        ("https://host/v1?model=other", "wss://host/v1/realtime?model=other"),
        ("https://res.openai.azure.com", "wss://res.openai.azure.com/openai/v1/realtime?model=m"),
        ("https://res.openai.azure.com/openai/", "wss://res.openai.azure.com/openai/v1/realtime?model=m"),
    ],
)
def test_the_address(base_url: str | None, url: str) -> None:
    assert codec(RealtimeConfig(model="m", base_url=base_url)).url == url


def test_the_name_of_a_model_that_is_no_text_can_be_sent() -> None:
    assert find_endpoint(RealtimeConfig(api_key="sk-test-0123456789"), "a\ud800").url.endswith("?model=a%EF%BF%BD")


def test_the_address_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_BASE_URL", "http://other/v1")
    assert codec().url.startswith("ws://other/v1/realtime?")
    assert codec(RealtimeConfig(base_url="http://third")).url.startswith("ws://third/realtime?")
    monkeypatch.setenv("OPENAI_BASE_URL", "nonsense")
    with pytest.raises(ConfigurationError, match="OPENAI_BASE_URL"):
        codec()


def test_who_is_asking(monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    assert codec().headers == {"Authorization": f"Bearer {key}"}
    monkeypatch.setenv("OPENAI_ORG_ID", "org-env")
    config = config_of(
        OpenAISettings,
        api_key="sk-mine",
        organization="org-1",
        project="p",
        headers={"X-More": "1", "openai-project": "q"},
    )
    assert codec(config).headers == {
        "Authorization": "Bearer sk-mine",
        "OpenAI-Organization": "org-1",
        "X-More": "1",
        "openai-project": "q",
    }


def test_azure(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    assert not OPENAI.is_configured()
    monkeypatch.setenv("AZURE_OPENAI_ENDPOINT", "https://res.openai.azure.com/")
    monkeypatch.setenv("AZURE_OPENAI_API_KEY", "az-key")
    assert OPENAI.is_configured()
    made = codec(config_of(OpenAISettings, model="my-deployment", organization="org"))
    assert made.url == "wss://res.openai.azure.com/openai/v1/realtime?model=my-deployment"
    assert made.headers == {"api-key": "az-key"}


def test_a_missing_key_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(ConfigurationError, match="OPENAI_API_KEY"):
        codec()
    assert codec(RealtimeConfig(base_url="http://127.0.0.1:9/v1")).headers == {}


@pytest.mark.parametrize("broken", ["sk-a b", "sk-\n", "“sk”", "sk-a\nX: y"])
def test_a_key_that_no_header_can_hold(broken: str) -> None:
    if broken.strip() == "sk-":
        assert codec(RealtimeConfig(api_key=broken)).headers == {"Authorization": "Bearer sk-"}
        return
    with pytest.raises(ConfigurationError) as caught:
        codec(RealtimeConfig(api_key=broken))
    assert broken not in str(caught.value)


def test_the_key_is_shown_nowhere(key: str) -> None:
    made = codec()
    assert key not in repr(made) + repr(vars(made)["_endpoint"]) + made.url


def test_a_tool_choice_that_is_not_there() -> None:
    with pytest.raises(ConfigurationError, match="tool_choice"):
        codec(RealtimeConfig(tool_choice="wether"))


def test_the_least() -> None:
    assert session(RealtimeConfig()) == {
        "type": "realtime",
        "output_modalities": ["audio"],
        "tools": [
            {
                "type": "function",
                "name": "weather",
                "description": WEATHER.description,
                "parameters": dict(WEATHER.parameters),
            }
        ],
        "tool_choice": "auto",
        "audio": {
            "input": {
                "format": {"type": "audio/pcm", "rate": 24_000},
                "transcription": {"model": "gpt-transcribe"},
                "turn_detection": {
                    "type": "server_vad",
                    "prefix_padding_ms": 300,
                    "silence_duration_ms": 500,
                    "create_response": True,
                    "interrupt_response": True,
                },
            },
            "output": {"format": {"type": "audio/pcm", "rate": 24_000}, "voice": "marin"},
        },
    }


def test_everything() -> None:
    given = session(EVERYTHING)
    assert given["audio"]["input"]["transcription"] == {"model": "gpt-transcribe", "language": "pt"}
    assert given["audio"]["input"]["noise_reduction"] == {"type": "near_field"}
    assert given["audio"]["input"]["turn_detection"] == {
        "type": "server_vad",
        "threshold": 0.7,
        "prefix_padding_ms": 200,
        "silence_duration_ms": 800,
        "idle_timeout_ms": 6_000,
        "create_response": True,
        "interrupt_response": True,
    }
    assert given["audio"]["output"]["speed"] == 1.25
    assert given["instructions"] == "Be brief."
    assert given["max_output_tokens"] == 500
    assert given["reasoning"] == {"effort": "low"}
    assert given["parallel_tool_calls"] is True
    assert given["tool_choice"] == {"type": "function", "name": "weather"}
    assert given["truncation"] == {
        "type": "retention_ratio",
        "retention_ratio": 0.7,
        "token_limits": {"post_instructions": 8_000},
    }
    assert given["tools"][1] == {
        "type": "mcp",
        "server_label": "docs",
        "server_url": "https://docs.example",
        "require_approval": {"never": {"read_only": True}},
        "authorization": "t",
        "headers": {"a": "b"},
        "allowed_tools": ["x"],
    }


@pytest.mark.parametrize(
    ("approve", "own", "sent"),
    [
        ("writes", None, {"never": {"read_only": True}}),
        ("always", None, "always"),
        ("never", None, "never"),
        ("writes", "always", "always"),
        ("always", "never", "never"),
    ],
)
def test_a_server_asks_as_it_is_said_of_it_or_of_all_tools(approve: Any, own: Any, sent: Any) -> None:
    server = OpenAIMCPServer(label="docs", url="https://docs.example", require_approval=own)
    given = session(config_of(OpenAISettings, mcp_servers=(server,), approve=approve))
    assert given["tools"][1]["require_approval"] == sent


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
def test_turn_detection_off(mode: VADMode) -> None:
    assert session(RealtimeConfig(vad_mode=mode))["audio"]["input"]["turn_detection"] is None


def test_semantic_turn_detection() -> None:
    detection = SemanticVAD(eagerness="high", interrupt_response=False)
    given = session(RealtimeConfig(turn_detection=detection))["audio"]["input"]["turn_detection"]
    assert given == {"type": "semantic_vad", "eagerness": "high", "create_response": True, "interrupt_response": False}


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (None, {"model": "gpt-transcribe", "language": "de"}),
        ("gpt-live-transcribe", {"model": "gpt-live-transcribe", "languages": ["de"]}),
        ("none", None),
    ],
)
def test_transcription(model: str | None, expected: dict[str, Any] | None) -> None:
    given = session(config_of(OpenAISettings, transcription_model=model, language="de"))["audio"]["input"]
    assert given.get("transcription") == expected


@pytest.mark.parametrize("model", ["gpt-realtime-1.5", "gpt-realtime-2025-08-28", "gpt-realtime-mini", "my-model"])
def test_what_a_model_does_not_take_is_left_out_and_said_once(model: str) -> None:
    config = config_of(OpenAISettings, model=model, reasoning_effort="high", parallel_tool_calls=False, temperature=0.5)
    conversation = Conversation(config)
    assert not {"reasoning", "parallel_tool_calls", "temperature"} & set(conversation.sent[0]["session"])
    said = [notice.message.split()[0] for notice in conversation.all(Notice) if notice.code == "setting_ignored"]
    assert said == ["temperature", "reasoning_effort", "parallel_tool_calls"]
    conversation.dial()
    assert len([notice for notice in conversation.all(Notice) if notice.code == "setting_ignored"]) == 3


def test_a_limit_above_the_highest_is_none() -> None:
    assert session(RealtimeConfig(max_output_tokens=10_000))["max_output_tokens"] == "inf"


@pytest.mark.parametrize(
    "model", ["gpt-realtime", "gpt-realtime-mini-2025-12-15", "gpt-4o-realtime-preview-2025-06-03"]
)
def test_a_deprecated_model_is_said(model: str) -> None:
    assert [notice.code for notice in Conversation(RealtimeConfig(model=model)).all(Notice)] == ["model_deprecated"]


def test_another_voice_than_asked_for_is_said() -> None:
    conversation = Conversation(RealtimeConfig(voice="cedar"), start=False)
    conversation.give(conversation.inbox.popleft())
    updated = conversation.inbox.popleft()
    updated["session"]["audio"]["output"]["voice"] = "alloy"
    conversation.give(updated)
    assert "alloy" in conversation.all(Notice)[0].message


@pytest.mark.parametrize(
    ("param", "setting"),
    [
        ("session.audio.output.voice", "voice"),
        ("session.audio.input.turn_detection.threshold", "turn_detection"),
        ("session.reasoning.effort", "reasoning_effort"),
        ("session.audio.input.transcription.model", "transcription_model"),
        ("session.shoe_size", "shoe_size"),
    ],
)
def test_a_refused_update_names_the_setting(param: str, setting: str) -> None:
    conversation = Conversation(start=False)
    conversation.give(conversation.inbox.popleft())
    refusal = conversation.session.error("invalid_value", "No.", param, conversation.sent[0]["event_id"])
    with pytest.raises(RealtimeConnectionError, match=repr(setting)) as caught:
        conversation.give(refusal)
    assert not caught.value.retryable


@pytest.mark.parametrize(
    ("change", "code", "param"),
    [
        ({"temperature": 0.8}, "unknown_parameter", "session.temperature"),
        (
            {"audio": {"input": {"turn_detection": {"type": "semantic_vad", "threshold": 0.5}}}},
            "unknown_parameter",
            "threshold",
        ),
        ({"tools": [{"type": "function", "name": "f", "strict": True}]}, "unknown_parameter", "strict"),
        ({"audio": {"output": {"speed": "fast"}}}, "invalid_value", "session.audio.output.speed"),
    ],
)
def test_the_loopback_server_refuses_what_the_service_refuses(change: dict[str, Any], code: str, param: str) -> None:
    with pytest.raises(RefusedError) as caught:
        check_client_frame({"type": "session.update", "session": {"type": "realtime", **change}})
    assert caught.value.code == code
    assert (caught.value.param or "").endswith(param)


def test_the_entry_loads_no_library() -> None:
    heavy = ["numpy", "websockets", "pydantic", "httpx", "openai", "sounddevice"]
    code = f"import sys, json, voicecli.providers.openai; print(json.dumps([m for m in {heavy!r} if m in sys.modules]))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert json.loads(done.stdout) == []
