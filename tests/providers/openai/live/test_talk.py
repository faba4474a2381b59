"""Turns of GPT-Live: what is said, by whom, and when a reply begins and ends."""

from tests.loopback.live_script import Call, LiveReply, Work
from tests.providers.openai.live.talk import MODEL, WEATHER, LiveTalk
from voicecli.commands import SendText, ToolResult
from voicecli.events import (
    AudioChunk,
    AudioDone,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    ToolCallRequest,
    UsageUpdated,
)


def test_a_spoken_turn() -> None:
    talk = LiveTalk(hears=["What is it?"], replies=[LiveReply(text="It is a dot. Nothing more.")])
    talk.speak(1_000)
    talk.run(8_000)
    assert talk.all(SessionStarted) == [SessionStarted("live_1", MODEL, "marin", 24_000, 24_000)]
    assert talk.said("user") == ["What is it?"]
    assert talk.said("assistant") == ["It is a dot. Nothing more."]
    [done] = talk.all(ResponseDone)
    assert (done.status, done.awaits_tools) == ("completed", False)
    [update] = talk.finals("assistant")
    assert (update.start_ms, update.end_ms) == (1_600, 2_800)
    # 1.2 s of sound, and half a second of the silence after it.
    assert sum(len(chunk.audio) for chunk in talk.all(AudioChunk)) == 48 * 1_700


def test_the_order_of_a_reply() -> None:
    talk = LiveTalk(hears=["Hi."], replies=[LiveReply(text="Hello.")])
    talk.speak(500)
    talk.run(6_000)
    kinds = [type(event) for event in talk.events if isinstance(event, ResponseStarted | AudioDone | ResponseDone)]
    assert kinds == [ResponseStarted, AudioDone, ResponseDone]


def test_a_typed_turn_is_answered_aloud() -> None:
    talk = LiveTalk(replies=[LiveReply(text="Yes, I do.")])
    talk.send(SendText("Do you?", "text_1", input_id="input_1"))
    done = talk.until(ResponseDone)
    assert talk.all(ResponseStarted) == [ResponseStarted(done.response_id, ("input_1",))]
    assert talk.said("assistant") == ["Yes, I do."]
    kinds = [frame["type"] for frame in talk.sent if frame["type"] != "session.input_audio.append"]
    assert kinds == ["session.start", "response.item.create", "session.thinking.append", "response.create"]


def test_a_tool() -> None:
    reply = LiveReply(text="It rains.", first="Let me see.", work=Work(calls=(Call(name="weather"),)))
    talk = LiveTalk(hears=["Weather?"], replies=[reply], tools=[WEATHER])
    talk.speak(500)
    call = talk.until(ToolCallRequest)
    assert (call.name, call.arguments) == ("weather", "{}")
    talk.send(ToolResult(call.call_id, "rain", input_id="input_1"))
    talk.run(10_000)
    assert talk.said("assistant") == ["Let me see. It rains."]
    [done] = talk.all(ResponseDone)
    assert done.usage.input_text_tokens == 2_000
    assert len(talk.sent_of("response.create")) == 1


def test_a_slow_tool_is_awaited_by_no_reply() -> None:
    reply = LiveReply(text="It rains.", first="Let me see.", work=Work(calls=(Call(name="weather"),)))
    talk = LiveTalk(hears=["Weather?"], replies=[reply], tools=[WEATHER])
    talk.speak(500)
    call = talk.until(ToolCallRequest)
    assert talk.until(ResponseDone).awaits_tools
    talk.send(ToolResult(call.call_id, "rain", input_id="input_1"))
    assert talk.all(ResponseStarted)[-1].answers == ("input_1",)
    assert not talk.until(ResponseDone).awaits_tools
    assert talk.said("assistant") == ["Let me see.", "It rains."]


def test_the_end_tells_the_time() -> None:
    talk = LiveTalk()
    talk.run(4_000)
    talk.close()
    talk.run(300)
    assert talk.session.ended
    assert talk.all(UsageUpdated)[-1].usage.session_seconds == 4.0
    ended = talk.ended
    assert ended is not None
    assert ended is talk.codec.closed(1_000, "")
    assert (ended.close_code, ended.code, ended.retryable) == (1_000, "", False)
