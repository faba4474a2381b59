"""Parts of `serverContent` that come late, twice, first, or not at all."""

from typing import Any

import pytest

from tests.loopback.gemini_session import tone
from tests.providers.gemini.conversation import Conversation, said, sound
from voicecli.commands import AppendAudio, EndTurn, SendText, StartTurn
from voicecli.config import VADMode
from voicecli.events import AudioChunk, AudioDone, Interrupted, ResponseDone, ResponseStarted, TranscriptUpdate

SPEECH = tone(600, rate=16_000)
QUIET = AppendAudio(bytes(3_200))


def content(**fields: Any) -> dict[str, Any]:
    return {"serverContent": fields}


def heard(text: str) -> dict[str, Any]:
    return content(inputTranscription={"text": text})


def written(*parts: dict[str, Any], **flags: Any) -> dict[str, Any]:
    return content(modelTurn={"role": "model", "parts": list(parts)}, **flags)


GENERATED = content(generationComplete=True)
END = content(turnComplete=True)
modes = pytest.mark.parametrize("mode", VADMode)


def asked(mode: VADMode) -> Conversation:
    """The user has spoken, and nothing of the answer has come."""
    talk = Conversation(vad_mode=mode)
    if mode is not VADMode.SERVER:
        talk.codec.send(StartTurn())
    talk.codec.send(AppendAudio(SPEECH))
    talk.codec.send(EndTurn("q"))
    return talk


def kinds(talk: Conversation, *kept: type) -> list[str]:
    return [type(event).__name__ for event in talk.events if isinstance(event, kept)]


# Texts in place of sound


@pytest.mark.parametrize("ends", [[GENERATED, END], [END]], ids=["generated", "at once"])
@modes
def test_texts_without_sound_are_the_replys_words(mode: VADMode, ends: list[dict[str, Any]]) -> None:
    talk = asked(mode)
    thought = {"text": "Hmm, a capital.", "thought": True}
    talk.tell(heard("Which city?"), written(thought, {"text": "It is "}), written({"text": "Paris."}), *ends)
    assert talk.lines == [("user", "Which city?"), ("assistant", "It is Paris.")]
    assert [event.status for event in talk.of(ResponseDone)] == ["completed"]
    assert not talk.codec.awaiting_reply


@modes
def test_texts_beside_sound_are_not_shown(mode: VADMode) -> None:
    talk = asked(mode)
    talk.tell(heard("Which city?"), written({"text": "**Naming**"}), sound(b"abcd"), said("Paris."), GENERATED, END)
    assert talk.lines == [("user", "Which city?"), ("assistant", "Paris.")]


def test_a_thought_is_no_answer() -> None:
    talk = asked(VADMode.CLIENT)
    talk.tell(written({"text": "Hmm.", "thought": True}))
    assert talk.codec.awaiting_reply
    assert not talk.of(ResponseStarted)


# The reply's words after its end


@pytest.mark.parametrize("first", ["", "It is"])
@modes
def test_words_after_the_end_belong_to_the_reply_that_ended(mode: VADMode, first: str) -> None:
    talk = asked(mode)
    talk.tell(heard("Which city?"), sound(b"abcd"), *([said(first)] if first else []), GENERATED, END)
    talk.tell(said(" Paris."), content(outputTranscription={"finished": True}), END)
    assert talk.lines == [("user", "Which city?"), ("assistant", f"{first} Paris.".strip())]
    assert kinds(talk, ResponseStarted, AudioDone, ResponseDone) == ["ResponseStarted", "AudioDone", "ResponseDone"]
    assert not talk.codec.awaiting_reply
    assert not talk.codec.busy


@modes
def test_words_after_the_end_of_a_reply_that_was_cut_are_dropped(mode: VADMode) -> None:
    talk = asked(mode)
    talk.tell(sound(b"abcd"))
    talk.codec.send(talk.cut())
    talk.tell(content(interrupted=True), END)
    if mode is not VADMode.SERVER:  # there they may be those of the next reply
        assert talk.tell(said("and so on")) == []
    assert len(talk.of(ResponseDone)) == 1


def test_an_answer_that_begins_with_its_words_is_an_answer() -> None:
    talk = asked(VADMode.SERVER)
    talk.tell(heard("One?"), sound(b"ab"), said("One."), END)
    talk.codec.send(AppendAudio(SPEECH))
    talk.tell(said("Two."), sound(b"cd"), END)
    assert [text for role, text in talk.lines if role == "assistant"] == ["One.", "Two."]


def test_the_end_of_a_transcript_begins_no_reply() -> None:
    talk = asked(VADMode.CLIENT)
    assert talk.tell(content(outputTranscription={"finished": True})) == []
    assert talk.codec.awaiting_reply


# The user's words after the end


@pytest.mark.parametrize("first", ["", "Which"])
@modes
def test_words_of_the_question_after_the_end_ask_for_nothing(mode: VADMode, first: str) -> None:
    talk = asked(mode)
    talk.tell(*([heard(first)] if first else []), sound(b"abcd"), said("Paris."), GENERATED, END)
    if mode is VADMode.SERVER:
        talk.codec.send(QUIET)
    talk.tell(heard(" city?"))
    assert talk.lines == [("user", f"{first} city?".strip()), ("assistant", "Paris.")]
    assert not talk.codec.awaiting_reply


def test_words_of_a_new_question_ask() -> None:
    talk = asked(VADMode.SERVER)
    talk.tell(sound(b"abcd"), said("Paris."), GENERATED, END)
    talk.codec.send(AppendAudio(SPEECH))
    talk.tell(heard("And now?"))
    assert talk.codec.awaiting_reply
    assert talk.lines == [("assistant", "Paris."), ("user", "And now?")]


# Flags


@pytest.mark.parametrize("mode", [VADMode.CLIENT, VADMode.NONE])
@pytest.mark.parametrize("with_end", [True, False])
def test_an_interruption_of_the_turn_before_loses_nothing_of_the_reply(mode: VADMode, with_end: bool) -> None:
    talk = asked(mode)
    talk.tell(sound(b"ab"), said("One"), content(interrupted=True), *([END] if with_end else []))
    talk.tell(sound(b"cd"), said(" two."), GENERATED, END)
    assert talk.audio == b"abcd"
    assert [text for role, text in talk.lines if role == "assistant"] == ["One two."]
    assert not talk.of(Interrupted)
    assert [event.status for event in talk.of(ResponseDone)] == ["completed"]


def test_where_the_server_goes_on_after_interrupting_in_silence_nothing_is_lost() -> None:
    talk = asked(VADMode.SERVER)
    talk.tell(heard("Count."), sound(b"ab"), said("One"))
    talk.codec.send(QUIET)
    talk.tell(content(interrupted=True), sound(b"cd"), said(" two."), GENERATED, END)
    assert talk.audio == b"abcd"
    assert [text for role, text in talk.lines if role == "assistant"] == ["One", "two."]
    assert [event.status for event in talk.of(ResponseDone)] == ["cancelled", "completed"]


@pytest.mark.parametrize("twice", ["generationComplete", "turnComplete"])
@modes
def test_a_flag_that_comes_twice_means_the_same(mode: VADMode, twice: str) -> None:
    talk = asked(mode)
    talk.tell(heard("Which city?"), sound(b"abcd"), said("Paris."), GENERATED)
    talk.tell(*([GENERATED] if twice == "generationComplete" else []), END, END)
    assert kinds(talk, ResponseStarted, AudioDone, ResponseDone) == ["ResponseStarted", "AudioDone", "ResponseDone"]
    assert not talk.codec.awaiting_reply


@modes
def test_generated_without_saying_so(mode: VADMode) -> None:
    talk = asked(mode)
    talk.tell(sound(b"abcd"), said("Paris."), END)
    assert kinds(talk, AudioChunk, ResponseDone) == ["AudioChunk", "ResponseDone"]
    assert talk.finals("assistant")[-1] == TranscriptUpdate("assistant", "response-1.1", "Paris.", final=True)


def test_a_model_that_waits_for_more_owes_nothing() -> None:
    talk = Conversation(vad_mode=VADMode.CLIENT)
    talk.codec.send(SendText("Well,", "t"))
    talk.tell(content(waitingForInput=True), END)
    assert not talk.codec.awaiting_reply


def test_empty_sound_begins_no_reply() -> None:
    talk = asked(VADMode.CLIENT)
    assert talk.tell(sound(b"")) == []
