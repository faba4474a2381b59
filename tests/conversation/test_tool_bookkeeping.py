"""Calls of tools that end oddly, with the codecs of OpenAI and Gemini: no wait hangs, and each call has one result."""

import asyncio
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.codec_connection import CodecConnection
from tests.support.virtual_time import virtual_time
from voicecli.commands import ToolResult
from voicecli.config import RealtimeConfig, VADMode
from voicecli.conversation.session import VoiceSession
from voicecli.ports import ConversationSetup
from voicecli.providers.gemini import GEMINI
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec
from voicecli.tools import make_tools

Frame = dict[str, Any]
CONFIG = RealtimeConfig(api_key="sk-test-0123456789", vad_mode=VADMode.CLIENT, response_timeout_s=5)


@dataclass(frozen=True)
class Server:
    """What a server says.

    Attributes:
        connect: makes the connection, given the names of the tools.
        ready: the first messages.
        call: calls the tool "odd", and ends the response that does.
        cancelled: the same, and takes the call back.
        answer: another response, in words.
        results: how many results are in these messages of the client.
    """

    connect: Callable[[ConversationSetup], CodecConnection]
    ready: list[Frame]
    call: list[Frame]
    cancelled: list[Frame]
    answer: list[Frame]
    results: Callable[[list[Frame]], int]


def openai_call(status: str) -> list[Frame]:
    call = {"id": "i", "type": "function_call", "status": "completed", "call_id": "c", "name": "odd", "arguments": "{}"}
    details = {"type": "cancelled", "reason": "turn_detected"} if status == "cancelled" else None
    done = {"id": "r", "status": status, "status_details": details, "output": [call]}
    return [
        {"type": "response.created", "response": {"id": "r"}},
        {"type": "response.output_item.done", "response_id": "r", "item": call},
        {"type": "response.done", "response": done},
    ]


def openai_answer() -> list[Frame]:
    message = {"id": "m", "type": "message", "content": [{"type": "output_text", "text": "Well."}]}
    ids = {"response_id": "r2", "item_id": "m", "content_index": 0}
    return [
        {"type": "response.created", "response": {"id": "r2"}},
        {"type": "response.output_text.done", **ids, "text": "Well."},
        {"type": "response.done", "response": {"id": "r2", "status": "completed", "output": [message]}},
    ]


OPENAI_SERVER = Server(
    connect=lambda setup: CodecConnection(OpenAICodec(setup), OPENAI.capabilities),
    ready=[{"type": "session.created", "session": {}}, {"type": "session.updated", "session": {}}],
    call=openai_call("completed"),
    cancelled=openai_call("cancelled"),
    answer=openai_answer(),
    results=lambda frames: sum(frame.get("item", {}).get("type") == "function_call_output" for frame in frames),
)
GEMINI_CALL = {"toolCall": {"functionCalls": [{"id": "c", "name": "odd", "args": {}}]}}
GEMINI_SERVER = Server(
    connect=lambda setup: CodecConnection(GeminiCodec(setup, find_endpoint(setup.config, {})), GEMINI.capabilities),
    ready=[{"setupComplete": {}}],
    call=[GEMINI_CALL, {"serverContent": {"turnComplete": True}}],
    cancelled=[
        GEMINI_CALL,
        {"toolCallCancellation": {"ids": ["c"]}},
        {"serverContent": {"interrupted": True}},
        {"serverContent": {"turnComplete": True}},
    ],
    answer=[{"serverContent": {"outputTranscription": {"text": "Well."}, "turnComplete": True}}],
    results=lambda frames: sum("toolResponse" in frame for frame in frames),
)
servers = pytest.mark.parametrize("server", [OPENAI_SERVER, GEMINI_SERVER], ids=["openai", "gemini"])


async def begun(server: Server, tool: Callable[..., Any]) -> tuple[VoiceSession, CodecConnection]:
    """A session whose provider is ready."""
    tools = make_tools([tool])
    connection = server.connect(ConversationSetup(CONFIG, [made.schema for made in tools.values()]))
    session = VoiceSession(connection, CONFIG, tools=tools)
    connection.open()
    connection.read(server.ready)
    await session.start()
    return session, connection


def run(work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    virtual_time(work)()


@servers
def test_a_call_and_its_cancellation_in_one_read_hold_up_no_later_wait(server: Server) -> None:
    async def odd() -> None:
        """Never end."""
        await asyncio.Event().wait()

    async def talk() -> None:
        session, connection = await begun(server, odd)
        asking = asyncio.create_task(session.send_text("Do it.", wait=False))
        await asking
        connection.read(server.cancelled)
        await asyncio.sleep(1)
        assert not any(isinstance(command, ToolResult) for command in connection.commands)
        answering = asyncio.create_task(session.send_text("And now?", wait=True))
        await asyncio.sleep(1)
        connection.read(server.answer)
        response = await asyncio.wait_for(answering, 10)
        assert response is not None
        assert response.transcript == "Well."
        await session.aclose()

    run(talk)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


class Unserialisable:
    """What raises when it is looked into."""

    @property
    def __dict__(self) -> dict[str, Any]:  # type: ignore[override]
        raise UnspeakableError


class OwnEnd(BaseException):
    """Neither an Exception nor one of Python's own."""


def ended_oddly(raised: BaseException) -> Callable[..., Any]:
    async def odd() -> None:
        """Fail."""
        raise raised

    return odd


async def cancelled_inside() -> None:
    task = asyncio.create_task(asyncio.sleep(10))
    await asyncio.sleep(0)
    task.cancel()
    await task


def returns(result: object) -> Callable[..., Any]:
    async def odd() -> object:
        """Answer."""
        return result

    return odd


cancelled_inside.__name__ = "odd"
cyclic: list[Any] = []
cyclic.append(cyclic)


@pytest.mark.parametrize(
    "tool",
    [
        cancelled_inside,
        ended_oddly(GeneratorExit()),
        ended_oddly(OwnEnd()),
        ended_oddly(SystemExit(3)),
        ended_oddly(UnspeakableError()),
        returns(Unserialisable()),
        returns({"sound": b"\xff"}),
        returns(cyclic),
        returns("\ud800"),
    ],
    ids=[
        "awaits a cancelled task",
        "GeneratorExit",
        "BaseException",
        "exit",
        "unspeakable",
        "unserialisable",
        "bytes",
        "cyclic",
        "surrogate",
    ],
)
@servers
def test_whatever_a_tool_does_one_result_goes_out_and_the_answer_comes(
    server: Server, tool: Callable[..., Any]
) -> None:
    async def talk() -> None:
        session, connection = await begun(server, tool)
        answering = asyncio.create_task(session.send_text("Do it.", wait=True))
        await asyncio.sleep(0.1)
        connection.read(server.call)
        await asyncio.sleep(0.1)
        assert server.results(connection.frames) == 1
        connection.read(server.answer)
        response = await asyncio.wait_for(answering, 10)
        assert response is not None
        assert response.transcript == "Well."
        await session.aclose()
        assert server.results(connection.frames) == 1

    run(talk)
