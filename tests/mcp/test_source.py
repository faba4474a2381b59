"""A server's tools during a conversation, in virtual time: no program, no network."""

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.virtual_time import virtual_time
from voicecli.errors import ToolError
from voicecli.events import Notice
from voicecli.mcp.config import MCPServer
from voicecli.mcp.link import CallError, CallResult, LinkError, LinkEvents, ListedTool
from voicecli.mcp.server_settings import ServerSettings
from voicecli.mcp.source import ServerTools

ECHO = ListedTool("echo", "Say it again.", {"type": "object"}, read_only=True)


@dataclass
class FakeServer:
    """A server in this process.

    Attributes:
        start_s: how long each start takes; the last one holds for all that follow.
        fails: what the starts raise, likewise; "" for nothing.
        starts: the times of all starts.
    """

    tools: list[ListedTool] = field(default_factory=lambda: [ECHO])
    start_s: list[float] = field(default_factory=lambda: [0.1])
    fails: list[str] = field(default_factory=lambda: [""])
    starts: list[float] = field(default_factory=list)
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    died: str = ""
    events: LinkEvents | None = None
    closed: int = 0
    cancelled: int = 0
    listed: int = 0

    async def hold(self, server: ServerSettings, events: LinkEvents) -> None:
        at = len(self.starts)
        self.starts.append(round(asyncio.get_running_loop().time(), 3))
        self.ended, self.died, self.events = asyncio.Event(), "", events
        try:
            await asyncio.sleep(self.start_s[min(at, len(self.start_s) - 1)])
        except asyncio.CancelledError:
            await asyncio.sleep(2)  # the program is given time to end
            self.closed += 1
            raise
        if failure := self.fails[min(at, len(self.fails) - 1)]:
            raise LinkError(failure)
        await events.up(self)
        await self.ended.wait()
        if self.died:
            raise LinkError(self.died)
        self.closed += 1

    async def list_tools(self) -> list[ListedTool]:
        self.listed += 1
        return list(self.tools)

    async def call(self, name: str, arguments: Mapping[str, Any], progressed: Callable[[], None]) -> CallResult:
        try:
            for _ in range(arguments.get("steps", 0)):
                await asyncio.sleep(50)
                progressed()
            await asyncio.sleep(arguments.get("seconds", 0))
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if name == "refuse":
            raise CallError("No.")
        return CallResult([{"type": "text", "text": "Done."}])

    def die(self, why: str = "has ended.") -> None:
        self.died = why
        self.ended.set()


class Conversation:
    """What a conversation does with a source."""

    def __init__(self, server: FakeServer, **settings: Any) -> None:
        self.notices: list[str] = []
        self.changes: list[list[str]] = []
        self.source = ServerTools(MCPServer(command="fake", **settings), server.hold)
        self.source.on_notice = self._told
        self.source.on_change = lambda: self.changes.append(self.names)

    @property
    def names(self) -> list[str]:
        return [tool.schema.name for tool in self.source.tools]

    def _told(self, notice: Notice) -> None:
        self.notices.append(f"{notice.code}: {notice.message.removeprefix('The MCP server fake ')}")

    async def call(self, timeout_s: float = 60, **arguments: Any) -> str:
        return (await self.source.tools[0].run(arguments, timeout_s)).text


def in_virtual_time(test: Callable[[], Coroutine[Any, Any, None]]) -> Callable[[], None]:
    return virtual_time(test)


@in_virtual_time
async def test_a_server_that_dies_again_and_again_is_given_up() -> None:
    server = FakeServer(fails=["", "ended before it was ready."])
    talk = Conversation(server)
    await talk.source.start()
    assert await talk.call() == "Done."
    server.die()
    await asyncio.sleep(0.5)
    with pytest.raises(ToolError, match="echo is not available: the server fake has ended, and is being started again"):
        await talk.call()
    await asyncio.sleep(60)
    assert server.starts == [0.0, 1.1, 6.2, 36.3]
    assert talk.notices == [
        "mcp_server_ended: has ended. It is started again in 1 s.",
        "mcp_server_ended: ended before it was ready. It is started again in 5 s.",
        "mcp_server_ended: ended before it was ready. It is started again in 30 s.",
        "mcp_server_failed: ended before it was ready. It is given up.",
    ]
    with pytest.raises(ToolError, match="echo is not available: the server fake has ended, and is given up"):
        await talk.call()
    await talk.source.aclose()


@in_virtual_time
async def test_a_server_that_lived_long_is_started_at_once_again() -> None:
    server = FakeServer()
    talk = Conversation(server)
    await talk.source.start()
    for _ in range(5):
        await asyncio.sleep(100)
        server.die()
        await asyncio.sleep(2)
        assert await talk.call() == "Done."
    assert len(server.starts) == 6
    await talk.source.aclose()
    assert server.closed == 1


@in_virtual_time
async def test_calls_end_with_the_server_at_once() -> None:
    server = FakeServer()
    talk = Conversation(server)
    await talk.source.start()
    calls = [asyncio.create_task(talk.call(seconds=50)) for _ in range(2)]
    await asyncio.sleep(1)
    server.die()
    for call in calls:
        with pytest.raises(ToolError, match="echo failed: the server fake has ended"):
            await call
    assert asyncio.get_running_loop().time() == pytest.approx(1.1, abs=0.01)
    await talk.source.aclose()


@in_virtual_time
async def test_progress_begins_the_time_limit_anew_but_not_for_ever() -> None:
    server = FakeServer()
    talk = Conversation(server)
    await talk.source.start()
    assert await talk.call(steps=5) == "Done."
    begun = asyncio.get_running_loop().time()
    with pytest.raises(ToolError, match="echo failed: it did not answer within 60 s"):
        await talk.call(seconds=61)
    assert asyncio.get_running_loop().time() - begun == pytest.approx(60)
    with pytest.raises(ToolError, match="echo failed: it did not answer within 60 s"):
        await talk.call(steps=100)
    assert asyncio.get_running_loop().time() - begun == pytest.approx(660)
    await asyncio.sleep(0.1)
    assert server.cancelled == 2
    await talk.source.aclose()


@in_virtual_time
async def test_a_cancelled_call_is_cancelled_at_the_server() -> None:
    server = FakeServer()
    talk = Conversation(server)
    await talk.source.start()
    call = asyncio.create_task(talk.call(seconds=10))
    await asyncio.sleep(1)
    call.cancel()
    await asyncio.wait([call])
    await asyncio.sleep(0.1)
    assert server.cancelled == 1
    await talk.source.aclose()


@in_virtual_time
async def test_a_late_server_joins_when_it_is_there() -> None:
    server = FakeServer(start_s=[25])
    talk = Conversation(server)
    await talk.source.start()
    assert asyncio.get_running_loop().time() == pytest.approx(20)
    assert (talk.names, talk.changes) == ([], [])
    assert talk.notices == ["mcp_server_late: is not there after 20 s; its tools come when it is."]
    await asyncio.sleep(6)
    assert talk.changes == [["echo"]]
    assert await talk.call() == "Done."
    await talk.source.aclose()


@in_virtual_time
async def test_a_server_that_never_comes_is_given_up() -> None:
    server = FakeServer(start_s=[10_000])
    talk = Conversation(server)
    await talk.source.start()
    await asyncio.sleep(300)
    assert talk.notices[1:] == ["mcp_server_failed: is not there after 180 s. Its tools are left out."]
    await talk.source.aclose()


@in_virtual_time
async def test_one_that_is_still_starting_can_be_left() -> None:
    server = FakeServer(start_s=[10_000])
    talk = Conversation(server)
    starting = asyncio.create_task(talk.source.start())
    await asyncio.sleep(1)
    starting.cancel()
    await talk.source.aclose()
    assert asyncio.get_running_loop().time() == pytest.approx(3)


@pytest.mark.parametrize("left_at_s", [100, 181])
def test_a_program_that_is_being_ended_is_ended_whatever_comes(left_at_s: float) -> None:
    @in_virtual_time
    async def talk() -> None:
        server = FakeServer(start_s=[10_000])
        there = Conversation(server)
        await there.source.start()
        await asyncio.sleep(left_at_s - 20)
        await there.source.aclose()
        assert server.closed == 1

    talk()


@in_virtual_time
async def test_several_changes_at_once_are_one() -> None:
    server = FakeServer()
    talk = Conversation(server)
    await talk.source.start()
    assert server.events is not None
    server.events.tools_changed()
    await asyncio.sleep(1)
    assert talk.changes == []  # nothing is different
    for name in "abc":
        server.tools.append(ListedTool(name))
        server.events.tools_changed()
        await asyncio.sleep(0.05)
    await asyncio.sleep(1)
    assert talk.changes == [["echo", "a", "b", "c"]]
    assert server.listed == 3
    await talk.source.aclose()


@in_virtual_time
async def test_tools_that_are_others_after_a_restart_are_told() -> None:
    server = FakeServer()
    talk = Conversation(server)
    await talk.source.start()
    server.tools = [ListedTool("other")]
    server.die()
    await asyncio.sleep(2)
    assert talk.changes == [["other"]]
    await talk.source.aclose()


@pytest.mark.parametrize(
    ("settings", "offered"),
    [
        ({}, ["a (reads)", "b", "c"]),
        ({"tools": ["b", "nope"]}, ["b"]),
        ({"excluded_tools": ["b"]}, ["a (reads)", "c"]),
        ({"trust": True}, ["a (reads, trusted)", "b (trusted)", "c (trusted)"]),
        ({"always_allow": ["b"]}, ["a (reads)", "b (trusted)", "c"]),
        ({"always_allow": ["b"], "trust": True, "in_project": True}, ["a", "b", "c"]),
    ],
)
def test_what_may_be_called_is_the_users_choice(settings: dict[str, Any], offered: list[str]) -> None:
    @in_virtual_time
    async def talk() -> None:
        server = FakeServer(tools=[ListedTool("a", read_only=True), ListedTool("b"), ListedTool("c")])
        there = Conversation(server, **settings)
        await there.source.start()
        found = []
        for tool in there.source.tools:
            marks = [word for word, holds in (("reads", tool.read_only), ("trusted", tool.trusted)) if holds]
            found.append(tool.schema.name + (f" ({', '.join(marks)})" if marks else ""))
            assert tool.server == "fake"
        assert found == offered
        await there.source.aclose()

    talk()


def test_a_question_and_a_strangers_words_are_told_without_what_is_secret() -> None:
    @in_virtual_time
    async def talk() -> None:
        server = FakeServer(tools=[ListedTool("refuse")])
        there = Conversation(server, env={"TOKEN": "hush-hush"})
        await there.source.start()
        assert server.events is not None
        server.events.asked("Is\n\x1b[31mhush-hush right? " + 400 * "x")
        assert there.notices[0].startswith("mcp_question_declined: asks: 'Is [31m... right? xxx")
        assert len(there.notices[0]) < 420
        with pytest.raises(ToolError, match=r"^refuse failed: No\.$"):
            await there.call()
        await there.source.aclose()

    talk()


@in_virtual_time
async def test_tools_of_one_name_or_of_alike_names() -> None:
    """Two that would be called alike are both offered; one that is listed twice can only be called as one."""
    tools = [ListedTool("go", "First."), ListedTool("go", "Second."), ListedTool("a b"), ListedTool("a.b")]
    talk = Conversation(FakeServer(tools=tools))
    await talk.source.start()
    assert [name[:4] for name in talk.names] == ["go", "a_b_", "a_b_"]
    assert len(set(talk.names)) == 3
    assert talk.source.tools[0].schema.description == "First."
    assert talk.notices == ["mcp_tool_left_out: lists go twice; the first one is taken."]
    await talk.source.aclose()


@in_virtual_time
async def test_a_program_that_still_starts_has_its_time_to_end_however_often_it_is_ended() -> None:
    """A key ends the conversation, and so does whoever leaves it; what the key began is cancelled then."""
    server = FakeServer(start_s=[60])
    talk = Conversation(server)
    await talk.source.start()
    first = asyncio.create_task(talk.source.aclose())
    await asyncio.sleep(0.5)
    await talk.source.aclose()
    first.cancel()
    assert server.closed == 1
