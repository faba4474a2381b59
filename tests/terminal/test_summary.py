"""Latencies, usage and the line that sums a conversation up."""

import pytest

from tests.terminal.stage import STARTED, Stage, assistant, user
from voicecli.events import (
    Asleep,
    AudioChunk,
    Awake,
    Event,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SpeechStarted,
    SpeechStopped,
    TurnMetrics,
    Usage,
)
from voicecli.terminal.render_footer import draw_footer
from voicecli.terminal.view_model import AudioStatus, ViewModel


def test_latency_stands_in_the_footer_and_beside_the_reply() -> None:
    stage = Stage(SpeechStarted(), SpeechStopped(), user("Hi"))
    stage.now = 0.41
    stage.happen(ResponseStarted("r"), AudioChunk(b"", "r", "a1"))
    stage.view.heard_after(410)
    assert "first sound 410 ms" in stage.status()
    stage.happen(assistant("Hello."), ResponseDone("r", metrics=TurnMetrics(first_audio_ms=300)))
    assert stage.scrolled()[2:] == ["● Assistant  410 ms", "  Hello."]
    stage.happen(SpeechStarted(), SpeechStopped(), ResponseStarted("r2"), assistant("Again.", item_id="a2"))
    stage.happen(ResponseDone("r2", metrics=TurnMetrics(first_heard_ms=1200)))
    assert stage.scrolled() == ["● Assistant  1200 ms", "  Again."]
    assert "latency median 805 ms, worst 1200 ms" in stage.view.summary()


def test_a_slow_answer_is_marked_by_its_colour() -> None:
    for milliseconds, style in ((999, "dim"), (1000, "red")):
        stage = Stage(ResponseStarted("r"), ResponseDone("r", metrics=TurnMetrics(first_heard_ms=milliseconds)))
        line = draw_footer(stage.view, 80, 24)[-2]
        at = line.plain.index(f"{milliseconds} ms")
        assert style in [span.style for span in line.spans if span.start <= at < span.end]


@pytest.mark.parametrize(
    ("usage", "words"),
    [
        (Usage(cost_usd=0.0123), "$0.0123"),
        (Usage(cost_usd=0.0123, approximate=True), "~$0.0123"),
        (Usage(cost_usd=None), "cost unknown"),
        (Usage(input_audio_tokens=700, output_text_tokens=112, cost_usd=None), "812 tokens"),
        (Usage(session_seconds=192.0, cost_usd=None), "3.2 min"),
        (Usage(session_seconds=192.0, cost_usd=0.05), "3.2 min, $0.0500"),
        (Usage(), "no cost"),
    ],
)
def test_the_summary_is_one_line(usage: Usage, words: str) -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=usage), Reconnecting(1, 0.5, "x"), STARTED)
    stage.view.audio = AudioStatus(underruns=2)
    stage.now = 90.0
    assert stage.view.summary() == f"1 turn in 1.5 min, 2 underruns, 1 reconnect, {words}"


def test_what_is_known_of_the_cost_is_told_where_some_of_it_is_not() -> None:
    unpriced = Usage(input_audio_tokens=700, output_audio_tokens=112, cost_usd=None)
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=Usage(input_text_tokens=50, cost_usd=0.0112)))
    stage.happen(ResponseStarted("r2"), ResponseDone("r2", usage=unpriced))
    assert "at least $0.0112, 812 tokens more" in stage.status(100)
    assert stage.view.summary().endswith(", at least $0.0112, 812 tokens more")


def test_attempts_to_connect_are_told_apart_from_reconnects() -> None:
    stage = Stage()
    for attempt in (1, 2, 3):
        stage.happen(Reconnecting(attempt, 0.5, "x", 6))
    stage.happen(STARTED)
    assert "1 reconnect in 3 attempts," in stage.view.summary()
    stage.happen(STARTED)
    assert "1 reconnect in" in stage.view.summary(), "a socket that is replaced in time is none"
    stage.happen(Reconnecting(1, 0.5, "x", 6))
    assert "1 reconnect in 4 attempts," in stage.view.summary(), "the last one was in vain"


def test_the_summary_says_nothing_where_nothing_happened() -> None:
    assert ViewModel().summary() == ""
    stage = Stage()
    stage.now = 59.4
    assert stage.view.summary() == "0 turns in 59 s, 0 underruns, 0 reconnects, no cost"
    stage.now = 59.5
    assert stage.view.summary() == "0 turns in 1.0 min, 0 underruns, 0 reconnects, no cost"


def test_the_sessions_between_which_it_sleeps_are_summed_up() -> None:
    stage = Stage()
    stage.view.wake_word = "computer"
    woken: list[Event] = [Awake("word"), STARTED]
    asleep: list[Event] = [SessionEnded("closed"), Asleep("computer")]
    usage = Usage(session_seconds=60.0, cost_usd=0.01)
    stage.happen(*woken, ResponseStarted("r"), ResponseDone("r", usage=usage), ResponseStarted("s"), *asleep)
    stage.happen(*woken, ResponseStarted("t"), ResponseDone("t", usage=usage), *asleep)
    assert stage.view.summary() == "3 turns in 0 s, 0 underruns, 0 reconnects, at least 2.0 min, $0.0200"
