"""Settings are checked when they are made, and show no secret."""

import copy
import pickle
from dataclasses import FrozenInstanceError, replace
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from tests.support.settings import config_of
from voicecli import GeminiSettings, LocalSettings, OpenAIMCPServer, OpenAISettings, Retention
from voicecli.config import ClientVAD, RealtimeConfig, Reconnect, SemanticVAD, ServerVAD, VADMode
from voicecli.errors import ConfigurationError
from voicecli.testing import scripted_provider
from voicecli.voice import RealtimeVoice


@pytest.mark.parametrize(
    ("make", "settings", "says"),
    [
        (RealtimeConfig, {"vad_mode": "psychic"}, "vad_mode: 'psychic'.*'server', 'client', 'none'"),
        (RealtimeConfig, {"temperature": 2.5}, "temperature: 2.5.*from 0 to 2"),
        (RealtimeConfig, {"temperature": "hot"}, "temperature: 'hot'"),
        (RealtimeConfig, {"max_output_tokens": True}, "max_output_tokens: True"),
        (RealtimeConfig, {"voice": ""}, "voice: an empty name"),
        (OpenAISettings, {"truncation": "half"}, "truncation: 'half'"),
        (RealtimeConfig, {"turn_detection": "server"}, "turn_detection: this is a str.*ServerVAD or SemanticVAD"),
        (RealtimeConfig, {"client_vad": {"engine": "silero"}}, "client_vad: this is a dict.*ClientVAD"),
        (RealtimeConfig, {"reconnect": False}, "reconnect: this is a bool.*Reconnect"),
        (RealtimeConfig, {"headers": [("a", "b")]}, "headers: this is a list"),
        (RealtimeConfig, {"headers": {1: "b"}}, "headers: this is a int.*Give a str"),
        (RealtimeConfig, {"headers": {"a": b"b"}}, "headers: this is a bytes.*Give a str"),
        (OpenAIMCPServer, {"label": "x", "url": "https://x", "headers": {"a": None}}, "headers: this is a NoneType"),
        (RealtimeConfig, {"tool_choice": None}, "tool_choice: this is a NoneType"),
        (RealtimeConfig, {"background_tools": "search"}, "background_tools: this is a str"),
        (OpenAISettings, {"mcp_servers": ("https://x",)}, "mcp_servers: this is a str.*OpenAIMCPServer"),
        (RealtimeConfig, {"base_url": "localhost:80"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "https://"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "ws://[::1/v1"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "http://localhost:99999"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "http://a b"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "http://a\0b"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": "http://a..b"}, "base_url: not a URL"),
        (RealtimeConfig, {"base_url": f"http://{'a' * 64}.org"}, "base_url: not a URL"),
        (ClientVAD, {"engine": "ear"}, "client_vad.engine: 'ear'.*'auto', 'silero', 'webrtc'"),
        (ServerVAD, {"idle_timeout_ms": 4_999}, "turn_detection.idle_timeout_ms: 4999.*from 5000 to 30000"),
        (SemanticVAD, {"eagerness": "keen"}, "turn_detection.eagerness: 'keen'"),
        (Reconnect, {"attempts": -1}, "reconnect.attempts: -1"),
        (RealtimeConfig, {"model": 5}, "model: this is a int.*Give a str"),
        (RealtimeConfig, {"max_output_tokens": 9.5}, "max_output_tokens: 9.5.*whole number from 1 to 65536"),
        (RealtimeConfig, {"speed": float("nan")}, "speed: nan"),
        (RealtimeConfig, {"provider_settings": {}}, "provider_settings: this is a dict.*ProviderSettings"),
        (RealtimeConfig, {"temprature": 1}, "RealtimeConfig has no setting 'temprature'. Did you mean temperature?"),
        (RealtimeConfig, {"effort": "low"}, r"Did you mean reasoning_effort\?"),
        (RealtimeConfig, {"keep_speech": 1}, r"Did you mean reconnect=Reconnect\(audio_buffer_s=\.\.\.\)\?"),
        (RealtimeConfig, {"eagerness": "low"}, r"turn_detection=SemanticVAD\(eagerness=\.\.\.\)"),
        (RealtimeConfig, {"": 1}, r"There are provider, "),
        (ClientVAD, {"hangover": 1}, "ClientVAD has no setting 'hangover'. Did you mean hangover_ms?"),
        (GeminiSettings, {"google_search": "yes"}, "google_search: this is a str.*bool"),
        (Retention, {"ratio": 1.1}, "truncation.ratio: 1.1"),
        (OpenAIMCPServer, {"label": "x", "url": "file:///x"}, "mcp_servers: 'x' has no http"),
    ],
)
def test_what_cannot_be_is_refused_by_name(make: Any, settings: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigurationError, match=says):
        make(**settings)


@pytest.mark.parametrize("url", ["ws://[::1]:80", "http://bücher.example", "https://a.b.", "HTTP://LOCALHOST/a b?c"])
def test_addresses_that_can_be_dialled_pass(url: str) -> None:
    assert RealtimeConfig(base_url=url).base_url == url


def test_headers_are_the_settings_own() -> None:
    headers = {"a": "b"}
    config = RealtimeConfig(headers=headers)
    headers["c"] = "d"
    assert config.headers == {"a": "b"}


def test_names_of_turn_detection_will_do() -> None:
    assert RealtimeConfig(vad_mode="client").vad_mode is VADMode.CLIENT  # type: ignore[arg-type]


def test_nothing_secret_is_shown() -> None:
    secret = "hush-hush"
    server = OpenAIMCPServer(
        label="m", url=f"https://h/?token={secret}", authorization=secret, headers={"X-Key": secret}
    )
    for own in (
        LocalSettings(llm=f"http://me:{secret}@host/v1", llm_api_key=secret),
        OpenAISettings(mcp_servers=(server,)),
    ):
        config = RealtimeConfig(
            api_key=secret,
            base_url=f"https://me:{secret}@host/v1?key={secret}",
            headers={"X-Key": secret},
            provider_settings=own,
        )
        assert secret not in repr(config)
    with pytest.raises(ConfigurationError) as caught:
        RealtimeConfig(base_url=f"https://me:{secret}@[host")
    assert secret not in str(caught.value)
    with pytest.raises(ConfigurationError) as caught:
        RealtimeConfig(llm_api_key=secret)  # type: ignore[call-arg]
    assert secret not in str(caught.value)


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        (
            {"google_search": True},
            "google_search moved to GeminiSettings. "
            "Write RealtimeConfig(provider_settings=GeminiSettings(google_search=True)).",
        ),
        (
            {"llm": "model.gguf"},
            "llm moved to LocalSettings. Write RealtimeConfig(provider_settings=LocalSettings(llm=...)).",
        ),
        (
            {"project": "p"},
            "project moved to GeminiSettings and OpenAISettings. "
            "Write RealtimeConfig(provider_settings=GeminiSettings(project=...)).",
        ),
    ],
)
def test_a_setting_that_moved_is_told_where(settings: dict[str, Any], says: str) -> None:
    for make in (RealtimeConfig, partial(replace, RealtimeConfig())):
        with pytest.raises(ConfigurationError) as caught:
            make(**settings)
        assert str(caught.value) == says


def test_settings_of_another_provider_are_told_with_the_right_class() -> None:
    config = config_of(GeminiSettings, google_search=True)
    assert config.own(GeminiSettings).google_search
    assert RealtimeConfig().own(GeminiSettings) == GeminiSettings()
    for provider, right in (("openai", "OpenAISettings"), ("local", "LocalSettings")):
        with pytest.raises(ConfigurationError, match=f"provider_settings: GeminiSettings are .*Give {right}"):
            RealtimeVoice(provider, config=config)
    with pytest.raises(ConfigurationError, match="This one has none of its own"):
        RealtimeVoice(scripted_provider(), config=config)


def test_values_are_taken_as_they_are_meant(tmp_path: Path) -> None:
    assert RealtimeConfig(background_tools=["search"]).background_tools == ("search",)  # type: ignore[arg-type]
    tokens = RealtimeConfig(max_output_tokens=99.0).max_output_tokens  # type: ignore[arg-type]
    assert (tokens, type(tokens)) == (99, int)
    assert LocalSettings(llm=tmp_path).llm == str(tmp_path)  # type: ignore[arg-type]


def test_settings_are_copied_and_kept() -> None:
    config = config_of(OpenAISettings, speed=1.2, truncation=Retention(ratio=0.5), headers={"a": "b"})
    assert pickle.loads(pickle.dumps(config)) == copy.deepcopy(config) == copy.copy(config) == config
    with pytest.raises(FrozenInstanceError):
        config.speed = 1.0  # type: ignore[misc]


def test_settings_are_given_by_name() -> None:
    with pytest.raises(ConfigurationError, match="by name"):
        RealtimeConfig("gpt-realtime")  # type: ignore[call-arg]
