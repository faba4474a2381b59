"""The notice that the account may soon use no more: once, until it may again."""

from typing import Any

import pytest

from tests.loopback.openai_script import Reply, tone
from tests.providers.openai.conversation import Conversation
from voicecli.commands import SendText
from voicecli.events import Notice


def limits(*entries: dict[str, Any]) -> dict[str, Any]:
    return {"type": "rate_limits.updated", "event_id": "e", "rate_limits": list(entries)}


def tokens(remaining: object, limit: object = 200_000, reset_seconds: object = 12.4) -> dict[str, Any]:
    return {"name": "tokens", "limit": limit, "remaining": remaining, "reset_seconds": reset_seconds}


def requests(remaining: int) -> dict[str, Any]:
    return {"name": "requests", "limit": 400, "remaining": remaining, "reset_seconds": 60}


def told(conversation: Conversation) -> list[str]:
    return [notice.message for notice in conversation.all(Notice) if notice.code == "rate_limit_near"]


def test_it_is_said_once_until_it_has_recovered() -> None:
    conversation = Conversation()
    conversation.give(limits(tokens(150_000), requests(399)), limits(tokens(10_001)))
    assert not told(conversation)
    conversation.give(limits(tokens(9_000)))
    (message,) = told(conversation)
    for part in ("OpenAI", "tokens", "9,000", "200,000", "13 s"):
        assert part in message
    conversation.give(limits(tokens(0)), limits(tokens(60_000)), limits(tokens(5_000)))
    assert len(told(conversation)) == 1, "it fills and empties with each reply"
    conversation.give(limits(tokens(150_000)), limits(tokens(5_000)))
    assert len(told(conversation)) == 2


def test_each_limit_is_said_for_itself() -> None:
    conversation = Conversation()
    conversation.give(limits(requests(3), tokens(2_000)), limits(requests(2), tokens(1_000)))
    assert ["requests" in message for message in told(conversation)] == [True, False]


def test_a_limit_that_the_next_reply_would_use_up() -> None:
    conversation = Conversation(replies=[Reply(text="Long.", audio=tone(4_000))])
    conversation.session.limits = [tokens(60, limit=300)]  # the reply takes some 90, and the next as many again
    conversation.send(SendText("Tell me", "t"))
    conversation.settle()
    assert len(told(conversation)) == 1
    conversation.session.limits = [tokens(160, limit=300)]
    conversation.send(SendText("More", "u"))
    conversation.settle()
    conversation.give(limits(tokens(60, limit=300)))
    assert len(told(conversation)) == 1, "two more replies would not fit either"


def test_it_is_not_said_again_on_a_new_socket() -> None:
    conversation = Conversation()
    conversation.give(limits(tokens(10)))
    conversation.dial()
    conversation.give(limits(tokens(10)))
    assert len(told(conversation)) == 1


@pytest.mark.parametrize(
    "entry",
    [
        tokens(None),
        tokens(1, limit=0),
        tokens(1, limit=None),
        tokens("few"),
        tokens(True),
        {"name": "colour", "limit": 10, "remaining": 0},
        {},
        {"name": ["tokens"], "limit": 10, "remaining": 0},
    ],
)
def test_what_cannot_be_understood_says_nothing(entry: dict[str, Any]) -> None:
    conversation = Conversation()
    conversation.give(limits(entry), {"type": "rate_limits.updated", "rate_limits": "none"})
    assert not told(conversation)


@pytest.mark.parametrize("reset_s", [None, "soon", 0, float("inf"), -1, True])
def test_a_time_that_is_none_is_left_out(reset_s: object) -> None:
    conversation = Conversation()
    conversation.give(limits(tokens(-5, reset_seconds=reset_s)))
    (message,) = told(conversation)
    assert message.endswith(", 0 are left.")
