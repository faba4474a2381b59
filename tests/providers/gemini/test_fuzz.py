"""Whatever comes in, only the errors a codec may raise come out, and the events keep their rules."""

import base64
import contextlib
import json
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from tests.loopback.gemini_session import Google, Reply, tone
from tests.providers.gemini.conversation import Conversation, make_codec, weather
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
from voicecli.config import VADMode
from voicecli.errors import ProtocolError, RealtimeConnectionError
from voicecli.events import AudioChunk, Event, ResponseDone, ResponseStarted, SessionStarted, TranscriptUpdate
from voicecli.ports import Expiring
from voicecli.providers.gemini.codec import GeminiCodec

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
AUDIO = st.binary(max_size=9).map(lambda audio: base64.b64encode(audio).decode())
TRANSCRIPT = st.fixed_dictionaries({}, optional={"text": st.text(max_size=6) | JSON, "finished": st.booleans() | JSON})
BLOB = st.fixed_dictionaries(
    {},
    optional={
        "mimeType": st.sampled_from(["audio/pcm;rate=24000", "audio/pcm", "audio/pcm;rate=x", "image/png"]) | JSON,
        "data": AUDIO | JSON,
    },
)
CONTENT = st.fixed_dictionaries(
    {},
    optional={
        "modelTurn": st.fixed_dictionaries(
            {"parts": st.lists(st.fixed_dictionaries({"inlineData": BLOB}), max_size=2) | JSON}
        )
        | JSON,
        "inputTranscription": TRANSCRIPT | JSON,
        "interimInputTranscription": TRANSCRIPT | JSON,
        "outputTranscription": TRANSCRIPT | JSON,
        "generationComplete": st.booleans() | JSON,
        "turnComplete": st.booleans() | JSON,
        "interrupted": st.booleans() | JSON,
        "waitingForInput": st.booleans(),
        "interactionStatus": st.sampled_from(["IDLE", "IN_PROGRESS"]) | JSON,
        "turnCompleteReason": st.text(max_size=4) | JSON,
        "groundingMetadata": JSON,
    },
)
COUNTS = st.fixed_dictionaries({}, optional={"promptTokenCount": st.integers() | JSON, "responseTokensDetails": JSON})
CALL = st.fixed_dictionaries(
    {}, optional={"id": st.sampled_from(["a", "b", ""]) | JSON, "name": st.text(max_size=4) | JSON, "args": JSON}
)
MESSAGE = st.fixed_dictionaries(
    {},
    optional={
        "setupComplete": st.just({}) | JSON,
        "serverContent": CONTENT | JSON,
        "toolCall": st.fixed_dictionaries({"functionCalls": st.lists(CALL, max_size=2) | JSON}) | JSON,
        "toolCallCancellation": st.fixed_dictionaries({"ids": st.lists(st.sampled_from(["a", "b"])) | JSON}) | JSON,
        "usageMetadata": COUNTS | JSON,
        "goAway": JSON,
        "sessionResumptionUpdate": st.fixed_dictionaries(
            {}, optional={"newHandle": st.text(max_size=3) | JSON, "resumable": st.booleans() | JSON}
        ),
        "error": JSON,
        "unheardOf": JSON,
    },
)
COMMAND: st.SearchStrategy[Command] = st.one_of(
    st.builds(StartTurn),
    st.builds(AppendAudio, st.binary(max_size=4).map(lambda audio: audio * 2)),
    st.builds(EndTurn),
    st.builds(ClearAudio),
    st.builds(PauseAudio),
    st.builds(SendText, st.text(max_size=4), st.text(max_size=2)),
    st.builds(SendImage, st.binary(max_size=3), st.just("image/png")),
    st.builds(
        CancelResponse,
        st.none() | st.sampled_from(["response-1", "response-2"]),
        st.none() | st.sampled_from(["response-1.1", "response-2.1"]),
        st.none() | st.integers(min_value=0, max_value=500),
        st.sampled_from(["reply", "playback"]),
    ),
    st.builds(ToolResult, st.sampled_from(["a", "b", "call-1"]), st.text(max_size=4), st.booleans()),
)


def received(codec: GeminiCodec, message: bytes) -> list[Event | Expiring]:
    with contextlib.suppress(ProtocolError, RealtimeConnectionError):
        return codec.receive(message)
    return []


@given(st.binary(max_size=40) | JSON.map(lambda value: json.dumps(value).encode()))
@settings(max_examples=300, deadline=None)
def test_any_bytes(message: bytes) -> None:
    codec = make_codec()
    codec.open()
    received(codec, message)


def test_a_message_too_deep_to_read() -> None:
    for message in (
        b"[" * 200_000,
        b'{"toolCall":{"functionCalls":[{"args":' + b'{"a":' * 20_000 + b"1" + b"}" * 20_004,
    ):
        assert received(make_codec([weather]), message) == []


@given(
    st.sampled_from(list(VADMode)),
    st.lists(MESSAGE.map(lambda message: json.dumps(message).encode()) | COMMAND | st.just("redial"), max_size=25),
)
@settings(max_examples=400, deadline=None)
def test_any_course_of_a_conversation(mode: VADMode, course: list[bytes | Command | str]) -> None:
    codec = make_codec([weather], vad_mode=mode)
    codec.open()
    events = [*received(codec, b'{"setupComplete":{}}')]
    sent: list[bytes] = codec.data_to_send()
    for step in course:
        if isinstance(step, bytes):
            events += received(codec, step)
        elif isinstance(step, str):
            codec.open()
            events += received(codec, b'{"setupComplete":{}}')
        else:
            codec.send(step)
        assert isinstance(codec.awaiting_reply, bool)
        assert isinstance(codec.busy, bool)
        sent += codec.data_to_send()
    events += received(codec, b"{}")
    for message in sent:
        assert len(json.loads(message)) == 1
    _check_order(events)


def _check_order(events: list[Event | Expiring]) -> None:
    """Replies follow one another, and sound and words belong to the one that is under way."""
    running: str | None = None
    words: dict[tuple[str, str], bool] = {}
    for event in events:
        match event:
            case ResponseStarted(response_id):
                assert running is None
                running = response_id
            case ResponseDone(response_id):
                assert running == response_id
                running = None
            case AudioChunk(audio, response_id, item_id):
                assert running == response_id
                assert item_id.startswith(response_id)
                assert len(audio) % 2 == 0
            case TranscriptUpdate(role, item_id):
                words[role, item_id] = event.final


WORD = st.sampled_from(["yes", "no", "well then", "it is so", "one two three four five"])


@given(
    st.lists(st.tuples(WORD, WORD, st.booleans(), st.booleans()), min_size=1, max_size=5),
    st.sampled_from(list(VADMode)),
    st.booleans(),
    st.booleans(),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_every_word_once_and_every_byte(
    turns: list[tuple[str, str, bool, bool]], mode: VADMode, late: bool, finished: bool, handles: bool
) -> None:
    google = Google(late_words=late, finished=finished, gives_handles=handles)
    replies = [Reply(text=answer, piece_bytes=4_801, together=together) for _, answer, together, _ in turns]
    talk = Conversation(*replies, hears=[question for question, *_ in turns], google=google, vad_mode=mode)
    for _, _, _, redial in turns:
        talk.send(StartTurn(), AppendAudio(tone(300, rate=16_000)))
        if redial:
            talk.connect()
        talk.send(EndTurn())
        talk.run()
    assert talk.lines == [
        line for question, answer, *_ in turns for line in (("user", question), ("assistant", answer))
    ]
    assert talk.audio == b"".join(tone(60 * len(answer.split())) for _, answer, *_ in turns)
    assert all(turn.final for turn in talk.transcript.turns)
    assert not talk.of(SessionStarted)
    talk.check()


def test_what_was_understood_of_a_broken_message_is_not_lost() -> None:
    codec = make_codec()
    codec.open()
    codec.receive(b'{"setupComplete":{}}')
    codec.send(SendText("Hi."))
    broken: dict[str, Any] = {"outputTranscription": {"text": "Hello."}, "modelTurn": 5}
    events = received(codec, json.dumps({"serverContent": broken}).encode())
    events += codec.receive(b'{"serverContent":{"turnComplete":true}}')
    assert [type(event) for event in events] == [ResponseStarted, TranscriptUpdate, TranscriptUpdate, ResponseDone]
