"""MCP servers as they are given to the library or on the command line."""

import re
from typing import TYPE_CHECKING

from voicecli.errors import ConfigurationError
from voicecli.mcp.server_settings import ServerSettings

if TYPE_CHECKING:
    from voicecli.tool_sources import ToolSource

__all__ = ["MCPServer", "server_of_text"]

_LABELLED_URL = re.compile(r"[\w.-]+=https?://\S*")
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://")


class MCPServer(ServerSettings, prefix="mcp"):
    """An MCP server whose tools the model may call: a program to start, or an address (streamable HTTP).

    It is started, or dialled, for each conversation anew. The package of the extra `mcp` is needed.

    Attributes:
        command: the program with its arguments, as a shell takes it or in parts; not shown, as they may hold a key. It
            gets of the environment only HOME, PATH and the like, and `env`.
        url: the address of a running server; https, or http on this machine.
        name: it is called so in notices, and its tools where their names are taken; made of the above unless given.
        env: variables of the program; never shown.
        cwd: its working directory; None for that of this process.
        headers: sent along to `url`; never shown.
        tools: the only tools to offer, by the server's names; None for all.
        excluded_tools: tools that are not offered, by the server's names.
        trust: whether all of its tools may run without a question.
        always_allow: the tools that may, by the server's names.
        in_project: whether it comes from a file of the project instead of the user's own: then nothing that it says of
            itself spares a question.
        variables: those of the environment that were put into the above; their values are never shown.
    """

    def open_tools(self) -> "ToolSource":
        """Its tools, for one conversation.

        Raises:
            ConfigurationError: the package of the extra is not installed.
        """
        from voicecli.mcp.source import ServerTools

        return ServerTools(self)


def server_of_text(text: str) -> MCPServer:
    """The server that `--mcp COMMAND|URL` means. Raises ConfigurationError."""
    text = text.strip()
    if _LABELLED_URL.fullmatch(text):
        raise ConfigurationError(
            "mcp: LABEL=URL is what OpenAI is told.",
            advice="Write --openai-mcp LABEL=URL for a server that OpenAI calls, the URL alone for one that voicecli "
            "calls.",
        )
    if text.lower().endswith((".json", ".toml")) and " " not in text:
        raise ConfigurationError("mcp: this is a file.", advice="Give it as --mcp-config FILE.")
    if _URL.match(text):
        return MCPServer(url=text)
    return MCPServer(command=text)
