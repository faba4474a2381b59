import asyncio
import io
import json
import os
import pty
import re
import select
import termios
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TextIO

import pytest
from rich.cells import cell_len, get_character_cell_size
from rich.console import Console

from tests.support.picture import Scene, picture
from voicecli.audio.meter import Meter
from voicecli.errors import RealtimeError
from voicecli.events import (
    CONNECTION_LOST,
    ApprovalRequest,
    AudioChunk,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.live_view import LiveView, can_show
from voicecli.terminal.printable import printable
from voicecli.terminal.render import ASCII, UNICODE, Glyphs, draw_entry, draw_footer, glyphs_for
from voicecli.terminal.screen import Screen
from voicecli.terminal.scrollback import Remark
from voicecli.terminal.view_model import Sound, State, View

STARTED = SessionStarted("s", "m", "v", 24_000, 24_000)
DEVICES = Sound("Built-in Microphone", "Headphones", (0.0, 0.5, 1.0), (0.2,), echo="gate")


def user(text: str, *, final: bool = True, item_id: str = "u1") -> TranscriptUpdate:
    return TranscriptUpdate("user", item_id, text, final)


def assistant(text: str, *, final: bool = True, item_id: str = "a1", interrupted: bool = False) -> TranscriptUpdate:
    return TranscriptUpdate("assistant", item_id, text, final, interrupted)


class Stage:
    """A view whose clock the test sets."""

    def __init__(self, *events: Event, push_to_talk: bool = False, playing: bool = False) -> None:
        self.now = 0.0
        self.view = View(push_to_talk=push_to_talk, clock=lambda: self.now)
        self.happen(STARTED, *events, playing=playing)

    def happen(self, *events: Event, playing: bool | None = None) -> None:
        for event in events:
            self.view.apply(event)
        if playing is not None:
            self.view.set_sound(replace(self.view.sound, playing=playing))

    def footer(self, width: int = 80, height: int = 24, glyphs: Glyphs = UNICODE) -> list[str]:
        return [line.plain for line in draw_footer(self.view, width, height, glyphs)]

    def scrolled(self, width: int = 80, glyphs: Glyphs = UNICODE) -> list[str]:
        """The lines that went to the scrollback since the last call, without the empty ones."""
        console = Console(width=width, file=io.StringIO(), legacy_windows=False)
        with console.capture() as capture:
            for entry in self.view.take_entries():
                console.print(draw_entry(entry, width, glyphs), highlight=False)
        return [line.rstrip() for line in capture.get().splitlines() if line.strip()]


def test_each_state_has_its_words() -> None:
    stage = Stage()
    stage.view = View(clock=lambda: stage.now)
    words = [stage.view.state_words]

    def then(*events: Event, playing: bool | None = None) -> None:
        stage.happen(*events, playing=playing)
        words.append(stage.view.state_words)

    then(STARTED)
    then(SpeechStarted())
    then(SpeechStopped())
    stage.now = 1.25
    then(user("Hello?"), ResponseStarted("r"))
    then(AudioChunk(b"", "r", "a1"))
    then(assistant("Hello."), ResponseDone("r"), playing=True)
    then(playing=False)
    stage.view.microphone_muted = True
    then()
    then(Reconnecting(1, 0.5, "gone"))
    then(Reconnecting(2, 1.0, "gone"))
    stage.view.microphone_muted = False
    then(replace(STARTED, resumed=True))
    then(SessionEnded("closed"))
    assert words == [
        "Connecting",
        "Listening",
        "Hearing you",
        "Thinking 0.0 s",
        "Thinking 1.2 s",
        "Speaking",
        "Speaking",
        "Listening",
        "Muted",
        "Reconnecting 1",
        "Reconnecting 2",
        "Listening",
        "Ended",
    ]


def test_noise_is_not_thought_about_for_ever() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped())
    assert stage.view.state is State.THINKING
    stage.happen(Notice("no_speech", "Nothing was said."))
    assert stage.footer()[1].startswith("● Listening")


def test_a_tool_between_two_responses_keeps_the_view_thinking() -> None:
    stage = Stage(user("Weather?"), ResponseStarted("r1"), ToolCallRequest("c", "weather", '{"city":"Paris","days":2}'))
    stage.happen(ResponseDone("r1", awaits_tools=True))
    stage.now = 3.0
    assert stage.footer()[0] == "weather city=Paris days=2 3 s"
    assert stage.view.state_words == "Thinking 3.0 s"
    stage.happen(ToolCallFinished("c", "weather", "{}"))
    assert stage.scrolled() == ["● You", "  Weather?", "● weather city=Paris days=2 ✓"]
    assert stage.view.state is State.THINKING


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
    assert stage.footer()[0] == "You: What is"
    assert stage.scrolled() == []
    stage.happen(user("What is that?"))
    assert stage.scrolled() == ["● You", "  What is that?"]
    assert stage.footer()[0] == ""
    stage.happen(user("What is that, please?"))
    assert stage.scrolled() == [], "what stands in the scrollback cannot be changed"


def test_a_reply_is_printed_when_it_was_heard() -> None:
    stage = Stage(user("Hi"), ResponseStarted("r"), assistant("Hello you.", final=False))
    stage.happen(playing=True)
    stage.happen(assistant("Hello you there."), ResponseDone("r"))
    assert stage.scrolled() == ["● You", "  Hi"]
    assert stage.footer()[0] == "Assistant: Hello you there."
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
    assert stage.footer()[0] == "Assistant: Half a sentence"
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


def test_an_answer_that_is_owed_is_waited_for_over_a_reconnect() -> None:
    stage = Stage(user("Hi"), SpeechStarted(), SpeechStopped(), ResponseStarted("r"))
    stage.happen(Reconnecting(1, 0.5, "gone"))
    stage.now = 2.0
    assert stage.view.state is State.RECONNECTING
    stage.happen(replace(STARTED, resumed=True))
    assert stage.view.state_words == "Thinking 2.0 s"
    stage.happen(AudioChunk(b"", "r", "a1"))
    assert stage.view.state_words == "Speaking", "the reply goes on under its name"
    stage.happen(ResponseDone("r"), Reconnecting(1, 0.5, "gone"), replace(STARTED, resumed=True))
    assert stage.view.state_words == "Listening"


def test_what_is_asked_is_shown_whole_and_waits_for_the_user() -> None:
    arguments = {"query": "a long question " * 4, "code": "rm -r x\n\x1b[2J"}
    request = ApprovalRequest("a", "search", json.dumps(arguments), "web\x1b")
    stage = Stage(SpeechStarted(), SpeechStopped(), user("Search", final=False), ResponseStarted("r"))
    stage.happen(request, ResponseDone("r", awaits_tools=True))
    stage.now = 5.0
    assert stage.view.state_words == "Asking"
    assert stage.scrolled(50) == [
        "● Allow search on web\\x1b?",
        "  query=a long question a long question a long",
        "  question a long question",
        '  code="rm -r x\\n\\u001b[2J"',
    ]
    assert stage.footer(50)[0] == "Allow search query=a long questi… on web\\x1b?"
    assert stage.footer(26)[0] == "Allow search on web\\x1b?"
    stage.view.show_help()
    assert stage.scrolled()[:2] == ["y  allow what is asked", "n  refuse it"]
    assert stage.view.answer_approval(False) == request
    assert stage.scrolled() == ["Refused: search on web\\x1b"]
    assert stage.view.state_words == "Thinking 0.0 s", "until now the user was waited for"


def test_what_was_asked_over_a_lost_connection_is_void() -> None:
    stage = Stage(ApprovalRequest("a", "search", "{}", "web"), Reconnecting(1, 0.5, "gone"))
    stage.happen(replace(STARTED, resumed=True))
    assert stage.view.approvals == []
    assert "What was asked cannot be answered any more." in stage.scrolled()


def test_ending_in_the_middle_of_a_reply_shows_what_is_cut() -> None:
    stage = Stage(user("Hi"), ResponseStarted("r"), assistant("One two", final=False), playing=True)
    stage.happen(ToolCallRequest("c", "f", "{}"))
    stage.view.end_asked()
    assert stage.view.state_words == "Ending"
    assert stage.footer()[2] == ""
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


def test_an_answer_that_is_given_up_is_not_waited_for() -> None:
    stage = Stage(user("Hi"), SpeechStopped(), ResponseStarted("r"), ToolCallRequest("c", "look_up", "{}"))
    stage.view.answer_given_up()
    assert stage.view.state is State.LISTENING
    stage.happen(ResponseDone("r", awaits_tools=True))
    assert stage.view.state is State.LISTENING
    assert stage.scrolled()[2:] == ["The answer is given up; look_up still runs."]
    stage.view.answer_given_up()
    stage.happen(ToolCallFinished("c", "look_up", ""), ResponseStarted("r2"), Interrupted("r2"))
    assert stage.view.state is State.LISTENING
    assert stage.scrolled() == ["● look_up ✓"]
    stage.happen(ResponseDone("r2", "cancelled"), SpeechStarted(), SpeechStopped(), ResponseStarted("r3"))
    assert stage.view.state_words == "Thinking 0.0 s"
    stage.view.answer_given_up()
    assert stage.scrolled() == ["The answer is given up."]


def test_help_is_shown_once_while_its_key_is_held() -> None:
    stage = Stage()
    for tenths in range(30):
        stage.now = tenths / 10
        stage.view.show_help()
    assert len([line for line in stage.scrolled() if line.startswith("q or Ctrl-C")]) == 1
    stage.now += 1.1
    stage.view.show_help()
    assert stage.scrolled() != []


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


def test_latency_stands_in_the_footer_and_beside_the_reply() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), user("Hi"))
    stage.now = 0.41
    stage.happen(ResponseStarted("r"), AudioChunk(b"", "r", "a1"))
    stage.view.sound_heard(410)
    assert "first sound 410 ms" in stage.footer()[1]
    stage.happen(assistant("Hello."), ResponseDone("r", metrics=TurnMetrics(first_audio_ms=300)))
    assert stage.scrolled()[2:] == ["● Assistant  410 ms", "  Hello."]
    stage.happen(SpeechStarted(), SpeechStopped(), ResponseStarted("r2"), assistant("Again.", item_id="a2"))
    stage.happen(ResponseDone("r2", metrics=TurnMetrics(first_heard_ms=1200)))
    assert stage.scrolled() == ["● Assistant  1200 ms", "  Again."]
    assert "latency median 805 ms, worst 1200 ms" in stage.view.summary()


def test_a_slow_answer_is_marked_by_its_colour() -> None:
    for milliseconds, style in ((999, "dim"), (1000, "red")):
        stage = Stage(ResponseStarted("r"), ResponseDone("r", metrics=TurnMetrics(first_heard_ms=milliseconds)))
        line = draw_footer(stage.view, 80, 24)[1]
        at = line.plain.index(f"{milliseconds} ms")
        assert style in [span.style for span in line.spans if span.start <= at < span.end]


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (Usage(cost_usd=0.0123), "$0.0123"),
        (Usage(cost_usd=0.0123, approximate=True), "~$0.0123"),
        (Usage(cost_usd=None), "cost unknown"),
        (Usage(), "no cost"),
    ],
)
def test_the_summary_is_one_line(usage: Usage, words: str) -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=usage), Reconnecting(1, 0.5, "x"), STARTED)
    stage.view.set_sound(Sound(underruns=2))
    stage.now = 90.0
    assert stage.view.summary() == f"1 turn in 1.5 min, 2 underruns, 1 reconnect, {words}"


def test_the_summary_says_nothing_where_nothing_happened() -> None:
    assert View().summary() == ""
    stage = Stage()
    stage.now = 59.4
    assert stage.view.summary() == "0 turns in 59 s, 0 underruns, 0 reconnects, no cost"
    stage.now = 59.5
    assert stage.view.summary() == "0 turns in 1.0 min, 0 underruns, 0 reconnects, no cost"


def test_the_keys_shown_are_those_that_do_something_now() -> None:
    stage = Stage()
    stage.view.speaker_muted = True
    assert [line.rstrip() for line in stage.footer()[1:]] == ["● Listening", "m mute  t type  q end  ? help"], (
        "there is no loudspeaker"
    )
    stage.view.show_help()
    assert not any("speaker" in line for line in stage.scrolled())
    stage.view.speaker_muted = False
    stage.view.set_sound(DEVICES)
    assert stage.footer()[2] == "m mute  t type  q end  s silence  ? help"
    stage.view.microphone_muted = stage.view.speaker_muted = True
    assert stage.footer()[2] == "m unmute  t type  q end  s sound on  ? help"
    stage.happen(ResponseStarted("r"))
    assert "i interrupt" in stage.footer()[2]
    stage.happen(ApprovalRequest("a", "search", '{"q": "x"}', "web\x1b"))
    assert stage.footer()[0] == "Allow search q=x on web\\x1b?"
    assert stage.footer()[2].startswith("y allow  n refuse  m ")
    stage.view.editor = LineEditor()
    assert stage.footer()[2] == "enter send  esc cancel"
    talk = Stage(push_to_talk=True)
    assert talk.footer()[2].startswith("space talk  ")
    talk.view.set_talking(True)
    assert talk.footer()[2].startswith("space send  ")


def test_the_status_line_keeps_what_matters_most() -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=Usage(cost_usd=0.5), metrics=TurnMetrics(410)))
    stage.view.set_sound(DEVICES)
    lines = {width: stage.footer(width)[1] for width in (130, 70, 50, 30, 20, 12, 5)}
    assert lines == {
        130: "● Listening       mic ▁▅█ Built-in Microphone  spk █▁▁▁▁ Headphones"
        "  first sound 410 ms  $0.5000  echo gate",
        70: "● Listening       mic ▁▅█  spk █▁▁▁▁  410 ms  $0.5000  echo gate",
        50: "● Listening       mic ▁▅█  s█▁▁▁▁  410 ms  $0.5000",
        30: "Listening  m▁▅█  s▅▁▁  410 ms",
        20: "● Listening  mic ▁▅█",
        12: "● Listening",
        5: "Liste",
    }


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_status_line_does_not_jump_between_states(width: int) -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=Usage(cost_usd=0.5), metrics=TurnMetrics(410)))
    stage.view.set_sound(Sound("Built-in Microphone", "Headphones", (0.0,) * 5, (0.0,) * 5, echo="aec"))
    rests = [stage.footer(width)[1].partition("m")[2]]
    changes: list[list[Event]] = [
        [SpeechStarted()],
        [SpeechStopped()],
        [ResponseStarted("r")],
        [AudioChunk(b"", "r", "a")],
        [ResponseDone("r", awaits_tools=True), ApprovalRequest("a", "f", "{}", "s")],
        [Reconnecting(9, 0.5, "gone")],
    ]
    for events in changes:
        stage.happen(*events)
        stage.now += 6.66
        rests.append(stage.footer(width)[1].partition("  m")[2])
    assert len(set(rests)) == 1, rests


def test_the_shortest_meters_say_whose_they_are() -> None:
    stage = Stage(ResponseStarted("r"), AudioChunk(b"", "r", "a"))
    stage.view.set_sound(Sound("Mic", "Speaker", (0.0, 1.0, 0.0, 0.0, 0.5), (1.0,)))
    assert stage.footer(20)[1] == "Speaking  m▁█▅  s███"
    stage.view.microphone_muted = stage.view.speaker_muted = True
    assert stage.footer(24)[1] == "Speaking  m MUTE  s MUTE"


WIDE = "日本語のとても長い文章です。" * 6
RIGHT_TO_LEFT = "שלום עולם, מה שלומך היום? " * 4
PERSIAN = "می\u200cخواهم"  # noqa: RUF001


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [*range(1, 42), 80, 200])
def test_no_line_of_the_footer_is_wider_than_the_screen(width: int, glyphs: Glyphs) -> None:
    scene = Scene()
    for moment in scene.moments():
        for height in (1, 2, 5, 6, 24):
            lines = draw_footer(scene.view, width, height, glyphs)
            assert len(lines) <= min(3, height), moment
            assert max(cell_len(line.plain) for line in lines) <= width, (moment, lines)
    for text in (WIDE, RIGHT_TO_LEFT, "e\u0301" * 90, "👩\u200d👧" * 30):
        stage = Stage(user(text, final=False))
        assert cell_len(stage.footer(width)[0]) <= width
        stage.view.editor = LineEditor()
        stage.view.editor.text = text
        for cursor in (0, len(text) // 2, len(text)):
            stage.view.editor.cursor = cursor
            assert cell_len(stage.footer(width)[0]) <= width


def test_a_long_partial_shows_its_newest_words() -> None:
    stage = Stage(user("one two three four five six", final=False))
    assert stage.footer(24)[0] == "You: …ee four five six", "room is left for a window that is made narrower"
    assert stage.footer(20)[0] == "…ree four five six"
    stage.happen(user(WIDE, final=False))
    assert stage.footer(20)[0] == "…も長い文章です。"
    stage.happen(user("a\u0301" * 30, final=False))
    assert stage.footer(20)[0] == "…" + "a\u0301" * 17, "an accent keeps its letter"


@pytest.mark.parametrize(("text", "width"), [(WIDE, 20), (RIGHT_TO_LEFT, 20), ("word " * 30, 20), ("x" * 100, 9)])
def test_a_long_turn_is_wrapped_and_indented_and_complete(text: str, width: int) -> None:
    lines = Stage(user(text)).scrolled(width)
    assert lines[0] == "● You"
    assert all(line.startswith("  ") and cell_len(line) <= width for line in lines[1:])
    assert "".join(lines[1:]).replace(" ", "") == text.replace(" ", "")


def test_the_view_can_be_drawn_in_ascii() -> None:
    assert glyphs_for("utf-8") is UNICODE
    assert glyphs_for("ascii") is glyphs_for("latin-1") is glyphs_for(None) is glyphs_for("nonsense") is ASCII
    stage = Stage(user("Hi"), ToolCallRequest("c", "f", "{}"), ToolCallFinished("c", "f", ""), SpeechStarted())
    stage.view.set_sound(DEVICES)
    drawn = stage.scrolled(glyphs=ASCII) + stage.footer(glyphs=ASCII)
    assert "".join(drawn).isascii()
    assert drawn[-2].startswith("* Hearing you     mic _=# Built-in Microphone")


def test_words_do_not_steer_the_terminal() -> None:
    evil = "a\x1b]0;title\x07\x9b2J\u202e\r\n\ud800\U000e0041z"
    assert printable(evil) == "a\\x1b]0;title\\x07\\x9b2J\\u202e  \\ud800\\U000e0041z"
    assert printable(PERSIAN) == PERSIAN
    stage = Stage(user(evil, final=False))
    assert all(line.isprintable() for line in stage.footer())
    stage.happen(user(evil))
    assert all(line.isprintable() for line in stage.scrolled())


def test_without_colour_no_colour_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system="truecolor", legacy_windows=False)
    for line in draw_footer(Stage().view, 80, 24):
        console.print(line)
    assert "Listening" in stream.getvalue()
    assert not any(f"\x1b[{code}" in stream.getvalue() for code in ("3", "9", "1;3", "38"))


def test_the_picture_shows_the_view_and_fetches_nothing() -> None:
    svg = picture("listening", "speaking", "reconnecting")
    for words in ("Listening", "Speaking", "Reconnecting&#160;2", "get_weather", "first&#160;sound"):
        assert words in svg
    assert "url(http" not in svg
    assert "@import" not in svg


@pytest.fixture
def terminal() -> Iterator[tuple[int, TextIO]]:
    """The user's end of a pseudo-terminal, and the program's."""
    user_end, program_end = pty.openpty()
    with open(program_end, "w", encoding="utf-8") as stream:
        yield user_end, stream
    with suppress(OSError):  # a test may have hung up
        os.close(user_end)


def read(fd: int) -> str:
    """All that has been written so far."""
    data = b""
    while select.select([fd], [], [], 0)[0]:
        data += os.read(fd, 65_536)
    return data.decode()


def test_the_screen_is_left_as_it_was(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    screen = Screen(stream)
    screen.close()
    assert read(user_end) == ""
    screen.draw("", ["one", "two"])
    written = read(user_end)
    assert written.endswith("\r\x1b[1A\x1b[?2026l"), "the cursor waits where the footer begins"
    assert "\x1b[?7lone\r\ntwo\x1b[?7h" in written
    screen.draw("", ["one", "two"])
    assert read(user_end) == "", "the same picture is not written twice"
    screen.draw("said\n", ["one", "two"])
    assert "\r\x1b[K\x1b[C\x1b[J\rsaid\r\n" in read(user_end), "never cleared from the first place"
    screen.close()
    screen.close()
    assert read(user_end) == "\x1b[?2026l\x1b[?7h\r\x1b[K\x1b[C\x1b[J\r\x1b[?25h"


def test_a_terminal_that_does_not_read_stops_nothing_and_loses_no_words(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    screen = Screen(stream)
    for number in range(2_000):
        screen.draw(f"turn {number}\n", [f"footer {number}", "x" * 60])
    assert not screen.flush()
    for number in range(100):
        screen.draw("", [f"skipped {number}"])
    written = ""
    while not screen.flush():
        written += read(user_end)
    screen.draw("", ["latest"])
    written += read(user_end)
    assert [line for line in written.split() if line.isdecimal()] != []
    assert all(f"turn {number}\r\n" in written for number in range(2_000))
    assert "skipped" not in written
    assert "latest" in written
    screen.close()


def test_a_terminal_that_has_gone_is_no_error(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    screen = Screen(stream)
    screen.draw("", ["one"])
    os.close(user_end)
    screen.draw("more\n", ["two"])
    assert screen.flush()
    screen.close()


def test_no_live_view_where_there_is_no_terminal(terminal: tuple[int, TextIO], monkeypatch: pytest.MonkeyPatch) -> None:
    _, stream = terminal
    monkeypatch.setenv("TERM", "xterm")
    assert can_show(stream, stream)
    assert not can_show(io.StringIO(), stream)
    assert not can_show(stream, io.StringIO())
    monkeypatch.setenv("TERM", "dumb")
    assert not can_show(stream, stream)


class NoControls:
    """`Controls` of nothing."""

    def mute_microphone(self, muted: bool) -> None: ...
    def mute_speaker(self, muted: bool) -> None: ...
    def talk(self, talking: bool) -> None: ...
    def interrupt(self) -> None: ...
    def say(self, text: str) -> None: ...
    def approve(self, approval_id: str, allowed: bool) -> None: ...
    def end(self) -> None: ...


async def test_keys_that_are_read_together_make_one_picture(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    pictures = 0

    def sound() -> Sound:
        nonlocal pictures
        pictures += 1
        return Sound()

    view = View()
    async with LiveView(view, NoControls(), sound=sound, stdin=stream, stdout=stream):
        await asyncio.sleep(0)
        os.write(user_end, b"t" + b"x" * 3_000)
        while view.editor is None or len(view.editor.text) < 3_000:
            await asyncio.sleep(0)
        await asyncio.sleep(0)
        assert pictures < 100
        assert "…xxx" in read(user_end), "and it is drawn at once"


def test_of_a_long_paste_only_what_is_shown_is_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    measured = 0

    def size(char: str) -> int:
        nonlocal measured
        measured += 1
        return get_character_cell_size(char)

    def length(text: str) -> int:
        nonlocal measured
        measured += len(text)
        return cell_len(text)

    monkeypatch.setattr("voicecli.terminal.render.get_character_cell_size", size)
    monkeypatch.setattr("voicecli.terminal.render.cell_len", length)
    stage = Stage()
    stage.view.editor = LineEditor()
    stage.view.editor.press(Key("paste", "word " * 40_000))
    for cursor in (200_000, 100_000, 0):
        stage.view.editor.cursor = cursor
        assert "word word word" in stage.footer()[0]
    assert measured < 1_000


def test_while_the_window_changes_the_footer_is_short(terminal: tuple[int, TextIO]) -> None:
    user_end, stream = terminal
    stage = Stage(user("word " * 40, final=False))
    termios.tcsetwinsize(user_end, (24, 100))
    live = LiveView(stage.view, NoControls(), stdin=stream, stdout=stream)

    def footer() -> list[str]:
        live.draw()
        lines = re.sub(r"\x1b\[[?\d;]*[A-Za-z]", "", read(user_end)).strip("\r").split("\r\n")
        return [line.strip("\r") for line in lines]

    whole = footer()
    assert len(whole) == 3
    assert len(whole[0]) == 90, "some columns are free, for a window that begins to be made narrower"
    for columns in range(99, 60, -1):
        termios.tcsetwinsize(user_end, (24, columns))
        assert [len(line) <= columns * 2 // 3 for line in footer()] == [True]
        stage.now += 0.12
    stage.now += 0.5
    assert len(footer()) == 3


def test_the_meter_shows_each_frequency_in_its_band(speech: bytes) -> None:
    import numpy as np

    for band, frequency in enumerate((150, 500, 1_000, 2_500, 5_000)):
        tone = 3_276.8 * np.sin(2 * np.pi * frequency * np.arange(24_000) / 24_000)  # -23 dBFS
        meter = Meter(24_000)
        meter.feed(tone.astype("<i2").tobytes())
        assert [round(level, 1) for level in meter.bands] == [0.9 if index == band else 0.0 for index in range(5)]
    meter = Meter(16_000)
    assert meter.bands == (0.0,) * 5
    meter.feed(speech[: len(speech) // 3])
    assert max(meter.bands) > 0.5
    meter.feed(bytes(3_200))
    assert meter.bands == (0.0,) * 5


def test_a_noise_is_no_question() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), ResponseStarted("r"), assistant("One."), ResponseDone("r"))
    stage.happen(SpeechStarted(), SpeechStopped(is_turn=False))
    assert stage.view.state_words == "Listening"
    stage.happen(SpeechStarted(), SpeechStopped(), SpeechStarted())
    assert stage.view.state_words == "Hearing you"
    stage.happen(SpeechStopped(is_turn=False))
    assert stage.view.state is State.THINKING, "the question before it is still to be answered"


def test_an_empty_line_that_was_printed_is_shown() -> None:
    console = Console(width=20, color_system=None)
    for text in ("one\n\ntwo", ""):
        with console.capture() as capture:
            console.print(draw_entry(Remark("note", text), 20))
        assert capture.get() == f"{text}\n"
