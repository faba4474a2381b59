"""Settings are checked when they are made, and show no secret."""

from typing import Any

import pytest

from voicecli.config import ClientVAD, MCPServer, RealtimeConfig, Reconnect, Retention, SemanticVAD, ServerVAD, VADMode
from voicecli.errors import ConfigurationError


@pytest.mark.parametrize(
    ("make", "settings", "says"),
    [
        (RealtimeConfig, {"vad_mode": "psychic"}, "vad_mode: 'psychic'.*'server', 'client', 'none'"),
        (RealtimeConfig, {"temperature": 2.5}, "temperature: 2.5.*from 0 to 2"),
        (RealtimeConfig, {"temperature": "hot"}, "temperature: 'hot'"),
        (RealtimeConfig, {"max_output_tokens": True}, "max_output_tokens: True"),
        (RealtimeConfig, {"voice": ""}, "voice: an empty name"),
        (RealtimeConfig, {"truncation": "half"}, "truncation: 'half'"),
        (RealtimeConfig, {"turn_detection": "server"}, "turn_detection: this is a str.*ServerVAD or SemanticVAD"),
        (RealtimeConfig, {"client_vad": {"engine": "silero"}}, "client_vad: this is a dict.*ClientVAD"),
        (RealtimeConfig, {"reconnect": False}, "reconnect: this is a bool.*Reconnect"),
        (RealtimeConfig, {"headers": [("a", "b")]}, "headers: this is a list"),
        (RealtimeConfig, {"tool_choice": None}, "tool_choice: this is a NoneType"),
        (RealtimeConfig, {"background_tools": "search"}, "background_tools: this is a str"),
        (RealtimeConfig, {"mcp_servers": ("https://x",)}, "mcp_servers: this is a str.*MCPServer"),
        (RealtimeConfig, {"base_url": "localhost:80"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "https://"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "ws://[::1/v1"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "http://localhost:99999"}, "base_url: not a URL"),
        (ClientVAD, {"engine": "ear"}, "client_vad.engine: 'ear'.*'webrtc', 'silero'"),
        (ServerVAD, {"idle_timeout_ms": 4_999}, "turn_detection.idle_timeout_ms: 4999.*from 5000 to 30000"),
        (SemanticVAD, {"eagerness": "keen"}, "turn_detection.eagerness: 'keen'"),
        (Reconnect, {"attempts": -1}, "reconnect.attempts: -1"),
        (Retention, {"ratio": 1.1}, "truncation.ratio: 1.1"),
        (MCPServer, {"label": "x", "url": "file:///x"}, "mcp_servers: 'x' has no http"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make(**settings)


def test_names_of_turn_detection_will_do() -> None:
    assert RealtimeConfig(vad_mode="client").vad_mode is VADMode.CLIENT  # type: ignore[arg-type]


def test_nothing_secret_is_shown() -> None:
    secret = "hush-hush"
    config = RealtimeConfig(
        api_key=secret,
        base_url=f"https://me:{secret}@host/v1?key={secret}",
        headers={"X-Key": secret},
        llm=f"http://me:{secret}@host/v1",
        llm_api_key=secret,
        mcp_servers=(
            MCPServer(label="m", url=f"https://h/?token={secret}", authorization=secret, headers={"X-Key": secret}),
        ),
    )
    assert secret not in repr(config)
    with pytest.raises(ConfigurationError) as caught:
        RealtimeConfig(base_url=f"https://me:{secret}@[host")
    assert secret not in str(caught.value)
