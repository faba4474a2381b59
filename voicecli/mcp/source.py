"""The tools of an MCP server, for one conversation: begun, called, and begun again when the server dies."""

import asyncio
import contextlib
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from voicecli.errors import ConfigurationError, ToolError
from voicecli.events import Notice
from voicecli.install import install_command, missing_packages
from voicecli.mcp.link import CallError, CallResult, HoldLink, Link, LinkError, LinkEvents, ListedTool
from voicecli.mcp.results import tool_output
from voicecli.mcp.schemas import clean_description, clean_schema
from voicecli.threads import run_in_thread
from voicecli.tool_names import callable_names
from voicecli.tools import Tool, ToolOutput, ToolSchema

if TYPE_CHECKING:
    from voicecli.mcp.server_settings import ServerSettings

__all__ = ["ServerTools"]

_START_S = 20.0
# A program that a launcher fetches first may take its time, and joins late.
_LATEST_START_S = 180.0
_RESTART_AFTER_S = (1.0, 5.0, 30.0)
# What has lived for so long is not thought to die at once again.
_STEADY_S = 60.0
# Servers change several tools one after the other.
_SETTLE_S = 0.2
# A call that reports progress may take longer than one that says nothing, but not for ever.
_LONGEST_CALL = 10
_CLOSE_S = 7.0  # the client gives a program 2 s to end by itself, 2 s after SIGTERM, and 2 s after SIGKILL
_LONGEST_MESSAGE = 300


class ServerTools:
    """A `ToolSource` for one server. All that concerns the connection happens in one task for each of its lives.

    Raises:
        ConfigurationError: the package `mcp` is not installed.
    """

    def __init__(self, server: "ServerSettings", hold: HoldLink | None = None) -> None:
        if hold is None and missing_packages(["mcp"]):
            raise ConfigurationError("MCP servers need the package mcp.", advice=f"Run: {install_command('mcp')}")
        self.name = server.name
        self.on_change: Callable[[], None] = lambda: None
        self.on_notice: Callable[[Notice], None] = lambda notice: None
        self._server = server
        self._hold = hold or _hold
        self._secrets, self._keys = server.secrets, server.keys
        self._tools: tuple[Tool, ...] = ()
        self._listed: list[ListedTool] | None = None
        self._told: set[str] = set()
        self._link: Link | None = None
        self._gone: asyncio.Future[None] | None = None  # of the link that is up
        self._state = "is not started yet"
        self._settled = asyncio.Event()  # it is up, or will not be
        self._late = False
        self._supervisor: asyncio.Task[None] | None = None
        self._relisting: asyncio.TimerHandle | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._closing = False
        self._ending = False  # the link was told to end
        self._kill: Callable[[], None] = lambda: None  # the program that is the server

    @property
    def is_up(self) -> bool:
        """Whether the server is there now."""
        return self._link is not None

    @property
    def tools(self) -> Sequence[Tool]:
        return self._tools

    async def start(self) -> None:
        self._supervisor = asyncio.create_task(self._supervise(), name=f"voicecli-mcp-{self.name}")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_START_S):
                await self._settled.wait()
        if not self._settled.is_set():
            self._late = True
            self._notice("mcp_server_late", f"is not there after {_START_S:g} s; its tools come when it is.")

    async def aclose(self) -> None:
        tasks = [*self._tasks, *([self._supervisor] if self._supervisor is not None else [])]
        if not self._closing:  # a second time would cut off what the first one began
            self._closing = True
            if self._relisting is not None:
                self._relisting.cancel()
            for task in self._tasks:
                task.cancel()
            if self._link is not None:
                self._ending = True
                self._link.ended.set()
            elif self._supervisor is not None:
                self._supervisor.cancel()
        if tasks:
            _, left = await asyncio.wait(tasks, timeout=_CLOSE_S)
            for task in left:
                task.cancel()

    # -- one life after the other

    async def _supervise(self) -> None:
        loop, restarts = asyncio.get_running_loop(), 0
        while True:
            began = loop.time()
            # A task of its own: a client whose server has died cancels the task that it lives in.
            life = asyncio.create_task(self._live(), name=f"voicecli-mcp-{self.name}-link")
            life.add_done_callback(lambda life: life.cancelled() or life.exception())
            try:
                await asyncio.wait([life])
            finally:
                if not life.done():
                    await self._end(life)
            why = self._end_of(life)
            if self._closing:
                return
            if self._listed is None:
                self._state = why
                self._settled.set()
                self._notice("mcp_server_failed", f"{why} Its tools are left out.")
                return
            if loop.time() - began > _STEADY_S:
                restarts = 0
            if restarts == len(_RESTART_AFTER_S):
                self._state = "has ended, and is given up"
                self._notice("mcp_server_failed", f"{why} It is given up.")
                return
            delay = _RESTART_AFTER_S[restarts]
            restarts += 1
            self._state = "has ended, and is being started again"
            self._notice("mcp_server_ended", f"{why} It is started again in {delay:g} s.")
            await asyncio.sleep(delay)

    async def _end(self, life: "asyncio.Task[None]") -> None:
        """End a life in order; where it was ending already, as before a second Ctrl-C, at once."""
        try:
            if self._ending:
                return
            if not life.cancelling():  # a second time would keep the client from ending the program
                life.cancel()
            await asyncio.wait([life], timeout=_CLOSE_S)
        finally:
            if not life.done():
                self._kill()

    async def _live(self) -> None:
        self._kill = lambda: None
        self._gone = asyncio.get_running_loop().create_future()
        starting = asyncio.timeout(_LATEST_START_S)

        async def up(link: Link) -> None:
            await self._list(link)
            starting.reschedule(None)
            self._link = link
            self._settled.set()

        try:
            async with starting:
                await self._hold(self._server, LinkEvents(up, self._tools_changed, self._asked, self._started))
        except TimeoutError:
            raise LinkError(f"is not there after {_LATEST_START_S:g} s.") from None
        finally:
            self._link = None
            if not self._gone.done():
                self._gone.set_result(None)

    def _started(self, kill: Callable[[], None]) -> None:
        self._kill = kill

    def _end_of(self, life: "asyncio.Task[None]") -> str:
        error = None if life.cancelled() else life.exception()
        return _sentence(self._plain(str(error))) if isinstance(error, LinkError) else "has ended."

    # -- its tools

    async def _list(self, link: Link) -> None:
        """Take its tools, and tell where they are others than before. Raises LinkError."""
        listed = [tool for tool in await link.list_tools() if self._is_wanted(tool.name)]
        if listed == self._listed:
            return
        first, self._listed = self._listed is None, listed
        names = callable_names(tool.name for tool in listed)
        first_of = {tool.name: tool for tool in reversed(listed)}
        for name in (name for name, count in Counter(tool.name for tool in listed).items() if count > 1):
            self._notice("mcp_tool_left_out", f"lists {self._plain(name)} twice; the first one is taken.", once=name)
        self._tools = tuple(
            tool for each in listed if first_of[each.name] is each and (tool := self._tool(each, names[each.name]))
        )
        if not first or self._late:
            self.on_change()

    def _is_wanted(self, name: str) -> bool:
        server = self._server
        return (server.tools is None or name in server.tools) and name not in server.excluded_tools

    def _tool(self, listed: ListedTool, name: str) -> Tool | None:
        """The tool, called by this name; None where it cannot be offered."""
        server = self._server
        try:
            schema = ToolSchema(name, clean_description(listed.description), clean_schema(listed.schema))
        except ToolError as error:
            self._notice("mcp_tool_left_out", f"has a tool {name} that is left out: {error.message}.", once=name)
            return None
        return Tool(
            schema,
            partial(self._call, listed.name),
            # What a stranger's file starts must not vouch for itself.
            read_only=listed.read_only and not server.in_project,
            trusted=not server.in_project and (server.trust or listed.name in server.always_allow),
            server=self.name,
        )

    def _tools_changed(self) -> None:
        if self._relisting is None and not self._closing:
            self._relisting = asyncio.get_running_loop().call_later(_SETTLE_S, self._relist)

    def _relist(self) -> None:
        self._relisting = None
        if self._link is not None:
            task = asyncio.create_task(self._list_again(self._link), name=f"voicecli-mcp-{self.name}-list")
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _list_again(self, link: Link) -> None:
        try:
            async with asyncio.timeout(_START_S):
                await self._list(link)
        except (LinkError, TimeoutError):
            self._notice("mcp_tools_unknown", "does not tell its new tools.", once="relist")

    def _asked(self, question: str) -> None:
        said = self._plain(question)
        self._notice("mcp_question_declined", f"asks: {said!r} voicecli cannot pass that on, and declined.")

    # -- calls

    async def _call(self, name: str, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutput:
        link, gone = self._link, self._gone
        if link is None or gone is None:
            raise ToolError(f"{name} is not available: the server {self.name} {self._state}.")
        call = asyncio.create_task(self._await_result(link, gone, name, arguments, timeout_s))
        try:
            result = await call
        except CallError as error:
            raise ToolError(f"{name} failed: {self._plain(str(error))}") from error
        except LinkError as error:
            raise ToolError(f"{name} failed: the server {self.name} has ended.") from error
        output = tool_output(result.blocks, result.structured)
        if result.is_error:
            raise ToolError(self._plain(output.text) or f"{name} failed.")
        return replace(output, text=_without(self._keys, output.text))

    async def _await_result(
        self, link: Link, gone: "asyncio.Future[None]", name: str, arguments: Mapping[str, Any], timeout_s: float
    ) -> CallResult:
        """The result, unless the server ends or says nothing for so long."""
        loop = asyncio.get_running_loop()
        last = begun = loop.time()

        def progressed() -> None:
            nonlocal last
            last = loop.time()

        call = asyncio.create_task(link.call(name, arguments, progressed), name=f"voicecli-mcp-call-{name}")
        try:
            while not call.done():
                left = min(last + timeout_s, begun + _LONGEST_CALL * timeout_s) - loop.time()
                if left <= 0:
                    raise CallError(f"it did not answer within {timeout_s:g} s.")
                waited: set[asyncio.Future[Any]] = {call, gone}
                await asyncio.wait(waited, timeout=left, return_when=asyncio.FIRST_COMPLETED)
                if gone.done() and not call.done():
                    raise LinkError
            if call.cancelled():  # by a client that is ending
                raise LinkError
            return call.result()
        finally:
            call.cancel()
            call.add_done_callback(lambda call: call.cancelled() or call.exception())

    # -- words

    def _notice(self, code: str, what: str, *, once: str = "") -> None:
        """Tell something of the server, unless it was told `once`."""
        if once and f"{code}:{once}" in self._told:
            return
        self._told.add(f"{code}:{once}")
        self.on_notice(Notice(code, f"The MCP server {self.name} {what}"))

    def _plain(self, text: str) -> str:
        """A stranger's words on one line, without what is secret."""
        text = _without(self._secrets, text)
        text = re.sub(r"\s+", " ", "".join(char if char.isprintable() else " " for char in text)).strip()
        return text if len(text) <= _LONGEST_MESSAGE else f"{text[:_LONGEST_MESSAGE]} ..."


def _without(secrets: Iterable[str], text: str) -> str:
    for secret in sorted(secrets, key=len, reverse=True):
        text = text.replace(secret, "...")
    return text


def _sentence(text: str) -> str:
    """The text with a full stop, so that more can follow."""
    return text if text.endswith((".", "!", "?", "...")) else f"{text}."


async def _hold(server: "ServerSettings", events: LinkEvents) -> None:
    # Half a second or more, in which sound must not stop.
    module = await run_in_thread(import_module, "voicecli.mcp.server")
    await cast(HoldLink, module.hold_link)(server, events)
