"""Whatever comes in, only two kinds of errors come out."""

import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

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
from voicecli.events import AudioChunk, TranscriptUpdate
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
