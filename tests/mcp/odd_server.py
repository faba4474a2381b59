"""An MCP server over standard input and output, written without the package, that can do everything wrong.

    python odd_server.py [MARK]

Args:
    MARK: a file to which a line is added at each start.
"""

import base64
import json
import os
import sys
import time
from typing import Any, TextIO

PNG = base64.b64encode(b"\x89PNG\r\n\x1a\n....").decode()
HINTS = {"readOnlyHint": True}
TOOLS: list[dict[str, Any]] = [
    {"name": "echo", "description": "Say it again.", "inputSchema": {"type": "object"}, "annotations": HINTS},
    {"name": "a.b/c d", "inputSchema": {"type": "object", "$schema": "http://json-schema.org/draft-07/schema#"}},
    {"name": "round", "inputSchema": {"type": "object", "properties": {"inner": {"$ref": "#"}}}},
    *({"name": name, "inputSchema": {"type": "object"}} for name in ("die", "hang", "progress", "picture", "fail")),
    *({"name": name, "inputSchema": {"type": "object"}} for name in ("garbage", "grow", "ask", "env", "refuse")),
]


def say(line: str, stream: TextIO = sys.stdout) -> None:
    stream.write(f"{line}\n")
    stream.flush()


def send(message: dict[str, Any]) -> None:
    say(json.dumps({"jsonrpc": "2.0", **message}))


def text(said: str, **more: Any) -> dict[str, Any]:
    return {"content": [{"type": "text", "text": said}], **more}


def called(name: str, arguments: dict[str, Any], token: Any) -> dict[str, Any] | None:
    """The result of a call; None where none comes."""
    match name:
        case "die":
            say("a fuse has blown", sys.stderr)
            os._exit(3)
        case "hang":
            return None
        case "progress":
            for done in range(arguments["times"]):
                time.sleep(arguments["every_s"])
                send({"method": "notifications/progress", "params": {"progressToken": token, "progress": done}})
        case "picture":
            return {"content": [{"type": "image", "data": PNG, "mimeType": "image/png"}]}
        case "fail":
            return text("No fuse.", isError=True)
        case "garbage":
            say('\x1b]0;hello\x07\nnull\n{"jsonrpc": "2.0"}\n[1, 2]\n{"id": 7}')
        case "grow":
            TOOLS.append({"name": "grown", "inputSchema": {"type": "object"}})
            for _ in range(3):
                send({"method": "notifications/tools/list_changed"})
        case "ask":
            schema = {"type": "object", "properties": {}}
            params = {"mode": "form", "message": "Which colour?", "requestedSchema": schema}
            send({"id": "q", "method": "elicitation/create", "params": params})
            answer = json.loads(sys.stdin.readline())
            return text(answer["result"]["action"])
        case "env":
            return text(json.dumps(dict(os.environ)))
    return text(json.dumps(arguments))


def answer(message: dict[str, Any]) -> None:
    params = message.get("params", {})
    match message["method"]:
        case "initialize":
            capabilities = {"tools": {"listChanged": True}}
            told = {"protocolVersion": params["protocolVersion"], "serverInfo": {"name": "odd", "version": "1"}}
            send({"id": message["id"], "result": {**told, "capabilities": capabilities}})
        case "tools/list":
            send({"id": message["id"], "result": {"tools": TOOLS}})
        case "tools/call" if params["name"] == "refuse":
            send({"id": message["id"], "error": {"code": -32602, "message": "I would rather not."}})
        case "tools/call":
            token = params.get("_meta", {}).get("progressToken")
            if (result := called(params["name"], params.get("arguments") or {}, token)) is not None:
                send({"id": message["id"], "result": result})
        case "ping" | "server/discover" if "id" in message:
            send({"id": message["id"], "error": {"code": -32601, "message": "Method not found"}})


if __name__ == "__main__":
    if sys.argv[1:]:
        with open(sys.argv[1], "a") as mark:
            mark.write("started\n")
    say("Odd server, at your service.", sys.stderr)
    for line in sys.stdin:
        answer(json.loads(line))
