"""Replies of GPT-Live: begun and ended by sound, words and work; stopped by the user, or by the service."""

from dataclasses import replace

import pytest

from tests.loopback.live_script import LiveReply, Loose
from tests.providers.openai.live.talk import CONFIG, LiveTalk
from voicecli.commands import CancelResponse, SendText
from voicecli.events import (
    CONTENT_FILTER,
    AudioChunk,
    AudioDone,
    ErrorOccurred,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
)
from voicecli.ports import Ended, Expiring
from voicecli.providers.openai.settings import OpenAISettings

TEN = "One two three four five six seven eight nine ten."


@pytest.mark.parametrize("loose", [Loose(), Loose(dither=20), Loose(tick=500)])
def test_silence_is_no_reply(loose: Loose) -> None:
    talk = LiveTalk(loose=loose)
    told = talk.run(30_000)
    assert [event for event in told if isinstance(event, AudioChunk | ResponseStarted)] == []


def test_a_pause_within_a_reply() -> None:
    talk = LiveTalk(hears=["Hi."], replies=[LiveReply(text="One two. Three four.", pause_ms=1_200)])
    talk.speak(500)
    talk.run(9_000)
    assert talk.said("assistant") == ["One two. Three four."]
    assert len(talk.all(ResponseDone)) == len(talk.all(AudioDone)) == 1
    # Of each silence half a second is told: 400 ms twice, and the pauses after them.
    assert sum(len(chunk.audio) for chunk in talk.all(AudioChunk)) == 48 * (400 + 500 + 400 + 500)


def test_two_replies() -> None:
    replies = [LiveReply(text="One."), LiveReply(text="Two.")]
    talk = LiveTalk(hears=["First?", "Second?"], replies=replies)
    for _ in replies:
        talk.speak(500)
        talk.run(5_000)
    assert talk.said("assistant") == ["One.", "Two."]
    assert [type(event) for event in talk.events if isinstance(event, ResponseStarted | ResponseDone)] == [
        *(ResponseStarted, ResponseDone) * 2
    ]


def test_the_stop_key() -> None:
    talk = LiveTalk(hears=["Count."], replies=[LiveReply(text=TEN), LiveReply(text="Yes?")])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.run(800)
    talk.send(talk.cut(played_ms=600))
    before = len(talk.all(AudioChunk))
    talk.run(3_000)
    assert len(talk.all(AudioChunk)) == before
    [done] = talk.all(ResponseDone)
    assert done.status == "cancelled"
    [final] = talk.finals("assistant")
    assert (final.text, final.interrupted) == ("One two three", True)
    assert [frame["content"] for frame in talk.sent_of("session.instructions.append")] == [
        "Stop speaking now and wait."
    ]
    assert talk.all(Interrupted) == []
    talk.send(SendText("Go on."))
    talk.run(6_000)
    assert talk.said("assistant")[-1] == "Yes?"


def test_a_model_that_does_not_stop_is_not_heard() -> None:
    talk = LiveTalk(
        hears=["Count.", "Hello?"], replies=[LiveReply(text=TEN, ignores_stop=True), LiveReply(text="Yes?")]
    )
    talk.speak(500)
    talk.until(AudioChunk)
    talk.send(talk.cut(played_ms=0))
    before = len(talk.all(AudioChunk))
    talk.run(6_000)
    assert len(talk.all(AudioChunk)) == before
    assert talk.said("assistant") == []
    talk.speak(500)
    talk.run(5_000)
    assert talk.said("assistant") == ["Yes?"]


def test_the_user_speaks_after_the_stop() -> None:
    long = " ".join([TEN] * 4)
    talk = LiveTalk(hears=["Count.", "Louder!"], replies=[LiveReply(text=long, ignores_stop=True)])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.send(talk.cut(played_ms=0))
    before = len(talk.all(AudioChunk))
    talk.speak(500)
    talk.run(1_000)
    assert len(talk.all(AudioChunk)) == before
    talk.run(2_000)
    assert len(talk.all(AudioChunk)) > before


def test_a_reply_that_is_over_is_not_cut() -> None:
    talk = LiveTalk(hears=["Hi."], replies=[LiveReply(text="One.")])
    talk.speak(500)
    talk.until(ResponseDone)
    talk.send(talk.cut(played_ms=100), CancelResponse())
    assert talk.sent_of("session.instructions.append") == []


def test_an_answer_that_is_owed_is_given_up() -> None:
    talk = LiveTalk(replies=[LiveReply(text="One.", after_ms=2_000)])
    talk.send(SendText("Hi.", input_id="input_1"))
    talk.send(CancelResponse())
    assert len(talk.sent_of("session.instructions.append")) == 1


def test_moderation_ends_the_speech_and_not_the_session() -> None:
    talk = LiveTalk(
        hears=["Say it.", "Hi."], replies=[LiveReply(text=TEN, moderated_ms=1_000), LiveReply(text="Hello.")]
    )
    talk.speak(500)
    done = talk.until(ResponseDone)
    assert (done.status, done.reason) == ("incomplete", CONTENT_FILTER)
    assert talk.said("assistant") == ["One two three four five"]
    talk.speak(500)
    talk.run(5_000)
    assert talk.said("assistant")[-1] == "Hello."
    assert talk.all(ErrorOccurred) == []


def test_a_text_that_is_typed_while_the_model_speaks() -> None:
    talk = LiveTalk(hears=["Count."], replies=[LiveReply(text=TEN), LiveReply(text="It is blue.")])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.send(SendText("And the sky?", "text_1", "input_1"))
    talk.run(9_000)
    answers = [started.answers for started in talk.all(ResponseStarted)]
    assert answers == [(), ("input_1",)]
    assert len(talk.all(ResponseDone)) == 2
    assert talk.said("assistant")[-1].endswith("It is blue.")


def test_what_comes_after_a_text_answers_it_where_no_backend_tells_so() -> None:
    config = replace(CONFIG, provider_settings=OpenAISettings(live_backend_model="none"))
    talk = LiveTalk(config, hears=["Count."], replies=[LiveReply(text="One two three."), LiveReply(text="It is blue.")])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.send(SendText("And the sky?", "text_1", "input_1"))
    talk.run(9_000)
    assert [started.answers for started in talk.all(ResponseStarted)] == [(), ("input_1",)]
    assert talk.said("assistant") == ["One two three.", "It is blue."]


def test_each_response_begins_and_ends_once() -> None:
    talk = LiveTalk(hears=["a", "b", "c"], replies=[LiveReply(text=TEN)] * 3)
    for _ in range(3):
        talk.speak(400)
        talk.run(1_300)
        talk.send(talk.cut(played_ms=100))
    talk.run(9_000)
    _check(talk.events)


def _check(events: list[Event | Expiring | Ended]) -> None:
    under_way: set[str] = set()
    for event in events:
        if isinstance(event, ResponseStarted):
            assert not under_way
            under_way.add(event.response_id)
        elif isinstance(event, AudioChunk):
            assert event.response_id in under_way
        elif isinstance(event, ResponseDone):
            under_way.remove(event.response_id)
    assert not under_way
