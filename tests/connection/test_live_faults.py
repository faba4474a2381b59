"""The fault matrix with GPT-Live's codec and its strict loopback server: every loss at every stage.

The server refuses audio that comes faster than it is spoken, and says nothing while none comes.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.connection.test_openai_faults import Listener
from tests.loopback.faulty import FaultyServer, Peer
from tests.loopback.live_server import KEY, Call, Fault, LiveReply, LiveServer, Loose, Work, tone
from tests.support.virtual_time import virtual_time
from voicecli.commands import AppendAudio, SendText, ToolResult
from voicecli.config import RealtimeConfig
from voicecli.errors import AuthenticationError, QuotaExceededError, RealtimeConnectionError
from voicecli.events import (
    Event,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    SessionStarted,
    ToolCallRequest,
    UsageUpdated,
)
from voicecli.ports import Connection, ConversationSetup
from voicecli.providers.openai import OPENAI
from voicecli.tools import ToolSchema

MODEL = "gpt-live-1.1"
LOOK = ToolSchema("look", "Look something up.", {"type": "object", "properties": {}})
SPEECH = tone(600)
# When on the session's clock, by what happens then.
STAGES = {"start": 100, "user_speaking": 1_400, "reply": 3_500, "tool": 2_600}
# Each stage, and each code: what a code means does not depend on the stage.
LOSSES = [*((stage, None) for stage in STAGES), *(("reply", code) for code in (1001, 1011, 1012, 1013))]
REFUSALS = [*((stage, 1008) for stage in STAGES), *(("reply", code) for code in (3000, 4000, 4004))]


@contextlib.asynccontextmanager
async def conversation(server: LiveServer, **settings: object) -> AsyncIterator[tuple[Connection, Listener]]:
    config = RealtimeConfig(api_key=KEY, model=MODEL, base_url=server.url, **settings)  # type: ignore[arg-type]
    connection = await OPENAI.connect(ConversationSetup(config, [LOOK]))
    try:
        yield connection, Listener(connection)
    finally:
        await connection.aclose()


async def speak(connection: Connection) -> None:
    for start in range(0, len(SPEECH), 4_800):
        await connection.send(AppendAudio(SPEECH[start : start + 4_800], realtime=True))
        await asyncio.sleep(0.1)


def replies(stage: str) -> list[LiveReply]:
    last = LiveReply(text="The last word.")
    if stage == "tool":
        return [
            LiveReply(text="So it is.", work=Work(calls=(Call(name="look", call_id="call_1"),), takes_ms=300)),
            last,
            last,
        ]
    if stage == "reply":
        return [LiveReply(text="A long reply that is cut off somewhere in the middle of it all by the network."), last]
    return [last, last]


async def hold(server: LiveServer, stage: str, **settings: object) -> list[Event]:
    """A conversation that passes through the stage, up to a complete reply; all its events."""
    async with asyncio.timeout(120), conversation(server, **settings) as (connection, listener):
        await listener.until(SessionStarted)
        call = None
        if stage != "start":
            await asyncio.sleep(1)
            await speak(connection)
        if stage == "tool":
            call = await listener.until(ToolCallRequest)
        await listener.until(SessionStarted, resumed=True)
        if isinstance(call, ToolCallRequest):
            await connection.send(ToolResult(call.call_id, "42"))
        await connection.send(SendText("go on"))
        while not "".join(listener.said("assistant")[-1:]).endswith("The last word."):
            await listener.until(ResponseDone)
        return listener.seen


@pytest.mark.parametrize(("stage", "code"), LOSSES)
def test_a_loss_at_any_stage_is_recovered_from(stage: str, code: int | None) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(at_ms=STAGES[stage], close=code)
        async with LiveServer(replies=replies(stage), hears=["what I said"], faults=[fault]) as server:
            seen = await hold(server, stage)
            assert len(server.handshakes) == 2
            assert sum(isinstance(event, Reconnecting) for event in seen) == 1
            started = [event.response_id for event in seen if isinstance(event, ResponseStarted)]
            done = [event.response_id for event in seen if isinstance(event, ResponseDone)]
            assert sorted(started) == sorted(done)

    test()


@pytest.mark.parametrize(("stage", "code"), REFUSALS)
def test_a_refusal_at_any_stage_is_one_error(stage: str, code: int) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(at_ms=STAGES[stage], close=code)
        async with LiveServer(replies=replies(stage), hears=["what I said"], faults=[fault]) as server:
            with pytest.raises(RealtimeConnectionError) as raised:
                await hold(server, stage)
            assert raised.value.close_code == code
            assert not raised.value.retryable
            assert len(server.handshakes) == 1

    test()


@pytest.mark.parametrize("stage", STAGES)
def test_a_server_that_falls_silent_is_left(stage: str) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(at_ms=STAGES[stage], silent=True)
        async with LiveServer(replies=replies(stage), hears=["what I said"], faults=[fault]) as server:
            seen = await hold(server, stage, response_timeout_s=4)
            (lost,) = [event for event in seen if isinstance(event, Reconnecting)]
            assert "owes an answer" in lost.reason

    test()


@pytest.mark.parametrize("reason", ["expired", "connection_lost"])
def test_a_session_that_the_server_ends_goes_on_in_another_one(reason: str) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(at_ms=STAGES["reply"], ends=reason, close=1000)
        async with LiveServer(replies=replies("reply"), hears=["what I said"], faults=[fault]) as server:
            seen = await hold(server, "reply")
            kinds = [type(event) for event in seen]
            # What the last message tells of the time is told before the next socket.
            assert UsageUpdated in kinds[: kinds.index(Reconnecting)]
            assert len(server.handshakes) == 2

    test()


@pytest.mark.parametrize("reason", ["content", "remote_hangup"])
def test_another_end_by_the_server_is_the_end(reason: str) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(at_ms=1_000, ends=reason, close=1000)
        async with LiveServer(faults=[fault]) as server, conversation(server) as (_, listener):
            with contextlib.suppress(RealtimeConnectionError):
                await listener.until(SessionEnded)
            assert any(isinstance(event, UsageUpdated) for event in listener.seen)
            assert len(server.handshakes) == 1

    test()


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        ("insufficient_quota", QuotaExceededError),
        ("credit_balance_exhausted", QuotaExceededError),
        ("invalid_api_key", AuthenticationError),
    ],
)
def test_no_credit_and_no_key_are_not_dialled_again(code: str, kind: type[Exception]) -> None:
    @virtual_time
    async def test() -> None:
        fault = Fault(at_ms=STAGES["reply"], error=code, close=1011)
        async with LiveServer(replies=replies("reply"), hears=["what I said"], faults=[fault]) as server:
            with pytest.raises(kind) as raised:
                await hold(server, "reply")
            assert KEY not in str(raised.value)
            assert len(server.handshakes) == 1

    test()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_an_overloaded_service_is_tried_again(status: int) -> None:
    @virtual_time
    async def test() -> None:
        async with (
            LiveServer(replies=replies("start"), faults=[Fault(at_ms=100)], refuse=[status, status]) as server,
        ):
            await hold(server, "start")
            assert len(server.handshakes) == 4

    test()


@pytest.mark.parametrize("status", [401, 403, 404])
def test_a_refused_handshake_is_one_error_with_advice(status: int) -> None:
    @virtual_time
    async def test() -> None:
        async with LiveServer(refuse=[status]) as server:
            with pytest.raises(RealtimeConnectionError, match=str(status)) as raised:
                await hold(server, "start")
            assert raised.value.advice
            assert len(server.handshakes) == 1

    test()


@virtual_time
async def test_a_start_that_never_comes_is_given_up_within_its_time() -> None:
    async def silent(peer: Peer) -> None:
        await peer.expect("session.start")
        await peer.send(type="session.weather")
        await peer.never()

    async with FaultyServer(silent) as server:
        began = asyncio.get_running_loop().time()
        config = RealtimeConfig(api_key=KEY, model=MODEL, base_url=server.url, connect_timeout_s=10)
        with pytest.raises(RealtimeConnectionError, match="did not begin"):
            await OPENAI.connect(ConversationSetup(config))
        assert asyncio.get_running_loop().time() - began == pytest.approx(10, abs=0.5)
        await server.peers[0].connection.wait_closed()
        assert server.peers[0].connection.close_code == 1000


@virtual_time
async def test_the_end_of_a_conversation_tells_the_time_it_lasted() -> None:
    async with LiveServer() as server, conversation(server) as (connection, listener):
        await asyncio.sleep(18)  # the server tells of it after 15 s
        await connection.aclose()
        ended = await listener.until(SessionEnded)
        assert ended == SessionEnded("closed")
        told = [event.usage.session_seconds for event in listener.seen if isinstance(event, UsageUpdated)]
        assert told[-1] == pytest.approx(18, abs=1)
        assert server.received("session.close")
        assert server.sessions[0].ended
        assert server.sessions[0].longest_gap_s <= 0.3


@virtual_time
async def test_a_goodbye_that_is_never_answered_takes_five_seconds() -> None:
    async with LiveServer(loose=Loose(never_closed=True)) as server, conversation(server) as (connection, _):
        await asyncio.sleep(2)
        began = asyncio.get_running_loop().time()
        await connection.aclose()
        assert asyncio.get_running_loop().time() - began <= 5.05
        assert server.received("session.close")
