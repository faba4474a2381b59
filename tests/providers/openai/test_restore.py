"""A lost socket: what the next one is told, and that nothing said is lost or said twice."""

import pytest

from tests.loopback.openai_script import Reply, tone
from tests.providers.openai.conversation import WEATHER, Conversation
from tests.providers.openai.test_interruption import halfway
from tests.providers.openai.test_tools import ONE, TWO
from tests.support.settings import config_of
from voicecli.commands import AppendAudio, EndTurn, SendImage, SendText, StartTurn, ToolResult
from voicecli.config import RealtimeConfig, ServerVAD, VADMode
from voicecli.events import (
    CONNECTION_LOST,
    ErrorOccurred,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    ToolCallRequest,
)
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.transcript import Turn

SILENCE = AppendAudio(bytes(48 * 1_000))
BY_KEY = RealtimeConfig(vad_mode=VADMode.NONE)


def seeds(conversation: Conversation) -> list[tuple[str, str]]:
    """The transcript in the items that the socket was told of."""
    told = []
    for frame in conversation.sent_of("conversation.item.create"):
        item = frame["item"]
        text = item["content"][0].get("text", "") if "content" in item else item.get("arguments", item.get("output"))
        told.append((item.get("role", item["type"]), text))
    return told


def test_all_that_was_said_is_told_again_as_text() -> None:
    conversation = Conversation(hears=["Hello?"], replies=[Reply(text="Hi."), Reply(text="Four.")])
    conversation.send(AppendAudio(tone(400)), SILENCE)
    conversation.settle()
    conversation.send(SendText("Two and two?"))
    conversation.settle()
    conversation.dial()
    assert seeds(conversation) == [
        ("user", "Hello?"),
        ("assistant", "Hi."),
        ("user", "Two and two?"),
        ("assistant", "Four."),
    ]
    assert not conversation.sent_of("response.create")
    assert conversation.all(SessionStarted)[1].resumed


def test_only_what_was_heard_of_a_reply_is_told_again() -> None:
    conversation, item = halfway()
    conversation.settle()
    conversation.send(conversation.cut(item, 300))
    conversation.dial()
    assert seeds(conversation) == [("user", "Count"), ("assistant", "one two three")]


def test_an_earlier_conversation_is_told_at_the_start() -> None:
    history = [Turn("user", "x", "I am Ann.", True), Turn("tool", "c", "1", True, name="f", arguments="{}")]
    conversation = Conversation(history=history)
    assert seeds(conversation) == [("user", "I am Ann."), ("function_call", "{}"), ("function_call_output", "1")]
    assert not conversation.all(SessionStarted)[0].resumed
    assert not conversation.sent_of("response.create")


def test_of_a_very_long_conversation_the_latest_is_told() -> None:
    history = [Turn("user", f"{n}", f"{n} " * 4_000, True) for n in range(1, 10)]
    told = seeds(Conversation(history=history))
    assert [text.split()[0] for _, text in told] == ["3", "4", "5", "6", "7", "8", "9"]


def test_a_text_without_reply_is_answered_under_the_same_response() -> None:
    conversation = Conversation(replies=[Reply(), Reply(text="Here I am.")])
    conversation.send(SendText("Hi"))
    conversation.step(until="response.content_part.added")
    conversation.dial()
    assert seeds(conversation) == [("user", "Hi")]
    assert [event.status for event in conversation.all(ResponseDone)] == ["completed"]
    assert len(conversation.all(ResponseStarted)) == 1
    assert conversation.said("assistant") == ["Here I am."]


def test_a_text_whose_reply_was_not_begun_is_answered_once() -> None:
    conversation = Conversation()
    conversation.send(SendText("Hi"))
    conversation.dial(deliver=False)
    conversation.dial()  # even when the next socket breaks before it is ready
    assert len(conversation.sent_of("response.create")) == 1
    assert len(conversation.all(ResponseDone)) == 1


def test_a_reply_cut_by_the_loss_is_final_and_not_asked_for_again() -> None:
    conversation, _ = halfway()
    conversation.dial()
    (done,) = conversation.all(ResponseDone)
    assert (done.status, done.reason) == ("incomplete", CONNECTION_LOST)
    (final,) = conversation.finals("assistant")
    assert final.interrupted
    assert final.text.startswith("one two three four")
    assert seeds(conversation) == [("user", "Count"), ("assistant", final.text)]
    assert not conversation.sent_of("response.create")


def test_the_end_of_a_reply_is_told_even_when_the_next_socket_breaks_too() -> None:
    conversation, _ = halfway()
    conversation.dial(deliver=False)
    told = conversation.codec.receive(b'{"type":"session.created"}')
    assert told == []  # nobody takes what a socket tells that breaks before it is ready
    conversation.dial()
    assert [done.status for done in conversation.all(ResponseDone)] == ["incomplete"]
    assert len(conversation.finals("assistant")) == 1


def test_a_reply_cut_by_the_loss_and_by_the_user_is_cancelled() -> None:
    conversation, item = halfway()
    conversation.send(conversation.cut(item, 100))
    conversation.dial()
    assert [done.status for done in conversation.all(ResponseDone)] == ["cancelled"]
    assert not conversation.sent_of("response.create")


def test_a_turn_in_the_middle_is_heard_from_its_beginning() -> None:
    conversation = Conversation(hears=["A long sentence."])
    spoken = [tone(20, level=3_000 + n) for n in range(100)]
    for chunk in spoken[:60]:
        conversation.send(AppendAudio(chunk))
        conversation.deliver()
    conversation.dial()
    for chunk in spoken[60:]:
        conversation.send(AppendAudio(chunk))
    conversation.send(SILENCE)
    conversation.settle()
    heard = next(iter(conversation.session.audio.values()))
    assert b"".join(spoken) in heard
    assert conversation.said("user") == ["A long sentence."]
    assert len(conversation.all(ResponseDone)) == 1


def test_a_turn_in_the_middle_survives_two_losses() -> None:
    conversation = Conversation(BY_KEY)
    spoken = [tone(100, level=3_000 + n) for n in range(30)]
    conversation.send(StartTurn())
    for number, chunk in enumerate(spoken):
        conversation.send(AppendAudio(chunk))
        if number in (10, 20):
            conversation.dial()
    conversation.send(EndTurn())
    conversation.settle()
    assert next(iter(conversation.session.audio.values())) == b"".join(spoken)


def test_an_onset_the_server_could_not_report_any_more_is_heard() -> None:
    conversation = Conversation(hears=["Yes."])
    conversation.send(AppendAudio(tone(200)))
    conversation.dial()
    conversation.send(SILENCE)
    conversation.settle()
    assert conversation.said("user") == ["Yes."]


@pytest.mark.parametrize("config", [RealtimeConfig(), BY_KEY])
@pytest.mark.parametrize("delivered", [True, False])
def test_a_turn_without_transcript_and_reply_is_sent_again(config: RealtimeConfig, delivered: bool) -> None:
    conversation = Conversation(config)
    conversation.send(AppendAudio(tone(200)))
    conversation.send(AppendAudio(bytes(48 * 600)) if config is not BY_KEY else EndTurn())
    while delivered and conversation.inbox[0]["type"] != "response.created":
        conversation.give(conversation.inbox.popleft())
    conversation.hears.append("What time is it?")
    conversation.dial()
    assert [turn.text for turn in conversation.transcript.turns] == ["What time is it?", "Hello there, how are you?"]
    assert [final.text for final in conversation.finals("user")] == ["What time is it?"]
    assert len(conversation.all(ResponseDone)) == 1
    assert not conversation.codec.busy


def test_turn_detection_rests_while_a_turn_is_sent_again() -> None:
    conversation = Conversation()
    conversation.send(AppendAudio(tone(400)), SILENCE)
    while conversation.inbox[0]["type"] != "response.created":
        conversation.give(conversation.inbox.popleft())
    conversation.dial()
    first, second = conversation.sent_of("session.update")
    assert first["session"]["audio"]["input"]["turn_detection"] is None
    assert second["session"]["audio"]["input"]["turn_detection"]["type"] == "server_vad"
    assert conversation.session.config["audio"]["input"]["turn_detection"]["silence_duration_ms"] == 500
    conversation.send(AppendAudio(tone(400)), SILENCE)
    conversation.settle()
    assert len(conversation.all(ResponseDone)) == 2


def test_a_turn_answered_but_not_transcribed_is_transcribed_in_its_place() -> None:
    conversation = Conversation(transcribe="done", replies=[Reply(text="At six.")])
    conversation.send(AppendAudio(tone(400)), SILENCE)
    conversation.step(until="response.output_audio_transcript.done")
    conversation.hears.append("When?")
    conversation.dial()
    assert [turn.text for turn in conversation.transcript.turns] == ["When?", "At six."]
    assert not conversation.sent_of("response.create")
    order = [frame["type"] for frame in conversation.sent if frame["type"] != "input_audio_buffer.append"]
    assert order[1:3] == ["input_audio_buffer.commit", "conversation.item.create"]


def test_without_transcription_only_an_unanswered_turn_is_sent_again() -> None:
    conversation = Conversation(config_of(OpenAISettings, vad_mode=VADMode.NONE, transcription_model="none"))
    conversation.send(AppendAudio(tone(400)), EndTurn())
    conversation.dial()
    assert len(conversation.sent_of("input_audio_buffer.commit")) == 1
    assert len(conversation.all(ResponseDone)) == 1
    conversation.dial()
    assert not conversation.sent_of("input_audio_buffer.commit")


def test_calls_and_results_are_told_as_pairs() -> None:
    conversation = Conversation(tools=[WEATHER], replies=[TWO, Reply(text="Rain.")])
    conversation.send(SendText("The weather?"))
    conversation.settle()
    conversation.send(ToolResult("c1", "one"))
    conversation.dial()
    assert seeds(conversation)[1:] == [("function_call", "{}"), ("function_call_output", "one")]
    assert not conversation.sent_of("response.create")
    assert conversation.codec.busy
    conversation.send(ToolResult("c2", "two"))
    conversation.settle()
    assert seeds(conversation)[3:] == [("function_call", "{}"), ("function_call_output", "two")]
    assert conversation.said("assistant") == ["Rain."]
    assert len(conversation.all(ToolCallRequest)) == 2


def test_results_whose_reply_was_lost_are_answered() -> None:
    conversation = Conversation(tools=[WEATHER], replies=[ONE, Reply(), Reply(text="Rain.")])
    conversation.send(SendText("The weather?"))
    conversation.settle()
    conversation.send(ToolResult("c1", "wet"))
    conversation.dial()
    assert conversation.said("assistant") == ["Rain."]
    assert not conversation.all(ErrorOccurred)


def test_results_that_came_before_the_response_was_over() -> None:
    conversation = Conversation(tools=[WEATHER], replies=[ONE, Reply(text="Rain.")])
    conversation.send(SendText("The weather?"))
    conversation.step(until="response.output_item.done")
    conversation.send(ToolResult("c1", "wet"))
    conversation.dial()
    assert [done.status for done in conversation.all(ResponseDone)] == ["incomplete", "completed"]
    assert conversation.said("assistant") == ["Rain."]


def test_a_picture_without_reply_is_shown_again() -> None:
    conversation = Conversation()
    conversation.send(SendImage(b"\xff\xd8", "image/jpeg"), SendText("What is it?"))
    conversation.dial()
    contents = [item["item"]["content"][0]["type"] for item in conversation.sent_of("conversation.item.create")]
    assert sorted(contents) == ["input_image", "input_text"]
    conversation.dial()
    assert seeds(conversation)[0] == ("user", "What is it?")
    assert len(conversation.sent_of("conversation.item.create")) == 2


def test_what_was_not_transcribed_in_time_is_closed() -> None:
    conversation = Conversation(transcribe="done")
    conversation.give({"type": "input_audio_buffer.committed", "item_id": "a"})
    kind = "conversation.item.input_audio_transcription.delta"
    conversation.give({"type": kind, "item_id": "b", "content_index": 0, "delta": "half a"})
    conversation.dial()
    assert [(final.item_id, final.text) for final in conversation.finals("user")] == [("a", ""), ("b", "half a")]


def test_no_memory_grows_with_a_user_who_says_nothing() -> None:
    conversation = Conversation()
    for _ in range(200):
        conversation.codec.send(AppendAudio(bytes(4_800)))
        conversation.codec.data_to_send()
    conversation.dial()
    again = conversation.sent_of("input_audio_buffer.append")
    assert sum(len(frame["audio"]) for frame in again) <= 48 * 1_100 * 4 / 3


def test_a_turn_that_has_its_transcript_is_told_as_text() -> None:
    conversation = Conversation(hears=["What time is it?"], transcribe="commit")
    conversation.send(AppendAudio(tone(200)), AppendAudio(bytes(48 * 600)))
    while conversation.inbox[0]["type"] != "response.created":
        conversation.give(conversation.inbox.popleft())
    conversation.dial()
    assert seeds(conversation) == [("user", "What time is it?")]
    assert not conversation.sent_of("input_audio_buffer.commit")
    assert len(conversation.sent_of("response.create")) == 1


def test_a_user_in_the_middle_of_a_turn_is_not_talked_over() -> None:
    conversation = Conversation()
    conversation.send(AppendAudio(tone(200)))
    conversation.deliver()
    conversation.send(SendText("And quickly"))
    conversation.dial(deliver=False)
    conversation.deliver()
    assert not conversation.sent_of("response.create")
    conversation.send(SILENCE)
    conversation.settle()
    assert len(conversation.all(ResponseDone)) == 1


def test_a_reply_that_waits_to_be_asked_for_again_can_be_cancelled() -> None:
    conversation = Conversation(RealtimeConfig(turn_detection=ServerVAD(interrupt_response=False)))
    conversation.send(SendText("Hi"))
    conversation.step(until="response.content_part.added")
    conversation.send(AppendAudio(tone(200)))
    conversation.deliver()
    conversation.dial(deliver=False)
    conversation.deliver()
    conversation.send(conversation.cut(), SILENCE)
    conversation.settle()
    assert [done.status for done in conversation.all(ResponseDone)] == ["cancelled", "completed"]


def known(conversation: Conversation) -> list[tuple[str, str]]:
    """The transcript in the server's memory."""
    items = conversation.session.items.values()
    return [(item["role"], item["content"][0].get("text", "")) for item in items if item["type"] == "message"]


@pytest.mark.parametrize(
    ("played_ms", "heard"),
    [(200, [("assistant", "one two")]), (0, []), (500, [("assistant", "one two three four five")])],
)
def test_of_a_reply_that_goes_on_sounding_over_a_lost_socket_only_what_was_heard_is_known(
    played_ms: int, heard: list[tuple[str, str]]
) -> None:
    conversation, item = halfway()
    conversation.dial()
    conversation.send(SendText("And then?"))
    conversation.deliver()
    conversation.send(conversation.cut(item, played_ms))
    conversation.deliver()
    assert known(conversation)[:3] == [("user", "Count"), *heard, ("user", "And then?")]
    assert (conversation.said("assistant")[0], conversation.finals("assistant")[-1].interrupted) == (
        heard[0][1] if heard else "",
        True,
    )
    conversation.dial()
    assert [seed for seed in seeds(conversation) if seed[0] == "assistant"] == heard, "and on the next socket"


def test_what_the_next_socket_is_not_told_of_yet_needs_no_cut_there() -> None:
    conversation, item = halfway()
    conversation.dial(deliver=False)
    conversation.send(conversation.cut(item, 200))
    conversation.deliver()
    assert not conversation.sent_of("conversation.item.delete")
    assert known(conversation)[1] == ("assistant", "one two")
