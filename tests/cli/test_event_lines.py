"""A conversation as plain lines: who speaks live is told when to begin, and what it came to."""

import io
import json
from typing import Any

import pytest

from tests.cli.screen import Screen, screen_of
from voicecli.cli import execute
from voicecli.cli.event_lines import JsonLines, PlainLines
from voicecli.cli.options import Choices, Devices
from voicecli.cli.run import run_live
from voicecli.config import RealtimeConfig
from voicecli.events import (
    AssistantState,
    Event,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallRequest,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.testing import scripted_provider

STARTED = SessionStarted("s", "model", "voice", 24_000, 24_000)
CONVERSATION: list[Event] = [
    STARTED,
    TranscriptUpdate("user", "1", "How is it?", True),
    ResponseDone("a", usage=Usage(cost_usd=0.01), metrics=TurnMetrics(first_audio_ms=400), awaits_tools=True),
    ResponseDone("b", usage=Usage(cost_usd=0.02), metrics=TurnMetrics(first_audio_ms=300, first_heard_ms=600)),
    Reconnecting(1, 0.5, "It broke.", 6),
    Reconnecting(2, 0.5, "It broke.", 6),
    STARTED,
    SessionEnded("closed"),
]


def play(observer: Any) -> None:
    for event in CONVERSATION:
        observer(event)


def test_a_live_conversation_has_a_first_and_a_last_line(capsys: pytest.CaptureFixture[str]) -> None:
    play(PlainLines(words := io.StringIO(), live=True))
    assert words.getvalue() == "You: How is it?\n"
    first, *notes, last = capsys.readouterr().err.splitlines()
    assert first == "Listening. Ctrl-C ends."
    assert notes == [f"Reconnecting {attempt}/6 in 0.5 s: It broke." for attempt in (1, 2)]
    assert last == "1 turn in 0 s, latency median 600 ms, worst 600 ms, 1 reconnect in 2 attempts, $0.0300"


def test_a_program_is_told_each_state_in_its_order() -> None:
    observer = JsonLines(stream := io.StringIO())
    events: list[Event] = [
        STARTED,
        StateChanged("silent", "listening"),
        SpeechStarted(),
        StateChanged("speaking", "listening"),
        SpeechStopped(),
        StateChanged("silent", "thinking"),
    ]
    for event in events:
        observer(event)
    lines = [json.loads(line) for line in stream.getvalue().splitlines()]
    kinds = ["session_started", "state", "speech_started", "state", "speech_stopped", "state"]
    assert [line["type"] for line in lines] == kinds
    assert lines[3] == {"type": "state", "time_ms": lines[3]["time_ms"], "user": "speaking", "assistant": "listening"}


def test_lines_for_people_say_nothing_of_states(capsys: pytest.CaptureFixture[str]) -> None:
    observer = PlainLines(stream := io.StringIO())
    states: tuple[AssistantState, ...] = ("listening", "thinking", "speaking")
    for state in states:
        observer(StateChanged("silent", state))
    assert stream.getvalue() == ""
    assert capsys.readouterr().err == ""


def test_on_a_terminal_the_last_line_keeps_clear_of_the_ctrl_c(monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch, "stderr", 80)
    play(PlainLines(io.StringIO(), live=True))
    assert screen.lines[-2] == ""


def test_a_recording_a_quiet_conversation_and_a_program_have_neither(capsys: pytest.CaptureFixture[str]) -> None:
    for observer in (PlainLines(io.StringIO()), PlainLines(io.StringIO(), live=True, quiet=True)):
        play(observer)
        told = capsys.readouterr().err
        assert "Listening" not in told
        assert "turn" not in told
    play(JsonLines(stream := io.StringIO()))
    kinds = [json.loads(line)["type"] for line in stream.getvalue().splitlines()]
    assert kinds[0] == "session_started"
    assert kinds[-1] == "session_ended"


def test_bare_words_are_the_replys_alone_and_keep_their_lines(capsys: pytest.CaptureFixture[str]) -> None:
    observer = PlainLines(words := io.StringIO(), bare=True)
    observer(TranscriptUpdate("user", "1", "A poem?", True))
    observer(ToolCallRequest("c", "rhyme", "{}"))
    observer(TranscriptUpdate("assistant", "2", "Roses\n are \x1b[2Jred,", True))
    observer(TranscriptUpdate("assistant", "2", "Roses\n are \x1b[2Jred, violets blue.", True))
    assert words.getvalue() == "Roses\n are \\x1b[2Jred,\nviolets blue.\n"
    assert capsys.readouterr().err == "Tool: rhyme {}\n"


def test_what_was_typed_is_not_written_again() -> None:
    observer = PlainLines(words := io.StringIO(), typed=["How is it?\n"])
    play(observer)
    assert words.getvalue() == ""
    observer(TranscriptUpdate("user", "2", "And now?", True))
    assert words.getvalue() == "You: And now?\n"


@pytest.mark.parametrize(
    ("as_json", "quiet", "live"), [(False, False, True), (False, True, False), (True, False, False)]
)
def test_live_lines_are_those_of_a_live_conversation(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], as_json: bool, quiet: bool, live: bool
) -> None:
    async def talk(*arguments: Any, **_: object) -> None:
        for event in CONVERSATION:
            arguments[3][0](event)

    monkeypatch.setattr("voicecli.cli.live.talk", talk)
    choices = Choices(scripted_provider(), RealtimeConfig(), (), vad_given=False)
    run_live(choices, Devices(), None, as_json=as_json, quiet=quiet)
    told = capsys.readouterr()
    assert ("Listening. Ctrl-C ends." in told.err) == live
    assert ("1 turn in" in told.err) == live
    assert "Listening" not in told.out


def test_without_the_view_nobody_can_push_to_talk(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", Screen())
    monkeypatch.setenv("OPENAI_API_KEY", "sk-0123456789")
    assert execute(["chat", "-p", "openai", "--vad", "none", "--json"]) == 2
    assert "--vad: only the live view has a key to talk with. Choose server or client" in capsys.readouterr().err


def test_of_words_that_come_after_the_others_only_those_are_written() -> None:
    observer = PlainLines(stream := io.StringIO())
    for text in ("It is", "It is Paris.", "It is Paris."):
        observer(TranscriptUpdate("assistant", "i", text, final=True))
    observer(TranscriptUpdate("assistant", "j", "It is Paris. Again.", final=True))
    assert stream.getvalue().splitlines() == [
        "Assistant: It is",
        "Assistant: … Paris.",
        "Assistant: It is Paris. Again.",
    ]
