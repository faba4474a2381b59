"""The tools of a conversation: the program's own functions, and those of servers, which come and go."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import replace
from functools import partial

from voicecli.errors import RealtimeError
from voicecli.events import Notice
from voicecli.tool_names import free_name
from voicecli.tool_sources import ToolSource
from voicecli.tools import Tool, ToolSchema

__all__ = ["MANY_TOOLS", "MOST_TOOLS", "Toolbox"]

MANY_TOOLS = 20
"""From here on models choose noticeably worse, and each turn pays for all descriptions."""

MOST_TOOLS = 128
"""What OpenAI takes."""


class Toolbox:
    """Tools by name, of which each has its own: functions keep theirs, a server's gets another where it is taken.

    Args:
        functions: the program's, by name.
        sources: not yet begun.

    Attributes:
        tools: those that may be called, by name; the same object for the whole conversation.
        seconds: how long each source took to begin, by its name.
    """

    def __init__(self, functions: Mapping[str, Tool], sources: Iterable[ToolSource] = ()) -> None:
        self.tools: dict[str, Tool] = dict(functions)
        self.seconds: dict[str, float] = {}
        self._functions = functions
        self._sources = tuple(sources)
        self._names: dict[tuple[ToolSource, str], str] = {}
        self._told: set[str] = set()
        self._untold: list[Notice] = []
        self._tell: Callable[[Notice], None] = self._untold.append
        self._offer: Callable[[tuple[ToolSchema, ...]], Awaitable[None]] | None = None
        self._offering: set[asyncio.Task[None]] = set()
        for source in self._sources:
            source.on_notice = lambda notice: self._tell(notice)
            source.on_change = self._changed

    @property
    def schemas(self) -> tuple[ToolSchema, ...]:
        """The tools as the model is to know them."""
        return tuple(tool.schema for tool in self.tools.values())

    async def start(self) -> None:
        """Begin all sources at once; returns within the time that one may take."""
        if self._sources:
            await asyncio.gather(*map(self._begin, self._sources))
            self._collect()

    async def _begin(self, source: ToolSource) -> None:
        began = asyncio.get_running_loop().time()
        await source.start()
        self.seconds[source.name] = asyncio.get_running_loop().time() - began

    def attach(
        self, offer: Callable[[tuple[ToolSchema, ...]], Awaitable[None]], tell: Callable[[Notice], None]
    ) -> None:
        """The conversation has begun: from now on changes are offered, and notices told."""
        self._offer, self._tell = offer, tell
        while self._untold:
            tell(self._untold.pop(0))

    async def aclose(self) -> None:
        """End all sources; idempotent."""
        self._offer = None
        for task in self._offering:
            task.cancel()
        await asyncio.gather(*(source.aclose() for source in self._sources))

    def _changed(self) -> None:
        before = self.schemas
        self._collect()
        if self._offer is not None and self.schemas != before:
            task = asyncio.create_task(self._offer_again(partial(self._offer, self.schemas)))
            self._offering.add(task)
            task.add_done_callback(self._offering.discard)

    async def _offer_again(self, offer: Callable[[], Awaitable[None]]) -> None:
        with contextlib.suppress(RealtimeError):  # the conversation is over
            await offer()

    def _collect(self) -> None:
        """Put all tools together anew; one that was there keeps its name."""
        collected = dict(self._functions)
        for source in self._sources:
            renamed = []
            for tool in source.tools:
                key, name = (source, tool.schema.name), tool.schema.name
                if key not in self._names:
                    self._names[key] = free_name(source.name, name, {*self._functions, *self._names.values()})
                given = self._names[key]
                if given != name:
                    renamed.append(f"{name} is called {given}")
                    tool = replace(tool, schema=replace(tool.schema, name=given))
                collected[given] = tool
            if renamed:
                self._tell_once("tools_renamed", f"Of {source.name}, {', '.join(renamed)}: another has the name.")
        left_out = list(collected)[max(MOST_TOOLS, len(self._functions)) :]
        for name in left_out:
            del collected[name]
        count = len(collected)
        if left_out:
            self._tell_once("too_many_tools", f"Only {count} tools can be offered, {len(left_out)} are left out.")
        elif count > MANY_TOOLS and count > len(self._functions):
            message = f"{count} tools are offered: each turn pays for them, and the model chooses worse among many."
            self._tell_once("many_tools", message, daily=True)
        self.tools.clear()
        self.tools.update(collected)

    def _tell_once(self, code: str, message: str, *, daily: bool = False) -> None:
        if message not in self._told:
            self._told.add(message)
            self._tell(Notice(code, message, daily=daily))
