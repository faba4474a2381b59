"""An MCP server over streamable HTTP, by the official package.

python http_server.py PORT
"""

import sys

import anyio

from voicecli.telemetry import without_telemetry

with without_telemetry():
    from mcp.server import MCPServer

server = MCPServer("http")


@server.tool()
def double(number: int) -> int:
    """Twice as much."""
    return 2 * number


@server.tool()
async def wait() -> str:
    """Wait for long."""
    await anyio.sleep(600)
    return "at last"


if __name__ == "__main__":
    server.run("streamable-http", host="127.0.0.1", port=int(sys.argv[1]))
