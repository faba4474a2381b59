"""Tools from outside the program, such as those of an MCP server: the seam between a conversation and who has them."""

from collections.abc import Callable, Sequence
from typing import Protocol, runtime_checkable

from voicecli.events import Notice
from voicecli.tools import Tool

__all__ = ["ToolServer", "ToolSource"]


class ToolSource(Protocol):
    """Tools from outside the program, for one conversation: those of an MCP server, for example.

    Attributes:
        name: the server's, for people and in front of names that are taken.
        tools: those that there are now; each may be called whether or not the server still has it.
        on_change: called on the event loop when `tools` are others; set by the conversation before `start()`.
        on_notice: called with what the user may want to know; set likewise.
    """

    name: str
    on_change: Callable[[], None]
    on_notice: Callable[[Notice], None]

    @property
    def tools(self) -> Sequence[Tool]: ...
    async def start(self) -> None:
        """Begin; returns when `tools` are known, and within 20 s: tools that come later are told by `on_change`, a
        failure by `on_notice`. Raises nothing."""

    async def aclose(self) -> None:
        """End it; idempotent, returns within a few seconds."""


@runtime_checkable
class ToolServer(Protocol):
    """Something that has tools for each conversation anew, to be given among the functions in `tools=[...]`."""

    def open_tools(self) -> ToolSource:
        """A source that is not yet begun. Raises ConfigurationError when there can be none."""
