"""Records, folded from what passes in a conversation."""

from collections.abc import Sequence

import pytest

from voicecli.commands import Command, SendText, ToolResult
from voicecli.events import (
    AudioChunk,
    Event,
    Interrupted,
    ResponseDone,
    ResponseStarted,
    Role,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
    UsageUpdated,
)
from voicecli.history.folding import Fold
from voicecli.history.records import ResponseRecord, ToolCallRecord, TurnRecord, UsageRecord

Passing = tuple[float, Event | Command]

SPEAKING, LISTENING = StateChanged("silent", "speaking"), StateChanged("silent", "listening")
SECOND = bytes(48_000)


def said(role: Role, item_id: str, text: str, *, final: bool = True, interrupted: bool = False) -> TranscriptUpdate:
    return TranscriptUpdate(role, item_id, text, final, interrupted)


def folded(*passing: Passing) -> list[TurnRecord | ToolCallRecord | ResponseRecord | UsageRecord]:
    """The records in their places, as they are in the end."""
    fold = Fold()
    kept: dict[tuple[bool, int], TurnRecord | ToolCallRecord | ResponseRecord | UsageRecord] = {}
    fold.event(SessionStarted("s", "m", "v", 24_000, 24_000), 0)
    for at_ms, what in passing:
        if isinstance(what, Command):
            fold.command(what, at_ms)
        else:
            fold.event(what, at_ms)
        kept |= {(isinstance(record, ResponseRecord | UsageRecord), place): record for place, record in fold.take()}
    return [kept[place] for place in sorted(kept)]


def turns(*passing: Passing) -> list[tuple[str, int, int | None]]:
    """Texts and times of the turns."""
    return [(each.text, each.started_ms, each.ended_ms) for each in folded(*passing) if isinstance(each, TurnRecord)]


SPOKEN: list[Passing] = [
    (100.4, SpeechStarted("q")),
    (1_900.0, SpeechStopped("q")),
    (2_000.0, said("user", "q", "What is", final=False)),
    (2_100.0, ResponseStarted("r")),
    (2_200.0, said("user", "q", "What is it?")),
]
ANSWERED: list[Passing] = [
    (2_400.0, AudioChunk(SECOND, "r", "a")),
    (2_400.0, SPEAKING),
    (2_450.0, said("assistant", "a", "It is", final=False)),
    (2_600.0, AudioChunk(SECOND, "r", "a")),
    (2_700.0, said("assistant", "a", "It is a test.")),
    (2_710.0, ResponseDone("r", usage=Usage(cost_usd=0.5), metrics=TurnMetrics(first_audio_ms=500))),
    (4_400.0, LISTENING),
]


def test_a_turn_and_its_answer() -> None:
    assert folded(*SPOKEN, *ANSWERED) == [
        TurnRecord(role="user", item_id="q", text="What is it?", started_ms=100, ended_ms=1_900),
        TurnRecord(role="assistant", item_id="a", text="It is a test.", started_ms=2_400, ended_ms=4_400),
        ResponseRecord(
            response_id="r",
            started_ms=2_100,
            done_ms=2_710,
            usage=Usage(cost_usd=0.5),
            metrics=TurnMetrics(first_audio_ms=500),
        ),
    ]


def test_what_is_final_is_given_at_once() -> None:
    fold, given = Fold(), []
    for at_ms, event in [*SPOKEN, *ANSWERED]:
        assert isinstance(event, Event)
        fold.event(event, at_ms)
        given += [(at_ms, record.text) for _, record in fold.take() if isinstance(record, TurnRecord)]
    # Once more when it is known how long it was heard.
    assert given == [(2_200, "What is it?"), (2_700, "It is a test."), (4_400, "It is a test.")]


@pytest.mark.parametrize("named", [True, False])
def test_words_that_come_late_belong_to_the_speech_before(named: bool) -> None:
    one, two = ("one", "two") if named else (None, None)
    assert turns(
        (0, SpeechStarted(one)),
        (900, SpeechStopped(one)),
        (1_000, SpeechStarted(two)),
        (1_100, said("user", "one", "", final=False)),
        (1_900, SpeechStopped(two)),
        (2_500, said("user", "one", "First.")),
        (2_600, said("user", "two", "Second.")),
    ) == [("First.", 0, 900), ("Second.", 1_000, 1_900)]


def test_words_that_are_final_while_the_user_speaks_end_with_the_speech() -> None:
    assert turns((0, SpeechStarted()), (800, said("user", "q", "Hello")), (1_000, SpeechStopped())) == [
        ("Hello", 0, 1_000)
    ]


def test_a_noise_is_no_turn_and_its_time_is_nobodys() -> None:
    noise: list[Passing] = [(0, SpeechStarted()), (50, SpeechStopped(is_turn=False))]
    silent: list[Passing] = [
        (100, SpeechStarted()),
        (500, SpeechStopped()),
        (600, ResponseStarted("r")),
        (700, ResponseDone("r")),
    ]
    spoken: list[Passing] = [
        (5_000, SpeechStarted()),
        (6_000, SpeechStopped()),
        (6_100, said("user", "q", "Hello")),
        (6_200, said("user", "p", " ")),
    ]
    assert turns(*noise, *silent, *spoken) == [("Hello", 5_000, 6_000)]


def test_the_place_of_words_is_that_of_their_first_update() -> None:
    assert turns(
        (0, said("user", "q", "", final=False)),
        (100, said("assistant", "a", "Good", final=False)),
        (200, said("assistant", "a", "Good day.")),
        (300, said("user", "q", "Hello.")),
        (400, said("assistant", "a", "Good day, Ada.")),
    ) == [("Hello.", 0, 300), ("Good day, Ada.", 100, 200)]


def test_what_was_written() -> None:
    text = SendText("Hello.", "t", "input_1")
    spans: list[Passing] = [(0, SpeechStarted())]
    assert turns(*spans, (700, text), (701, said("user", "t", "Hello."))) == [("Hello.", 700, 700)]


def test_a_reply_that_is_cut_off_ends_there() -> None:
    cut: Sequence[Passing] = [
        *ANSWERED[:3],
        (3_000, Interrupted("r", "a")),
        (3_050, said("assistant", "a", "It", interrupted=True)),
        (3_100, LISTENING),
        (3_200, Interrupted("r", "a")),
    ]
    (turn,) = folded(*cut)
    assert turn == TurnRecord(
        role="assistant", item_id="a", text="It", started_ms=2_400, ended_ms=3_000, interrupted=True
    )
    before_a_word: list[Passing] = [
        *ANSWERED[:2],
        (2_500, Interrupted()),
        (2_600, said("assistant", "a", "", interrupted=True)),
    ]
    assert turns(*before_a_word) == [("", 2_400, 2_500)]


def test_a_reply_whose_sound_runs_dry_goes_on() -> None:
    thinking = StateChanged("silent", "thinking")
    late: list[Passing] = [(5_000, thinking), (6_000, AudioChunk(SECOND, "r", "a")), (6_000, SPEAKING)]
    assert turns(*ANSWERED[:-1], *late, (7_000, LISTENING)) == [("It is a test.", 2_400, 7_000)]


def test_utterances_of_one_reply_are_heard_one_after_the_other() -> None:
    assert turns(
        (1_000, AudioChunk(SECOND, "r", "a")),
        (1_000, SPEAKING),
        (1_100, said("assistant", "a", "One moment.")),
        (1_200, AudioChunk(SECOND * 2, "r", "b")),
        (1_300, said("assistant", "b", "It is Paris.")),
        (4_000, LISTENING),
    ) == [("One moment.", 1_000, 2_000), ("It is Paris.", 2_000, 4_000)]


def test_calls_of_tools() -> None:
    asked: list[Passing] = [(500, ToolCallRequest("c", "look_up", '{"of": 1}'))]
    answered = ToolCallRecord(
        call_id="c", name="look_up", arguments='{"of": 1}', started_ms=500, output="x", ended_ms=900, is_error=True
    )
    done: list[Passing] = [(900, ToolResult("c", "x", True)), (901, ToolCallFinished("c", "look_up", "x", True))]
    assert folded(*asked, *done) == [answered]
    (waiting,) = folded(*asked)
    assert isinstance(waiting, ToolCallRecord)
    assert (waiting.output, waiting.ended_ms) == (None, None)
    (cancelled,) = folded(*asked, (700, ToolCallCancelled("c")))
    assert isinstance(cancelled, ToolCallRecord)
    assert (cancelled.output, cancelled.ended_ms, cancelled.cancelled) == (None, 700, True)
    assert folded((0, ToolCallCancelled("d")), (0, ToolResult("d", "x"))) == []  # of a call that nobody told of


def test_a_call_stands_between_the_turns() -> None:
    records = folded(
        (0, SendText("And?", "t")),
        (1, ToolCallRequest("c", "look_up", "")),
        (2, said("assistant", "a", "So.")),
        (3, ToolCallFinished("c", "look_up", "x")),
    )
    assert [type(record) for record in records] == [TurnRecord, ToolCallRecord, TurnRecord]


def test_what_is_not_finished_in_the_end_is_kept_as_such() -> None:
    records = folded(*SPOKEN[:3], *ANSWERED[:3], (9_000, SessionEnded("closed")))
    assert records == [
        TurnRecord(role="user", item_id="q", text="What is", started_ms=100, ended_ms=1_900, final=False),
        TurnRecord(role="assistant", item_id="a", text="It is", started_ms=2_400, ended_ms=9_000, final=False),
    ]


def test_usage_between_responses_is_one_record() -> None:
    """An hour in which nobody speaks is told many times, and kept once."""

    def used(seconds: float, cost: float) -> UsageUpdated:
        return UsageUpdated(Usage(session_seconds=seconds, cost_usd=cost))

    records = folded(
        (15_000, used(15, 0.25)),
        (30_000, used(30, 0.25)),
        (31_000, ResponseStarted("r")),
        (32_000, used(32, 0.5)),
        (33_000, ResponseDone("r", usage=Usage(output_text_tokens=3, cost_usd=0.125))),
        (45_000, used(45, 0.25)),
    )
    assert records == [
        UsageRecord(started_ms=15_000, at_ms=32_000, usage=Usage(session_seconds=32, cost_usd=1.0)),
        ResponseRecord(
            response_id="r", started_ms=31_000, done_ms=33_000, usage=Usage(output_text_tokens=3, cost_usd=0.125)
        ),
        UsageRecord(started_ms=45_000, at_ms=45_000, usage=Usage(session_seconds=45, cost_usd=0.25)),
    ]
