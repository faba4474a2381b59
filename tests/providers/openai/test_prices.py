"""From usage reports to dollars."""

from typing import Any

import pytest

from tests.providers.openai.conversation import Conversation
from tests.providers.openai.test_interruption import halfway
from voicecli.commands import SendText
from voicecli.config import RealtimeConfig
from voicecli.events import ResponseDone, Usage
from voicecli.providers.openai.models import prices_of, response_usage, transcription_usage

REPORT = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 64, "audio_tokens": 0, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}


@pytest.mark.parametrize(
    ("model", "cost"),
    [
        ("gpt-realtime-2.1", 55 * 4 + 64 * 0.4 + 13 * 32 + 30 * 24 + 91 * 64),
        ("gpt-realtime-2025-08-28", 55 * 4 + 64 * 0.4 + 13 * 32 + 30 * 16 + 91 * 64),
        ("gpt-realtime-2.1-mini", 55 * 0.6 + 64 * 0.06 + 13 * 10 + 30 * 2.4 + 91 * 20),
    ],
)
def test_a_report_in_detail(model: str, cost: float) -> None:
    usage = response_usage(REPORT, prices_of(model))
    assert (usage.input_tokens, usage.output_tokens, usage.cached_text_tokens) == (132, 121, 64)
    assert not usage.approximate
    assert usage.cost_usd == pytest.approx(cost / 1e6)


def test_a_model_without_known_price() -> None:
    usage = response_usage(REPORT, prices_of("my-model"))
    assert (usage.input_tokens, usage.cost_usd) == (132, None)


def test_a_report_without_details_counts_as_text() -> None:
    usage = response_usage({"input_tokens": 100, "output_tokens": 10}, prices_of("gpt-realtime-2.1"))
    assert (usage.input_text_tokens, usage.output_text_tokens, usage.approximate) == (100, 10, True)
    assert usage.cost_usd == pytest.approx((100 * 4 + 10 * 24) / 1e6)


def test_cached_tokens_without_details_are_text() -> None:
    report = {"input_tokens": 50, "output_tokens": 0, "input_token_details": {"text_tokens": 50, "cached_tokens": 80}}
    usage = response_usage(report, prices_of("gpt-realtime-2.1"))
    assert (usage.cached_text_tokens, usage.approximate) == (50, True)


@pytest.mark.parametrize(
    "report", [None, {}, {"input_tokens": "many", "output_tokens": -3}, 7, {"input_token_details": 1}]
)
def test_a_report_that_says_nothing(report: Any) -> None:
    assert response_usage(report, prices_of("gpt-realtime-2.1")) == Usage()


@pytest.mark.parametrize(
    ("report", "model", "cost"),
    [
        ({"type": "duration", "seconds": 60.0}, "gpt-transcribe", 0.0045),
        ({"type": "duration", "seconds": 30}, "gpt-live-transcribe", 0.0085),
        ({"type": "tokens", "input_tokens": 1_000, "output_tokens": 100}, "gpt-4o-transcribe", 0.0035),
        ({"type": "duration", "seconds": 60}, "other", None),
        ({"type": "duration", "seconds": "long"}, "gpt-transcribe", 0.0),
        (None, "gpt-transcribe", 0.0),
    ],
)
def test_transcription(report: Any, model: str, cost: float | None) -> None:
    assert transcription_usage(report, prices_of(model)).cost_usd == (None if cost is None else pytest.approx(cost))


def test_what_transcription_costs_is_added_to_the_next_response() -> None:
    conversation = Conversation()
    kind = "conversation.item.input_audio_transcription.completed"
    usage = {"type": "duration", "seconds": 20.0}
    conversation.give({"type": kind, "item_id": "a", "content_index": 0, "transcript": "Hi", "usage": usage})
    for _ in range(2):
        conversation.send(SendText("Hi"))
        conversation.settle()
    first, second = (done.usage for done in conversation.all(ResponseDone))
    assert (first.transcription_seconds, second.transcription_seconds) == (20.0, 0.0)
    assert first.cost_usd is not None
    assert first.cost_usd > 20 / 60 * 0.0045


def test_a_cancelled_response_costs_too() -> None:
    conversation, item = halfway()
    conversation.send(conversation.cut(item, 100))
    conversation.settle()
    usage = conversation.all(ResponseDone)[0].usage
    assert usage.output_audio_tokens > 0
    assert usage.cost_usd


def test_the_model_that_the_server_uses_counts() -> None:
    conversation = Conversation(RealtimeConfig(model="my-deployment"), start=False)
    conversation.give(conversation.inbox.popleft())
    updated = conversation.inbox.popleft()
    updated["session"]["model"] = "gpt-realtime-2.1"
    conversation.give(updated)
    conversation.send(SendText("Hi"))
    conversation.settle()
    assert conversation.all(ResponseDone)[0].usage.cost_usd
