"""When a conversation falls asleep, by its events and the clock alone."""

import pytest

from voicecli.cli.wakefulness import Wakefulness
from voicecli.events import Event, Notice, StateChanged, ToolCallCancelled, ToolCallFinished, ToolCallRequest

IDLE = StateChanged("silent", "listening")


def awake() -> Wakefulness:
    state = Wakefulness(60.0)
    state.wake(100.0)
    state.apply(IDLE, 101.0)
    return state


def test_asleep_it_does_not_fall_asleep() -> None:
    state = Wakefulness(60.0)
    state.apply(IDLE, 1.0)
    assert (state.asleep, state.sleep_at) == (True, None)
    state.wake(2.0)
    assert (state.asleep, state.sleep_at) == (False, None), "it is not connected yet"


@pytest.mark.parametrize(
    "busy",
    [
        StateChanged("speaking", "listening"),
        StateChanged("silent", "thinking"),
        StateChanged("silent", "speaking"),
        StateChanged("silent", "reconnecting"),
    ],
)
def test_the_time_counts_from_the_last_speech_or_reply(busy: StateChanged) -> None:
    state = awake()
    assert state.sleep_at == 161.0
    state.apply(busy, 120.0)
    assert state.sleep_at is None
    state.apply(IDLE, 150.0)
    state.apply(Notice("any", "Other events do not count."), 170.0)
    assert state.sleep_at == 210.0
    state.sleep()
    assert state.sleep_at is None


@pytest.mark.parametrize("end", [ToolCallFinished("c", "search", "3 dots"), ToolCallCancelled("c")])
def test_while_a_tool_runs_in_the_background_it_is_awake(end: Event) -> None:
    state = awake()
    state.apply(ToolCallRequest("c", "search", "{}", background=True), 110.0)
    assert state.sleep_at is None
    state.apply(end, 400.0)
    assert state.sleep_at == 460.0
    state.apply(ToolCallRequest("c2", "search", "{}", background=True), 410.0)
    state.sleep()
    state.wake(500.0)
    state.apply(IDLE, 501.0)
    assert state.sleep_at == 561.0, "the end of a conversation stops its tools"


def test_while_the_talk_key_is_held_it_is_awake() -> None:
    state = awake()
    state.talk(True, 110.0)
    assert state.sleep_at is None
    state.talk(False, 120.0)
    assert state.sleep_at == 180.0
