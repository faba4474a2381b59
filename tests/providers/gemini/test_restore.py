"""One conversation over many sockets."""

import pytest

from tests.loopback.gemini_session import Google, Reply, tone
from tests.providers.gemini.conversation import Conversation, make_codec, said, sound
from voicecli.commands import AppendAudio, EndTurn, SendImage, SendText, StartTurn
from voicecli.config import VADMode
from voicecli.errors import RealtimeConnectionError
from voicecli.events import CONNECTION_LOST, AudioChunk, Interrupted, ResponseDone, ResponseStarted, SessionStarted
from voicecli.ports import Expiring
from voicecli.transcript import Turn

SPEECH = tone(600, rate=16_000)
SILENCE = bytes(640)


def test_the_newest_handle_resumes() -> None:
    talk = Conversation()
    for number in range(3):
        talk.send(SendText(f"Question {number}."))
        talk.run()
    assert not talk.codec.busy
    talk.connect()
    assert talk.session.setup is not None
    assert talk.session.setup["sessionResumption"] == {"handle": list(talk.google.handles)[-1]}
    assert [text for role, text in talk.session.turns if role == "user"] == [f"Question {n}." for n in range(3)]
    assert len(talk.session.received) == 1  # nothing had to be told again


def test_a_resumed_session_says_so() -> None:
    codec = make_codec()
    for resumed in (False, True):
        codec.open()
        events = codec.receive(b'{"setupComplete":{"sessionId":"s"}}')
        started = next(event for event in events if isinstance(event, SessionStarted))
        assert (started.session_id, started.resumed) == ("s", resumed)
        assert codec.receive(b'{"setupComplete":{}}') == []  # repeated


def test_without_a_handle_the_history_is_told() -> None:
    talk = Conversation(Reply(text="Hello Ann."), google=Google(gives_handles=False))
    talk.send(SendText("I am Ann."))
    talk.run()
    talk.connect()
    assert talk.session.setup is not None
    assert talk.session.setup["historyConfig"] == {"initialHistoryInClientContent": True}
    talk.flush()
    assert talk.session.turns == [("user", "I am Ann."), ("model", "Hello Ann.")]
    talk.send(SendText("Who am I?"))
    talk.run()
    assert len(talk.of(ResponseDone)) == 2
    talk.check()


def test_a_history_from_elsewhere_is_told_at_the_beginning() -> None:
    history = [
        Turn("user", "1", "Hi.", True),
        Turn("user", "2", "Are you there?", True),
        Turn("tool", "3", "noon", True, name="clock", arguments="{}"),
        Turn("assistant", "4", "Yes.", True),
        Turn("assistant", "5", "", True),
    ]
    talk = Conversation(history=history)
    talk.flush()
    assert talk.session.turns == [
        ("user", "Hi.\nAre you there?\n(The function clock was called with {} and answered: noon)"),
        ("model", "Yes."),
    ]
    talk.check()


def test_of_a_long_history_the_end_is_told() -> None:
    history = [Turn("user" if n % 2 == 0 else "assistant", str(n), f"{n} " + "x" * 1_000, True) for n in range(100)]
    talk = Conversation(history=history)
    talk.flush()
    told = sum(len(text) for _, text in talk.session.turns)
    assert 30_000 < told <= 32_000
    assert talk.session.turns[-1][1].startswith("99 ")


def test_what_the_handle_does_not_know_is_told() -> None:
    talk = Conversation()
    talk.send(SendText("First."))
    talk.run()
    talk.google.gives_handles = False
    talk.send(SendText("Second."))
    talk.run()
    assert talk.codec.busy  # a newer handle would be good to have
    talk.connect()
    talk.flush()
    assert [text for role, text in talk.session.turns if role == "user"] == ["First.", "Second."]
    assert len(talk.of(ResponseDone)) == 2
    talk.check()


def test_a_handle_from_the_middle_of_a_reply_does_not_know_it() -> None:
    talk = Conversation()
    talk.tell(said("One"), {"sessionResumptionUpdate": {"newHandle": "early", "resumable": True}})
    talk.google.handles["early"] = []
    talk.connect()
    talk.flush()
    assert talk.session.turns == [("model", "One")]


@pytest.mark.parametrize("code", [1007, 1008])
def test_a_refused_handle_is_tried_once(code: int) -> None:
    talk = Conversation()
    talk.send(SendText("Hello."))
    talk.run()
    talk.codec.open()
    error = talk.codec.closed(code, "Request contains an invalid argument.")
    assert error.retryable
    talk.connect()
    assert talk.session.setup is not None
    assert talk.session.setup["sessionResumption"] == {}
    talk.flush()
    assert talk.session.turns[0] == ("user", "Hello.")


def test_a_refused_key_does_not_cost_the_handle() -> None:
    talk = Conversation()
    talk.send(SendText("Hello."))
    talk.run()
    talk.codec.open()
    assert not talk.codec.closed(1007, "API key not valid. Please pass a valid API key.").retryable
    assert talk.codec.closed(1006, "").retryable
    talk.connect()
    assert talk.session.setup is not None
    assert "handle" in talk.session.setup["sessionResumption"]


def test_handles_that_cannot_resume_are_not_kept() -> None:
    talk = Conversation()
    talk.tell(
        {"sessionResumptionUpdate": {"newHandle": "good", "resumable": True}},
        {"sessionResumptionUpdate": {"resumable": False}},
        {"sessionResumptionUpdate": {"newHandle": "bad", "resumable": False}},
        {"sessionResumptionUpdate": {"resumable": True}},
    )
    talk.codec.open()
    assert b'{"handle":"good"}' in talk.codec.data_to_send()[0]


@pytest.mark.parametrize(
    ("left", "left_s"), [("50s", 50.0), ("9.5s", 9.5), (None, 0.0), ("soon", 0.0), ("1e999s", 0.0)]
)
def test_the_end_of_a_socket_is_announced(left: str | None, left_s: float) -> None:
    assert Conversation().tell({"goAway": {} if left is None else {"timeLeft": left}}) == [Expiring(left_s)]


# What was under way


@pytest.mark.parametrize("handles", [True, False])
def test_a_written_question_without_answer_is_asked_again(handles: bool) -> None:
    talk = Conversation(google=Google(gives_handles=handles))
    talk.send(SendText("First."))
    talk.run()
    talk.codec.send(SendText("Second."))
    talk.connect()
    talk.run()
    assert [text for role, text in talk.session.turns if role == "user"] == ["First.", "Second."]
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 2
    talk.check()


def test_a_reply_that_had_begun_is_final_with_what_came() -> None:
    talk = Conversation(Reply(text="one two three four five six seven eight", together=True))
    talk.send(SendText("Count."))
    talk.run(steps=1)
    heard = talk.audio
    talk.connect()
    (done,) = talk.of(ResponseDone)
    assert (done.status, done.reason, done.awaits_tools) == ("incomplete", CONNECTION_LOST, False)
    assert not talk.of(Interrupted)  # what has come may be played
    (final,) = talk.finals("assistant")
    talk.flush()
    assert talk.session.turns == [("user", "Count."), ("model", final.text)]
    talk.send(SendText("Go on."))
    talk.run()
    assert talk.audio == heard + tone(300)
    talk.check()


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT, VADMode.NONE])
@pytest.mark.parametrize("ended", [False, True])
def test_a_spoken_turn_without_words_is_sent_again(mode: VADMode, ended: bool) -> None:
    talk = Conversation(hears=["Hello."], vad_mode=mode)
    if mode is VADMode.SERVER:
        talk.codec.send(AppendAudio(bytes(64_000)))  # a long silence before
    else:
        talk.codec.send(StartTurn())
    talk.codec.send(AppendAudio(SPEECH))
    if ended:
        talk.codec.send(EndTurn())
    talk.connect()
    assert not talk.codec.awaiting_reply
    talk.flush()
    talk.send(EndTurn())
    talk.run()
    assert SPEECH in talk.session.heard
    assert len(talk.session.heard) < 2 * len(SPEECH) + 2 * 32_000
    assert talk.lines == [("user", "Hello."), ("assistant", "Hello there, how are you?")]
    talk.check()


def test_silence_is_not_sent_again() -> None:
    talk = Conversation()
    talk.send(*[AppendAudio(SILENCE)] * 100)
    talk.connect()
    talk.flush()
    assert len(talk.session.received) == 1


@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT])
def test_a_turn_whose_words_were_coming_is_sent_again_and_its_words_stand_once(mode: VADMode) -> None:
    talk = Conversation(hears=["What time is it?"], vad_mode=mode)
    talk.codec.send(StartTurn())
    talk.codec.send(AppendAudio(SPEECH))
    talk.tell({"serverContent": {"inputTranscription": {"text": "What ti"}}})
    talk.connect()
    talk.send(EndTurn())
    talk.run()
    assert talk.lines[0] == ("user", "What time is it?")
    assert [turn.role for turn in talk.transcript.turns] == ["user", "assistant"]


def test_a_spoken_question_whose_words_are_known_is_asked_in_writing() -> None:
    talk = Conversation()
    talk.codec.send(AppendAudio(SPEECH))
    talk.tell({"serverContent": {"inputTranscription": {"text": "What time is it?", "finished": True}}})
    talk.connect()
    talk.run()
    assert talk.session.turns[0] == ("user", "What time is it?")
    assert not talk.session.heard
    assert talk.lines == [("user", "What time is it?"), ("assistant", "Hello there, how are you?")]


def test_a_picture_is_shown_again_with_its_question() -> None:
    picture = SendImage(b"\x89PNG", "image/png")
    talk = Conversation(vad_mode=VADMode.CLIENT)
    talk.send(picture, SendText("What is this?"))
    talk.connect()
    talk.run()
    assert [shown["data"] for shown in talk.session.pictures] == [picture.data]
    talk.check()


def test_a_cancelled_reply_is_not_asked_for_again() -> None:
    talk = Conversation(Reply(text="one two three four five six", together=True))
    talk.send(SendText("Count."))
    talk.run(steps=1)
    talk.send(talk.cut("response-1.1", 100))
    talk.connect()
    talk.run()
    assert [done.status for done in talk.of(ResponseDone)] == ["cancelled"]
    assert talk.session.turns == [("user", "Count."), ("model", "one")]


def test_a_reply_that_was_generated_is_complete() -> None:
    talk = Conversation()
    talk.send(SendText("Hi."))
    talk.tell(sound(b"ab"), said("Hello."), {"serverContent": {"generationComplete": True}})
    talk.connect()
    talk.flush()
    assert [done.status for done in talk.of(ResponseDone)] == ["completed"]
    assert talk.session.turns == [("user", "Hi."), ("model", "Hello.")]


def test_a_second_silent_socket_is_not_suspected() -> None:
    talk = Conversation(Reply(silent=True), Reply(silent=True))
    talk.send(SendText("Hm."))
    assert talk.codec.awaiting_reply
    talk.connect()
    talk.run()
    assert talk.session.turns == [("user", "Hm.")]
    assert not talk.codec.awaiting_reply
    talk.send(SendText("Hello?"))
    talk.run()
    assert len(talk.of(ResponseDone)) == 1
    talk.send(SendText("Hm."))
    assert talk.codec.awaiting_reply


def test_a_dial_that_fails_half_way_forgets_nothing() -> None:
    talk = Conversation()
    talk.codec.send(SendText("Hello."))
    for _ in range(3):
        talk.codec.open()
        talk.codec.data_to_send()
        assert talk.codec.closed(1006, "").retryable
    talk.connect()
    talk.run()
    assert len(talk.of(ResponseDone)) == 1
    assert talk.lines == [("assistant", "Hello there, how are you?")]


@pytest.mark.parametrize("honoured", [True, False])
@pytest.mark.parametrize("mode", [VADMode.SERVER, VADMode.CLIENT])
def test_twenty_rollovers_lose_and_repeat_nothing(honoured: bool, mode: VADMode) -> None:
    questions = [f"Question number {n}?" for n in range(60)]
    replies = [Reply(text=f"Answer {n} is here.", audio=tone(100 + n), together=n % 2 == 0) for n in range(60)]
    talk = Conversation(*replies, hears=questions[::2], vad_mode=mode)
    rollovers = 0
    for n, question in enumerate(questions):
        if n % 2:
            talk.send(SendText(question, f"text-{n}"))
        else:
            talk.send(StartTurn(), AppendAudio(SPEECH))
            if n % 6 == 0:  # in the middle of a sentence
                talk.connect()
                rollovers += 1
            talk.send(AppendAudio(SPEECH), EndTurn())
        talk.run()
        if n % 6 == 3:
            assert not talk.codec.busy
            if not honoured:
                talk.google.handles.clear()
                talk.codec.open()
                assert talk.codec.closed(1007, "Request contains an invalid argument.").retryable
            talk.connect()
            rollovers += 1
    assert rollovers == 20
    expected = [line for n in range(60) for line in (("user", questions[n]), ("assistant", f"Answer {n} is here."))]
    assert talk.lines == expected
    assert b"".join(chunk.audio for chunk in talk.of(AudioChunk)) == b"".join(tone(100 + n) for n in range(60))
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 60
    talk.check()


def test_a_fatal_error_message_ends_the_conversation() -> None:
    talk = Conversation()
    with pytest.raises(RealtimeConnectionError, match="quota"):
        talk.tell({"error": {"code": 429, "message": "You exceeded your current quota."}})
