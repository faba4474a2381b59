"""Tokens and what they cost."""

from typing import Any

import pytest

from tests.providers.gemini.conversation import Conversation
from voicecli.commands import SendText
from voicecli.events import ResponseDone, Usage
from voicecli.providers.gemini.usage import read_usage

FULL = {
    "promptTokenCount": 1_000,
    "promptTokensDetails": [
        {"modality": "TEXT", "tokenCount": 400},
        {"modality": "AUDIO", "tokenCount": 500},
        {"modality": "VIDEO", "tokenCount": 100},
    ],
    "cachedContentTokenCount": 200,
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 200}],
    "toolUsePromptTokenCount": 50,
    "responseTokenCount": 300,
    "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 300}],
    "thoughtsTokenCount": 30,
    "totalTokenCount": 1_300,
}


def test_tokens_by_modality() -> None:
    assert read_usage(FULL) == Usage(
        input_text_tokens=450,
        input_audio_tokens=500,
        input_image_tokens=100,
        cached_audio_tokens=200,
        output_text_tokens=30,
        output_audio_tokens=300,
        approximate=True,  # what modality a tool's tokens have was not said
    )
    exact = {key: value for key, value in FULL.items() if not key.startswith("tool")}
    assert not read_usage(exact).approximate


@pytest.mark.parametrize(
    ("metadata", "expected"),
    [
        ({}, Usage()),
        (
            {"promptTokenCount": 10, "responseTokenCount": 20},
            Usage(input_audio_tokens=10, output_audio_tokens=20, approximate=True),
        ),
        (
            {"promptTokenCount": "10", "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": "6"}]},
            Usage(input_audio_tokens=6, input_text_tokens=4, approximate=True),
        ),
        (
            {"candidatesTokenCount": 7, "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}]},
            Usage(output_audio_tokens=7),
        ),
        (
            {"promptTokenCount": 5, "promptTokensDetails": [{"modality": "AUDIO", "tokenCount": 9}]},
            Usage(input_audio_tokens=9),
        ),
        ({"promptTokensDetails": [{"modality": "SMELL", "tokenCount": 3}]}, Usage(input_text_tokens=3)),
    ],
)
def test_counts_that_do_not_add_up(metadata: dict[str, Any], expected: Usage) -> None:
    assert read_usage(metadata) == expected


@pytest.mark.parametrize(
    "metadata",
    [
        {"promptTokenCount": -1},
        {"promptTokenCount": 1.5},
        {"promptTokenCount": True},
        {"promptTokenCount": "many"},
        {"promptTokenCount": 10**30},
        {"promptTokensDetails": {}, "responseTokensDetails": "x"},
        {"promptTokensDetails": ["x"]},
    ],
)
def test_counts_that_are_none_cost_no_answer(metadata: dict[str, Any]) -> None:
    assert read_usage(metadata).input_text_tokens == 0


def test_the_cost_of_a_reply() -> None:
    talk = Conversation()
    talk.send(SendText("Hi."))
    talk.tell(
        {"usageMetadata": FULL}, {"serverContent": {"turnComplete": True}, "usageMetadata": {"thoughtsTokenCount": 70}}
    )
    (done,) = talk.of(ResponseDone)
    assert done.usage.output_text_tokens == 100
    dollars = 450 * 0.75 + 500 * 3.0 + 100 * 1.0 + 100 * 4.5 + 300 * 12.0
    assert done.usage.cost_usd == pytest.approx(dollars / 1e6)
    talk.send(SendText("Again."))
    talk.tell({"serverContent": {"turnComplete": True}})
    assert talk.of(ResponseDone)[1].usage == Usage()


def test_the_cost_of_an_unknown_model_is_unknown() -> None:
    from tests.providers.gemini.conversation import make_codec

    codec = make_codec(model="gemini-9-live")
    codec.open()
    codec.receive(b'{"setupComplete":{}}')
    codec.send(SendText("Hi."))
    events = codec.receive(b'{"usageMetadata":{"promptTokenCount":5},"serverContent":{"turnComplete":true}}')
    assert isinstance(events[-1], ResponseDone)
    assert events[-1].usage.cost_usd is None
