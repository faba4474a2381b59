"""The fault matrix with the real codec and OpenAI's strict loopback server: every close at every stage."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.loopback.openai_server import KEY, Call, Fault, OpenAIServer, Refuse, Reply, tone
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, SendText, ToolResult
from voicecli.config import RealtimeConfig
from voicecli.connection.websocket import WebSocketConnection
from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeConnectionError
from voicecli.events import (
    Event,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.ports import Connection, ConversationSetup, Expiring
from voicecli.providers.openai import OPENAI
from voicecli.providers.openai.codec import OpenAICodec
from voicecli.transcript import Transcript

SPEECH = tone(600) + bytes(48 * 1_200)
STAGES = ["before_created", "before_updated", "idle", "user_speaking", "mid_response", "mid_tool"]
RETRYABLE = [None, 1001, 1005, 1006, 1011, 1012, 1013]
FATAL = [1008, 3000, 4000, 4004]


class ShortLivedCodec(OpenAICodec):
    """A session of the API that ends after 7 minutes instead of 60."""

    def receive(self, message: bytes) -> list[Event | Expiring]:
        events = super().receive(message)
        return [Expiring(420) if event == Expiring(3_600) else event for event in events]


@contextlib.asynccontextmanager
async def conversation(
    server: OpenAIServer, *, short_lived: bool = False, **settings: object
) -> AsyncIterator[tuple[Connection, "Listener"]]:
    config = RealtimeConfig(api_key=KEY, base_url=server.url, **settings)  # type: ignore[arg-type]
    setup = ConversationSetup(config)
    connection: Connection
    if short_lived:
        connection = await WebSocketConnection.open(ShortLivedCodec(setup), OPENAI.capabilities, config)
    else:
        connection = await OPENAI.connect(setup)
    try:
        yield connection, Listener(connection)
    finally:
        await connection.aclose()


class Listener:
    """Follows the events, and keeps the transcript.

    Attributes:
        seen: all events so far.
    """

    def __init__(self, connection: Connection) -> None:
        self._events = aiter(connection)
        self._transcript = Transcript()
        self.seen: list[Event] = []

    async def until(self, kind: type, **fields: object) -> Event:
        """The next event of this type whose fields have these values."""
        async for event in self._events:
            self.seen.append(event)
            self._transcript.apply(event)
            if isinstance(event, kind) and all(getattr(event, name) == value for name, value in fields.items()):
                return event
        raise AssertionError(f"no {kind.__name__} in {self.seen}")

    def said(self, role: str) -> list[str]:
        return [turn.text for turn in self._transcript.turns if turn.role == role and turn.final and turn.text]


async def speak(connection: Connection, audio: bytes = SPEECH) -> None:
    for start in range(0, len(audio), 960):
        await connection.send(AppendAudio(audio[start : start + 960]))
        await asyncio.sleep(0.02)


async def hold(server: OpenAIServer, stage: str) -> list[Event]:
    """A conversation that passes through the stage, up to a complete reply; all its events."""
    async with conversation(server) as (connection, listener):
        await listener.until(SessionStarted)
        if stage == "user_speaking":
            with contextlib.suppress(RealtimeConnectionError):
                await speak(connection)
            await listener.until(TranscriptUpdate, role="user", final=True)
            assert listener.said("user") == ["what I said"]
        elif stage == "mid_tool":
            await connection.send(SendText("use it"))
            call = await listener.until(ToolCallRequest)
            assert isinstance(call, ToolCallRequest)
            await listener.until(Reconnecting)
            await connection.send(ToolResult(call.call_id, "42"))
        else:
            await connection.send(SendText("hello"))
        if stage == "mid_response":
            await listener.until(Reconnecting)
            await connection.send(SendText("go on"))
        await listener.until(ResponseDone, status="completed", awaits_tools=False)
        assert listener.said("assistant")[-1] == "The last word."
        return listener.seen


def replies(stage: str) -> list[Reply]:
    last = Reply(text="The last word.")
    if stage == "mid_tool":
        return [Reply(text="", calls=(Call(name="f", call_id="call_1"),)), last]
    if stage == "mid_response":
        return [Reply(text="A long reply that is cut off in the middle of it."), last]
    return [last, last]  # a server that falls silent takes one with it


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("code", RETRYABLE)
def test_a_loss_at_any_stage_is_recovered_from(stage: str, code: int | None) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage=stage, close=code)  # type: ignore[arg-type]
        async with OpenAIServer(replies=replies(stage), hears=["what I said"], faults=[fault]) as server:
            seen = await hold(server, stage)
            assert len(server.handshakes) == 2
            begun = stage not in {"before_created", "before_updated"}
            assert sum(isinstance(event, Reconnecting) for event in seen) == begun
            assert [event.resumed for event in seen if isinstance(event, SessionStarted)] == [False, True][: 1 + begun]

    test()


@pytest.mark.parametrize("stage", STAGES)
@pytest.mark.parametrize("code", FATAL)
def test_a_refusal_at_any_stage_is_one_error(stage: str, code: int) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage=stage, close=code, reason="for some reason")  # type: ignore[arg-type]
        async with OpenAIServer(replies=replies(stage), hears=["what I said"], faults=[fault]) as server:
            with pytest.raises(RealtimeConnectionError, match="for some reason") as raised:
                await hold(server, stage)
            assert raised.value.close_code == code
            assert len(server.handshakes) == 1

    test()


@pytest.mark.parametrize("stage", STAGES[2:])
def test_a_clean_close_at_any_stage_is_an_event(stage: str) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage=stage, close=1000)  # type: ignore[arg-type]
        async with OpenAIServer(replies=replies(stage), faults=[fault]) as server:
            async with conversation(server) as (connection, listener):
                if stage == "user_speaking":
                    with contextlib.suppress(RealtimeConnectionError):
                        await speak(connection)
                else:
                    await connection.send(SendText("hello"))
                ended = await listener.until(SessionEnded)
                assert isinstance(ended, SessionEnded)
                assert ended.close_code == 1000
            assert len(server.handshakes) == 1

    test()


@pytest.mark.parametrize("stage", ["idle", "mid_response"])
def test_a_server_that_falls_silent_is_left(stage: str) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage=stage, silent=True)  # type: ignore[arg-type]
        async with OpenAIServer(replies=replies(stage), faults=[fault]) as server:
            seen = await hold(server, stage)
            lost = [event for event in seen if isinstance(event, Reconnecting)]
            assert len(lost) == 1
            assert "owes an answer" in lost[0].reason

    test()


@pytest.mark.parametrize(
    ("error", "code", "kind"),
    [
        ("insufficient_quota", 1011, QuotaExceededError),
        ("invalid_api_key", 3000, AuthenticationError),
        ("model_not_found", 4004, RealtimeConnectionError),
    ],
)
def test_the_error_before_a_close_says_what_it_means(error: str, code: int, kind: type[Exception]) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(stage="mid_response", error=error, close=code)
        async with OpenAIServer(replies=replies("mid_response"), faults=[fault]) as server:
            with pytest.raises(kind) as raised:
                await hold(server, "mid_response")
            assert isinstance(raised.value, RealtimeConnectionError)
            assert raised.value.code == error
            assert KEY not in str(raised.value)
            assert len(server.handshakes) == 1

    test()


@virtual_time
async def test_a_session_that_expires_goes_on_in_another_one() -> None:
    fault = Fault(stage="idle", error="session_expired", close=1001)
    async with OpenAIServer(replies=replies("idle"), faults=[fault]) as server:
        await hold(server, "idle")
        assert len(server.handshakes) == 2


@virtual_time
async def test_a_session_is_replaced_before_its_time_is_over() -> None:
    async with OpenAIServer(replies=[Reply(text="One."), Reply(text="Two.")]) as server:
        async with conversation(server, short_lived=True) as (connection, listener):
            await connection.send(SendText("first"))
            await listener.until(ResponseDone)
            await listener.until(SessionStarted, resumed=True)
            assert not any(isinstance(event, Reconnecting) for event in listener.seen)
            await connection.send(SendText("second"))
            await listener.until(ResponseDone)
            assert listener.said("assistant") == ["One.", "Two."]
        told = [frame["item"] for frame in server.received("conversation.item.create")]
        assert [part["text"] for item in told for part in item["content"]] == ["first", "first", "One.", "second"]


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_service_is_tried_again(status: int) -> None:
    @virtual_time
    async def test() -> None:
        busy = Refuse(status=status, headers={"Retry-After": "1"})
        async with OpenAIServer(replies=replies("idle"), refuse=[busy, busy]) as server:
            await hold(server, "idle")
            assert len(server.handshakes) == 3

    test()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_handshake_is_one_error_with_advice(status: int) -> None:
    @virtual_time
    async def test() -> None:
        async with OpenAIServer(refuse=[Refuse(status=status)]) as server:
            with pytest.raises(RealtimeConnectionError, match=str(status)) as raised:
                await hold(server, "idle")
            assert raised.value.advice
            assert isinstance(raised.value, AuthenticationError) == (status in {401, 403})
            assert len(server.handshakes) == 1

    test()


@virtual_time
async def test_ten_minutes_with_a_drop_every_twenty_seconds() -> None:
    """Every word is said once, and nothing grows."""
    turns = 30
    faults = [Fault(stage="mid_response" if number % 2 else "idle") for number in range(turns)]
    said = [Reply(text=f"Reply {number}.") for number in range(3 * turns)]
    async with OpenAIServer(replies=said, faults=faults) as server, conversation(server) as (connection, listener):
        for number in range(turns):
            await connection.send(SendText(f"word {number}", item_id=f"mine_{number}"))
            await listener.until(ResponseDone)
            await asyncio.sleep(20)
        whole = [text for text in listener.said("assistant") if text.endswith(".")]
        assert len(whole) == len(set(whole)) > turns / 3
        assert len(server.handshakes) > turns / 2
        assert len(server.connections) == 1
        last = [
            item["content"][0].get("text", "")
            for item in server.sessions[-1].items.values()
            if item["type"] == "message"
        ]
        assert [text for text in last if text.startswith("word")] == [f"word {number}" for number in range(turns)]
