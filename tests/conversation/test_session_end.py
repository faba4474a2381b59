"""Ends of a conversation, and the telling of them."""

import asyncio
import contextlib
from typing import Any

import pytest

from tests.conversation.scripted import collect, conversation, until
from tests.support.virtual_time import virtual_time
from voicecli.errors import RealtimeConnectionError
from voicecli.events import (
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
