"""What became of the turns of a conversation that did not fail."""

import contextlib

import pytest

from voicecli.cli.exit import ExitStatus, status_of
from voicecli.cli.outcome import Outcome
from voicecli.errors import ProtocolError, RealtimeError, ToolError
from voicecli.events import (
    CONNECTION_LOST,
    AudioChunk,
    ErrorOccurred,
    Event,
    Notice,
    ResponseDone,
    ResponseStarted,
    SpeechStarted,
    TranscriptUpdate,
)

SOUND = AudioChunk(bytes(2), "r", "i")
WORDS = TranscriptUpdate("assistant", "i", "Paris.", final=True)
BLANK = TranscriptUpdate("assistant", "i", " ", final=True)
BEGIN, DONE = ResponseStarted("r"), ResponseDone("r")
EMPTY: list[Event] = [BEGIN, DONE]
CANCELLED: list[Event] = [BEGIN, SOUND, ResponseDone("r", "cancelled")]
FAILED: list[Event] = [ErrorOccurred(RealtimeError("x")), BEGIN, ResponseDone("r", "failed")]
ANSWER: list[Event] = [BEGIN, SOUND, WORDS, DONE]
CALL: list[Event] = [BEGIN, ResponseDone("r", awaits_tools=True)]
OK, CONNECTION, NO_SPEECH = ExitStatus.OK, ExitStatus.CONNECTION, ExitStatus.NO_SPEECH
MALFORMED: list[Event] = [ErrorOccurred(ProtocolError("Malformed."))] * 10


@pytest.mark.parametrize(
    ("events", "status"),
    [
        (ANSWER, OK),
        ([BEGIN, SOUND, DONE], OK),
        ([BEGIN, WORDS, DONE], OK),
        (CALL + ANSWER, OK),
        ([BEGIN, SOUND, ResponseDone("r", "incomplete", "max_output_tokens")], OK),
        ([*EMPTY, WORDS], OK),
        (CANCELLED + ANSWER, OK),
        (EMPTY + ANSWER, OK),
        (MALFORMED + ANSWER, OK),
        (EMPTY, CONNECTION),
        ([BEGIN, BLANK, DONE], CONNECTION),
        (CALL + EMPTY, CONNECTION),
        ([*EMPTY, SpeechStarted(), *ANSWER], CONNECTION),
        (ANSWER + CANCELLED, CONNECTION),
        (FAILED, CONNECTION),
        ([*FAILED, SpeechStarted(), *ANSWER], CONNECTION),
        ([BEGIN, SOUND, ResponseDone("r", "incomplete", CONNECTION_LOST)], CONNECTION),
        ([BEGIN, ResponseDone("r", "incomplete", "content_filter")], CONNECTION),
        (MALFORMED, CONNECTION),
        ([Notice("waiting_for_input", "")], CONNECTION),
        ([ErrorOccurred(ToolError("x")), *EMPTY], CONNECTION),
        ([], NO_SPEECH),
        ([SpeechStarted(), Notice("no_speech", "")], NO_SPEECH),
    ],
)
def test_the_exit_code_says_whether_each_turn_was_answered(events: list[Event], status: ExitStatus) -> None:
    outcome = Outcome()
    outcome.begin("q.wav")
    for event in events:
        outcome(event)
    if status is OK:
        outcome.check()
    else:
        with pytest.raises(RealtimeError) as raised:
            outcome.check()
        assert status_of(raised.value) is status


def test_a_text_has_no_speech_to_be_missed() -> None:
    outcome = Outcome()
    outcome.begin(None)
    with pytest.raises(RealtimeError, match="did not answer") as raised:
        outcome.check()
    assert status_of(raised.value) is CONNECTION


@pytest.mark.parametrize(
    ("inputs", "told"),
    [
        ([ANSWER, ANSWER], ""),
        ([ANSWER, []], "There is no speech in b.wav."),
        ([EMPTY, ANSWER], "The answer is empty"),
        ([ANSWER, CANCELLED, ANSWER], "The provider took its answer back"),
    ],
)
def test_each_of_several_inputs_is_to_be_answered(inputs: list[list[Event]], told: str) -> None:
    outcome = Outcome()
    for name, events in zip(("a.wav", "b.wav", "c.wav"), inputs, strict=False):
        outcome.begin(name)
        for event in events:
            outcome(event)
    with pytest.raises(RealtimeError, match=told) if told else contextlib.nullcontext():
        outcome.check()
