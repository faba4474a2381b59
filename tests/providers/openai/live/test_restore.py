"""A lost Live session: the next one begins with what was said, and is asked again what was not answered."""

import pytest

from tests.loopback.live_script import Call, LiveReply, Loose, Work
from tests.loopback.live_wire import tokens
from tests.providers.openai.live.talk import WEATHER, LiveTalk
from voicecli.commands import SendImage, SendText, ToolResult
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
    CONNECTION_LOST,
    AudioChunk,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    ToolCallRequest,
    UsageUpdated,
)
from voicecli.providers.openai.live.seeding import seed
from voicecli.transcript import Turn


def seeded(talk: LiveTalk) -> list[tuple[str, str]]:
    session = talk.sent_of("session.start")[0]["session"]
    return [(item["role"], item["content"][0]["text"]) for item in session.get("input", [])]


def test_what_was_said_before() -> None:
    history = [
        Turn("user", "u1", "The weather?", final=True),
        Turn("tool", "c1", "rain", final=True, name="weather", arguments='{"place":"Rome"}'),
        Turn("tool", "c2", "", name="weather"),
        Turn("assistant", "a1", "It rains, and", final=True, interrupted=True),
        Turn("user", "u2", "  "),
    ]
    talk = LiveTalk(history=history)
    assert seeded(talk) == [
        ("user", "The weather?"),
        ("developer", 'Tool weather({"place":"Rome"}): rain'),
        ("assistant", "It rains, and"),
    ]


@pytest.mark.parametrize(
    "text",
    [
        *("a b c. " * 20, "天気" * 200, "pneumonoultramicroscopic " * 60, "x" * 3_000, "!?" * 400),
        *("7f3a9c1e " * 40, "31415926535" * 40, "aGVsbG8gd29ybGQh" * 40, "🌦🚀" * 200),
    ],
)
def test_no_more_than_fits(text: str) -> None:
    messages = seed([Turn("user", f"u{number}", f"{number} {text}", final=True) for number in range(400)])
    assert 2 < len(messages) <= 128
    assert sum(tokens(message["content"][0]["text"]) + 8 for message in messages) <= 8_192
    assert messages[-1]["content"][0]["text"].startswith("399 ")


def test_short_turns_are_as_many_as_are_taken() -> None:
    messages = seed([Turn("user", f"u{number}", "Yes.", final=True) for number in range(400)])
    assert len(messages) == 128


def test_a_turn_that_is_too_long_by_itself_is_cut_at_its_beginning() -> None:
    [message] = seed([Turn("user", "u1", "word " * 20_000 + "END", final=True)])
    text = message["content"][0]["text"]
    assert text.endswith("END")
    assert 2_000 < tokens(text) < 8_192


def test_a_reply_amid_its_sound() -> None:
    talk = LiveTalk(hears=["Count."], replies=[LiveReply(text="One two three four five six seven eight.")])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.run(2_600)
    talk.dial()
    [done] = talk.all(ResponseDone)
    assert (done.status, done.reason) == ("incomplete", CONNECTION_LOST)
    assert seeded(talk) == [("user", "Count."), ("assistant", "One two three four")]
    assert [event.resumed for event in talk.all(SessionStarted)] == [False, True]
    assert talk.sent_of("response.create") == []


def test_only_what_was_heard_of_a_reply_that_was_stopped() -> None:
    talk = LiveTalk(hears=["Count."], replies=[LiveReply(text="One two three four five six seven eight.")])
    talk.speak(500)
    talk.until(AudioChunk)
    talk.run(900)
    talk.send(talk.cut(played_ms=400))
    talk.until(ResponseDone)
    talk.dial()
    assert seeded(talk) == [("user", "Count."), ("assistant", "One two")]


def test_a_text_that_was_not_answered_is_asked_again() -> None:
    talk = LiveTalk(replies=[LiveReply(text="Lost."), LiveReply(text="I am well.")])
    talk.send(SendText("How are you?", "text_1", "input_1"))
    talk.dial()
    assert seeded(talk) == []
    assert len(talk.sent_of("response.create")) == 1
    talk.run(6_000)
    assert talk.said("assistant") == ["I am well."]
    # One response all the while: nothing of it had come when the session was lost.
    assert [started.answers for started in talk.all(ResponseStarted)] == [("input_1",)]
    assert [done.status for done in talk.all(ResponseDone)] == ["completed"]
    talk.dial()
    assert seeded(talk) == [("user", "How are you?"), ("assistant", "I am well.")]
    assert talk.sent_of("response.create") == []


def test_what_was_said_and_not_answered_is_asked_again() -> None:
    talk = LiveTalk(hears=["How are you?"])
    talk.speak(500)
    talk.run(3_000)
    talk.replies.append(LiveReply(text="Well."))
    talk.dial()
    assert seeded(talk) == []
    assert "How are you?" in talk.sent_of("session.thinking.append")[0]["content"]
    talk.run(6_000)
    assert talk.said("assistant") == ["Well."]


def test_what_the_model_did_not_mean_to_answer_is_not_asked_again() -> None:
    talk = LiveTalk(hears=["Thanks."])
    talk.speak(500)
    talk.run(20_000)
    talk.dial()
    assert seeded(talk) == [("user", "Thanks.")]
    assert talk.sent_of("session.thinking.append") == []


def test_a_result_for_a_session_that_is_gone() -> None:
    work = Work(calls=(Call(name="weather", arguments='{"place":"Rome"}'),))
    talk = LiveTalk(hears=["Weather?"], replies=[LiveReply(text="Lost.", work=work)], tools=[WEATHER])
    talk.speak(500)
    call = talk.until(ToolCallRequest)
    talk.run(3_000)
    talk.dial()
    assert talk.all(ResponseDone)[0].awaits_tools
    talk.replies.append(LiveReply(text="It rains."))
    talk.send(ToolResult(call.call_id, "rain", input_id="input_1"))
    items = [frame["item"] for frame in talk.sent_of("response.item.create")]
    assert 'Tool weather({"place":"Rome"}): rain' in items[-1]["content"][0]["text"]
    talk.run(9_000)
    assert talk.said("assistant")[-1] == "It rains."


def test_another_session_may_give_the_same_names_again() -> None:
    work = Work(calls=(Call(name="weather", call_id="call_1"),))
    replies = [LiveReply(text="Rain.", work=work), LiveReply(text="Snow.", work=work)]
    talk = LiveTalk(replies=replies, tools=[WEATHER])
    for said in ("Rain.", "Snow."):
        talk.send(SendText("Weather?"))
        talk.until(ToolCallRequest)
        talk.send(ToolResult("call_1", said))
        talk.run(6_000)
        talk.dial()
    assert len(talk.all(ToolCallRequest)) == 2
    assert talk.said("assistant") == ["Rain.", "Snow."]


def test_pictures_are_shown_again() -> None:
    talk = LiveTalk()
    for number in range(6):
        talk.send(SendImage(bytes([number]), "image/png"))
    talk.dial()
    assert len(talk.sent_of("response.item.create")) == 4


def test_a_second_loss_before_the_session_is_there() -> None:
    talk = LiveTalk(replies=[LiveReply(text="Well.")])
    talk.codec.send(SendText("How are you?", "text_1", "input_1"))
    talk.codec.data_to_send()
    talk.codec.open()
    talk.codec.data_to_send()
    talk.dial()
    talk.run(6_000)
    assert talk.said("assistant") == ["Well."]
    assert len(talk.all(SessionStarted)) == 2


def test_a_session_that_is_closed_before_it_starts_leaves_nothing_to_the_next() -> None:
    talk = LiveTalk(start=False)
    talk.codec.open()
    with pytest.raises(RealtimeConnectionError) as caught:
        talk.give({"type": "session.closed", "event_id": "e1", "reason": "connection_lost", "usage": {"seconds": 0}})
    assert caught.value.retryable
    talk.dial()
    assert talk.all(SessionStarted)
    assert talk.ended is None


def test_the_time_of_all_sessions_is_paid_for() -> None:
    talk = LiveTalk(loose=Loose())
    talk.run(21_000)  # told at 15 s
    talk.dial()
    talk.run(15_000)
    cost = sum(event.usage.cost_usd or 0 for event in talk.all(UsageUpdated))
    assert cost == pytest.approx((21 + 15) / 60 * 0.05)
