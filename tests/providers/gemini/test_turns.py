"""A turn, from the user's first sound to the end of the reply."""

import json

import pytest

from tests.loopback.gemini_session import Google, Reply, tone
from tests.providers.gemini.conversation import Conversation, said, sound
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
from voicecli.config import RealtimeConfig, VADMode
from voicecli.events import (
    CONTENT_FILTER,
    INVALID_TOOL_CALL,
    RETRIES_EXHAUSTED,
    AudioChunk,
    AudioDone,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    TranscriptUpdate,
)
from voicecli.providers.gemini.errors import turn_end
from voicecli.providers.gemini.input import UserInput

SPEECH = tone(600, rate=16_000)
SILENCE = bytes(20 * 32)
PICTURE = SendImage(b"\xff\xd8\xff picture", "image/jpeg")


def chunks(audio: bytes) -> list[AppendAudio]:
    return [AppendAudio(audio[start : start + 640]) for start in range(0, len(audio), 640)]


@pytest.mark.parametrize("together", [False, True])
def test_a_written_turn(together: bool) -> None:
    talk = Conversation(Reply(text="Paris, of course.", together=together))
    talk.send(SendText("What is the capital of France?", "text-1"))
    assert talk.codec.awaiting_reply
    assert talk.codec.busy
    talk.run()
    assert talk.audio == tone(180)
    kinds = [type(event).__name__ for event in talk.events]
    assert kinds[0] == "ResponseStarted"
    assert kinds[-1] == "ResponseDone"
    assert kinds.count("ResponseDone") == 1
    assert talk.lines == [("user", "What is the capital of France?"), ("assistant", "Paris, of course.")]
    assert [final.text for final in talk.finals("assistant")] == ["Paris, of course."]
    assert not talk.codec.awaiting_reply
    assert not talk.codec.busy
    talk.check()


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize("finished", [False, True])
@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT, VADMode.NONE])
def test_a_spoken_turn(mode: VADMode, late: bool, finished: bool) -> None:
    google = Google(late_words=late, finished=finished)
    talk = Conversation(
        Reply(text="It is noon now."),
        Reply(text="Tea."),
        hears=["What time is it?", "And then?"],
        google=google,
        vad_mode=mode,
    )
    for _ in range(2):
        if mode is VADMode.CLIENT:
            talk.send(StartTurn())
        talk.send(*chunks(SPEECH), EndTurn())
        talk.run()
    assert talk.lines == [
        ("user", "What time is it?"),
        ("assistant", "It is noon now."),
        ("user", "And then?"),
        ("assistant", "Tea."),
    ]
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 2
    assert talk.transcript.turns[0].final
    assert SPEECH in talk.session.heard
    assert talk.audio == tone(240) + tone(60)
    talk.check()


def test_words_that_never_come_leave_no_turn_open() -> None:
    talk = Conversation(hears=[""])
    talk.send(AppendAudio(SPEECH), EndTurn())
    talk.run()
    assert [(turn.role, turn.final) for turn in talk.transcript.turns] == [("user", True), ("assistant", True)]


def test_a_spoken_turn_ends_by_silence() -> None:
    talk = Conversation(hears=["Hello."])
    talk.send(*chunks(SPEECH))
    talk.run()
    assert not talk.of(ResponseStarted)
    talk.send(*[AppendAudio(SILENCE)] * 25)
    talk.run()
    assert len(talk.of(ResponseDone)) == 1


def test_audio_is_sent_as_it_is() -> None:
    talk = Conversation()
    talk.send(AppendAudio(b"\x01\x02\x03\x04"))
    assert talk.session.received[-1] == {
        "realtimeInput": {"audio": {"data": b"\x01\x02\x03\x04", "mimeType": "audio/pcm;rate=16000"}}
    }


def test_the_end_of_a_turn_ends_the_stream_once_and_without_a_burst_of_silence() -> None:
    talk = Conversation()
    talk.send(AppendAudio(SPEECH), EndTurn())
    speech, end = talk.session.received[-2:]
    assert speech["realtimeInput"]["audio"]["data"] == SPEECH
    assert end == {"realtimeInput": {"audioStreamEnd": True}}
    before = len(talk.session.received)
    talk.send(EndTurn())
    assert len(talk.session.received) == before  # nothing was said since


def test_a_paused_microphone_is_told_once() -> None:
    talk = Conversation()
    talk.send(PauseAudio(), AppendAudio(SILENCE), PauseAudio(), PauseAudio(), AppendAudio(SILENCE), PauseAudio())
    kinds = [next(iter(frame["realtimeInput"])) for frame in talk.session.received[1:]]
    assert kinds == ["audio", "audioStreamEnd", "audio", "audioStreamEnd"]


def test_noise_leaves_the_activity_open_for_the_next_turn() -> None:
    talk = Conversation(hears=["Yes."], vad_mode=VADMode.CLIENT)
    talk.send(StartTurn(), AppendAudio(SILENCE), ClearAudio(), EndTurn())
    assert not talk.codec.busy
    talk.send(StartTurn(), AppendAudio(SPEECH), EndTurn())
    talk.run()
    kinds = [next(iter(frame["realtimeInput"])) for frame in talk.session.received[1:]]
    assert kinds == ["activityStart", "audio", "audio", "activityEnd"]
    assert talk.lines[0] == ("user", "Yes.")
    talk.check()


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
def test_text_is_said_within_an_activity_of_its_own(mode: VADMode) -> None:
    talk = Conversation(vad_mode=mode)
    talk.send(SendText("Hi."))
    kinds = [next(iter(frame["realtimeInput"])) for frame in talk.session.received[1:]]
    assert kinds == ["activityStart", "text", "activityEnd"]
    talk.run()
    assert len(talk.of(ResponseDone)) == 1
    talk.check()


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT])
def test_a_picture_belongs_to_the_next_turn(mode: VADMode) -> None:
    talk = Conversation(vad_mode=mode)
    talk.send(PICTURE, SendText("What is this?"))
    talk.run()
    assert [picture["data"] for picture in talk.session.pictures] == [PICTURE.data]
    assert len(talk.of(ResponseDone)) == 1
    talk.check()


# Interruptions


def test_the_user_speaks_into_the_reply() -> None:
    talk = Conversation(Reply(text="one two three four five six seven eight nine ten", together=True), hears=["Stop."])
    talk.send(SendText("Count."))
    talk.run(steps=1)
    talk.send(*chunks(SPEECH))
    (interrupted,) = talk.of(Interrupted)
    (done,) = talk.of(ResponseDone)
    assert (done.response_id, done.status) == (interrupted.response_id, "cancelled")
    (final,) = talk.finals("assistant")
    assert final.interrupted
    talk.send(talk.cut(interrupted.item_id, 60))
    talk.send(*[AppendAudio(SILENCE)] * 25)
    talk.run()
    assert talk.lines[1] == ("assistant", "one")
    assert talk.lines[2:] == [("user", "Stop."), ("assistant", "Hello there, how are you?")]
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 2
    talk.check()


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
def test_a_cancelled_reply_is_interrupted_by_an_activity(mode: VADMode) -> None:
    talk = Conversation(Reply(text="one two three four five six seven", together=True), hears=["Go on."], vad_mode=mode)
    talk.send(SendText("Count."))
    talk.run(steps=1)
    heard = talk.audio
    talk.send(talk.cut("response-1.1", 120))
    assert [done.status for done in talk.of(ResponseDone)] == ["cancelled"]
    assert not talk.codec.busy
    talk.send(StartTurn(), *chunks(SPEECH), EndTurn())
    talk.run()
    assert talk.audio.removeprefix(heard) == tone(300)
    assert talk.lines[1:] == [("assistant", "one two"), ("user", "Go on."), ("assistant", "Hello there, how are you?")]
    talk.check()


def test_a_cancelled_reply_is_muted_where_nothing_stops_it() -> None:
    talk = Conversation(Reply(text="one two three four five six seven eight"))
    talk.send(SendText("Count."))
    talk.run(steps=3)
    heard = talk.audio
    talk.send(talk.cut())
    talk.run()
    assert talk.audio == heard
    assert [done.status for done in talk.of(ResponseDone)] == ["cancelled"]
    (final,) = talk.finals("assistant")
    assert final.interrupted
    assert "eight" not in final.text
    talk.send(SendText("Hi."))
    talk.run()
    assert talk.lines[-1] == ("assistant", "Hello there, how are you?")
    talk.check()


def test_a_text_after_a_cancelled_reply_is_answered() -> None:
    talk = Conversation(Reply(text="one two three four five six seven eight"), Reply(text="Nine."))
    talk.send(SendText("Count."))
    talk.run(steps=3)
    talk.send(talk.cut(), SendText("Go on."))
    assert talk.codec.awaiting_reply
    talk.run()
    assert talk.lines[-1] == ("assistant", "Nine.")
    assert [done.status for done in talk.of(ResponseDone)] == ["cancelled", "completed"]


def test_a_text_into_a_reply_is_owed_an_answer() -> None:
    talk = Conversation()
    talk.send(SendText("Count."))
    talk.tell(said("one"))
    talk.codec.send(SendText("Stop."))
    talk.tell(said(" two"), {"serverContent": {"interrupted": True}}, {"serverContent": {"turnComplete": True}})
    assert talk.codec.awaiting_reply
    assert talk.codec.busy


def test_what_was_not_heard_of_a_finished_reply_leaves_the_transcript() -> None:
    talk = Conversation(Reply(text="one two three four five six seven eight nine ten"))
    talk.send(SendText("Count."))
    talk.run()
    talk.send(talk.cut("response-1.1", 300))
    talk.tell({"sessionResumptionUpdate": {}})
    assert talk.lines[-1] == ("assistant", "one two three four five")
    assert len(talk.of(ResponseDone)) == 1


def test_a_late_interruption_of_a_finished_generation_ends_only_that_reply() -> None:
    talk = Conversation(vad_mode=VADMode.CLIENT)
    talk.send(SendText("Hi."))
    talk.run(steps=0)
    talk.tell(sound(b"ab"), said("Hello."), {"serverContent": {"generationComplete": True}})
    talk.codec.send(StartTurn())
    talk.codec.send(AppendAudio(SPEECH))
    told = talk.tell({"serverContent": {"interrupted": True}}, {"serverContent": {"turnComplete": True}})
    assert [type(event) for event in told] == [Interrupted, ResponseDone]
    assert [done.status for done in talk.of(ResponseDone)] == ["completed"]
    talk.codec.send(EndTurn())
    assert talk.tell({"serverContent": {"interrupted": True}}, {"serverContent": {"turnComplete": True}}) == [
        Interrupted("response-1")
    ]
    assert talk.codec.awaiting_reply


def test_a_stray_end_of_turn_while_the_user_speaks_ends_nothing() -> None:
    talk = Conversation(vad_mode=VADMode.CLIENT)
    talk.codec.send(StartTurn())
    talk.codec.send(AppendAudio(SPEECH))
    assert talk.tell({"serverContent": {"turnComplete": True}}) == []


def test_late_sound_of_an_interrupted_reply_is_dropped() -> None:
    talk = Conversation()
    talk.tell(sound(b"ab"))
    talk.send(*chunks(SPEECH))
    talk.tell({"serverContent": {"interrupted": True}})
    assert talk.tell(sound(b"cd"), said("more")) == []
    assert [type(event) for event in talk.tell({"serverContent": {"turnComplete": True}})] == [ResponseDone]
    assert [type(event) for event in talk.tell(sound(b"ef"))][-2:] == [ResponseStarted, AudioChunk]


# What the server may do


def test_everything_in_one_message() -> None:
    talk = Conversation()
    talk.send(SendText("Hi."))
    content = {
        "inputTranscription": {"text": " Hi there."},
        "outputTranscription": {"text": " Hello.", "finished": True},
        **sound(b"abcd")["serverContent"],
        "generationComplete": True,
        "turnComplete": True,
    }
    told = talk.tell({"serverContent": content, "usageMetadata": {"responseTokenCount": 5}})
    assert [type(event) for event in told] == [
        TranscriptUpdate,
        TranscriptUpdate,
        ResponseStarted,
        TranscriptUpdate,
        AudioChunk,
        AudioDone,
        ResponseDone,
    ]
    assert isinstance(told[-1], ResponseDone)
    assert told[-1].usage.output_tokens == 5


def test_no_answer_is_an_answer() -> None:
    talk = Conversation()
    talk.send(SendText("Hm."))
    told = talk.tell({"serverContent": {"turnComplete": True, "turnCompleteReason": "NEED_MORE_INPUT"}})
    assert [type(event) for event in told] == [Notice, ResponseStarted, ResponseDone]
    assert not talk.codec.awaiting_reply


def test_a_model_that_waits_owes_nothing() -> None:
    talk = Conversation()
    talk.send(SendText("Hm."))
    assert talk.tell({"serverContent": {"waitingForInput": True}}) == [
        Notice("waiting_for_input", "The model waits for you to go on.")
    ]
    assert not talk.codec.awaiting_reply


@pytest.mark.parametrize(
    ("code", "status", "reason"),
    [
        ("MALFORMED_FUNCTION_CALL", "failed", INVALID_TOOL_CALL),
        ("GENERATED_AUDIO_SAFETY", "incomplete", CONTENT_FILTER),
        ("RESPONSE_REJECTED", "incomplete", CONTENT_FILTER),
        ("PROHIBITED_INPUT_CONTENT", "incomplete", CONTENT_FILTER),
        ("MAX_REGENERATION_REACHED", "incomplete", RETRIES_EXHAUSTED),
    ],
)
def test_a_withheld_reply_says_why(code: str, status: str, reason: str) -> None:
    talk = Conversation(Reply(reason=code))
    talk.send(SendText("Hm."))
    talk.run()
    (done,) = talk.of(ResponseDone)
    assert (done.status, done.reason) == (status, reason)


def test_extended_thinking_goes_on_until_idle() -> None:
    talk = Conversation(
        Reply(text="Let me think.", utterances=("Still thinking.", "Forty-two.")),
        model="gemini-3.8-live-extended-thinking",
    )
    talk.send(SendText("What is the answer?"))
    talk.run()
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 1
    assert [text for _, text in talk.lines[1:]] == ["Let me think.", "Still thinking.", "Forty-two."]
    assert talk.of(ResponseDone)[0].status == "completed"


def test_a_sample_split_over_two_messages_is_joined() -> None:
    talk = Conversation()
    told = [*talk.tell(sound(b"abc")), *talk.tell(sound(b"d")), *talk.tell(sound(b"e"))]
    assert b"".join(event.audio for event in told if isinstance(event, AudioChunk)) == b"abcd"
    assert all(len(event.audio) % 2 == 0 for event in told if isinstance(event, AudioChunk))


def test_thoughts_and_code_are_not_spoken() -> None:
    talk = Conversation()
    parts = [{"text": "Hm", "thought": True}, {"executableCode": {"code": "1+1"}}, {"text": "two"}]
    assert talk.tell({"serverContent": {"modelTurn": {"parts": parts}}}) == []


def test_a_preview_is_replaced() -> None:
    talk = Conversation()
    told = talk.tell(
        {"serverContent": {"interimInputTranscription": {"text": "what tie"}}},
        {"serverContent": {"inputTranscription": {"text": "What time"}}},
    )
    assert [event.text for event in told if isinstance(event, TranscriptUpdate)] == ["what tie", "What time"]


def test_a_search_is_told() -> None:
    talk = Conversation()
    assert talk.tell({"serverContent": {"groundingMetadata": {"webSearchQueries": ["weather paris"]}}}) == [
        Notice("web_search", "Searched the web for: weather paris.")
    ]


def test_the_cut_of_a_reply_that_had_come_whole_lets_the_next_one_go_on() -> None:
    """It is asked for by the words that the next one answers, and comes when that has begun."""
    talk = Conversation()
    one = [said("One two three four."), sound(bytes(48_000), generationComplete=True)]
    two = [{"serverContent": {"inputTranscription": {"text": "And?"}}}, said("Two."), sound(bytes(4_800))]
    talk.tell(*one, {"serverContent": {"turnComplete": True}})
    item = talk.of(AudioChunk)[0].item_id
    talk.tell(*two)
    talk.send(CancelResponse("response-1", item, 500, "playback"))
    told = talk.tell(said(" Three.", turnComplete=True))
    assert [event.status for event in told if isinstance(event, ResponseDone)] == ["completed"]
    assert talk.lines == [("assistant", "One two"), ("user", "And?"), ("assistant", "Two. Three.")]


@pytest.mark.parametrize("vertex", [False, True])
def test_a_lost_microphone_ends_the_stream_where_that_can_be_said(vertex: bool) -> None:
    out: list[bytes] = []
    user = UserInput(out, RealtimeConfig(vad_mode=VADMode.SERVER), vertex=vertex)
    user.pause()
    assert out == [], "nothing was said"
    user.append(SPEECH)
    out.clear()
    user.pause()
    user.pause()
    assert [json.loads(data) for data in out] == [{"realtimeInput": {"audioStreamEnd": True}}] * (not vertex)


def test_a_turn_that_ends_for_a_new_reason_says_it_in_words() -> None:
    assert turn_end("SOMETHING_NEW") == ("incomplete", "something new")


def test_a_cut_hits_the_reply_that_it_names_and_no_other() -> None:
    """The server has interrupted it and begun the next one by the time the command comes."""
    talk = Conversation()
    talk.tell(said("One two three four."), sound(bytes(48_000)), {"serverContent": {"interrupted": True}})
    talk.tell({"serverContent": {"turnComplete": True}}, said("Two."), sound(bytes(4_800)))
    item = talk.of(AudioChunk)[0].item_id
    talk.send(CancelResponse("response-1", item, 500))
    told = talk.tell(said(" Three."), sound(bytes(4_800)), said("", turnComplete=True))
    assert [event.status for event in told if isinstance(event, ResponseDone)] == ["completed"]
    assert any(isinstance(event, AudioChunk) for event in told)
    assert talk.lines == [("assistant", "One two"), ("assistant", "Two. Three.")]


def test_a_reply_says_which_inputs_it_answers() -> None:
    talk = Conversation(vad_mode=VADMode.CLIENT)
    talk.send(SendText("One?", input_id="a"))
    talk.run()
    talk.send(StartTurn(), AppendAudio(SPEECH), EndTurn("b"))
    talk.run()
    assert [event.answers for event in talk.of(ResponseStarted)] == [("a",), ("b",)]
