"""Secrets that never appear in a trace: told by settings and headers, or recognised by its looks."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from voicecli.config import RealtimeConfig
from voicecli.connection.frame_log import FrameLog
from voicecli.providers import LocalSettings, OpenAIMCPServer, OpenAISettings
from voicecli.redaction import header_secrets, setting_secrets


@dataclass(frozen=True)
class Inner:
    shown: str = "shown inside"
    password: str = field(default="secret inside", repr=False)


@dataclass(frozen=True)
class Settings:
    name: str = "shown"
    key: str | None = field(default="secret key", repr=False)
    nothing: str | None = field(default=None, repr=False)
    headers: Mapping[str, str] = field(default_factory=lambda: {"X-Mine": "secret header"}, repr=False)
    inner: Inner = Inner()
    several: tuple[Inner, ...] = (Inner(password="secret in a tuple"),)
    hidden: Inner = field(default=Inner("shown inside what is hidden"), repr=False)


def test_what_a_repr_does_not_show_is_secret() -> None:
    assert sorted(setting_secrets(Settings())) == [
        "secret header",
        "secret in a tuple",
        "secret inside",
        "secret inside",
        "secret key",
        "shown inside what is hidden",
    ]


def test_the_secrets_of_a_configuration() -> None:
    server = OpenAIMCPServer(
        label="files", url="https://files.example/t0ken", authorization="mcp-auth", headers={"X": "mcp-x"}
    )
    config = RealtimeConfig(
        api_key="the-key", headers={"X": "a header"}, provider_settings=OpenAISettings(mcp_servers=(server,))
    )
    found = set(setting_secrets(config)) | set(setting_secrets(LocalSettings(llm_api_key="llm-key")))
    assert {"the-key", "llm-key", "a header", "https://files.example/t0ken", "mcp-auth", "mcp-x"} <= found
    assert "files" not in found


def test_the_secrets_of_headers() -> None:
    assert set(header_secrets({"Authorization": "Bearer abc", "api-key": "def"})) == {"Bearer abc", "abc", "def"}


def traced(tmp_path: Path, message: object, *secrets: str) -> object:
    log = FrameLog(str(tmp_path / "frames.jsonl"), [])
    log.hide(secrets)
    log.received(json.dumps(message).encode())
    log.close()
    return json.loads((tmp_path / "frames.jsonl").read_text())["received"]


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "Authorization",
        "api_key",
        "x-goog-api-key",
        "apiKey",
        "accessToken",
        "client_secret",
        "headers",
    ],
)
def test_a_field_named_like_a_secret_is_hidden_whole(tmp_path: Path, name: str) -> None:
    shown = traced(tmp_path, {"session": {name: {"value": "abc", "more": ["def"], "until": 3}}})
    assert shown == {"session": {name: {"value": "(hidden)", "more": ["(hidden)"], "until": 3}}}


@pytest.mark.parametrize(
    "text",
    [
        "Incorrect key: sk-proj-0123456789.",
        "ek_0123456789abcdef",
        "Authorization: Bearer abcdefgh",
        "Authorization: Token auth/abcdefgh",
        "wss://host/path?key=abcdefgh&alt=json",
        "https://host/?model=x&access_token=abcdefgh",
    ],
)
def test_what_looks_like_a_key_is_hidden(tmp_path: Path, text: str) -> None:
    shown = traced(tmp_path, {"text": text})
    assert "(hidden)" in str(shown)
    assert "abcdefgh" not in str(shown)
    assert "0123456789" not in str(shown)


@pytest.mark.parametrize(
    "message",
    [
        {"response_id": "resp_BJhGUIswO2u7vA2Cxw3Jy", "item_id": "item_BJhGUIswO2u7vA2Cxw3Jz"},
        {"usage": {"input_tokens": 3, "totalTokenCount": 7, "token_details": "text"}},
        {"text": "The key to a good risk-taking task is a token effort, ask-me-anything."},
        {"sessionResumptionUpdate": {"newHandle": "CihjYzZ4MmV6YXE5", "resumable": True}},
    ],
)
def test_what_is_no_secret_stays_readable(tmp_path: Path, message: object) -> None:
    assert traced(tmp_path, message) == message


def test_a_secret_learnt_later_is_hidden_whole_beside_a_shorter_one(tmp_path: Path) -> None:
    log = FrameLog(str(tmp_path / "frames.jsonl"), ["secret"])
    log.hide(["secret-and-longer", "brief"])
    log.received(b'{"text": "secret-and-longer, secret, brief"}')
    log.close()
    text = json.loads((tmp_path / "frames.jsonl").read_text())["received"]["text"]
    assert text == "(hidden), (hidden), brief"
