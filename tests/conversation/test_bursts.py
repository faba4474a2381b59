"""Turns that arrive in one read, as after a network stall: what they mean does not depend on where reads end."""

import asyncio
import base64
from typing import Any

from tests.support.codec_connection import CodecConnection
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli.audio import Playhead
from voicecli.config import RealtimeConfig
from voicecli.conversation.session import VoiceSession
from voicecli.events import AudioChunk, Event, Interrupted, ResponseDone, TranscriptUpdate
from voicecli.ports import ConversationSetup
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec

Frame = dict[str, Any]


def openai_reply(name: str, words: str, sound: bytes = bytes(48_000)) -> list[Frame]:
    """A response by voice, from its creation to its end."""
    item, response = f"item_{name}", f"resp_{name}"
    ids = {"response_id": response, "item_id": item, "output_index": 0, "content_index": 0}
    message = {"id": item, "type": "message", "role": "assistant", "content": []}
    return [
        {"type": "response.created", "response": {"id": response}},
        {"type": "response.output_item.added", "response_id": response, "item": message},
        {"type": "conversation.item.added", "item": message},
        {"type": "response.output_audio_transcript.delta", **ids, "delta": words},
        {"type": "response.output_audio.delta", **ids, "delta": base64.b64encode(sound).decode()},
        {"type": "response.output_audio_transcript.done", **ids, "transcript": words},
        {"type": "response.done", "response": {"id": response, "status": "completed", "output": [message]}},
    ]


def openai_turn(name: str, words: str) -> list[Frame]:
    """A turn of the user's that the server finds, from its first sound to its transcript."""
    item = f"item_{name}"
    content = [{"type": "input_audio", "transcript": None}]
    kind = "conversation.item.input_audio_transcription.completed"
    return [
        {"type": "input_audio_buffer.speech_started", "item_id": item, "audio_start_ms": 0},
        {"type": "input_audio_buffer.speech_stopped", "item_id": item, "audio_end_ms": 900},
        {"type": "input_audio_buffer.committed", "item_id": item},
        {
            "type": "conversation.item.added",
            "item": {"id": item, "type": "message", "role": "user", "content": content},
        },
        {"type": kind, "item_id": item, "content_index": 0, "transcript": words},
    ]


class OpenAI(CodecConnection):
    def __init__(self, **settings: Any) -> None:
        config = RealtimeConfig(api_key="sk-test", **settings)
        super().__init__(OpenAICodec(ConversationSetup(config)), OPENAI.capabilities)
        self.open()
        self.read([{"type": "session.created"}, {"type": "session.updated", "session": {}}])
        self.frames.clear()
        self.session = VoiceSession(self, config)


async def loop_turns() -> None:
    for _ in range(20):
        await asyncio.sleep(0)


@virtual_time
async def test_openai_answers_the_turn_that_interrupts_when_all_of_it_comes_in_one_read() -> None:
    connection = OpenAI()
    session = connection.session
    await session.start()
    session.player = Player(Playhead("item_one", 400))
    events: list[Event] = []

    async def listen() -> None:
        async for event in session:
            events.append(event)

    listening = asyncio.create_task(listen())
    connection.read(openai_reply("one", "one two three four"))
    await loop_turns()
    connection.read([*openai_turn("why", "Why?"), *openai_reply("two", "Because.")])
    await asyncio.sleep(5)
    connection.read([{"type": "rate_limits.updated"}])
    await loop_turns()
    await session.aclose()
    await listening
    frames = [(frame["type"], frame.get("item_id")) for frame in connection.frames]
    assert frames == [("conversation.item.truncate", "item_one")]
    assert [event.response_id for event in events if isinstance(event, Interrupted)] == ["resp_one"]
    assert [event.response_id for event in events if isinstance(event, AudioChunk)] == ["resp_one", "resp_two"]
    done = [event for event in events if isinstance(event, ResponseDone)]
    assert [(event.response_id, event.status) for event in done] == [
        ("resp_one", "completed"),
        ("resp_two", "completed"),
    ]
    finals = [event for event in events if isinstance(event, TranscriptUpdate) and event.final]
    assert [(final.text, final.interrupted) for final in finals if final.item_id != "item_one"] == [
        ("Why?", False),
        ("Because.", False),
    ]
