"""Whatever comes in, only two kinds of errors come out; however a lawful sequence comes in, nothing is lost."""

import base64
import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.openai_script import Call, Reply, tone
from tests.providers.openai.conversation import WEATHER, Conversation
from tests.support.settings import config_of
from voicecli.commands import (
    AppendAudio,
    CancelResponse,
    ClearAudio,
    Command,
    EndTurn,
    PauseAudio,
    SendText,
    StartTurn,
    ToolResult,
)
from voicecli.config import RealtimeConfig, SemanticVAD, VADMode
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import AudioChunk, Interrupted, ResponseDone, ResponseStarted, ToolCallRequest, TranscriptUpdate
from voicecli.providers.openai.settings import OpenAISettings

CONFIG = RealtimeConfig(api_key="sk-test")
NAMES = sorted(Conversation(CONFIG).codec._handlers)
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
        "type": st.sampled_from(["message", "function_call", "mcp_call", "mcp_approval_request"]) | JSON,
        "role": st.sampled_from(["user", "assistant"]) | JSON,
        "status": st.sampled_from(["completed", "incomplete"]) | JSON,
        "call_id": IDS | JSON,
        "name": IDS | JSON,
        "arguments": st.text(max_size=5) | JSON,
        "content": st.lists(st.fixed_dictionaries({"type": st.just("input_audio")}) | JSON, max_size=2) | JSON,
    },
)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "id": IDS | JSON,
        "status": st.sampled_from(["completed", "cancelled", "failed", "incomplete"]) | JSON,
        "status_details": st.fixed_dictionaries({}, optional={"reason": JSON, "error": JSON}) | JSON,
        "output": st.lists(ITEM | JSON, max_size=3) | JSON,
        "usage": st.fixed_dictionaries(
            {}, optional={"input_tokens": JSON, "input_token_details": JSON, "total_tokens": JSON}
        )
        | JSON,
    },
)
ERROR = st.fixed_dictionaries(
    {},
    optional={
        "type": st.sampled_from(["server_error"]) | JSON,
        "code": st.sampled_from(["conversation_already_has_active_response", "session_expired", "odd"]) | JSON,
        "event_id": st.sampled_from(["evt_1", "evt_2", "evt_3"]) | JSON,
        "message": JSON,
        "param": JSON,
    },
)
RATE_LIMIT = st.fixed_dictionaries(
    {"name": st.sampled_from(["tokens", "requests"]) | JSON, "limit": JSON, "remaining": JSON},
    optional={"reset_seconds": JSON},
)
FRAME = st.fixed_dictionaries(
    {"type": st.sampled_from(NAMES)},
    optional={
        "session": JSON,
        "item": ITEM | JSON,
        "item_id": IDS | JSON,
        "response": RESPONSE | JSON,
        "response_id": IDS | JSON,
        "delta": st.sampled_from(["AAAA", "AAA=", "AA==", "x"]) | st.text(max_size=5) | JSON,
        "transcript": st.text(max_size=5) | JSON,
        "text": st.text(max_size=5) | JSON,
        "content_index": st.integers(0, 2) | JSON,
        "audio_start_ms": st.integers() | JSON,
        "audio_end_ms": st.integers() | JSON,
        "usage": st.fixed_dictionaries({"seconds": JSON}) | JSON,
        "rate_limits": st.lists(RATE_LIMIT | JSON, max_size=2) | JSON,
        "error": ERROR | JSON,
    },
)
COMMAND: st.SearchStrategy[Command] = st.one_of(
    st.builds(SendText, st.text(max_size=5), IDS),
    st.builds(
        CancelResponse,
        st.none() | IDS,
        st.none() | IDS,
        st.none() | st.integers(-5, 100),
        st.sampled_from(["reply", "playback"]),
    ),
    st.builds(ToolResult, IDS, st.text(max_size=5)),
    st.builds(AppendAudio, st.binary(max_size=40).map(lambda data: data * 2)),
    st.sampled_from([StartTurn(), EndTurn(), PauseAudio(), ClearAudio()]),
)
CONFIGS = st.sampled_from(
    [
        CONFIG,
        RealtimeConfig(api_key="sk-test", vad_mode=VADMode.NONE),
        config_of(OpenAISettings, api_key="sk-test", turn_detection=SemanticVAD(), transcription_model="none"),
    ]
)


@given(st.binary(max_size=200) | st.text(max_size=50).map(str.encode) | JSON.map(json.dumps).map(str.encode))
def test_any_bytes(message: bytes) -> None:
    codec = Conversation(CONFIG).codec
    with contextlib.suppress(ProtocolError, RealtimeConnectionError):
        codec.receive(message)


@given(CONFIGS, st.lists(FRAME | COMMAND | st.just("redial"), max_size=25))
@settings(max_examples=300, deadline=None)
def test_any_events_and_commands(config: RealtimeConfig, steps: list[Any]) -> None:
    conversation = Conversation(config)
    codec = conversation.codec
    audio: list[bytes] = []
    for step in steps:
        try:
            if isinstance(step, dict):
                for event in codec.receive(json.dumps(step).encode()):
                    if isinstance(event, AudioChunk):
                        audio.append(event.audio)
                    if isinstance(event, TranscriptUpdate):
                        event.text.encode()
            elif step == "redial":
                codec.open()
                conversation.sent.clear()
                for frame in ({"type": "session.created"}, {"type": "session.updated"}):
                    codec.receive(json.dumps(frame).encode())
            else:
                codec.send(step)
        except (ProtocolError, RealtimeConnectionError):
            pass
        for data in codec.data_to_send():
            assert json.loads(data)["type"]
    assert all(len(chunk) % 2 == 0 and chunk for chunk in audio)


WORDS = (
    st.text(alphabet="abcdefg ", min_size=1, max_size=30).map(str.strip).filter(bool).map(lambda s: " ".join(s.split()))
)
REPLY = st.builds(
    Reply,
    text=WORDS,
    commentary=WORDS | st.just(""),
    audio=st.binary(max_size=600).map(lambda data: data * 2),
    delta_bytes=st.integers(1, 700),
    calls=st.sampled_from([(), (), (Call(name="weather"),), (Call(name="weather"), Call(name="weather"))]),
    fails_with=st.sampled_from(["", "", "", "server_error", "rate_limit_exceeded"]),
)
ACTION = st.sampled_from(
    ["text", "speak", "silence", "result", "step", "step", "deliver", "cancel", "settle", "redial"]
)


@given(st.lists(REPLY, max_size=4), st.lists(ACTION, max_size=20), st.sampled_from(["commit", "reply", "done"]))
@settings(max_examples=150, deadline=None)
def test_any_conversation_is_lawful_and_complete(replies: list[Reply], actions: list[str], transcribe: str) -> None:
    """The server session refuses whatever breaks its rules; refusals other than lost races fail `flush`."""
    options: dict[str, Any] = {"transcribe": transcribe, "late_deltas": 1, "needs_idle_ms": 900}
    conversation = Conversation(CONFIG, replies=replies, tools=[WEATHER], **options)
    answered: set[str] = set()
    for action in actions:
        try:
            _act(conversation, action, answered)
        except RealtimeConnectionError:
            conversation.dial()
    for _ in range(10):
        try:
            conversation.settle()
            _act(conversation, "result", answered)
        except RealtimeConnectionError:
            conversation.dial()
    started, done = conversation.all(ResponseStarted), conversation.all(ResponseDone)
    assert [event.response_id for event in started] == [event.response_id for event in done]
    assert len({event.response_id for event in done}) == len(done)
    assert not conversation.codec.awaiting_reply
    assert not conversation.session.unanswered_calls
    interrupted = {event.item_id for event in conversation.finals("assistant") if event.interrupted}
    for turn in conversation.transcript.turns:
        assert turn.final or turn.role == "tool"
    frames = [frame for session in conversation.sessions for frame in session.sent]
    silent = {frame["item_id"] for frame in frames if frame["type"] == "input_audio_buffer.timeout_triggered"}
    assert not silent & {turn.item_id for turn in conversation.transcript.turns}
    received: dict[str, bytes] = {}
    for chunk in conversation.all(AudioChunk):
        received[chunk.item_id] = received.get(chunk.item_id, b"") + chunk.audio
    made: dict[str, bytes] = {}
    for frame in frames:
        if frame["type"] == "response.output_audio.delta":
            made[frame["item_id"]] = made.get(frame["item_id"], b"") + base64.b64decode(frame["delta"])
    for item_id, sound in received.items():
        expected = made[item_id]
        assert sound == (expected[: len(sound)] if item_id in interrupted else expected)


def _act(conversation: Conversation, action: str, answered: set[str]) -> None:
    match action:
        case "text":
            conversation.send(SendText("Hi"))
        case "speak":
            conversation.send(AppendAudio(tone(200)), AppendAudio(bytes(48 * 700)))
        case "silence":
            conversation.send(AppendAudio(bytes(48 * 1_000)))
        case "result":
            for call in conversation.all(ToolCallRequest):
                if call.call_id not in answered:
                    answered.add(call.call_id)
                    conversation.send(ToolResult(call.call_id, "done"))
        case "step":
            conversation.step()
        case "deliver":
            conversation.deliver()
        case "cancel":
            heard = conversation.all(AudioChunk)
            cut = {event.item_id for event in conversation.all(Interrupted)}
            item_id = heard[-1].item_id if heard else None
            played = 1 if heard and item_id not in cut else None
            conversation.send(conversation.cut(item_id, played) if item_id else CancelResponse())
        case "settle":
            conversation.settle()
        case "redial":
            conversation.dial(deliver=False)
            conversation.deliver()


@given(st.permutations(["a", "b", "c"]), st.lists(st.integers(1, 4), min_size=3, max_size=3))
def test_transcripts_in_any_order_and_pieces(order: list[str], pieces: list[int]) -> None:
    conversation = Conversation(CONFIG)
    said = {"a": "first turn", "b": "second turn", "c": "third turn"}
    for item_id in said:
        conversation.give({"type": "input_audio_buffer.committed", "item_id": item_id})
    kind = "conversation.item.input_audio_transcription"
    for item_id, size in zip(order, pieces, strict=True):
        ids = {"item_id": item_id, "content_index": 0}
        for start in range(0, len(said[item_id]), size):
            conversation.give({"type": f"{kind}.delta", **ids, "delta": said[item_id][start : start + size]})
        conversation.give({"type": f"{kind}.completed", **ids, "transcript": said[item_id]})
    assert conversation.said("user") == list(said.values())
