"""`voice doctor --online`: who is asked, and what is made of the answers."""

import socket
from typing import Any

import pytest

from tests.cli.doctor.conftest import Look
from tests.loopback.openai_server import KEY, OpenAIServer
from voicecli.cli import ExitStatus
from voicecli.errors import RealtimeConnectionError
from voicecli.providers.reachability import Answer

HOURS = 3 * 3_600.0


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The addresses that were asked; the servers' clocks are three hours behind."""
    found: list[str] = []

    def ask(address: str, *, timeout_s: float) -> Answer:
        found.append(address)
        return Answer("voice.example", 41.7, "TLSv1.3", HOURS)

    monkeypatch.setattr("voicecli.providers.reachability.ask_server", ask)
    return found


def test_nobody_is_asked_unless_it_is_wanted(look: Look, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any) -> None:
        raise AssertionError("a name is looked up")

    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    assert look().code == 0
    assert not asked
    found = look("local", "--online")
    assert not asked
    assert found.one("Network")[1] == "no provider that is set up leads to another machine"


def test_only_who_is_set_up_or_named_is_asked(look: Look, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("GEMINI_API_KEY", KEY)

    async def fetch_json(*_: Any, **__: Any) -> Any:
        raise RealtimeConnectionError("No list today.")

    monkeypatch.setattr("voicecli.providers.http.fetch_json", fetch_json)
    look("--online")
    assert asked == ["https://generativelanguage.googleapis.com"]
    asked.clear()
    look("openai", "--online")
    assert asked == ["https://api.openai.com/v1"]


def test_a_wrong_clock_is_told(look: Look, asked: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    found = look("openai", "--online")
    assert found.one("Clock") == ("warn", "3 hours ahead of that of openai")
    assert [row["value"] for row in found.named("openai")][-1] == "voice.example answers, TLSv1.3, after 42 ms"


@pytest.mark.parametrize("key", [KEY, "sk-another-one-0123456789"])
def test_the_key_is_tried(look: Look, monkeypatch: pytest.MonkeyPatch, key: str) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with OpenAIServer.in_thread() as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.url)
        found = look("openai", "--online")
    told = [(row["verdict"], row["value"]) for row in found.rows if row["area"] == "Network"]
    assert "answers, without TLS, after" in told[0][1]
    assert told[-1][0] == ("ok" if key == KEY else "fail"), told
    assert found.code == (0 if key == KEY else ExitStatus.CONNECTION)
    assert key not in str(found.rows)


def test_a_server_that_is_not_reached(look: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9/v1")
    found = look("--online", "openai")
    assert found.code == ExitStatus.CONNECTION
    assert found.rows[-1]["value"] == "Cannot reach 127.0.0.1:9: it refuses connections."
