"""Transcription by servers that keep no promise, and by any messages: two kinds of errors, and no word twice."""

import contextlib
import json
from collections import deque
from collections.abc import Callable
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.loose import Fault, Frame, LooseServer, as_json, faults_of
from tests.loopback.loose_transcription import SAID, LooseGeminiTranscription, LooseOpenAITranscription
from tests.loopback.spoken_words import word
from tests.providers.gemini.transcribing import ENDPOINT
from tests.providers.gemini.transcribing import Transcribing as GeminiTalk
from tests.providers.openai.transcribing import Transcribing as OpenAITalk
from voicecli.commands import AppendAudio, ClearAudio, Command, EndTurn, PauseAudio
from voicecli.config import RealtimeConfig
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import SessionStarted, TranscriptUpdate
from voicecli.ports import Codec, StartsUnconfirmed, TranscriberSetup
from voicecli.providers.gemini.transcription import GeminiTranscription
from voicecli.providers.openai.transcription import OpenAITranscription

SETUP = TranscriberSetup(config=RealtimeConfig(api_key="sk-test"))
MADE: dict[str, tuple[Callable[[], Codec], Callable[[Fault | None], LooseServer], int]] = {
    "openai": (lambda: OpenAITranscription(SETUP), LooseOpenAITranscription, 24_000),
    "gemini": (lambda: GeminiTranscription(SETUP, ENDPOINT), LooseGeminiTranscription, 16_000),
}


def transcribe(provider: str, fault: Fault | None) -> tuple[list[Any], LooseServer]:
    """All that is told of two utterances; what the connection does, in short."""
    make_codec, make_server, rate = MADE[provider]
    codec, server = make_codec(), make_server(fault)
    events: list[Any] = []
    coming: deque[Frame] = deque()

    def exchange() -> None:
        while True:
            for data in codec.data_to_send():
                coming.extend(server.take(json.loads(data)))
            if not coming:
                return
            with contextlib.suppress(ProtocolError):
                events.extend(codec.receive(as_json(coming.popleft())))

    codec.open()
    coming.extend(server.open())
    exchange()
    for _ in range(3):
        if isinstance(codec, StartsUnconfirmed) and not any(isinstance(event, SessionStarted) for event in events):
            events.extend(codec.start_unconfirmed())
            exchange()
    if any(isinstance(event, SessionStarted) for event in events):
        for number in range(len(SAID)):
            codec.send(AppendAudio(word(number, rate, 500)))
            codec.send(EndTurn())
            exchange()
    return events, server


def said(events: list[Any]) -> list[str]:
    return [event.text for event in events if isinstance(event, TranscriptUpdate) and event.final and event.text]


def faults(provider: str) -> list[Fault]:
    return list(faults_of(transcribe(provider, None)[1]))


CASES = [(provider, fault) for provider in MADE for fault in faults(provider)]


@pytest.mark.parametrize(("provider", "fault"), CASES, ids=lambda value: str(value))
def test_one_fault_costs_no_other_words(provider: str, fault: Fault) -> None:
    try:
        events, _ = transcribe(provider, fault)
    except RealtimeConnectionError:
        assert fault.kind in {"error", "session.created"}
        return
    finals = [event for event in events if isinstance(event, TranscriptUpdate) and event.final]
    assert len({update.item_id for update in finals}) == len(finals)
    assert all((update.start_ms or 0) <= (update.end_ms or -1) <= 1_000 for update in finals)
    words_are_gone = fault.kind.endswith(("completed", "inputTranscription")) and (
        fault.how == "never"
        or fault.place[-1:] in {("text",), ("inputTranscription",), ("serverContent",), ("type",)}
        or (fault.how == "empty" and fault.place[-1:] in {("transcript",), ("finished",)})
    )
    never_ready = fault.kind == "setupComplete" and fault.how in {"never", "missing", "null"}
    if not words_are_gone and not never_ready:
        assert said(events) == SAID, events


@pytest.mark.parametrize("provider", MADE)
def test_without_a_fault_all_is_told(provider: str) -> None:
    assert said(transcribe(provider, None)[0]) == SAID


# Any messages

IDS = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
_KIND = "conversation.item.input_audio_transcription"
OPENAI_FRAME = st.fixed_dictionaries(
    {
        "type": st.sampled_from(
            [
                *(f"{_KIND}.{what}" for what in ("delta", "completed", "failed", "segment")),
                *("session.created", "session.updated", "input_audio_buffer.committed", "input_audio_buffer.cleared"),
                "error",
            ]
        )
        | JSON
    },
    optional={
        "item_id": IDS | JSON,
        "previous_item_id": IDS | JSON,
        "delta": st.text(max_size=5) | JSON,
        "transcript": st.text(max_size=5) | JSON,
        "usage": st.fixed_dictionaries({"seconds": JSON}) | JSON,
        "session": JSON,
        "error": st.fixed_dictionaries({}, optional={"code": JSON, "event_id": IDS | JSON, "message": JSON}) | JSON,
    },
)
WORDS = st.fixed_dictionaries(
    {},
    optional={
        "text": st.text(max_size=5) | JSON,
        "finished": st.booleans() | JSON,
        "startOffset": st.sampled_from(["1s", "0.5s"]) | JSON,
        "endOffset": st.sampled_from(["1s", "99s"]) | JSON,
    },
)
GEMINI_FRAME = st.fixed_dictionaries(
    {},
    optional={
        "setupComplete": st.just({}) | JSON,
        "serverContent": st.fixed_dictionaries(
            {}, optional={"inputTranscription": WORDS | JSON, "interimInputTranscription": WORDS | JSON}
        )
        | JSON,
        "voiceActivity": st.fixed_dictionaries(
            {}, optional={"voiceActivityType": st.sampled_from(["ACTIVITY_START", "ACTIVITY_END"]), "audioOffset": JSON}
        )
        | JSON,
        "usageMetadata": st.fixed_dictionaries({}, optional={"promptTokenCount": JSON}) | JSON,
        "goAway": st.fixed_dictionaries({}, optional={"timeLeft": JSON}) | JSON,
        "error": JSON,
    },
)
COMMAND: st.SearchStrategy[Command] = st.one_of(
    st.builds(AppendAudio, st.binary(max_size=40).map(lambda data: data * 400)),
    st.sampled_from([EndTurn(), PauseAudio(), ClearAudio()]),
)
STEPS = [
    *(("openai", st.lists(OPENAI_FRAME | COMMAND | st.sampled_from(["redial", "close"]), max_size=25)),),
    *(("gemini", st.lists(GEMINI_FRAME | COMMAND | st.sampled_from(["redial", "close"]), max_size=25)),),
]


@pytest.mark.parametrize(("provider", "steps"), STEPS, ids=["openai", "gemini"])
def test_any_messages_and_commands(provider: str, steps: st.SearchStrategy[list[Any]]) -> None:
    @given(steps)
    @settings(max_examples=80, deadline=None)
    def check(taken: list[Any]) -> None:
        codec: Any = MADE[provider][0]()
        codec.open()
        finals: list[TranscriptUpdate] = []
        for step in taken:
            with contextlib.suppress(ProtocolError, RealtimeConnectionError):
                if step == "redial":
                    codec.open()
                elif step == "close":
                    codec.close()
                elif isinstance(step, dict):
                    told = codec.receive(json.dumps(step).encode())
                    finals += [event for event in told if isinstance(event, TranscriptUpdate) and event.final]
                else:
                    codec.send(step)
            for data in codec.data_to_send():
                assert json.loads(data)
            assert codec.busy in {True, False}
        for before, after in pairwise(finals):
            assert before.item_id != after.item_id
            assert (before.end_ms or 0) <= (after.start_ms or 0)
        for update in finals:
            update.text.encode()

    check()


@pytest.mark.parametrize("provider", MADE)
@given(message=st.binary(max_size=200) | JSON.map(json.dumps).map(str.encode))
def test_any_bytes(provider: str, message: bytes) -> None:
    codec = MADE[provider][0]()
    codec.open()
    with contextlib.suppress(ProtocolError, RealtimeConnectionError):
        codec.receive(message)


# Any lawful course: when what arrives, what overtakes what, and where sockets break makes no difference

ACTIONS = st.lists(st.sampled_from(["say", "say", "say", "end", "deliver", "step", "redial"]), max_size=20)


@given(ACTIONS, st.integers(0, 3))
@settings(max_examples=60, deadline=None)
def test_openai_any_course_tells_each_word_once(actions: list[str], place: int) -> None:
    talk = OpenAITalk(next_of=lambda waiting: min(place, waiting - 1))
    count = 0
    for action in [*actions, "end"]:
        match action:
            case "say":
                talk.speak(count, end=False)
                count += 1
            case "end":
                talk.send(EndTurn())
            case "deliver":
                talk.deliver()
            case "step":
                talk.step()
            case _:
                talk.dial()
    talk.settle()
    assert talk.said() == " ".join(f"w{number}" for number in range(count))
    bounds = [(update.start_ms, update.end_ms) for update in talk.finals()]
    assert not bounds or (bounds[0][0], bounds[-1][1]) == (0, 400 * count)
    assert all(before[1] == after[0] for before, after in pairwise(bounds))
    assert not talk.codec.awaiting_reply


@given(ACTIONS, st.booleans())
@settings(max_examples=60, deadline=None)
def test_gemini_any_course_tells_each_word_once(actions: list[str], offsets: bool) -> None:
    talk = GeminiTalk(offsets=offsets)
    count = 0
    for action in [*actions, "end"]:
        match action:
            case "say":
                talk.speak(count, pause_ms=700)
                count += 1
            case "end":
                talk.send(EndTurn())
            case "redial":
                talk.dial()
            case _:
                talk.deliver()
    talk.deliver()
    assert talk.said() == " ".join(f"w{number}" for number in range(count))
    times = [time for pair in talk.times() for time in pair]
    assert times == sorted(times, key=lambda time: time or 0)
