"""A server that goes on finding turns although it was told not to, and takes the answer to a turn back."""

import asyncio
from typing import Any

import pytest

from tests.support.codec_connection import CodecConnection
from tests.support.virtual_time import virtual_time
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.session import VoiceSession
from voicecli.conversation.taken_back import ASK_AGAIN_AFTER_S
from voicecli.errors import RealtimeError
from voicecli.ports import ConversationSetup
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec

Frame = dict[str, Any]
CONFIG = RealtimeConfig(api_key="sk-test-0123456789", vad_mode=VADMode.NONE, response_timeout_s=8)
SOUND = "AAAA" * 100


def begin(name: str) -> list[Frame]:
    ids = {"response_id": name, "item_id": f"item_{name}", "content_index": 0}
    return [
        {"type": "response.created", "response": {"id": name}},
        {"type": "response.output_audio.delta", **ids, "delta": SOUND},
        {"type": "response.output_audio_transcript.delta", **ids, "delta": f"Answer {name}."},
    ]


def end(name: str, *, taken_back: bool = False) -> list[Frame]:
    details = {"type": "cancelled", "reason": "turn_detected"} if taken_back else None
    status = "cancelled" if taken_back else "completed"
    return [{"type": "response.done", "response": {"id": name, "status": status, "status_details": details}}]


TURN_FOUND: list[Frame] = [
    {"type": "input_audio_buffer.speech_started", "item_id": "u", "audio_start_ms": 0},
    *end("a", taken_back=True),
    {"type": "input_audio_buffer.speech_stopped", "item_id": "u", "audio_end_ms": 900},
    {"type": "input_audio_buffer.committed", "item_id": "u"},
]


async def asked() -> tuple[VoiceSession, CodecConnection, "asyncio.Task[Any]"]:
    """A recording was sent as one turn, its answer has begun, and was taken back."""
    codec = OpenAICodec(ConversationSetup(CONFIG))
    connection = CodecConnection(codec, OPENAI.capabilities)
    session = VoiceSession(connection, CONFIG)
    connection.open()
    connection.read([{"type": "session.created", "session": {}}, {"type": "session.updated", "session": {}}])
    await session.start()
    asking = asyncio.create_task(session.send_audio(bytes(48_000), wait=True))
    await asyncio.sleep(0.5)
    connection.read([{"type": "input_audio_buffer.committed", "item_id": "t"}, *begin("a")])
    await asyncio.sleep(0.1)
    connection.read(TURN_FOUND)
    return session, connection, asking


def creates(connection: CodecConnection) -> int:
    return sum(frame["type"] == "response.create" for frame in connection.frames)


@virtual_time
async def test_the_answer_that_follows_is_waited_for() -> None:
    session, connection, asking = await asked()
    await asyncio.sleep(ASK_AGAIN_AFTER_S - 1)
    assert not asking.done()
    connection.read([*begin("b"), *end("b")])
    response = await asking
    assert response.transcript.endswith("Answer b.")
    assert response.status == "completed"
    assert creates(connection) == 1
    await session.aclose()


@virtual_time
async def test_where_none_follows_it_is_asked_for_once_more() -> None:
    session, connection, asking = await asked()
    await asyncio.sleep(ASK_AGAIN_AFTER_S + 0.5)
    assert creates(connection) == 2
    connection.read([*begin("b"), *end("b")])
    assert (await asking).status == "completed"
    await session.aclose()


@virtual_time
async def test_then_it_is_an_error() -> None:
    session, connection, asking = await asked()
    await asyncio.sleep(ASK_AGAIN_AFTER_S + 0.5)
    connection.read([*begin("b"), *end("b", taken_back=True)])
    with pytest.raises(RealtimeError, match="within 8 s"):
        await asking
    assert creates(connection) == 2
    await session.aclose()


@virtual_time
async def test_a_user_who_says_more_is_answered_instead() -> None:
    session, connection, asking = await asked()
    await asyncio.sleep(0.5)
    await session.send_text("Or rather this.", wait=False)
    sent = creates(connection)
    await asyncio.sleep(ASK_AGAIN_AFTER_S + 1)
    assert creates(connection) == sent == 2
    item = next(frame["item"] for frame in connection.frames if frame["type"] == "conversation.item.create")
    connection.read([{"type": "conversation.item.added", "item": item}])
    connection.read([*begin("b"), *end("b")])
    assert (await asking).status == "completed"
    await session.aclose()
