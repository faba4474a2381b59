"""Turns of the user: by voice, by key, by text, with pictures; and what was said in them."""

import json

import pytest

from tests.loopback.openai_script import Reply, tone
from tests.providers.openai.conversation import Conversation
from tests.support.settings import config_of
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    EndTurn,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
)
from voicecli.config import RealtimeConfig, SemanticVAD, ServerVAD, VADMode
from voicecli.events import (
    AudioChunk,
    Notice,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    TranscriptUpdate,
)
from voicecli.ports import Expiring
from voicecli.providers.openai.settings import OpenAISettings

SILENCE = AppendAudio(bytes(48 * 1_000))


def speak(conversation: Conversation, ms: int = 600) -> None:
    for _ in range(ms // 20):
        conversation.send(AppendAudio(tone(20)))


def test_started_only_after_the_update_was_accepted() -> None:
    conversation = Conversation(start=False)
    assert conversation.codec.awaiting_reply
    conversation.give(conversation.inbox.popleft())
    assert not conversation.all(SessionStarted)
    conversation.settle()
    assert conversation.all(Expiring) == [Expiring(3_600)]
    (started,) = conversation.all(SessionStarted)
    assert (started.model, started.voice, started.resumed) == ("gpt-realtime-2.1", "marin", False)
    assert not conversation.codec.awaiting_reply
    assert not conversation.codec.busy
    assert [frame["type"] for frame in conversation.sent] == ["session.update"]


def test_a_turn_by_voice() -> None:
    conversation = Conversation(hears=["How are you?"], replies=[Reply(text="Fine, thanks.")])
    speak(conversation)
    conversation.deliver()
    assert conversation.codec.busy
    conversation.send(SILENCE)
    conversation.settle()
    order = [type(event) for event in conversation.events if not isinstance(event, AudioChunk | TranscriptUpdate)]
    assert order == [Expiring, SessionStarted, SpeechStarted, SpeechStopped, ResponseStarted, ResponseDone]
    assert [turn.text for turn in conversation.transcript.turns] == ["How are you?", "Fine, thanks."]
    assert conversation.audio == Reply().sound("Fine, thanks.")
    assert not conversation.sent_of("response.create")
    assert not conversation.codec.busy


@pytest.mark.parametrize("transcribe", ["commit", "reply", "done"])
def test_the_user_stands_before_the_reply_whenever_the_transcript_comes(transcribe: str) -> None:
    conversation = Conversation(hears=["One?", "Three?"], transcribe=transcribe)
    for _ in range(2):
        speak(conversation)
        conversation.send(SILENCE)
        conversation.settle()
    assert [turn.role for turn in conversation.transcript.turns] == ["user", "assistant"] * 2
    assert conversation.said("user") == ["One?", "Three?"]


@pytest.mark.parametrize("cancelled", [False, True])
def test_a_turn_that_ends_before_the_answer_to_the_last_one_begins_is_answered_too(cancelled: bool) -> None:
    conversation = Conversation(
        RealtimeConfig(vad_mode=VADMode.CLIENT), replies=[Reply(text="One."), Reply(text="Two.")]
    )
    for input_id in ("first", "second"):
        conversation.send(StartTurn())
        speak(conversation)
        conversation.send(EndTurn(input_id))
    while not (started := conversation.all(ResponseStarted)):
        conversation.give(conversation.inbox.popleft())
    if cancelled:
        conversation.send(CancelResponse(started[0].response_id))
    conversation.settle()
    assert [event.answers for event in conversation.all(ResponseStarted)] == [("first",), ("second",)]
    assert [event.status for event in conversation.all(ResponseDone)][1:] == ["completed"]
    assert len(conversation.sent_of("response.create")) == 2


def test_transcripts_out_of_order() -> None:
    conversation = Conversation()
    for item_id in ("a", "b"):
        conversation.give({"type": "input_audio_buffer.committed", "item_id": item_id})
    for item_id, said in (("b", "second"), ("a", "first")):
        conversation.give(_completed(item_id, said))
    assert conversation.said("user") == ["first", "second"]


def test_deltas_are_replaced_by_the_transcript_and_nothing_comes_after_it() -> None:
    conversation = Conversation()
    kind = "conversation.item.input_audio_transcription.delta"
    delta = {"type": kind, "item_id": "a", "content_index": 0, "delta": "helo"}
    conversation.give(delta)
    conversation.give(_completed("a", " Hello. "), _completed("a", "Hello."), delta)
    assert [(update.text, update.final) for update in conversation.all(TranscriptUpdate)] == [
        ("", False),
        ("helo", False),
        ("Hello.", True),
    ]


def test_a_failed_transcription_is_a_notice_and_the_turn_goes_on() -> None:
    conversation = Conversation(hears=[""])
    speak(conversation)
    conversation.send(SILENCE)
    conversation.settle()
    assert [notice.code for notice in conversation.all(Notice)] == ["transcription_failed"]
    assert [update.text for update in conversation.finals("user")] == [""]
    assert conversation.all(ResponseDone)[0].status == "completed"


def test_without_transcription_nobody_is_told_of_the_users_words() -> None:
    conversation = Conversation(config_of(OpenAISettings, transcription_model="none"))
    speak(conversation)
    conversation.send(SILENCE)
    conversation.settle()
    assert {update.role for update in conversation.all(TranscriptUpdate)} == {"assistant"}


def test_silence_ends_the_turn_and_comes_in_no_burst() -> None:
    conversation = Conversation(RealtimeConfig(turn_detection=ServerVAD(silence_duration_ms=700)))
    speak(conversation)
    appended = len(conversation.sent_of("input_audio_buffer.append"))
    conversation.send(EndTurn())
    assert len(conversation.sent_of("input_audio_buffer.append")) == appended
    conversation.send(SILENCE)
    conversation.settle()
    assert conversation.all(SpeechStopped)
    assert conversation.all(ResponseDone)
    assert not conversation.sent_of("input_audio_buffer.commit")


def test_semantic_turn_detection_is_ended_by_a_commit() -> None:
    conversation = Conversation(RealtimeConfig(turn_detection=SemanticVAD(eagerness="low")))
    speak(conversation)
    conversation.send(EndTurn())
    conversation.settle()
    assert len(conversation.sent_of("input_audio_buffer.commit")) == 1
    assert len(conversation.sent_of("response.create")) == 1
    assert len(conversation.all(ResponseDone)) == 1


def test_semantic_turn_detection_that_heard_nothing_is_not_answered() -> None:
    conversation = Conversation(RealtimeConfig(turn_detection=SemanticVAD()))
    conversation.send(SILENCE, EndTurn())
    conversation.settle()
    assert not conversation.sent_of("response.create")
    assert not conversation.codec.busy


def test_turns_that_the_server_leaves_unanswered_are_answered_on_end_turn() -> None:
    config = RealtimeConfig(turn_detection=ServerVAD(create_response=False, interrupt_response=False))
    conversation = Conversation(config)
    speak(conversation)
    conversation.send(SILENCE)
    conversation.settle()
    assert not conversation.all(ResponseStarted)
    conversation.send(EndTurn())
    conversation.settle()
    assert len(conversation.all(ResponseDone)) == 1
    speak(conversation)
    conversation.send(EndTurn(), SILENCE)
    conversation.settle()
    assert len(conversation.all(ResponseDone)) == 2


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
def test_a_turn_by_key(mode: VADMode) -> None:
    conversation = Conversation(RealtimeConfig(vad_mode=mode), hears=["Hi."])
    conversation.send(StartTurn())
    speak(conversation)
    conversation.send(EndTurn())
    conversation.settle()
    kinds = [frame["type"] for frame in conversation.sent if "append" not in frame["type"]]
    assert kinds == ["session.update", "input_audio_buffer.commit", "response.create"]
    assert [turn.role for turn in conversation.transcript.turns] == ["user", "assistant"]
    (item_id, audio) = next(iter(conversation.session.audio.items()))
    assert audio == tone(20) * 30, item_id


def test_a_turn_that_is_too_short_is_dropped_and_said() -> None:
    conversation = Conversation(RealtimeConfig(vad_mode=VADMode.NONE))
    conversation.send(StartTurn(), AppendAudio(tone(60)), EndTurn())
    conversation.settle()
    assert [notice.code for notice in conversation.all(Notice)] == ["no_speech"]
    assert not conversation.sent_of("input_audio_buffer.commit")
    assert not conversation.codec.busy


def test_starting_again_forgets_what_was_left_over() -> None:
    conversation = Conversation(RealtimeConfig(vad_mode=VADMode.NONE))
    conversation.send(StartTurn(), AppendAudio(tone(300)), StartTurn(), AppendAudio(tone(200)))
    conversation.send(ClearAudio(), AppendAudio(tone(120)), EndTurn())
    conversation.settle()
    assert next(iter(conversation.session.audio.values())) == tone(120)


def test_a_turn_by_text_under_its_own_name() -> None:
    conversation = Conversation(replies=[Reply(text="Four.")])
    conversation.send(SendText("Two and two?", "mine"))
    conversation.settle()
    assert conversation.session.items["mine"]["content"] == [{"type": "input_text", "text": "Two and two?"}]
    assert conversation.said("assistant") == ["Four."]
    assert not conversation.finals("user")


def test_a_name_that_is_too_long_for_the_server_is_replaced() -> None:
    conversation = Conversation()
    conversation.send(SendText("Hi", "x" * 33))
    conversation.settle()
    assert len(conversation.all(ResponseDone)) == 1


def test_an_answer_in_writing() -> None:
    conversation = Conversation(RealtimeConfig(output="text"), replies=[Reply(text="Four of them.")])
    conversation.send(SendText("How many?"))
    conversation.settle()
    assert conversation.said("assistant") == ["Four of them."]
    assert not conversation.audio


def test_a_picture_goes_with_the_next_turn() -> None:
    conversation = Conversation()
    conversation.send(SendImage(b"\x89PNG", "image/png"))
    assert not conversation.sent_of("response.create")
    conversation.send(SendText("What is it?"))
    conversation.settle()
    picture = conversation.sent_of("conversation.item.create")[0]["item"]["content"][0]
    assert picture == {"type": "input_image", "image_url": "data:image/png;base64,iVBORw==", "detail": "auto"}


def test_every_sample_arrives_whatever_the_deltas() -> None:
    sound = bytes(range(256)) * 40
    conversation = Conversation(replies=[Reply(audio=sound, delta_bytes=333, commentary="Well")])
    conversation.send(SendText("Go"))
    conversation.settle()
    assert conversation.audio == sound * 2
    assert all(len(chunk.audio) % 2 == 0 for chunk in conversation.all(AudioChunk))


def test_names_of_the_beta_are_understood() -> None:
    renamed = {
        "response.output_audio.delta": "response.audio.delta",
        "response.output_audio_transcript.delta": "response.audio_transcript.delta",
        "response.output_audio_transcript.done": "response.audio_transcript.done",
        "conversation.item.added": "conversation.item.created",
    }
    conversation = Conversation(hears=["Hello?"], replies=[Reply(text="Old friend.")])
    speak(conversation)
    conversation.send(SILENCE)
    frames = list(conversation.inbox) + conversation.session.run()
    for frame in frames:
        conversation.give(frame | {"type": renamed.get(frame["type"], frame["type"])})
    assert [turn.text for turn in conversation.transcript.turns] == ["Hello?", "Old friend."]
    assert conversation.audio == Reply().sound("Old friend.")


def test_a_letter_cut_in_two_by_a_delta() -> None:
    conversation = Conversation()
    conversation.send(SendText("Smile"))
    ids = {"response_id": "r", "item_id": "i", "output_index": 0, "content_index": 0}
    for half in ("\ud83d", "\ude00"):
        told = conversation.codec.receive(
            json.dumps({"type": "response.output_audio_transcript.delta", **ids, "delta": half}).encode()
        )
    (update,) = told
    assert isinstance(update, TranscriptUpdate)
    assert update.text == "\U0001f600"


def _completed(item_id: str, said: str) -> dict[str, object]:
    kind = "conversation.item.input_audio_transcription.completed"
    return {"type": kind, "item_id": item_id, "content_index": 0, "transcript": said, "usage": None}


def test_speech_that_is_reported_after_the_microphone_was_lost_ends_nevertheless() -> None:
    """Semantic detection waits for audio that no longer comes."""
    conversation = Conversation(RealtimeConfig(turn_detection=SemanticVAD()), hears=["Hello?"])
    conversation.send(AppendAudio(tone(400)), PauseAudio())
    assert not conversation.sent_of("input_audio_buffer.commit")
    conversation.settle()
    assert len(conversation.sent_of("input_audio_buffer.commit")) == 1
    assert [event.status for event in conversation.all(ResponseDone)] == ["completed"]


def test_a_response_says_which_inputs_it_answers() -> None:
    conversation = Conversation(RealtimeConfig(vad_mode=VADMode.NONE))
    conversation.send(SendText("One?", input_id="a"))
    conversation.settle()
    conversation.send(StartTurn(), AppendAudio(tone(200)), EndTurn("b"))
    conversation.settle()
    conversation.send(SendText("Two?", input_id="c"), SendText("Three?", input_id="d"))
    conversation.settle()
    answers = [event.answers for event in conversation.all(ResponseStarted)]
    assert answers[:2] == [("a",), ("b",)]
    assert sorted(input_id for each in answers[2:] for input_id in each) == ["c", "d"]


def test_a_turn_that_is_too_short_is_named() -> None:
    conversation = Conversation(RealtimeConfig(vad_mode=VADMode.NONE))
    conversation.send(StartTurn(), AppendAudio(tone(20)), EndTurn("a"))
    conversation.settle()
    assert [(notice.code, notice.input_id) for notice in conversation.all(Notice)] == [("no_speech", "a")]
