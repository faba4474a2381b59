"""Tools that run in the background: the same with every provider, over the strict loopback servers and the engine."""

import asyncio
import contextlib
import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, replace
from typing import Any

import pytest

from tests.conversation.scripted import until
from tests.conversation.test_parity import check_order
from tests.loopback import gemini_server, openai_server
from tests.providers.local.fakes import FakeModel, FakeSpeech, offline
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, RealtimeVoice, Reconnect, VADMode, VoiceSession
from voicecli.events import (
    AudioChunk,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    SessionStarted,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
)
from voicecli.ports import Connection, ConversationSetup, Provider
from voicecli.providers.local import LOCAL
from voicecli.providers.local.chat_model import ToolCall

ANSWER, RESULT = "It is Paris.", "I found three."
LONG = openai_server.tone(20_000)


@dataclass
class Place:
    """Where a conversation is held.

    Attributes:
        settings: that lead there.
        seen: all that the model was told, as JSON.
        drop: breaks the connection.
    """

    provider: str | Provider
    settings: dict[str, Any]
    seen: Callable[[], str]
    drop: Callable[[], None]


@contextlib.asynccontextmanager
async def openai(sound: bytes | None) -> AsyncIterator[Place]:
    calls = (openai_server.Call(name="slow"),)
    replies = [openai_server.Reply(text="", calls=calls), openai_server.Reply(text=ANSWER, audio=sound)]
    server = openai_server.OpenAIServer(replies=[*replies, openai_server.Reply(text=RESULT)], delay_s=0.01)
    async with server:
        where = {"base_url": server.url, "api_key": openai_server.KEY}
        yield Place("openai", where, lambda: json.dumps(server.frames), lambda: _abort(server.connections))
        assert not server.violations


@contextlib.asynccontextmanager
async def gemini(sound: bytes | None) -> AsyncIterator[Place]:
    calls = (gemini_server.Call(name="slow"),)
    replies = [
        gemini_server.Reply(text="", calls=calls),
        gemini_server.Reply(text=ANSWER, audio=sound, after=RESULT),
        gemini_server.Reply(text=RESULT),  # to the result in writing, which another socket needs
    ]
    server = gemini_server.GeminiServer(replies=replies, delay_s=0.01)
    async with server:
        where = {"base_url": server.url, "api_key": gemini_server.KEY}
        seen = lambda: json.dumps(server.frames, default=repr)  # noqa: E731
        yield Place("gemini", where, seen, lambda: _abort(server.connections))
        assert not server.violations


@contextlib.asynccontextmanager
async def local(sound: bytes | None) -> AsyncIterator[Place]:
    held = [asyncio.Event()] if sound else []
    model = FakeModel([[ToolCall("c", "slow", "{}")], [f"{ANSWER} ", *held], [RESULT]])

    async def connect(setup: ConversationSetup) -> Connection:
        return offline(model, voice=FakeSpeech(), config=setup.config, tools=setup.tools)

    yield Place(replace(LOCAL, connect=connect), {}, lambda: json.dumps(model.asked), lambda: None)


def _abort(connections: Any) -> None:
    for connection in connections:
        connection.transport.abort()


every = pytest.mark.parametrize("place", [openai, gemini, local], ids=lambda place: place.__name__)
networked = pytest.mark.parametrize("place", [openai, gemini], ids=lambda place: place.__name__)


class Talk:
    """A conversation with a tool `slow`, which ends when it may.

    Attributes:
        ran: how often it began, and what became of it.
    """

    def __init__(self) -> None:
        self.may_end = asyncio.Event()
        self.ran: list[str] = []
        self.events: list[Event] = []

    @contextlib.asynccontextmanager
    async def held(self, place: Any, sound: bytes | None = None) -> AsyncIterator[tuple[VoiceSession, Place]]:
        async def slow() -> str:
            """Look something up."""
            self.ran.append("began")
            try:
                await self.may_end.wait()
            except asyncio.CancelledError:
                self.ran.append("cancelled")
                raise
            self.ran.append("ended")
            return "three dots"

        async with place(sound) as where:
            quick = Reconnect(first_delay_s=0.01, max_delay_s=0.01)
            chosen: dict[str, Any] = {"vad_mode": VADMode.NONE, "response_timeout_s": 20, "reconnect": quick}
            config = RealtimeConfig(**chosen, **where.settings, background_tools=("slow",), tool_timeout_s=600)
            async with RealtimeVoice(where.provider, config=config, tools=[slow]).connect() as session:
                listening = asyncio.create_task(self._listen(session))
                await session.send_text("Look it up.", wait=False)
                await until(lambda: self.ran and self.of(ResponseDone))
                yield session, where
            await listening
        check_order(self.events)
        requests = [event for event in self.of(ToolCallRequest) if isinstance(event, ToolCallRequest)]
        assert [request.background for request in requests] == [True]

    async def _listen(self, session: VoiceSession) -> None:
        async for event in session:
            self.events.append(event)

    def of(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]


def said(session: VoiceSession) -> list[str]:
    return [turn.text.strip() for turn in session.history if turn.role == "assistant" and turn.final and turn.text]


@every
def test_the_conversation_goes_on_and_the_result_is_told_when_it_is_there(place: Any) -> None:
    @virtual_time
    async def scenario() -> None:
        talk = Talk()
        async with talk.held(place) as (session, where):
            await asyncio.sleep(1)
            assert session.state.assistant == "listening", "the user may speak"
            await session.send_text("What is the capital of France?", wait=False)
            await until(lambda: said(session) == [ANSWER])
            await asyncio.sleep(120)
            assert session.state.assistant == "listening"
            assert not talk.of(Notice), "nobody waits for an answer"
            assert "three dots" not in where.seen()
            talk.may_end.set()
            await session.wait_for_reply()
            assert said(session) == [ANSWER, RESULT]
            assert "three dots" in where.seen()
        assert talk.ran == ["began", "ended"]
        assert len(talk.of(ToolCallFinished)) == 1
        assert len(talk.of(ResponseDone)) == 3

    scenario()


@every
def test_a_result_that_comes_amid_a_reply_is_told_after_it(place: Any) -> None:
    @virtual_time
    async def scenario() -> None:
        talk = Talk()
        async with talk.held(place) as (session, _):
            await session.send_text("What is the capital of France?", wait=False)
            await until(lambda: talk.of(AudioChunk))
            talk.may_end.set()
            await session.wait_for_reply()
            assert said(session) == [ANSWER, RESULT]

    scenario()


@every
def test_a_reply_that_is_interrupted_costs_no_result(place: Any) -> None:
    @virtual_time
    async def scenario() -> None:
        talk = Talk()
        async with talk.held(place, LONG) as (session, where):
            await session.send_text("What is the capital of France?", wait=False)
            await until(lambda: talk.of(AudioChunk))
            await session.interrupt()
            await asyncio.sleep(30)
            assert talk.ran == ["began"]
            assert not talk.of(ToolCallCancelled)
            talk.may_end.set()
            await session.wait_for_reply()
            assert said(session)[-1] == RESULT
            assert "three dots" in where.seen()

    scenario()


@networked
def test_a_lost_connection_costs_no_result_and_asks_nothing_twice(place: Any) -> None:
    @virtual_time
    async def scenario() -> None:
        talk = Talk()
        async with talk.held(place) as (session, where):
            await asyncio.sleep(1)
            where.drop()
            await until(lambda: len(talk.of(SessionStarted)) == 2)
            await session.send_text("What is the capital of France?", wait=False)
            await until(lambda: said(session) == [ANSWER])
            talk.may_end.set()
            await session.wait_for_reply()
            assert said(session) == [ANSWER, RESULT]
            assert "three dots" in where.seen()
        assert talk.of(Reconnecting)
        assert talk.ran == ["began", "ended"]

    scenario()


@every
def test_the_end_of_the_conversation_stops_it(place: Any) -> None:
    @virtual_time
    async def scenario() -> None:
        talk = Talk()
        async with talk.held(place):
            await asyncio.sleep(1)
        assert talk.ran == ["began", "cancelled"]
        assert not talk.of(ToolCallFinished)

    scenario()
