"""The seam between a server's tools and the client that reaches the server."""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from voicecli.mcp.server_settings import ServerSettings

__all__ = ["CallError", "CallResult", "HoldLink", "Link", "LinkError", "LinkEvents", "ListedTool"]


class LinkError(Exception):
    """The server cannot be reached, or has ended; the message continues "the server X ..."."""


class CallError(Exception):
    """The server answered a call by an error, in its own words."""


@dataclass(frozen=True, slots=True)
class ListedTool:
    """A tool as the server lists it.

    Attributes:
        read_only: whether the server says that it changes nothing.
    """

    name: str
    description: str = ""
    schema: Any = None
    read_only: bool = False


@dataclass(frozen=True, slots=True)
class CallResult:
    """A result: content and structured content as MCP writes them in JSON."""

    blocks: Sequence[Mapping[str, Any]]
    structured: Any = None
    is_error: bool = False


class Link(Protocol):
    """A server that is up.

    Attributes:
        ended: set when the server has ended; whoever sets it ends the link.
    """

    ended: asyncio.Event

    async def list_tools(self) -> list[ListedTool]:
        """All of its tools. Raises LinkError."""

    async def call(self, name: str, arguments: Mapping[str, Any], progressed: Callable[[], None]) -> CallResult:
        """Call a tool; cancelled, the server is told. Raises LinkError or CallError.

        Args:
            progressed: called whenever the server says that it gets on.
        """


@dataclass(frozen=True, slots=True)
class LinkEvents:
    """What is told of a link.

    Attributes:
        up: awaited when the server is there, before anything else.
        tools_changed: the server says that its tools are others.
        asked: the server had a question for the user, which was declined.
        started: the server is a program of ours; what is passed kills it, and what it has started.
    """

    up: Callable[[Link], Awaitable[None]]
    tools_changed: Callable[[], None]
    asked: Callable[[str], None]
    started: Callable[[Callable[[], None]], None] = lambda kill: None


HoldLink = Callable[["ServerSettings", LinkEvents], Awaitable[None]]
"""Starts or dials a server, keeps the link, and returns when it has been ended from here; all in one task.

Raises LinkError when the server cannot be reached, or ends.
"""
