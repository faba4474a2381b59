import io
import os
import pty
import select
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import TextIO

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.picture import Scene, picture
from voicecli.audio.meter import Meter
from voicecli.errors import RealtimeError
from voicecli.events import (
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
from voicecli.line_editor import LineEditor
from voicecli.printable import printable
from voicecli.screen import Screen
from voicecli.tui import ASCII, UNICODE, Glyphs, can_show, draw_entry, draw_footer, glyphs_for
from voicecli.view import Sound, State, View

STARTED = SessionStarted("s", "m", "v", 24_000, 24_000)
DEVICES = Sound("Built-in Microphone", "Headphones", (0.0, 0.5, 1.0), (0.2,), echo="gate")


def user(text: str, *, final: bool = True, item_id: str = "u1") -> TranscriptUpdate:
    return TranscriptUpdate("user", item_id, text, final)


def assistant(text: str, *, final: bool = True, item_id: str = "a1", interrupted: bool = False) -> TranscriptUpdate:
    return TranscriptUpdate("assistant", item_id, text, final, interrupted)


class Stage:
    """A view whose clock the test sets."""

    def __init__(self, *events: Event, push_to_talk: bool = False) -> None:
        self.now = 0.0
        self.view = View(push_to_talk=push_to_talk, clock=lambda: self.now)
        self.happen(STARTED, *events)

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
    assert stage.scrolled() == ["The connection was lost: gone", "Connected again."]
    stage.happen(assistant("Half a sentence", final=False))
    assert stage.footer()[0] == "Assistant: Half a sentence"
    stage.happen(SessionEnded("closed"), playing=True)
    assert stage.scrolled() == ["● Assistant", "  Half a sentence"]


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


def test_the_keys_shown_are_those_that_do_something_now() -> None:
    stage = Stage()
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
    lines = {width: stage.footer(width)[1] for width in (120, 70, 50, 20, 12, 5)}
    assert lines == {
        120: "● Listening  mic ▁▅█ Built-in Microphone  spk █▁▁▁▁ Headphones  first sound 410 ms  $0.5000  echo gate",
        70: "● Listening  mic ▁▅█  spk █▁▁▁▁ Headphones  410 ms  $0.5000  echo gate",
        50: "Listening  ▁▅█  █▁▁▁▁  410 ms  $0.5000  echo gate",
        20: "● Listening  mic ▁▅█",
        12: "● Listening",
        5: "Liste",
    }


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
    assert stage.footer(24)[0] == "You: …hree four five six"
    assert stage.footer(20)[0] == "…three four five six"
    stage.happen(user(WIDE, final=False))
    assert stage.footer(20)[0] == "…ても長い文章です。"
    stage.happen(user("a\u0301" * 30, final=False))
    assert stage.footer(20)[0] == "…" + "a\u0301" * 19, "an accent keeps its letter"


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
    assert drawn[-2].startswith("* Hearing you  mic _=# Built-in Microphone")


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
