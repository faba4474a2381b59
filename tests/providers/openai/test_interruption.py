"""Cutting the model off: what it stops, what is still heard, and what it remembers of it."""

import pytest

from tests.loopback.openai_script import Reply, tone
from tests.providers.openai.conversation import Conversation
from voicecli.commands import AppendAudio, CancelResponse, CancelScope, SendText
from voicecli.config import RealtimeConfig, ServerVAD
from voicecli.events import AudioChunk, ErrorOccurred, Interrupted, ResponseDone, SpeechStarted, TranscriptUpdate

LONG = Reply(text="one two three four five six seven eight nine ten", audio=tone(1_000))
SILENCE = AppendAudio(bytes(48 * 1_000))


def halfway(config: RealtimeConfig | None = None, *replies: Reply, **options: object) -> tuple[Conversation, str]:
    """A conversation in the middle of a reply, of which 500 ms have arrived; and the item."""
    conversation = Conversation(config, replies=replies or (LONG,), **options)  # type: ignore[arg-type]
    conversation.send(SendText("Count"))
    while len(conversation.audio) < 500 * 48:
        conversation.step()
    return conversation, conversation.all(AudioChunk)[-1].item_id


def errors(conversation: Conversation) -> list[str]:
    return [frame["error"]["code"] for frame in conversation.session.sent if frame["type"] == "error"]


def test_by_command() -> None:
    conversation, item = halfway()
    heard = len(conversation.audio)
    conversation.send(conversation.cut(item, 300))
    conversation.settle()
    kinds = [frame["type"] for frame in conversation.sent[-2:]]
    assert kinds == ["response.cancel", "conversation.item.truncate"]
    assert conversation.sent[-1]["audio_end_ms"] == 300
    assert len(conversation.audio) == heard
    assert conversation.all(ResponseDone)[0].status == "cancelled"
    (final,) = conversation.finals("assistant")
    assert final.interrupted
    assert final.text == "one two three"
    assert len(conversation.session.audio[item]) == 300 * 48
    assert not conversation.codec.busy
    assert not errors(conversation)


def test_by_the_users_voice() -> None:
    conversation, item = halfway()
    conversation.send(AppendAudio(tone(200)))
    told = conversation.deliver()
    kinds = [type(event) for event in told if isinstance(event, SpeechStarted | Interrupted | ResponseDone)]
    assert kinds == [SpeechStarted, Interrupted, ResponseDone]
    assert conversation.all(Interrupted)[0].item_id == item
    conversation.send(conversation.cut(item, 200))
    assert not conversation.sent_of("response.cancel")
    assert conversation.sent_of("conversation.item.truncate")[0]["audio_end_ms"] == 200
    conversation.send(SILENCE)
    conversation.settle()
    assert [event.status for event in conversation.all(ResponseDone)] == ["cancelled", "completed"]
    assert conversation.said("assistant")[0] == "one two"
    assert len(conversation.all(Interrupted)) == 1


def test_a_late_command_spares_the_next_reply() -> None:
    conversation, item = halfway()
    conversation.send(AppendAudio(tone(200)), SILENCE)
    conversation.step(until="response.output_audio.delta")
    conversation.send(conversation.cut(item, 200))
    conversation.settle()
    assert not conversation.sent_of("response.cancel")
    assert [event.status for event in conversation.all(ResponseDone)] == ["cancelled", "completed"]
    assert conversation.said("assistant") == ["one two", "Hello there, how are you?"]


def test_late_sound_is_dropped_and_forgotten_by_the_server() -> None:
    conversation, item = halfway(late_deltas=6)
    heard = len(conversation.audio)
    conversation.send(conversation.cut())
    conversation.settle()
    assert len(conversation.audio) == heard
    assert len(conversation.session.audio[item]) == heard
    assert not any(event.text.endswith("ten") for event in conversation.all(TranscriptUpdate))


def test_not_by_voice_when_that_is_turned_off() -> None:
    conversation, _ = halfway(RealtimeConfig(turn_detection=ServerVAD(interrupt_response=False)))
    conversation.send(AppendAudio(tone(200)))
    conversation.deliver()
    assert conversation.all(SpeechStarted)
    assert not conversation.all(Interrupted)
    conversation.settle()
    assert conversation.all(ResponseDone)[0].status == "completed"


def test_after_the_response_but_before_it_was_heard() -> None:
    conversation, item = halfway()
    conversation.settle()
    conversation.send(conversation.cut(item, 400))
    conversation.settle()
    assert not conversation.sent_of("response.cancel")
    assert len(conversation.session.audio[item]) == 400 * 48
    assert [(final.text.split()[-1], final.interrupted) for final in conversation.finals("assistant")] == [
        ("ten", False),
        ("four", True),
    ]


@pytest.mark.parametrize("played_ms", [1_000, 5_000, None])
def test_nothing_is_cut_when_all_was_heard(played_ms: int | None) -> None:
    conversation, item = halfway()
    conversation.settle()
    conversation.send(conversation.cut(item, played_ms))
    assert not conversation.sent_of("conversation.item.truncate")
    assert not conversation.sent_of("conversation.item.delete")


def test_never_more_than_was_received() -> None:
    conversation, item = halfway()
    received = len(conversation.audio) // 48
    conversation.send(conversation.cut(item, 60_000))
    assert conversation.sent_of("conversation.item.truncate")[0]["audio_end_ms"] == received


def test_what_was_not_heard_at_all_is_deleted() -> None:
    conversation, item = halfway()
    conversation.send(conversation.cut(item, 0))
    conversation.settle()
    assert item not in conversation.session.items
    assert conversation.said("assistant") == [""]


def test_items_behind_the_one_being_played_are_deleted() -> None:
    reply = Reply(text=LONG.text, audio=LONG.audio, commentary="Let me count up to ten for you now.")
    conversation, _ = halfway(None, reply)
    conversation.settle()
    first, second = dict.fromkeys(chunk.item_id for chunk in conversation.all(AudioChunk))
    conversation.send(conversation.cut(first, 500))
    conversation.settle()
    assert len(conversation.session.audio[first]) == 500 * 48
    assert second not in conversation.session.items
    assert conversation.said("assistant") == ["Let me count up", ""]


def test_a_response_without_sound_cuts_nothing_of_the_one_before() -> None:
    conversation, item = halfway()
    conversation.settle()
    conversation.send(SendText("Again"))
    conversation.step(until="response.content_part.added")
    conversation.send(conversation.cut(None, None))
    conversation.settle()
    assert len(conversation.sent_of("response.cancel")) == 1
    assert not conversation.sent_of("conversation.item.truncate")
    assert not conversation.sent_of("conversation.item.delete")
    assert len(conversation.session.audio[item]) == 1_000 * 48


def test_before_the_server_has_begun() -> None:
    conversation = Conversation()
    conversation.send(SendText("Hi"), CancelResponse())
    conversation.settle()
    assert conversation.all(ResponseDone)[0].status == "cancelled"
    assert not conversation.audio


def test_what_waited_is_cancelled_too() -> None:
    conversation, item = halfway()
    conversation.send(SendText("More"), conversation.cut(item, 100), CancelResponse())
    conversation.settle()
    assert len(conversation.sent_of("response.create")) == 1


def test_a_text_after_the_interruption_is_answered() -> None:
    conversation, item = halfway()
    conversation.send(conversation.cut(item, 100), SendText("Stop counting"))
    conversation.settle()
    assert [event.status for event in conversation.all(ResponseDone)] == ["cancelled", "completed"]


def test_a_request_overtaken_by_the_users_voice_is_withdrawn() -> None:
    conversation = Conversation()
    conversation.send(AppendAudio(tone(200)))
    conversation.send(SendText("Hi"))
    conversation.step(until="response.output_audio.delta")
    assert not conversation.audio
    conversation.send(SILENCE)
    conversation.settle()
    assert [event.status for event in conversation.all(ResponseDone)] == ["cancelled", "completed"]


def test_races_that_are_lost_are_no_errors() -> None:
    conversation, item = halfway()
    conversation.inbox.extend(conversation.session.run())  # all of it is made, and we do not know yet
    conversation.send(conversation.cut(item, 300))
    conversation.send(conversation.cut(item, 300))
    conversation.settle()
    assert errors(conversation) == ["response_cancel_not_active"]
    assert not conversation.all(ErrorOccurred)
    assert conversation.all(ResponseDone)[0].status == "cancelled"


@pytest.mark.parametrize(
    "code", ["item_truncate_invalid_item_id", "unsupported_content_type", "response_cancel_not_active", "invalid_value"]
)
def test_harmless_errors_are_swallowed(code: str) -> None:
    conversation, item = halfway()
    conversation.settle()
    conversation.send(conversation.cut(item, 300))
    conversation.deliver()
    cause = conversation.sent[-1]["event_id"]
    assert conversation.give(conversation.session.error(code, "Too late.", None, cause)) == []


def test_the_server_may_interrupt_without_a_word() -> None:
    conversation, _ = halfway()
    response_id = conversation.all(AudioChunk)[-1].response_id
    done = {"id": response_id, "status": "cancelled", "status_details": {"reason": "turn_detected"}, "output": []}
    told = conversation.give({"type": "response.done", "response": done})
    assert [type(event) for event in told] == [Interrupted, TranscriptUpdate, ResponseDone]


def test_speech_that_does_not_interrupt_is_not_waited_for() -> None:
    conversation, _ = halfway(RealtimeConfig(turn_detection=ServerVAD(interrupt_response=False)))
    conversation.send(AppendAudio(tone(200)), SILENCE)
    conversation.settle()
    assert [event.status for event in conversation.all(ResponseDone)] == ["completed"]
    assert not conversation.codec.awaiting_reply


@pytest.mark.parametrize("scope", ["reply", "playback"])
def test_a_cut_hits_the_response_that_it_names_and_no_other(scope: CancelScope) -> None:
    """The server has begun another one by the time the command comes."""
    conversation, item = halfway(None, LONG, Reply(text="Second."))
    conversation.settle()
    first = conversation.all(ResponseDone)[0].response_id
    conversation.send(AppendAudio(tone(200)), SILENCE)
    conversation.step(until="response.output_audio.delta")
    conversation.send(CancelResponse(first, item, 400, scope))
    conversation.settle()
    assert not conversation.sent_of("response.cancel")
    assert not conversation.sent_of("conversation.item.delete")
    assert [frame["item_id"] for frame in conversation.sent_of("conversation.item.truncate")] == [item]
    assert [event.status for event in conversation.all(ResponseDone)] == ["completed", "completed"]
    assert conversation.said("assistant")[-1] == "Second."


def test_a_cut_of_what_is_pending_spares_what_has_begun() -> None:
    conversation, _ = halfway()
    conversation.send(CancelResponse())
    conversation.settle()
    assert [event.status for event in conversation.all(ResponseDone)] == ["completed"]


def test_the_answer_to_a_voice_is_no_second_attempt_at_what_it_interrupts() -> None:
    conversation = Conversation(replies=[Reply(fails_with="server_error"), Reply(text="Yes?")])
    conversation.send(AppendAudio(tone(200)))
    conversation.send(SILENCE)
    conversation.send(AppendAudio(tone(200)))  # before the failure is known
    conversation.settle()
    conversation.send(SILENCE)
    conversation.settle()
    ids = [event.response_id for event in conversation.all(ResponseDone)]
    assert len(set(ids)) == len(ids) == 2
    assert conversation.said("assistant")[-1] == "Yes?"
