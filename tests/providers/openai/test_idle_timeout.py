"""Silence that the server makes an item of, and speaks up after: no turn of the user's."""

import pytest

from tests.loopback.openai_script import Reply, tone
from tests.providers.openai.conversation import Conversation
from voicecli.commands import AppendAudio, SendText
from voicecli.config import RealtimeConfig, ServerVAD
from voicecli.events import Notice, ResponseDone, ResponseStarted, SpeechStarted, TranscriptUpdate

TRIGGERED = "input_audio_buffer.timeout_triggered"
CONFIG = RealtimeConfig(turn_detection=ServerVAD(idle_timeout_ms=5_000))
SILENCE = AppendAudio(bytes(48 * 1_000))


def asked(hears: str = "Thank you.") -> Conversation:
    """A question was answered; what comes now is silence."""
    replies = [Reply(text="Fine."), Reply(text="Still there?")]
    conversation = Conversation(CONFIG, replies=replies, hears=["How are you?", hears])
    conversation.send(AppendAudio(tone(200)), SILENCE)
    conversation.settle()
    return conversation


def be_silent(conversation: Conversation) -> str:
    """Returns the item that the server made of it."""
    conversation.send(*[SILENCE] * 6)
    return next(str(frame["item_id"]) for frame in conversation.inbox if frame["type"] == TRIGGERED)


@pytest.mark.parametrize("hears", ["Thank you.", ""], ids=["words", "no words"])
def test_the_server_speaks_up_and_the_user_said_nothing(hears: str) -> None:
    conversation = asked(hears)
    item_id = be_silent(conversation)
    conversation.settle()
    assert conversation.said("user") == ["How are you?"]
    assert conversation.said("assistant") == ["Fine.", "Still there?"]
    assert item_id not in {update.item_id for update in conversation.all(TranscriptUpdate)}
    assert len(conversation.all(SpeechStarted)) == 1
    assert [done.status for done in conversation.all(ResponseDone)] == ["completed"] * 2
    assert not conversation.all(Notice)
    assert not conversation.codec.busy


def test_its_transcription_costs_all_the_same() -> None:
    conversation = asked()
    be_silent(conversation)
    conversation.settle()
    conversation.send(SendText("Bye", "bye"))
    conversation.settle()
    seconds = [done.usage.transcription_seconds for done in conversation.all(ResponseDone)]
    assert sum(seconds) > 5


def test_the_reply_is_waited_for() -> None:
    conversation = asked()
    be_silent(conversation)
    while conversation.inbox[0]["type"] != "response.created":
        conversation.give(conversation.inbox.popleft())
    assert conversation.codec.awaiting_reply
    assert len(conversation.all(ResponseStarted)) == 1


def test_nothing_of_it_outlives_the_socket() -> None:
    conversation = asked()
    be_silent(conversation)
    while conversation.inbox[0]["type"] != "response.created":
        conversation.give(conversation.inbox.popleft())
    conversation.dial()
    assert not conversation.codec.awaiting_reply
    assert not conversation.sent_of("response.create"), "nobody asked"
    assert not conversation.sent_of("input_audio_buffer.commit")
    items = [frame["item"]["content"] for frame in conversation.sent_of("conversation.item.create")]
    assert [content[0]["text"] for content in items] == ["How are you?", "Fine."]


def test_the_next_turn_is_one_again() -> None:
    conversation = asked()
    be_silent(conversation)
    conversation.settle()
    conversation.hears.append("Yes, I am.")
    conversation.send(AppendAudio(tone(200)), SILENCE)
    conversation.settle()
    assert conversation.said("user") == ["How are you?", "Yes, I am."]
    assert len(conversation.all(ResponseDone)) == 3


def test_without_a_name_it_is_as_before() -> None:
    conversation = asked()
    conversation.give({"type": TRIGGERED, "event_id": "e", "audio_start_ms": 0, "audio_end_ms": 9})
    conversation.give({"type": TRIGGERED, "event_id": "e", "item_id": 7})
    assert not conversation.codec.busy
