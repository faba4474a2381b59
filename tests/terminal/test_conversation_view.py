"""The view of real conversations: codec and session of a provider below, no network."""

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

from tests.providers.gemini.conversation import make_codec as gemini_codec
from tests.providers.gemini.conversation import said, sound
from tests.support.codec_connection import CodecConnection
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from tests.terminal.stage import Stage
from voicecli.audio import Playhead
from voicecli.config import RealtimeConfig
from voicecli.conversation.session import VoiceSession
from voicecli.ports import ConversationSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec
from voicecli.terminal.view_model import ViewModel
from voicecli.tools import Tool, make_tools

SECOND = bytes(48_000)
Frame = dict[str, Any]


class Shown(Stage):
    """A conversation and its view."""

    def __init__(self, connection: CodecConnection, config: RealtimeConfig, tools: dict[str, Tool]) -> None:
        self.now = 0.0
        self.view = ViewModel(clock=lambda: asyncio.get_running_loop().time())
        self.connection = connection
        self.session = VoiceSession(connection, config, tools=tools)

    async def read(self, *messages: Frame) -> None:
        """These messages come in one read."""
        self.connection.read(messages)
        await self.settle()

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


@asynccontextmanager
async def shown(
    connection: CodecConnection, config: RealtimeConfig, *opened: Frame, tools: Sequence[Any] = ()
) -> AsyncIterator[Shown]:
    connection.open()
    connection.read(opened)
    conversation = Shown(connection, config, make_tools(tools))
    await conversation.session.start()

    async def listen() -> None:
        async for event in conversation.session:
            conversation.view.apply(event)

    listening = asyncio.create_task(listen())
    try:
        await conversation.settle()
        yield conversation
    finally:
        await conversation.session.aclose()
        await listening


@virtual_time
async def test_a_reply_of_geminis_that_was_interrupted_is_not_speaking_any_more() -> None:
    config = RealtimeConfig(api_key="AIza-test-0123456789abcdef")
    connection = CodecConnection(gemini_codec(), GEMINI.capabilities)
    async with shown(connection, config, {"setupComplete": {}}) as conversation:
        view, session = conversation.view, conversation.session
        session.player = Player(Playhead("item", 400))
        assert view.state_words == "Listening"
        await session.send_text("Tell me.", wait=False)
        await conversation.settle()
        assert view.state_words == "Thinking 0.0 s"
        await conversation.read(said("Once upon"), sound(SECOND))
        assert view.state_words == "Speaking"
        await session.interrupt()
        await conversation.settle()
        assert view.state_words == "Listening"
        await conversation.read(said(" a time"), sound(SECOND))
        assert view.state_words == "Listening", "the server's turn goes on for a while"
        await conversation.read({"serverContent": {"turnComplete": True}})
        assert view.state_words == "Listening"


@virtual_time
async def test_a_tool_stands_below_the_words_that_called_it_although_openai_tells_them_later() -> None:
    def weather() -> str:
        """Tell the weather."""
        return "sunny"

    config = RealtimeConfig(api_key="sk-test")
    connection = CodecConnection(OpenAICodec(ConversationSetup(config)), OPENAI.capabilities)
    opened = {"type": "session.created"}, {"type": "session.updated", "session": {}}
    call = {"id": "item_c", "type": "function_call", "call_id": "c", "name": "weather", "arguments": "{}"}
    question = {"id": "item_q", "type": "message", "role": "user", "content": [{"type": "input_audio"}]}
    async with shown(connection, config, *opened, tools=[weather]) as conversation:
        await conversation.read({"type": "input_audio_buffer.speech_started", "item_id": "item_q", "audio_start_ms": 0})
        assert conversation.view.state_words == "Hearing you"
        await conversation.read(
            {"type": "input_audio_buffer.speech_stopped", "item_id": "item_q", "audio_end_ms": 900},
            {"type": "input_audio_buffer.committed", "item_id": "item_q"},
            {"type": "conversation.item.added", "item": question},
            {"type": "response.created", "response": {"id": "r"}},
            {"type": "response.output_item.added", "response_id": "r", "item": call},
            {"type": "response.output_item.done", "response_id": "r", "item": call},
            {"type": "response.done", "response": {"id": "r", "status": "completed", "output": [call]}},
        )
        assert conversation.view.state_words == "Thinking 0.0 s"
        assert conversation.view.running_tools == []
        assert conversation.scrolled() == []
        kind = "conversation.item.input_audio_transcription.completed"
        await conversation.read(
            {"type": kind, "item_id": "item_q", "content_index": 0, "transcript": "How is the weather?"}
        )
        assert conversation.scrolled() == ["● You", "  How is the weather?", "● weather ✓"]
