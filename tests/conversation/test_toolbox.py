"""Functions and tools of servers together: names, limits, and changes in a conversation."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import Any

import pytest

from voicecli import RealtimeVoice
from voicecli.commands import OfferTools, ToolResult
from voicecli.conversation.toolbox import MOST_TOOLS, Toolbox
from voicecli.events import Notice
from voicecli.ports import Capabilities
from voicecli.testing import ScriptedConnection, reply, scripted_provider, tool_call
from voicecli.tool_sources import ToolSource
from voicecli.tools import Tool, ToolOutput, ToolSchema, make_tools


def search() -> str:
    """Search here."""
    return "here"


def tool(name: str, server: str) -> Tool:
    async def call(arguments: Mapping[str, Any], timeout_s: float) -> ToolOutput:
        return ToolOutput(f"{name} of {server}")

    return Tool(ToolSchema(name, "", {"type": "object", "properties": {}}), call, trusted=True, server=server)


class Source:
    """A source of tools that are there at once."""

    def __init__(self, name: str, names: Sequence[str]) -> None:
        self.name = name
        self.names = names
        self.life: list[str] = []
        self.on_change: Callable[[], None] = lambda: None
        self.on_notice: Callable[[Notice], None] = lambda notice: None

    @property
    def tools(self) -> Sequence[Tool]:
        return [tool(name, self.name) for name in self.names]

    def open_tools(self) -> ToolSource:
        return self

    async def start(self) -> None:
        self.life.append("started")

    async def aclose(self) -> None:
        self.life.append("closed")

    def change(self, *names: str) -> None:
        self.names = names
        self.on_change()


async def collected(*sources: Source) -> tuple[list[str], list[Notice]]:
    box = Toolbox(make_tools([search]), sources)
    notices: list[Notice] = []

    async def offer(schemas: object) -> None:
        """Nobody is told."""

    await box.start()
    box.attach(offer, notices.append)
    await box.aclose()
    return list(box.tools), notices


async def test_a_name_that_is_taken_gets_the_servers_in_front_and_is_told() -> None:
    names, notices = await collected(Source("docs", ["search", "read"]), Source("web", ["read", "search", "go"]))
    assert names == ["search", "docs_search", "read", "web_read", "web_search", "go"]
    assert [(notice.code, notice.message) for notice in notices] == [
        ("tools_renamed", "Of docs, search is called docs_search: another has the name."),
        ("tools_renamed", "Of web, read is called web_read, search is called web_search: another has the name."),
    ]


@pytest.mark.parametrize(
    ("count", "offered", "codes"),
    [
        (19, 20, []),
        (20, 21, ["many_tools"]),
        (127, 128, ["many_tools"]),
        (200, MOST_TOOLS, ["too_many_tools"]),
    ],
)
async def test_many_tools_are_told_and_more_than_a_provider_takes_left_out(
    count: int, offered: int, codes: list[str]
) -> None:
    names, notices = await collected(Source("big", [f"t{number}" for number in range(count)]))
    assert len(names) == offered
    assert [notice.code for notice in notices] == codes


@pytest.mark.parametrize("changes_tools", [True, False])
async def test_a_servers_tools_are_offered_called_and_changed(changes_tools: bool) -> None:
    source = Source("docs", ["read", "search"])
    capabilities = Capabilities(input_rate=24_000, output_rate=24_000, changes_tools=changes_tools)
    script = [tool_call("docs_search"), reply("Here."), tool_call("new"), reply("New."), tool_call("read"), reply("?")]
    connection = ScriptedConnection(script, capabilities=capabilities)
    provider = replace(scripted_provider(connection=connection), capabilities=capabilities)
    voice = RealtimeVoice(provider, tools=[search, source])
    assert source.life == []
    async with voice.connect() as session:
        assert source.life == ["started"]
        await session.send_text("Look.", wait=True)
        source.change("search", "new")
        await session.send_text("Look again.", wait=True)
        await session.send_text("And read.", wait=True)
        source.change("search", "new")  # the same
    assert source.life == ["started", "closed"]
    results = [command.output for command in connection.commands if isinstance(command, ToolResult)]
    assert results[:2] == ["search of docs", "new of docs"]
    assert "There is no tool 'read'; there are: search, docs_search, new." in results[2]
    offers = [
        [each.name for each in command.tools] for command in connection.commands if isinstance(command, OfferTools)
    ]
    assert offers[-1] == ["search", "docs_search", "new"]
    assert len(offers) == (1 if not changes_tools else 2)


async def test_a_name_stays_when_the_other_that_had_it_goes() -> None:
    first, second = Source("a", ["read"]), Source("b", ["read"])
    box = Toolbox({}, [first, second])
    await box.start()
    first.change()
    assert list(box.tools) == ["b_read"]
    first.change("read")
    assert list(box.tools) == ["read", "b_read"]
    await box.aclose()


@pytest.mark.parametrize("changes_tools", [True, False])
async def test_a_conversation_that_does_not_begin_ends_its_servers(changes_tools: bool) -> None:
    source = Source("docs", ["read"])
    capabilities = Capabilities(input_rate=24_000, output_rate=24_000, changes_tools=changes_tools)
    connection = ScriptedConnection(capabilities=capabilities)

    async def refuse(setup: object) -> ScriptedConnection:
        raise ConnectionRefusedError

    provider = replace(scripted_provider(connection=connection), capabilities=capabilities, connect=refuse)
    with pytest.raises(ConnectionRefusedError):
        async with RealtimeVoice(provider, tools=[source]).connect():
            pass
    assert source.life[-1] == "closed"
