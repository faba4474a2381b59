"""How a Live session begins: where, with which settings, and what is refused or left out."""

from dataclasses import replace
from typing import Any

import pytest

from tests.loopback.live_wire import tokens
from tests.providers.openai.live.talk import CONFIG, MODEL, WEATHER, LiveTalk
from tests.support.settings import config_of
from voicecli.commands import AppendAudio, SendText
from voicecli.config import RealtimeConfig, SemanticVAD, ServerVAD, VADMode
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.events import ErrorOccurred, Notice, ResponseDone, SessionStarted, UsageUpdated
from voicecli.ports import ConversationSetup, Expiring
from voicecli.pricing import Prices
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.endpoint import find_endpoint
from voicecli.providers.openai.live.appends import split
from voicecli.providers.openai.settings import OpenAISettings


def started(**settings: Any) -> LiveTalk:
    return LiveTalk(config_of(OpenAISettings, api_key="sk-test", model=MODEL, **settings), tools=[WEATHER])


def session(**settings: Any) -> dict[str, Any]:
    found: dict[str, Any] = started(**settings).sent[0]["session"]
    return found


def test_the_least() -> None:
    assert LiveTalk().sent[0]["session"] == {
        "model": MODEL,
        "audio": {"format": {"type": "audio/pcm", "rate": 24_000}, "output": {"voice": "marin"}},
        "delegation": {"type": "responses", "responses": {"model": "gpt-5.6-luna"}},
    }


def test_the_system_prompt_is_for_both_and_the_tools_are_the_backends() -> None:
    made = session(system_prompt="You are a pirate.", voice="willow")
    assert made["audio"]["output"] == {"voice": "willow"}
    assert made["instructions"].startswith("You are a pirate.\n\n# Delegation policy")
    assert "- weather: The weather at a place." in made["instructions"]
    responses = made["delegation"]["responses"]
    assert responses["instructions"] == "You are a pirate."
    assert (responses["tools"][0]["name"], responses["tool_choice"]) == ("weather", "auto")


def test_what_is_the_backends() -> None:
    made = session(
        live_backend_model="gpt-5.6-terra",
        live_backend_instructions="Search first.",
        live_ack_delay_ms=800,
        reasoning_effort="low",
        max_output_tokens=4,
        parallel_tool_calls=False,
        tool_choice="weather",
    )
    responses = made["delegation"]["responses"]
    del responses["tools"]
    assert made["delegation"]["acknowledgement_delay_ms"] == 800
    assert responses == {
        "model": "gpt-5.6-terra",
        "instructions": "Search first.",
        "reasoning": {"effort": "low"},
        "max_output_tokens": 16,
        "parallel_tool_calls": False,
        "tool_choice": {"type": "function", "name": "weather"},
    }


def test_sixteen_kilohertz() -> None:
    talk = started(live_sample_rate=16_000)
    assert talk.session.config is not None
    assert talk.session.config["audio"]["format"] == {"type": "audio/pcm", "rate": 16_000}
    [event] = talk.all(SessionStarted)
    assert (event.input_rate, event.output_rate) == (16_000, 16_000)
    talk.send(AppendAudio(bytes(32_000)))
    assert talk.session.now_ms == 1_000
    told = OPENAI.capabilities_of(config_of(OpenAISettings, model=MODEL, live_sample_rate=16_000))
    assert (told.input_rate, told.output_rate) == (16_000, 16_000)


def test_capabilities_are_by_model() -> None:
    live = OPENAI.capabilities_of(CONFIG)
    assert live.full_duplex
    assert live.input_must_flow
    assert not live.reports_speech
    assert live.tools
    assert OPENAI.capabilities_of(RealtimeConfig()) == OPENAI.capabilities
    alone = replace(CONFIG, provider_settings=OpenAISettings(live_backend_model="none"))
    assert not OPENAI.capabilities_of(alone).tools
    assert not OPENAI.capabilities_of(alone).images


@pytest.mark.parametrize(
    ("settings", "left_out"),
    [
        ({"temperature": 0.5}, "temperature"),
        ({"speed": 1.2}, "speed"),
        ({"language": "de"}, "language"),
        ({"vad_mode": VADMode.CLIENT}, "vad_mode"),
        ({"turn_detection": ServerVAD(threshold=0.9)}, "turn_detection.threshold"),
        ({"turn_detection": SemanticVAD(eagerness="low")}, "turn_detection.eagerness"),
        ({"turn_detection": ServerVAD(interrupt_response=False)}, "turn_detection.interrupt_response"),
        ({"noise_reduction": "far_field"}, "noise_reduction"),
        ({"transcription_model": "whisper-1"}, "transcription_model"),
        ({"truncation": "disabled"}, "truncation"),
        ({"live_backend_model": "none", "reasoning_effort": "low"}, "reasoning_effort"),
    ],
)
def test_what_it_decides_itself_is_said(settings: dict[str, Any], left_out: str) -> None:
    talk = LiveTalk(config_of(OpenAISettings, api_key="sk-test", model=MODEL, **settings))
    [notice] = talk.all(Notice)
    assert notice.code == "setting_ignored"
    assert notice.message.startswith(f"{left_out} is left out: ")
    if left_out != "reasoning_effort":
        assert "GPT-Live decides this itself" in notice.message
        assert talk.sent[0]["session"] == LiveTalk().sent[0]["session"]


def test_text_alone_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="always answers aloud"):
        started(output="text")


def test_a_tool_that_is_not_there_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="tool_choice"):
        started(tool_choice="wether")


@pytest.mark.parametrize(
    ("base_url", "url", "models_url"),
    [
        (None, "wss://api.openai.com/v1/live/sessions", "https://api.openai.com/v1/models"),
        ("http://localhost:4000", "ws://localhost:4000/live/sessions", "http://localhost:4000/models"),
        ("https://gate.example/v1/", "wss://gate.example/v1/live/sessions", "https://gate.example/v1/models"),
        ("wss://gate.example/v1/realtime", "wss://gate.example/v1/live/sessions", "https://gate.example/v1/models"),
        (
            "wss://gate.example/v1/live/sessions",
            "wss://gate.example/v1/live/sessions",
            "https://gate.example/v1/models",
        ),
        ("https://gate.example/x?a=b", "wss://gate.example/x?a=b", "https://gate.example/x/models?a=b"),
    ],
)
def test_addresses(base_url: str | None, url: str, models_url: str) -> None:
    endpoint = find_endpoint(RealtimeConfig(api_key="sk-test", base_url=base_url), MODEL)
    assert (endpoint.url, endpoint.models_url) == (url, models_url)


def test_a_live_address_serves_the_realtime_models_too() -> None:
    config = RealtimeConfig(api_key="sk-test", base_url="https://gate.example/v1/live/sessions")
    assert find_endpoint(config, "gpt-realtime-2.1").url == "wss://gate.example/v1/realtime?model=gpt-realtime-2.1"


@pytest.mark.parametrize("base", ["https://mine.openai.azure.com", "https://mine.openai.azure.com/openai"])
def test_azure(base: str) -> None:
    endpoint = find_endpoint(RealtimeConfig(api_key="secret", base_url=base), MODEL)
    assert endpoint.url == "wss://mine.openai.azure.com/openai/v1/live/sessions"
    assert endpoint.headers == {"api-key": "secret"}


def test_it_ends_when_the_service_says_so() -> None:
    [expiring] = LiveTalk().all(Expiring)
    assert expiring.left_s == 7_200
    assert expiring.at is not None


def test_the_models_it_is_billed_by() -> None:
    assert OPENAI.prices(CONFIG) == {MODEL: Prices(session_minute=0.05), "gpt-5.6-luna": Prices(0.20, 0.02, 1.20)}
    alone = replace(CONFIG, provider_settings=OpenAISettings(live_backend_model="none"))
    assert list(OPENAI.prices(alone)) == [MODEL]


def test_prices_that_are_given_come_first() -> None:
    talk = LiveTalk(replace(CONFIG, prices={MODEL: Prices(session_minute=6.0)}))
    talk.run(15_000)
    assert talk.all(UsageUpdated)[0].usage.cost_usd == pytest.approx(1.5)


def test_time_is_paid_for_once() -> None:
    talk = LiveTalk()
    talk.run(60_000)
    told = [event.usage for event in talk.all(UsageUpdated)]
    assert [usage.session_seconds for usage in told] == [15, 30, 45, 60]
    assert sum(usage.cost_usd or 0 for usage in told) == pytest.approx(0.05)


def test_a_context_that_is_nearly_full_is_said_once() -> None:
    talk = LiveTalk()
    for number, ratio in enumerate((0.5, 0.91, 0.95)):
        usage = {"usage": {"seconds": number}, "context_window": {"usage_ratio": ratio}}
        talk.give({"type": "session.usage.updated", "event_id": f"u{number}", **usage})
    assert [notice.code for notice in talk.all(Notice)] == ["context_nearly_full"]


@pytest.mark.parametrize(
    "text",
    [
        "word " * 3_000,
        "x" * 9_000,
        "1234567890" * 700,
        "今日は天気がいいですね。" * 300,
        "😀👍🏽" * 800,
        "a-b_c;" * 1_000,
        "Ünïcödé " * 900,
    ],
)
def test_context_in_parts(text: str) -> None:
    parts = split(text)
    assert "".join("".join(parts).split()) == "".join(text.split())
    assert all(0 < tokens(part) <= 500 for part in parts)


def test_short_context_is_one_part() -> None:
    assert split("The user typed: hello, you!\n\nAnd this.") == ["The user typed: hello, you!\n\nAnd this."]
    assert split("  ") == []


@pytest.mark.parametrize("code", [None, "rate_limit_exceeded", "server_error", "session_storage_failed"])
def test_an_error_is_rarely_the_end(code: str | None) -> None:
    talk = LiveTalk()
    error = {"type": "server_error", "code": code, "message": "Busy.", "param": None}
    talk.give({"type": "error", "event_id": "e1", "error": error})
    [event] = talk.all(ErrorOccurred)
    assert "Busy" in str(event.error)
    talk.run(1_000)
    assert talk.session.now_ms == 1_000


def test_an_error_at_the_close_is_harmless() -> None:
    talk = LiveTalk()
    error = {"type": "invalid_request_error", "code": "context_injection_incomplete", "message": "Not taken in."}
    talk.give({"type": "error", "event_id": "e1", "error": error})
    assert talk.all(ErrorOccurred) == []


def test_nothing_but_audio_follows_the_goodbye() -> None:
    talk = LiveTalk(replies=[])
    talk.close()
    talk.codec.send(AppendAudio(bytes(4_800)))
    talk.codec.send(SendText("One more thing."))
    event = {"type": "response.created", "response": {"id": "r1"}, "sequence_number": 0}
    talk.give({"type": "response.event", "event_id": "r1", "event": event})
    talk.run(500)
    assert [frame["type"] for frame in talk.sent if frame["type"] != "session.input_audio.append"] == [
        *("session.start", "session.close")
    ]


def test_the_setup_is_that_of_the_model() -> None:
    assert OPENAI.replay is not None
    live = OPENAI.replay(ConversationSetup(CONFIG), {"host": "api.openai.com"})
    assert type(live).__name__ == "LiveCodec"
    realtime = OPENAI.replay(ConversationSetup(RealtimeConfig()), {"host": "api.openai.com"})
    assert type(realtime).__name__ == "OpenAICodec"


def test_a_backend_that_the_server_does_not_have() -> None:
    talk = LiveTalk(start=False)
    talk.codec.open()
    param = "session.delegation.responses.model"
    error = {"type": "invalid_request_error", "code": "model_not_found", "message": "It is not there.", "param": param}
    with pytest.raises(RealtimeConnectionError, match="live_backend_model") as caught:
        talk.give({"type": "error", "event_id": "e1", "error": error})
    assert "--live-backend-model" in caught.value.advice


@pytest.mark.parametrize("code", ["model_not_found", None])
def test_a_backend_that_is_missed_later_ends_nothing(code: str | None) -> None:
    talk = LiveTalk()
    talk.send(SendText("Hi."))
    error = {"type": "invalid_request_error", "code": code, "message": "`model` does not exist."}
    talk.give({"type": "error", "event_id": "e1", "error": error})
    assert len(talk.all(ErrorOccurred)) == 1
    assert talk.all(ResponseDone)[0].status == "failed"
