"""The command with a chat endpoint for its language model: what is answered, what is not, and the exit code."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.cli.conftest import Result, Voice
from tests.providers.local.loose_endpoint import Endpoint, Reply, sse


@pytest.fixture
def endpoint() -> Iterator[Endpoint]:
    with Endpoint.running() as endpoint:
        yield endpoint


def said(*texts: str, finish: str = "stop") -> Reply:
    """An answer in these deltas."""
    chunks = [{"choices": [{"index": 0, "delta": {"content": text}}]} for text in texts]
    return Reply(sse([*chunks, {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}]}]))


def ask(voice: Voice, endpoint: Endpoint, reply: Reply, *options: str) -> Result:
    endpoint.reply = lambda request: reply
    return voice("send-text", "Hi", "-p", "local", "--llm", endpoint.url, "--llm-model", "m", *options)


def events(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.lines]


THOUGHTS = ("<th", "ink>They greet me.</thi", "nk>\n\n", "Hel", "lo.", "<|im_end|>")


def test_reasoning_is_neither_shown_nor_spoken(voice: Voice, endpoint: Endpoint) -> None:
    result = ask(voice, endpoint, said(*THOUGHTS), "--json", "-o", "reply.wav")
    assert result.code == 0, result.stderr
    texts = [event["text"] for event in events(result) if event["type"] == "transcript" and event["final"]]
    assert texts == ["Hi", "Hello."]
    (done,) = (event for event in events(result) if event["type"] == "response_done")
    assert 200 < done["metrics"]["audio_ms"] < 1000  # the thought alone would be longer


REFUSAL = Reply(b'{"error": {"message": "out of memory"}}', status=500, kind="application/json", framing="length")


@pytest.mark.parametrize(
    ("reply", "code", "says"),
    [
        (REFUSAL, 4, "out of memory"),
        (said("<think>Hm."), 4, "thought, and did not answer"),
        (Reply(b'{"error": "no"}', status=401, kind="application/json", framing="length"), 3, "refuses the key"),
    ],
)
def test_what_is_no_answer(voice: Voice, endpoint: Endpoint, reply: Reply, code: int, says: str) -> None:
    result = ask(voice, endpoint, reply, "--json", "-o", "reply.wav")
    assert result.code == code, result.stdout.decode() + result.stderr
    assert says in result.stdout.decode() + result.stderr
    assert "Traceback" not in result.stderr
