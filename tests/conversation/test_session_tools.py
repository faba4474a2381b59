"""Tools in a session: each call is answered once, whatever the tool does."""

import asyncio
from typing import Any

import pytest

from tests.conversation.scripted import collect, conversation
from tests.support.virtual_time import virtual_time
from voicecli.commands import (
    ToolResult,
)
from voicecli.errors import ToolError
from voicecli.events import (
    AudioChunk,
    ResponseDone,
    ResponseStarted,
    SessionEnded,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
)
from voicecli.testing import Step, reply, tool_call


async def test_tool_failures_go_to_the_model_and_to_on_error() -> None:
    def broken() -> None:
        """Break."""
        raise ValueError("no fuse")

    voice, connection = conversation(tool_call("broken", "{}"), reply("Sorry."), tools=[broken])
    errors: list[Exception] = []
    voice.on_error(errors.append)
    async with voice.connect() as session:
        await session.send_text("Do it", wait=True)
    (result,) = (command for command in connection.commands if isinstance(command, ToolResult))
    assert result.is_error
    assert "no fuse" in result.output
    assert isinstance(errors[0], ToolError)


@pytest.mark.parametrize(
    ("name", "arguments", "complaint"),
    [
        ("missing", "{}", "There is no tool 'missing'"),
        ("ok", "{", "not JSON"),
        ("ok", "[" * 100_000, "not JSON"),
        ("ok", "[1]", "instead of named"),
    ],
)
async def test_impossible_calls_are_answered(name: str, arguments: str, complaint: str) -> None:
    def ok() -> None:
        """Do nothing."""

    voice, connection = conversation(tool_call(name, arguments), reply("Sorry."), tools=[ok])
    async with voice.connect() as session:
        await session.send_text("Do it")
    (result,) = (command for command in connection.commands if isinstance(command, ToolResult))
    assert result.is_error
    assert complaint in result.output


async def test_the_handler_is_asked_first_and_none_falls_through() -> None:
    def tool() -> str:
        """Do."""
        return "from the tool"

    voice, connection = conversation(
        tool_call("tool", "{}", call_id="c1"), tool_call("tool", '{"x":1}', call_id="c2"), reply("Done."), tools=[tool]
    )
    asked: list[tuple[str, dict[str, Any]]] = []

    @voice.on_tool_call
    async def handle(name: str, args: dict[str, Any]) -> str | None:
        asked.append((name, args))
        return "from the handler" if args else None

    async with voice.connect() as session:
        await session.send_text("Do it")
    results = [command.output for command in connection.commands if isinstance(command, ToolResult)]
    assert results == ["from the tool", "from the handler"]
    assert asked == [("tool", {}), ("tool", {"x": 1})]


async def test_a_slow_tool_holds_nothing_up_and_a_cancelled_one_is_not_answered() -> None:
    started = asyncio.Event()

    async def slow() -> None:
        """Wait."""
        started.set()
        await asyncio.Event().wait()

    voice, connection = conversation(tools=[slow])
    async with voice.connect() as session:
        events = asyncio.create_task(collect(session))
        connection.play([ResponseStarted("r"), ToolCallRequest("c", "slow", "{}"), AudioChunk(b"\0\0", "r", "i")])
        await started.wait()
        connection.play([ToolCallCancelled("c"), ResponseDone("r")])
        await session.wait_for_reply()
        connection.play([SessionEnded("bye")])
        seen = await events
    assert any(isinstance(event, AudioChunk) for event in seen)
    assert not any(isinstance(event, ToolCallFinished) for event in seen)
    assert not any(isinstance(command, ToolResult) for command in connection.commands)


@pytest.mark.parametrize("in_one_read", [True, False])
@virtual_time
async def test_a_call_and_its_cancellation_hold_up_no_later_wait(in_one_read: bool) -> None:
    ran: list[str] = []

    async def slow() -> None:
        """Wait."""
        ran.append("began")
        await asyncio.Event().wait()

    voice, connection = conversation(tools=[slow])
    async with voice.connect() as session:
        steps: list[Step] = [ResponseStarted("r"), ToolCallRequest("c", "slow", "{}"), ToolCallCancelled("c")]
        steps.append(ResponseDone("r", awaits_tools=True))
        for step in [steps] if in_one_read else [[step] for step in steps]:
            connection.play(step)
            await asyncio.sleep(0.1)
        async with asyncio.timeout(1):
            await session.wait_for_reply()
    assert bool(ran) != in_one_read
    assert not any(isinstance(command, ToolResult) for command in connection.commands)


class UnspeakableError(Exception):
    def __str__(self) -> str:
        raise RuntimeError("no words")


@pytest.mark.parametrize(
    "raised", [asyncio.CancelledError(), GeneratorExit(), UnspeakableError(), SystemExit(3)], ids=repr
)
@pytest.mark.parametrize("handler", [True, False], ids=["handler", "tool"])
@virtual_time
async def test_whatever_a_tool_raises_the_model_gets_one_result(raised: BaseException, handler: bool) -> None:
    async def odd() -> None:
        """Fail."""
        raise raised

    voice, connection = conversation(tool_call("odd", "{}"), reply("Sorry."), tools=[odd])
    if handler:

        @voice.on_tool_call
        async def call(name: str, arguments: dict[str, Any]) -> str:
            raise raised

    async with voice.connect() as session:
        response = await session.send_text("Do it", wait=True)
    assert response.transcript == "Sorry."
    (result,) = (command for command in connection.commands if isinstance(command, ToolResult))
    assert result.is_error
    assert "odd failed" in result.output


@virtual_time
async def test_a_call_that_is_repeated_while_it_runs_is_run_once() -> None:
    go_on = asyncio.Event()
    ran: list[str] = []

    async def slow() -> str:
        """Wait."""
        ran.append("began")
        await go_on.wait()
        return "done"

    voice, connection = conversation(tools=[slow])
    async with voice.connect() as session:
        call = ToolCallRequest("c", "slow", "{}")
        connection.play([ResponseStarted("r"), call, call, ResponseDone("r", awaits_tools=True)])
        await asyncio.sleep(0.1)
        go_on.set()
        await asyncio.sleep(0.1)
        connection.play(reply("Done."))
        await session.wait_for_reply()
    assert ran == ["began"]
    assert sum(isinstance(command, ToolResult) for command in connection.commands) == 1
