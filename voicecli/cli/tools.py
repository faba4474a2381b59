"""`voice list-tools`: what the model may call, and how long its servers take to start."""

import asyncio
import os
from pathlib import Path
from typing import Annotated, Any

import typer

from voicecli.cli.exit import ExitStatus
from voicecli.cli.lists import JsonOption
from voicecli.cli.mcp_servers import chosen_servers
from voicecli.cli.options import MCPConfigOption, MCPOption, ToolsOption, named_by_options
from voicecli.cli.table import show_table
from voicecli.cli.tool_file import BUILTIN, chosen_tools
from voicecli.conversation.toolbox import Toolbox
from voicecli.events import Notice
from voicecli.settings.entries import Entry
from voicecli.settings.environment import PROFILE_VARIABLE
from voicecli.settings.file import SettingsFile
from voicecli.settings.layers import chosen_values
from voicecli.terminal.printable import printable
from voicecli.tools import Tool, make_tools

__all__ = ["list_tools"]

_ENTRIES = (
    Entry("tools", str, several=True, is_file=True, no_files=(BUILTIN,)),
    Entry("mcp", str, several=True, shown=False),
    Entry("mcp-config", str, several=True, is_file=True),
)


def list_tools(
    ctx: typer.Context,
    tools: ToolsOption = None,
    mcp: MCPOption = None,
    mcp_config: MCPConfigOption = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take the settings of [profiles.NAME] in the settings file.")
    ] = None,
    as_json: JsonOption = False,
) -> ExitStatus:
    """Show the tools that the model may call, after starting the servers that have them."""
    with named_by_options(ctx):
        chosen = chosen_values(_ENTRIES, SettingsFile.read(), os.environ, profile or os.environ.get(PROFILE_VARIABLE))
        settings = {name: value.value for name, value in chosen.items()}
        functions = make_tools(chosen_tools(tools or settings.get("tools") or ()))
        files = mcp_config or settings.get("mcp-config") or ()
        servers = chosen_servers(mcp or settings.get("mcp") or (), [Path(file) for file in files])
    toolbox = Toolbox(functions, [server.open_tools() for server in servers])
    notices = asyncio.run(_started(toolbox))
    rows = [_row(tool, toolbox.seconds.get(tool.server)) for tool in toolbox.tools.values()]
    for notice in notices:
        typer.echo(f"voice: {printable(notice.message)}", err=True)
    show_table(("name", "server", "read only", "trusted", "seconds", "note"), rows, as_json)
    missing = {"mcp_server_failed", "mcp_server_late"}.intersection(notice.code for notice in notices)
    return ExitStatus.CONNECTION if missing else ExitStatus.OK


def _row(tool: Tool, seconds: float | None) -> dict[str, Any]:
    return {
        "name": tool.schema.name,
        "server": printable(tool.server),
        "read only": tool.read_only,
        "trusted": tool.trusted,
        "seconds": round(seconds, 2) if seconds is not None else None,
        "note": printable(tool.schema.description.partition("\n")[0]),
        "parameters": tool.schema.parameters,
    }


async def _started(toolbox: Toolbox) -> list[Notice]:
    notices: list[Notice] = []

    async def offer(schemas: object) -> None:
        """Nobody is told."""

    try:
        await toolbox.start()
        toolbox.attach(offer, notices.append)
    finally:
        await toolbox.aclose()
    return notices
