"""A server speaks up because the user stayed silent: the silence is no turn of the user's, however reads end."""

from typing import Any

import pytest

from tests.conversation.test_bursts import CHUNK, EACH, Exchange, Frame, Message, audio, check_law, openai_script, play
from tests.terminal.stage import Stage
from voicecli.events import (
    AudioChunk,
    Event,
    ResponseDone,
    SpeechStopped,
    StateChanged,
    TranscriptUpdate,
    TurnMetrics,
)
from voicecli.history.folding import Fold
from voicecli.history.records import TurnRecord
from voicecli.transcript import Transcript

TRANSCRIPTION = "conversation.item.input_audio_transcription"
ORDERS = ["as documented", "item first"]


def spoken_up(order: str, *, words: str = "Thank you for watching.") -> list[Message]:
    """Six seconds of silence, and what the server makes of them."""
    start, end = 10_000, 16_000
    triggered: Frame = {"type": "input_audio_buffer.timeout_triggered", "item_id": "item_s"}
    triggered |= {"audio_start_ms": start, "audio_end_ms": end}
    content = [{"type": "input_audio", "transcript": None}]
    silence = {"id": "item_s", "type": "message", "role": "user", "content": content}
    committed = {"type": "input_audio_buffer.committed", "item_id": "item_s"}
    added = {"type": "conversation.item.added", "item": silence}
    ids = {"response_id": "resp_s", "item_id": "item_a", "output_index": 0, "content_index": 0}
    answer = {"id": "item_a", "type": "message", "role": "assistant", "content": []}
    over = {"id": "resp_s", "status": "completed", "output": [answer]}
    heard = {"item_id": "item_s", "content_index": 0}
    first = [triggered, committed, added] if order == "as documented" else [added, triggered, committed]
    frames: list[Frame] = [
        *first,
        {"type": "response.created", "response": {"id": "resp_s"}},
        {"type": f"{TRANSCRIPTION}.delta", **heard, "delta": words[:5]},
        {"type": "response.output_audio_transcript.delta", **ids, "delta": "Still there?"},
        {"type": "response.output_audio.delta", **ids, "delta": audio(CHUNK)},
        {"type": f"{TRANSCRIPTION}.completed", **heard, "transcript": words},
        {"type": "response.done", "response": over},
    ]
    return [Message(frame, 0.0 if number else 6.0) for number, frame in enumerate(frames)]


def talk(order: str) -> list[Message]:
    question = openai_script([Exchange("Why?", 1, None, 0, 0.0)])
    return [*question, *spoken_up(order), Message({"type": "rate_limits.updated", "rate_limits": []})]


def said(events: list[Event]) -> list[tuple[str, str]]:
    transcript = Transcript()
    for event in events:
        transcript.apply(event)
    return [(turn.role, turn.text) for turn in transcript.turns if turn.text or turn.role == "user"]


def kept(events: list[Event]) -> list[tuple[str, str]]:
    fold = Fold()
    for at_ms, event in enumerate(events):
        fold.event(event, at_ms)
    return [(row.role, row.text) for _, row in fold.take() if isinstance(row, TurnRecord)]


EXPECTED = [("user", "Why?"), ("assistant", "word0 "), ("assistant", "Still there?")]


@pytest.mark.parametrize("ends", [EACH, (), {12}, {13, 16}], ids=["each", "one read", "two", "three"])
def test_the_silence_is_nowhere_and_the_reply_is_heard(ends: Any) -> None:
    outcome = play("openai", talk("as documented"), ends)
    check_law(outcome)
    assert said(outcome.events) == EXPECTED
    assert kept(outcome.events) == EXPECTED
    assert [update.item_id for update in outcome.of(TranscriptUpdate) if update.role == "user"][-1] == "item_u0"
    assert len(outcome.of(SpeechStopped)) == 1
    assert outcome.of(AudioChunk)[-1].response_id == "resp_s"
    answered, unasked = outcome.of(ResponseDone)
    assert answered.metrics.first_audio_ms is not None
    assert unasked.metrics == TurnMetrics(audio_ms=470), "it answers no turn, and nothing was waited for"


@pytest.mark.parametrize("order", ORDERS)
def test_where_reads_end_changes_nothing(order: str) -> None:
    one_by_one = play("openai", talk(order), EACH)
    check_law(one_by_one)
    for ends in ((), {11}, {12}, {13}, {14, 17}):
        others = play("openai", talk(order), ends)
        assert others.told == one_by_one.told
        assert others.words == one_by_one.words
        assert others.asked == one_by_one.asked
        assert others.sent == one_by_one.sent


def test_the_reply_is_told_at_once() -> None:
    """Its words wait for no words of the user's."""
    outcome = play("openai", talk("as documented"), EACH)
    tellings = [event for event in outcome.events if isinstance(event, TranscriptUpdate | AudioChunk)]
    of_reply = [event for event in tellings if event.item_id == "item_a"]
    assert isinstance(of_reply[0], TranscriptUpdate)
    speaking = outcome.events.index(StateChanged("silent", "speaking"))
    assert outcome.events.index(of_reply[0]) > speaking


def test_the_view_shows_no_turn_of_the_users() -> None:
    stage = Stage()
    stage.happen(*play("openai", talk("as documented"), EACH).events)
    lines = [line.strip() for line in stage.scrolled() if line.strip()]
    assert sum("You" in line for line in lines) == 1
    assert any("Still there?" in line for line in lines)
    assert not any("Thank you" in line for line in lines)
