"""Functions: blocking and aside, cancelled, refused, and over a lost connection."""

from dataclasses import replace
from typing import Any

import pytest

from tests.loopback.gemini_session import Call, Google, Reply, tone
from tests.providers.gemini.conversation import Conversation, make_codec, said, weather
from voicecli.commands import AppendAudio, EndTurn, OfferTools, SendText, StartTurn, ToolResult, ToolSchema
from voicecli.config import VADMode
from voicecli.events import Notice, ResponseDone, ResponseStarted, ToolCallCancelled, ToolCallRequest

ASIDE = {"background_tools": (weather.name,)}
SPEECH = tone(600, rate=16_000)
ASK = Reply(text="Let me see.", calls=(Call(name="get_weather", args={"city": "Rome"}),), after="It is sunny.")


def asked(*replies: Reply, **settings: Any) -> Conversation:
    talk = Conversation(*(replies or (ASK,)), **{"tools": [weather], **settings})
    talk.send(SendText("The weather?"))
    talk.run()
    return talk


def test_a_blocking_call_is_part_of_one_reply() -> None:
    talk = asked()
    (request,) = talk.of(ToolCallRequest)
    assert (request.name, request.arguments) == ("get_weather", '{"city": "Rome"}')
    assert not talk.codec.awaiting_reply
    assert talk.codec.busy
    talk.send(ToolResult(request.call_id, "25 degrees"))
    assert talk.codec.awaiting_reply
    talk.run()
    (done,) = talk.of(ResponseDone)
    assert not done.awaits_tools
    assert talk.session.results == [
        {"id": request.call_id, "name": "get_weather", "response": {"output": "25 degrees"}}
    ]
    assert [text for role, text in talk.lines if role == "assistant"] == ["Let me see.", "It is sunny."]
    talk.check()


def test_several_calls_are_answered_in_any_order() -> None:
    both = Reply(text="", calls=(Call(name="get_weather", call_id="a"), Call(name="get_weather", call_id="b")))
    talk = asked(both)
    talk.send(ToolResult("b", "no", is_error=True), ToolResult("a", "yes"))
    talk.run()
    assert [result["response"] for result in talk.session.results] == [{"error": "no"}, {"output": "yes"}]
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 1


def test_a_call_aside_is_answered_by_another_reply() -> None:
    talk = asked(**ASIDE)
    (done,) = talk.take(ResponseDone)
    assert done.awaits_tools
    assert not talk.codec.awaiting_reply
    talk.send(ToolResult(talk.of(ToolCallRequest)[0].call_id, "25 degrees"))
    talk.run()
    (result,) = talk.session.results
    assert result["scheduling"].value == "WHEN_IDLE"
    assert result["response"] == {"output": "25 degrees", "scheduling": "WHEN_IDLE"}
    (done,) = talk.of(ResponseDone)
    assert not done.awaits_tools
    assert talk.lines[-1] == ("assistant", "It is sunny.")
    talk.check()


def test_the_end_of_a_turn_before_the_answer_to_a_call() -> None:
    # Older models end their turn although they wait for a blocking call.
    talk = Conversation(tools=[weather], model="gemini-2.5-flash-native-audio-preview-12-2025")
    talk.send(SendText("The weather?"))
    call = {"toolCall": {"functionCalls": [{"id": "x", "name": "get_weather", "args": {}}]}}
    talk.tell(said("Let me see."), call)
    talk.codec.send(ToolResult("x", "fine"))
    talk.tell({"serverContent": {"turnComplete": True}})
    (done,) = talk.take(ResponseDone)
    assert done.awaits_tools
    assert talk.codec.awaiting_reply
    talk.tell(said("Fine."), {"serverContent": {"turnComplete": True}})
    assert [done.awaits_tools for done in talk.of(ResponseDone)] == [False]


def test_the_microphone_waits_for_a_blocking_call() -> None:
    talk = asked(vad_mode=VADMode.CLIENT, hears=["Thanks."])
    talk.send(StartTurn(), AppendAudio(SPEECH), EndTurn(), SendText("And tomorrow?"))
    assert not talk.session.heard
    talk.send(ToolResult(talk.of(ToolCallRequest)[0].call_id, "25 degrees"))
    assert talk.session.heard == SPEECH
    talk.run()
    assert talk.lines[-1] == ("assistant", "Hello there, how are you?")
    assert ("user", "And tomorrow?") in talk.lines
    talk.check()


def test_only_the_newest_sound_waits() -> None:
    talk = asked(hears=["Thanks."])
    second = bytes(32_000)
    talk.send(*[AppendAudio(second)] * 30, AppendAudio(SPEECH), AppendAudio(second))
    talk.send(ToolResult(talk.of(ToolCallRequest)[0].call_id, "25 degrees"))
    inputs = [frame.get("realtimeInput", {}) for frame in talk.session.received]
    held = [given["audio"]["data"] for given in inputs if "audio" in given]
    assert sum(map(len, held)) <= 30 * 32_000
    assert held[-2:] == [SPEECH, second]
    talk.run()
    assert [notice.message[:5] for notice in talk.of(Notice)] == ["2.0 s"]


def test_a_call_that_the_server_takes_back_is_never_answered() -> None:
    talk = asked()
    (request,) = talk.of(ToolCallRequest)
    told = talk.tell({"toolCallCancellation": {"ids": [request.call_id, "another"]}})
    assert told == [ToolCallCancelled(request.call_id)]
    talk.send(ToolResult(request.call_id, "too late"), ToolResult("unknown", "what?"))
    assert not talk.session.results


def test_a_call_of_a_cancelled_reply_is_refused() -> None:
    talk = Conversation(ASK, tools=[weather])
    talk.send(SendText("The weather?"))
    talk.run(steps=1)
    talk.send(talk.cut())
    talk.run()
    assert not talk.of(ToolCallRequest)
    (result,) = talk.session.results
    assert "error" in result["response"]
    talk.check()


def test_a_call_that_the_server_repeats_is_answered_again_and_not_run_again() -> None:
    talk = asked()
    (request,) = talk.of(ToolCallRequest)
    talk.send(ToolResult(request.call_id, "25 degrees"))
    talk.run()
    call = {"toolCall": {"functionCalls": [{"id": request.call_id, "name": "get_weather", "args": {}}]}}
    talk.tell(call)
    assert len(talk.of(ToolCallRequest)) == 1
    (message,) = talk.codec.data_to_send()
    assert b"25 degrees" in message


def test_a_call_without_id_is_answered_without_id() -> None:
    codec = make_codec([weather])
    codec.open()
    codec.receive(b'{"setupComplete":{}}')
    codec.data_to_send()
    events = codec.receive(b'{"toolCall":{"functionCalls":[{"name":"get_weather"}]}}')
    request = next(event for event in events if isinstance(event, ToolCallRequest))
    assert request.arguments == "{}"
    codec.send(ToolResult(request.call_id, "fine"))
    (message,) = codec.data_to_send()
    assert message == (b'{"toolResponse":{"functionResponses":[{"name":"get_weather","response":{"output":"fine"}}]}}')


def test_a_long_result_is_clipped() -> None:
    talk = asked()
    talk.send(ToolResult(talk.of(ToolCallRequest)[0].call_id, "x" * 100_000))
    output = talk.session.results[0]["response"]["output"]
    assert len(output) == 40_000
    assert output.endswith("[the rest is left out]")


# Over a lost connection


@pytest.mark.parametrize("aside", [False, True])
@pytest.mark.parametrize("handles", [True, False])
@pytest.mark.parametrize("words", ["", "Let me see."])
def test_a_function_that_runs_while_the_connection_is_lost_runs_once(aside: bool, handles: bool, words: str) -> None:
    talk = asked(
        replace(ASK, text=words),
        Reply(text="It is sunny."),
        google=Google(gives_handles=handles),
        **(ASIDE if aside else {}),
    )
    talk.connect()
    talk.run()
    talk.send(ToolResult(talk.of(ToolCallRequest)[0].call_id, "25 degrees"))
    talk.run()
    assert len(talk.of(ToolCallRequest)) == 1
    assert "25 degrees" in talk.session.turns[-2][1]
    assert talk.lines[-1] == ("assistant", "It is sunny.")
    replies = 2 if words or aside else 1  # one of which nothing had come goes on
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == replies
    assert not talk.of(ResponseDone)[-1].awaits_tools
    talk.check()


def test_an_answered_call_is_not_lost_with_the_connection() -> None:
    talk = asked(ASK, Reply(text="It is sunny."))
    talk.codec.send(ToolResult(talk.of(ToolCallRequest)[0].call_id, "25 degrees"))
    talk.connect()
    talk.run()
    assert len(talk.of(ToolCallRequest)) == 1
    assert "25 degrees" in talk.session.turns[-2][1]
    assert talk.of(ResponseDone)[0].awaits_tools
    assert talk.lines[-1] == ("assistant", "It is sunny.")


def test_a_call_of_a_reply_that_was_cut_is_not_asked_again() -> None:
    talk = asked()
    talk.send(talk.cut())
    talk.connect()
    assert talk.of(ToolCallCancelled)
    talk.run()
    assert len(talk.of(ResponseStarted)) == len(talk.of(ResponseDone)) == 1


def test_other_tools_are_offered_with_the_next_socket() -> None:
    news = ToolSchema("news", "What is new.", {"type": "object", "properties": {}})
    talk = Conversation(tools=[weather])
    talk.send(OfferTools((news,)))
    talk.run()
    assert len(talk.session.received) == 1
    talk.connect()
    assert talk.session.setup is not None
    (declared,) = talk.session.setup["tools"][0]["functionDeclarations"]
    assert (declared["name"], declared["behavior"]) == ("news", "BLOCKING")
    talk.check()
