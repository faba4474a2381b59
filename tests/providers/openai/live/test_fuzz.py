"""Whatever comes in, only two kinds of errors come out; however a lawful session goes, nothing is lost."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.live_script import Call, LiveReply, Loose, Work
from tests.providers.openai.live.talk import CONFIG, WEATHER, LiveTalk
from tests.support.settings import config_of
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    PauseAudio,
    SendImage,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.config import RealtimeConfig
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    ResponseDone,
    ResponseStarted,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
    UsageUpdated,
)
from voicecli.ports import ConversationSetup, Ended
from voicecli.providers.openai.live import LiveCodec
from voicecli.providers.openai.settings import OpenAISettings

NAMES = sorted(LiveCodec(ConversationSetup(CONFIG))._handlers)
IDS = st.sampled_from(["a", "b", "c"])
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=5) | IDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
ITEM = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "type": st.sampled_from(["message", "function_call", "reasoning", "mcp_call", "mcp_approval_request"]) | JSON,
        "status": st.sampled_from(["completed", "incomplete"]) | JSON,
        "call_id": IDS | JSON,
        "name": IDS | JSON,
        "arguments": st.text(max_size=5) | JSON,
    },
)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "status": st.sampled_from(["completed", "failed", "incomplete"]) | JSON,
        "error": JSON,
        "incomplete_details": JSON,
        "usage": st.fixed_dictionaries({}, optional={"input_tokens": JSON, "output_tokens": JSON}) | JSON,
    },
)
BACKEND = ["created", "output_item.added", "output_item.done", "completed", "failed", "incomplete", "odd"]
EVENT = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from([f"response.{name}" for name in BACKEND]) | JSON,
        "response": RESPONSE | JSON,
        "item": ITEM | JSON,
    },
)
DELEGATION = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "target": st.sampled_from(["client", "responses", "decisions"]) | JSON,
        "response_id": IDS | JSON,
    },
)
ERROR = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["server_error", "insufficient_quota", "moderation_error"]) | JSON,
        "code": st.sampled_from(["context_injection_incomplete", "content_policy_violation", "odd"]) | JSON,
        "message": st.sampled_from(["Responses handoff incomplete."]) | JSON,
        "param": JSON,
        "client_event_id": st.sampled_from(["evt_1", "evt_2", "evt_3"]) | JSON,
    },
)
TIMES = st.integers(-10, 20_000) | JSON
FRAME = st.fixed_dictionaries(
    {"type": st.sampled_from(NAMES)},
    optional={
        "event_id": IDS | JSON,
        "session": st.fixed_dictionaries({}, optional={"id": JSON, "expires_at": JSON, "audio": JSON}) | JSON,
        "delta": st.sampled_from(["AAAA", "AEAA", "AA==", "x", "word "]) | st.text(max_size=5) | JSON,
        "start_ms": TIMES,
        "end_ms": TIMES,
        "delegation": DELEGATION | JSON,
        "delegation_id": IDS | JSON,
        "event": EVENT | JSON,
        "usage": st.fixed_dictionaries({"seconds": JSON}) | JSON,
        "context_window": st.fixed_dictionaries({"usage_ratio": JSON}) | JSON,
        "reason": st.sampled_from(["close_requested", "expired", "content"]) | JSON,
        "error": ERROR | JSON,
    },
)
COMMAND: st.SearchStrategy[Command] = st.one_of(
    st.builds(SendText, st.text(max_size=5), IDS, IDS),
    st.builds(CancelResponse, st.none() | IDS, st.none() | IDS, st.none() | st.integers(-5, 100)),
    st.builds(ToolResult, IDS, st.text(max_size=5)),
    st.builds(AppendAudio, st.binary(max_size=40).map(lambda data: data * 2)),
    st.sampled_from([StartTurn(), EndTurn(), PauseAudio(), ClearAudio(), SendImage(b"x", "image/png")]),
)
CONFIGS = st.sampled_from([CONFIG, config_of(OpenAISettings, api_key="sk-test", model=CONFIG.model)])


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode) | JSON.map(json.dumps).map(str.encode))
def test_any_bytes(message: bytes) -> None:
    codec = LiveTalk(start=False).codec
    with contextlib.suppress(ProtocolError, RealtimeConnectionError):
        codec.receive(message)


@given(CONFIGS, st.lists(FRAME | COMMAND | st.sampled_from(["redial", "goodbye"]), max_size=25))
@settings(max_examples=150, deadline=None)
def test_any_events_and_commands(config: RealtimeConfig, steps: list[Any]) -> None:
    codec = LiveCodec(ConversationSetup(config, [WEATHER]))
    codec.open()
    codec.receive(b'{"type": "session.started"}')
    audio: list[bytes] = []
    for step in steps:
        try:
            if isinstance(step, dict):
                told = codec.receive(json.dumps(step).encode())
                assert not any(isinstance(event, Ended) for event in told[:-1]), "it stands last"
                for event in told:
                    if isinstance(event, AudioChunk):
                        audio.append(event.audio)
                    if isinstance(event, TranscriptUpdate):
                        event.text.encode()
            elif step == "redial":
                codec.open()
                codec.receive(b'{"type": "session.started"}')
            elif step == "goodbye":
                codec.close()
            else:
                codec.send(step)
        except (ProtocolError, RealtimeConnectionError):
            pass
        for data in codec.data_to_send():
            assert json.loads(data)["type"]
    assert all(len(chunk) % 2 == 0 and chunk for chunk in audio)


WORDS = st.lists(st.sampled_from(["a", "bee", "sea,", "dee."]), min_size=1, max_size=8).map(" ".join)
CALLS = st.sampled_from([(), (Call(name="weather"),), (Call(name="weather"), Call(name="weather"))])
FAILURE = st.sampled_from(["", "", "", "response.failed", "response.incomplete", "handoff"])
WORK = st.builds(Work, calls=CALLS, then=CALLS, fails=FAILURE)
REPLY = st.builds(
    LiveReply,
    text=WORDS,
    first=WORDS | st.just(""),
    pause_ms=st.sampled_from([0, 0, 300, 900]),
    work=st.none() | WORK,
    ignores_stop=st.booleans(),
)
LOOSE = st.builds(
    Loose,
    unknown=st.booleans(),
    shuffled=st.booleans(),
    repeated=st.booleans(),
    tells_twice=st.booleans(),
    odd_bytes=st.booleans(),
    dither=st.sampled_from([0, 20]),
    lag_ms=st.sampled_from([200, 1_800]),
)
ACTION = st.sampled_from(["text", "speak", "pause", "step", "step", "result", "cancel", "redial", "settle"])


@given(st.lists(REPLY, max_size=4), st.lists(ACTION, max_size=10), LOOSE)
@settings(max_examples=25, deadline=None)
def test_any_conversation_is_lawful_and_complete(replies: list[LiveReply], actions: list[str], loose: Loose) -> None:
    """The server session refuses whatever breaks its rules, and each refusal fails `flush`."""
    talk = LiveTalk(replies=replies, hears=["What is it?"] * 20, tools=[WEATHER], loose=loose)
    answered: set[str] = set()
    for action in actions:
        _act(talk, action, answered)
    for _ in range(len(replies) + 3):
        _act(talk, "result", answered)
        until_ms = talk.session.now_ms + 30_000
        while talk.codec.busy and not _unanswered(talk, answered) and talk.session.now_ms < until_ms:
            talk.run(500)
        talk.run(3_000)  # until what was asked for shows
    started, done = talk.all(ResponseStarted), talk.all(ResponseDone)
    assert sorted(event.response_id for event in started) == sorted(event.response_id for event in done)
    assert len({event.response_id for event in done}) == len(done)
    begun = {event.response_id for event in started}
    assert all(chunk.response_id in begun for chunk in talk.all(AudioChunk))
    assert all(turn.final or turn.role == "tool" for turn in talk.transcript.turns)
    assert not talk.codec.busy
    talk.close()
    talk.run(300)
    assert talk.ended is not None
    assert not talk.ended.retryable
    told = [event.usage.session_seconds for event in talk.all(UsageUpdated) if event.usage.session_seconds]
    assert abs(told[-1] - talk.session.now_ms / 1000) <= 0.6, "the server tells whole seconds"


def _act(talk: LiveTalk, action: str, answered: set[str]) -> None:
    match action:
        case "text":
            talk.send(SendText("Hi", f"text_{len(talk.sent)}"))
        case "speak":
            talk.speak(400)
        case "pause":
            talk.run(700)
        case "step":
            talk.run(200)
        case "result":
            for call_id in _unanswered(talk, answered):
                answered.add(call_id)
                talk.send(ToolResult(call_id, "done"))
        case "cancel":
            if talk.all(ResponseStarted):
                talk.send(talk.cut(100))
        case "redial":
            talk.dial()
        case "settle":
            talk.run(3_000)


def _unanswered(talk: LiveTalk, answered: set[str]) -> list[str]:
    """The calls that wait for the program."""
    cancelled = {event.call_id for event in talk.all(ToolCallCancelled)}
    calls = [event.call_id for event in talk.all(ToolCallRequest)]
    return [call_id for call_id in calls if call_id not in answered | cancelled]
