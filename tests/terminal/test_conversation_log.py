"""Order and completeness of what is printed in the scrollback."""

import json
from dataclasses import replace

import pytest
from rich.console import Console

from tests.terminal.stage import STARTED, Stage, assistant, user
from voicecli.errors import RealtimeError
from voicecli.events import (
    CONNECTION_LOST,
    ApprovalRequest,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    Usage,
)
from voicecli.terminal.entries import Remark
from voicecli.terminal.render_entry import draw_entry


def test_a_tool_is_shown_while_it_runs() -> None:
    stage = Stage(user("Weather?"), ResponseStarted("r1"), ToolCallRequest("c", "weather", '{"city":"Paris","days":2}'))
    stage.happen(ResponseDone("r1", awaits_tools=True))
    stage.now = 3.0
    assert stage.said() == ["● weather city=Paris days=2 3 s"]
    stage.happen(ToolCallFinished("c", "weather", "{}"))
    assert stage.scrolled() == ["● You", "  Weather?", "● weather city=Paris days=2 ✓"]


@pytest.mark.parametrize(
    ("arguments", "events", "line"),
    [
        ("{}", [ToolCallFinished("c", "f", "x", is_error=True)], "● f ✗"),
        ("", [ToolCallCancelled("c")], "● f cancelled"),
        ("not json", [ToolCallFinished("c", "f", "x")], "● f not json ✓"),
        ('{"a": ["b\\u001b[2J"]}', [ToolCallFinished("c", "f", "x")], '● f a=["b\\u001b[2J"] ✓'),
        ('{"a": "' + "x" * 100 + '"}', [ToolCallFinished("c", "f", "x")], "● f a=" + "x" * 30 + "… ✓"),
    ],
)
def test_a_tool_is_one_line_with_its_outcome(arguments: str, events: list[Event], line: str) -> None:
    stage = Stage(ToolCallRequest("c", "f", arguments), *events)
    assert stage.scrolled(width=39) == [line]
    assert stage.scrolled() == []


def test_a_turn_is_partial_below_and_then_final_above() -> None:
    stage = Stage(SpeechStarted(), user("What is", final=False))
    assert stage.said() == ["● You", "  What is"]
    assert stage.scrolled() == []
    stage.happen(user("What is that?"))
    assert stage.scrolled() == ["● You", "  What is that?"]
    assert stage.said() == []
    stage.happen(user("What is that, please?"))
    assert stage.scrolled() == [], "what stands in the scrollback cannot be changed"


def test_a_reply_is_printed_when_it_was_heard() -> None:
    stage = Stage(user("Hi"), ResponseStarted("r"), assistant("Hello you.", final=False))
    stage.happen(playing=True)
    stage.happen(assistant("Hello you there."), ResponseDone("r"))
    assert stage.scrolled() == ["● You", "  Hi"]
    assert stage.said() == ["● Assistant", "  Hello you there."]
    stage.happen(playing=False)
    assert stage.scrolled() == ["● Assistant", "  Hello you there."]


def test_of_an_interrupted_reply_only_what_was_heard_is_printed() -> None:
    stage = Stage(ResponseStarted("r"), assistant("Hello you there."), ResponseDone("r"))
    stage.happen(playing=True)
    stage.happen(Interrupted("r", "a1"), playing=False)
    assert stage.scrolled() == []
    stage.happen(assistant("Hello", interrupted=True))
    assert stage.scrolled() == ["● Assistant", "  Hello …"]


def test_a_provider_that_does_not_say_what_was_heard_is_not_waited_for() -> None:
    stage = Stage(ResponseStarted("r"), assistant("Hello you there."), ResponseDone("r"), Interrupted("r", "a1"))
    stage.now = 2.9
    assert stage.scrolled() == []
    stage.now = 3.1
    assert stage.scrolled() == ["● Assistant", "  Hello you there."]


def test_the_order_of_turns_is_kept_although_a_reply_is_still_heard() -> None:
    stage = Stage(ResponseStarted("r"), assistant("First."), ResponseDone("r"))
    stage.happen(user("Second."), playing=True)
    assert stage.scrolled() == ["● Assistant", "  First.", "● You", "  Second."]


def test_nothing_is_lost_when_the_connection_is_or_the_conversation_ends() -> None:
    stage = Stage(ResponseStarted("r"), assistant("Half a", final=False))
    stage.happen(replace(STARTED, resumed=True))
    assert stage.scrolled() == [], "a socket that is replaced in time is not worth a word"
    stage.happen(Reconnecting(1, 0.5, "gone"), replace(STARTED, resumed=True))
    stage.happen(assistant("Half a sentence", final=False))
    assert stage.said() == ["● Assistant", "  Half a sentence"]
    stage.happen(SessionEnded("closed"), playing=True)
    assert stage.scrolled() == [
        "● Assistant",
        "  Half a sentence …",
        "The connection was lost: gone",
        "Connected again.",
    ]


def test_a_remark_stands_after_the_words_it_follows_but_is_not_held_for_long() -> None:
    error = ErrorOccurred(RealtimeError("It failed."))
    stage = Stage(user("What", final=False), error)
    stage.now = 1.9
    assert stage.scrolled() == []
    stage.happen(user("What is that?"))
    assert stage.scrolled() == ["● You", "  What is that?", "Error: It failed."]
    stage.happen(user("And", final=False, item_id="u2"), error, Notice("n", "Beside it."))
    stage.now = 3.8
    assert stage.scrolled() == []
    stage.now = 4.0
    assert stage.scrolled() == ["Error: It failed.", "Beside it."]
    stage.happen(user("And that?", item_id="u2"), Reconnecting(1, 0.5, "gone"))
    assert stage.scrolled() == ["● You", "  And that?", "The connection was lost: gone"]


def test_words_that_come_later_do_not_overtake_a_remark() -> None:
    stage = Stage(ToolCallRequest("c", "f", "{}"), Notice("n", "Noted."), user("Well?"))
    assert stage.scrolled() == ["Noted.", "● You", "  Well?"]


@pytest.mark.parametrize(
    ("reason", "words"),
    [
        ("max_output_tokens", "the limit of output tokens was reached"),
        ("content_filter", "the provider's content filter stopped it"),
        ("GENERATED_AUDIO_SAFETY", "generated audio safety"),
        ("the limit of output tokens was reached", "the limit of output tokens was reached"),
        ("", "no reason given"),
    ],
)
def test_why_a_reply_is_not_complete_is_told_with_it_and_in_words(reason: str, words: str) -> None:
    stage = Stage(user("Go on."), ResponseStarted("r"), assistant("One two"))
    stage.happen(playing=True)
    stage.happen(ResponseDone("r", "incomplete", reason))
    assert stage.scrolled() == ["● You", "  Go on."]
    stage.happen(playing=False)
    assert stage.scrolled() == ["● Assistant", "  One two", f"  The answer is not complete: {words}"]
    stage.happen(ResponseStarted("r2"), ResponseDone("r2", "incomplete", reason))
    assert stage.scrolled() == [f"The answer is not complete: {words}"], "without words it stands alone"


def test_a_reply_that_the_user_cut_short_is_not_called_incomplete() -> None:
    stage = Stage(ResponseStarted("r"), assistant("One two"), ResponseDone("r", "incomplete", "max_output_tokens"))
    stage.happen(playing=True)
    stage.happen(Interrupted("r", "a1"), assistant("One", interrupted=True), playing=False)
    assert stage.scrolled() == ["● Assistant", "  One …"]
    stage.happen(ResponseStarted("r2"), assistant("Three", item_id="a2"), Interrupted("r2"))
    stage.happen(ResponseDone("r2", "incomplete", "x"), assistant("Three", item_id="a2", interrupted=True))
    assert stage.scrolled() == ["● Assistant", "  Three …"]


def test_of_a_reply_that_the_connection_broke_off_the_words_say_so() -> None:
    stage = Stage(ResponseStarted("r"), assistant("One two", final=False))
    stage.happen(ResponseDone("r", "incomplete", CONNECTION_LOST), assistant("One two", interrupted=True))
    stage.happen(Reconnecting(1, 0.5, "gone"), playing=True)
    assert stage.scrolled() == ["● Assistant", "  One two …", "The connection was lost: gone"]


def test_what_is_asked_is_shown_whole_and_waits_for_the_user() -> None:
    arguments = {"query": "a long question " * 4, "code": "rm -r x\n\x1b[2J"}
    request = ApprovalRequest("a", "search", json.dumps(arguments), "web\x1b", tool_id="t")
    stage = Stage(user("Search", final=False), ResponseStarted("r"), request, ResponseDone("r", awaits_tools=True))
    assert stage.scrolled(50) == [
        "● Allow search on web\\x1b?",
        '  query="a long question a long question a long',
        '  question a long question "',
        '  code="rm -r x\\n\\u001b[2J"',
    ]
    assert stage.said(50)[3:] == [
        "Allow search on web\\x1b?",
        '  query="a long question a long question a',
        '  long question a long question "',
        '  code="rm -r x\\n\\u001b[2J"',
    ]
    stage.now += 1
    assert stage.view.answer_question("denied") == request
    assert stage.scrolled() == ["Refused: search on web\\x1b"]


def test_ending_in_the_middle_of_a_reply_shows_what_is_cut() -> None:
    stage = Stage(user("Hi"), ResponseStarted("r"), assistant("One two", final=False), playing=True)
    stage.happen(ToolCallRequest("c", "f", "{}"))
    stage.view.end_asked()
    assert stage.view.state_words == "Ending"
    assert stage.hints() == ""
    stage.happen(assistant("One two three"), playing=False)
    stage.now = 12.0
    stage.happen(SessionEnded("closed"))
    stage.view.finish()
    assert stage.scrolled() == ["● You", "  Hi", "● Assistant", "  One two three …", "● f cancelled"]
    assert stage.view.summary() == "1 turn in 12 s, 0 underruns, 0 reconnects"


def test_a_reply_whose_sound_is_cut_by_the_end_is_cut_although_its_words_are_whole() -> None:
    stage = Stage(ResponseStarted("r"), assistant("One two three"), ResponseDone("r"), playing=True)
    stage.view.end_asked()
    stage.happen(playing=False)
    assert stage.scrolled() == []
    stage.happen(SessionEnded("closed"))
    assert stage.scrolled() == ["● Assistant", "  One two three …"]


@pytest.mark.parametrize("awaits_tools", [False, True])
def test_ending_after_a_reply_cuts_nothing(awaits_tools: bool) -> None:
    stage = Stage(ResponseStarted("r"), assistant("One two"))
    stage.happen(ResponseDone("r", usage=Usage(cost_usd=0.5), awaits_tools=awaits_tools), SessionEnded("closed"))
    assert stage.scrolled() == ["● Assistant", "  One two"]
    assert (
        stage.view.summary()
        == f"1 turn in 0 s, 0 underruns, 0 reconnects, {'at least ' if awaits_tools else ''}$0.5000"
    )


def test_remarks_stand_beside_the_conversation() -> None:
    stage = Stage(Notice("n", "Note\x1b[2Jd"), ErrorOccurred(RealtimeError("It failed.", advice="Try again.")))
    stage.happen(Reconnecting(1, 0.5, "gone"), Reconnecting(2, 1.0, "gone"))
    stage.happen(ResponseStarted("r"), ResponseDone("r", "failed", "no quota"))
    assert stage.scrolled() == [
        "Note\\x1b[2Jd",
        "Error: It failed. Try again.",
        "The connection was lost: gone",
        "The answer is not complete: no quota",
    ]


def test_an_empty_line_that_was_printed_is_shown() -> None:
    console = Console(width=20, color_system=None)
    for text in ("one\n\ntwo", ""):
        with console.capture() as capture:
            console.print(draw_entry(Remark("note", text), 20))
        assert capture.get() == f"{text}\n"


def test_a_tool_stands_below_the_words_that_called_it_although_they_come_late() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), user("", final=False), ResponseStarted("r"))
    stage.happen(ToolCallRequest("c", "weather", "{}"), ResponseDone("r", awaits_tools=True))
    stage.happen(ToolCallFinished("c", "weather", ""))
    assert stage.scrolled() == []
    stage.now = 1.0
    stage.happen(user("How is it?"))
    assert stage.scrolled() == ["● You", "  How is it?", "● weather ✓"]


def test_a_tool_stands_below_the_words_that_called_it_although_nothing_announced_them() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), ResponseStarted("r"), ToolCallRequest("c", "weather", "{}"))
    stage.happen(ToolCallFinished("c", "weather", ""))
    assert stage.scrolled() == []
    stage.happen(user("How", final=False))
    assert stage.scrolled() == []
    stage.happen(user("How is it?"))
    assert stage.scrolled() == ["● You", "  How is it?", "● weather ✓"]


def test_a_tool_that_words_typed_call_stands_below_them() -> None:
    stage = Stage()
    stage.view.turn_ended()
    stage.happen(user("How is it?"), ToolCallRequest("c", "weather", "{}"), ToolCallFinished("c", "weather", ""))
    assert stage.scrolled() == ["● You", "  How is it?", "● weather ✓"]


def test_a_tool_does_not_wait_for_words_that_came_before_the_turn_was_over() -> None:
    stage = Stage(SpeechStarted(), user("How is it?"), SpeechStopped())
    stage.happen(ToolCallRequest("c", "weather", "{}"), ToolCallFinished("c", "weather", ""))
    assert stage.scrolled() == ["● You", "  How is it?", "● weather ✓"]


def test_words_that_never_come_hold_nothing_for_long() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), Notice("n", "Noted."))
    assert stage.scrolled() == ["Noted."], "remarks do not wait for words that nobody has begun"
    stage.happen(ToolCallRequest("c", "weather", "{}"))
    stage.now = 5.0
    stage.happen(ToolCallFinished("c", "weather", ""), Notice("n", "Again."))
    stage.now = 6.9
    assert stage.scrolled() == []
    stage.now = 7.1
    assert stage.scrolled() == ["● weather ✓", "Again."]
    stage.happen(ToolCallRequest("d", "clock", "{}"), ToolCallFinished("d", "clock", ""))
    assert stage.scrolled() == ["● clock ✓"], "and the next tool waits no more"


def test_a_noise_keeps_no_place_for_words() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), Notice("no_speech", "Nothing was said."))
    stage.happen(ToolCallRequest("c", "weather", "{}"), ToolCallFinished("c", "weather", ""))
    assert stage.scrolled() == ["Nothing was said.", "● weather ✓"]


def test_an_answer_does_not_wait_for_the_words_it_answers() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), ResponseStarted("r"), assistant("Sunny."), ResponseDone("r"))
    assert stage.scrolled() == ["● Assistant", "  Sunny."]
    stage.happen(user("How is it?"))
    assert stage.scrolled() == ["● You", "  How is it?"]


def test_a_tool_stands_below_what_the_assistant_said_before_calling_it() -> None:
    stage = Stage(user("How is it?"), ResponseStarted("r"), assistant("Let me", final=False))
    stage.happen(ToolCallRequest("c", "weather", "{}"), ToolCallFinished("c", "weather", ""))
    assert stage.scrolled() == ["● You", "  How is it?"]
    stage.happen(assistant("Let me look."), playing=True)
    assert stage.scrolled() == ["● Assistant", "  Let me look.", "● weather ✓"]
