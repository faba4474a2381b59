"""The view of a conversation in which both may speak at once, and whose time costs."""

from tests.terminal.stage import DEVICES, STARTED, Stage, assistant, now, user
from voicecli.events import (
    AudioChunk,
    AudioDone,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    SpeechStopped,
    Usage,
    UsageUpdated,
)
from voicecli.terminal.view_model import ViewModel


def duplex(*, max_cost: float | None = None) -> Stage:
    stage = Stage()
    stage.view = ViewModel(max_cost=max_cost, full_duplex=True, clock=lambda: stage.now)
    stage.happen(STARTED, now("listening"))
    stage.view.audio = DEVICES
    return stage


def test_both_speak_and_the_reply_can_be_stopped() -> None:
    stage = duplex()
    stage.happen(ResponseStarted("r"), AudioChunk(bytes(48_000), "r", "a1"), now("speaking"), playing=True)
    stage.happen(SpeechStarted(), now("speaking", user="speaking"))
    assert "Both speaking" in stage.status()
    assert "i interrupt" in stage.hints()
    stage.happen(now("listening", user="speaking"))
    assert stage.view.state_words == "Hearing you"


def test_the_words_of_both_run_side_by_side_and_are_printed_once() -> None:
    stage = duplex()
    stage.happen(ResponseStarted("r"), AudioChunk(bytes(480_000), "r", "a1"), now("speaking"), playing=True)
    stage.happen(assistant("The river is", final=False))
    stage.happen(SpeechStarted(), now("speaking", user="speaking"), user("I know", final=False))
    stage.happen(assistant("The river is long, and", final=False), user("I know that", final=False))
    running = " ".join(stage.said())
    assert "The river is long, and" in running
    assert "I know that" in running
    stage.happen(SpeechStopped(), now("speaking"), user("I know that river."))
    stage.happen(assistant("The river is long, and wide."), AudioDone("r"), now("listening"), playing=False)
    stage.happen(ResponseDone("r"))
    stage.now = 5.0
    printed = stage.scrolled()
    assert sum("The river is long, and wide." in line for line in printed) == 1
    assert sum("I know that river." in line for line in printed) == 1
    assert stage.said() == []


def test_a_word_into_the_reply_begins_no_thinking() -> None:
    stage = duplex()
    stage.happen(now("listening", user="speaking"), SpeechStarted(), SpeechStopped(), now("listening"))
    assert stage.view.state_words == "Listening"


def test_the_cost_goes_on_while_nobody_speaks() -> None:
    stage = duplex(max_cost=1)
    for seconds in (15, 30, 45):
        stage.happen(UsageUpdated(Usage(session_seconds=seconds, cost_usd=0.0125)))
    assert "0.8 min, $0.0375 of $1.00" in stage.status(120)
    assert "0.8 min, $0.0375" in stage.view.summary()
