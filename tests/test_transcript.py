import pytest

from voicecli.commands import SendText, ToolResult
from voicecli.conversation.transcript_order import TranscriptOrder
from voicecli.events import (
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.transcript import Transcript, Turn, heard_text


def user(text: str, item: str = "u1", *, final: bool = False) -> TranscriptUpdate:
    return TranscriptUpdate("user", item, text, final)


def assistant(text: str, item: str = "a1", *, final: bool = False) -> TranscriptUpdate:
    return TranscriptUpdate("assistant", item, text, final)


def texts(transcript: Transcript) -> list[tuple[str, str]]:
    return [(turn.role, turn.text) for turn in transcript.turns]


def test_updates_replace_each_other_and_keep_their_place() -> None:
    transcript = Transcript()
    for event in (
        user(""),
        assistant("It"),
        assistant("It is"),
        user("Is it?", final=True),
        assistant("It is.", final=True),
    ):
        transcript.apply(event)
    assert texts(transcript) == [("user", "Is it?"), ("assistant", "It is.")]
    assert all(turn.final for turn in transcript.turns)


def test_tool_calls_stand_where_they_were_made() -> None:
    transcript = Transcript()
    transcript.apply(SendText("Weather?", "t1"))
    transcript.apply(ToolCallRequest("c1", "weather", '{"city":"Rome"}'))
    transcript.apply(ToolResult("c1", "sunny"))
    transcript.apply(ToolCallFinished("c1", "weather", "sunny"))
    transcript.apply(assistant("Sunny.", final=True))
    assert texts(transcript) == [("user", "Weather?"), ("tool", "sunny"), ("assistant", "Sunny.")]
    assert transcript.turns[1] == Turn("tool", "c1", "sunny", True, name="weather", arguments='{"city":"Rome"}')


def test_history_comes_first() -> None:
    transcript = Transcript([Turn("user", "old", "Before.", True)])
    transcript.apply(user("Now.", "old", final=True))
    assert texts(transcript) == [("user", "Before."), ("user", "Now.")]


def test_the_reply_waits_for_the_words_it_answers() -> None:
    order = TranscriptOrder()
    assert order.push(user(""), 0.0) == [user("")]
    assert order.push(assistant("It"), 0.0) == []
    assert order.push(ResponseDone("r1"), 0.0) == []
    assert order.holding
    assert order.push(SpeechStarted(), 0.0) == [SpeechStarted()]
    assert order.push(user("Is it?", final=True), 0.0) == [
        user("Is it?", final=True),
        assistant("It"),
        ResponseDone("r1"),
    ]
    assert order.push(assistant("It is"), 0.0) == [assistant("It is")]


def test_what_was_heard_of_a_reply_does_not_wait_for_the_words_that_cut_it() -> None:
    order = TranscriptOrder()
    assert order.push(assistant("It is"), 0.0) == [assistant("It is")]
    assert order.push(user("No"), 0.0) == [user("No")]
    cut = TranscriptUpdate("assistant", "a1", "It", final=True, interrupted=True)
    assert order.push(cut, 0.0) == [cut]
    # But it does for the words that it answers.
    assert order.push(assistant("What"), 0.0) == []
    assert order.push(cut, 0.0) == []


def test_the_end_of_a_reply_waits_for_its_words_but_not_longer_than_for_the_next_reply() -> None:
    order = TranscriptOrder()
    order.push(user(""), 0.0)
    assert order.push(assistant("It"), 0.0) == order.push(ResponseDone("r1"), 0.0) == []
    assert order.push(ResponseStarted("r2"), 0.0) == [ResponseDone("r1"), ResponseStarted("r2")]
    assert order.push(user("Is it?", final=True), 0.0) == [user("Is it?", final=True), assistant("It")]


def test_the_wait_can_be_given_up() -> None:
    order = TranscriptOrder()
    order.push(user(""), 0.0)
    order.push(assistant("It"), 0.0)
    assert order.release() == [assistant("It")]
    assert order.push(assistant("It is"), 0.0) == [assistant("It is")]
    assert order.push(user("Is it?", final=True), 0.0) == [user("Is it?", final=True)]


def test_of_two_open_utterances_both_are_waited_for() -> None:
    order = TranscriptOrder()
    order.push(user("", "u1"), 0.0)
    order.push(user("", "u2"), 0.0)
    assert order.push(assistant("It"), 0.0) == []
    assert order.push(user("b", "u2", final=True), 0.0) == [user("b", "u2", final=True)]
    assert order.push(user("a", "u1", final=True), 0.0)[1:] == [assistant("It")]


@pytest.mark.parametrize(
    ("played", "received", "heard"),
    [
        (0, 1000, ""),
        (-5, 1000, ""),
        (1000, 1000, "one two three four"),
        (2000, 1000, "one two three four"),
        (500, 1000, "one two"),
        (100, 1000, ""),
        (0, 0, "one two three four"),
    ],
)
def test_heard_text_is_cut_at_a_word(played: int, received: int, heard: str) -> None:
    assert heard_text("one two three four", played, received) == heard


def test_a_word_that_a_line_break_ends_is_whole() -> None:
    assert heard_text("one\ntwo", 500, 1000) == heard_text("one\ntwo", 900, 1000) == "one"
