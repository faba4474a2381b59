"""The client against servers that are programs of their own: one that does everything wrong, and real ones."""

import asyncio
import contextlib
import json
import logging
import os
import socket
import subprocess
import sys
from collections.abc import AsyncIterator, Callable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from tests.support.serving import serving
from voicecli.errors import ToolError
from voicecli.events import Notice
from voicecli.mcp.config import MCPServer
from voicecli.mcp.source import ServerTools
from voicecli.tools import ToolOutput

ODD = str(Path(__file__).with_name("odd_server.py"))


class Opened:
    """The tools of a server, its notices, and its changes."""

    def __init__(self, source: ServerTools) -> None:
        self.source = source
        self.notices: list[Notice] = []
        self.changes: list[list[str]] = []
        source.on_notice = self.notices.append
        source.on_change = lambda: self.changes.append(self.names)

    @property
    def names(self) -> list[str]:
        return [tool.schema.name for tool in self.source.tools]

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.notices]

    async def call(self, tool: str, timeout_s: float = 30, /, **arguments: Any) -> ToolOutput:
        (found,) = (each for each in self.source.tools if each.schema.name == tool)
        return await found.run(arguments, timeout_s)

    async def until(self, condition: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not condition():
                await asyncio.sleep(0.01)


@contextlib.asynccontextmanager
async def opened(server: MCPServer) -> AsyncIterator[Opened]:
    source = ServerTools(server)
    there = Opened(source)
    try:
        await source.start()
        yield there
    finally:
        await source.aclose()


def odd(*arguments: str, **settings: Any) -> MCPServer:
    return MCPServer(command=(sys.executable, ODD, *arguments), name="odd", **settings)


async def test_what_a_server_can_do_wrong_is_told_and_ends_nothing(
    capfd: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    async with opened(odd()) as server:
        assert server.names[:3] == ["echo", "a_b_c_d", "die"]
        assert "a tool round that is left out: its schema refers to itself" in server.notices.pop().message
        assert [tool.read_only for tool in server.source.tools[:2]] == [True, False]
        assert (await server.call("echo", x=1)).text == '{"x": 1}'
        assert (await server.call("a_b_c_d")).text == "{}"
        with pytest.raises(ToolError, match=r"^No fuse\.$"):
            await server.call("fail")
        with pytest.raises(ToolError, match="refuse failed: I would rather not"):
            await server.call("refuse")
        (picture,) = (await server.call("picture")).pictures
        assert picture.mime_type == "image/png"
        assert (await server.call("garbage")).text == "{}"
        assert (await server.call("ask")).text == "decline"
        assert server.notices.pop().message.startswith("The MCP server odd asks: 'Which colour?'")
        assert server.notices == []
    assert capfd.readouterr() == ("", "")
    assert [record.getMessage() for record in caplog.records if record.name != "asyncio"] == []


async def test_progress_gives_more_time_and_silence_none() -> None:
    async with opened(odd()) as server:
        assert (await server.call("progress", 3.0, times=5, every_s=0.7)).text.startswith("{")
        with pytest.raises(ToolError, match=r"hang failed: it did not answer within 0\.2 s"):
            await server.call("hang", 0.2)
        assert (await server.call("echo")).text == "{}"


async def test_a_call_that_is_cancelled_leaves_the_server_as_it_was() -> None:
    async with opened(odd()) as server:
        call = asyncio.create_task(server.call("hang"))
        await asyncio.sleep(0.1)
        call.cancel()
        with pytest.raises(asyncio.CancelledError):
            await call
        assert (await server.call("echo")).text == "{}"


async def test_tools_that_come_later_are_told_once() -> None:
    async with opened(odd()) as server:
        await server.call("grow")
        await server.until(lambda: bool(server.changes))
        assert [names[-1] for names in server.changes] == ["grown"]
        assert (await server.call("grown")).text == "{}"


async def test_a_server_that_dies_in_mid_call_is_told_and_started_again(tmp_path: Path) -> None:
    mark = tmp_path / "mark"
    async with opened(odd(str(mark))) as server:
        waiting = asyncio.create_task(server.call("hang"))
        await asyncio.sleep(0.05)
        with pytest.raises(ToolError, match="die failed: the server odd has ended"):
            await server.call("die")
        with pytest.raises(ToolError, match="hang failed: the server odd has ended"):
            await waiting
        await server.until(lambda: "mcp_server_ended" in server.codes)
        assert server.notices[-1].message == (
            "The MCP server odd has ended. It said: a fuse has blown. It is started again in 1 s."
        )
        await server.until(lambda: server.source.is_up)
        assert (await server.call("echo")).text == "{}"
        assert server.changes == []
    assert mark.read_text() == "started\n" * 2


async def test_a_program_gets_no_more_of_the_environment_than_it_needs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-hush")
    async with opened(odd(env={"TOKEN": "given"})) as server:
        environment = json.loads((await server.call("env")).text)
    assert environment["TOKEN"] == "given"
    assert environment["PATH"] == os.environ["PATH"]
    assert "OPENAI_API_KEY" not in environment


async def test_a_program_that_never_answers_is_ended_with_the_conversation(tmp_path: Path) -> None:
    code = "import os, pathlib, time; pathlib.Path('pid').write_text(str(os.getpid())); time.sleep(600)"
    source = ServerTools(MCPServer(command=(sys.executable, "-c", code), cwd=str(tmp_path)))
    starting = asyncio.create_task(source.start())
    async with asyncio.timeout(60):
        while not (tmp_path / "pid").exists() or not (tmp_path / "pid").read_text():
            await asyncio.sleep(0.02)
    starting.cancel()
    await source.aclose()
    with pytest.raises(ProcessLookupError):
        os.kill(int((tmp_path / "pid").read_text()), 0)


@pytest.mark.parametrize(
    ("server", "told"),
    [
        (MCPServer(command="no-such-program"), "no-such-program cannot be started: there is no program"),
        (MCPServer(command=(sys.executable, "-c", "exit(3)"), name="x"), "x ended before it was ready."),
        (
            MCPServer(
                command=(sys.executable, "-c", "import sys; sys.exit('bad key hush-hush')"),
                name="x",
                env={"KEY": "hush-hush"},
            ),
            "x ended before it was ready. It said: bad key ... Its",
        ),
        (
            MCPServer(command=sys.executable, name="x", cwd="/no/such/folder"),
            "x cannot be started: there is no folder '/no/such/folder'",
        ),
        (MCPServer(url="http://127.0.0.1:1/mcp?key=hush-hush"), "local cannot be reached: nothing answers"),
    ],
)
async def test_a_server_that_cannot_be_started_is_told(server: MCPServer, told: str) -> None:
    async with opened(server) as there:
        assert there.names == []
    (notice,) = there.notices
    assert notice.code == "mcp_server_failed"
    assert notice.message.startswith(f"The MCP server {told}")
    assert "hush" not in notice.message


async def test_the_time_server() -> None:
    async with opened(MCPServer(command=(sys.executable, "-m", "mcp_server_time"))) as server:
        assert server.source.name == "time"
        assert server.names == ["get_current_time", "convert_time"]
        said = json.loads((await server.call("get_current_time", timezone="Europe/Rome")).text)
        assert said["timezone"] == "Europe/Rome"
        with pytest.raises(ToolError, match="Invalid timezone"):
            await server.call("get_current_time", timezone="nowhere")
    assert server.notices == []


@contextlib.contextmanager
def over_http() -> Iterator[tuple[subprocess.Popen[bytes], str]]:
    """A server over HTTP: its process, and its address, which does not answer yet."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    program = Path(__file__).with_name("http_server.py")
    process = subprocess.Popen([sys.executable, program, str(port)], stderr=subprocess.DEVNULL)
    try:
        yield process, f"http://127.0.0.1:{port}/mcp"
    finally:
        process.kill()
        process.wait()


async def until_it_answers(url: str) -> None:
    port = int(url.split(":")[2].split("/")[0])
    async with asyncio.timeout(60):
        while True:
            with contextlib.suppress(OSError):
                _, writer = await asyncio.open_connection("127.0.0.1", port)
                writer.close()
                return
            await asyncio.sleep(0.05)


async def test_a_server_over_http_that_dies_in_mid_call() -> None:
    with over_http() as (process, url):
        await until_it_answers(url)
        async with opened(MCPServer(url=url, headers={"X-Key": "hush-hush"})) as server:
            assert server.names == ["double", "wait"]
            assert (await server.call("double", number=21)).text == "42"
            waiting = asyncio.create_task(server.call("wait"))
            await asyncio.sleep(0.2)
            process.kill()
            with pytest.raises(ToolError, match="wait failed: the server local has ended"):
                await waiting
            await server.until(lambda: "mcp_server_ended" in server.codes)
            with pytest.raises(ToolError, match="double is not available"):
                await server.call("double", number=1)


@pytest.mark.parametrize(
    ("status", "told"),
    [
        (401, "refuses with the status 401: it wants a key or a login. Give its token in headers."),
        (404, "answers with the status 404: is that the address of an MCP server?"),
        (500, "answers with the status 500: is that the address of an MCP server?"),
    ],
)
async def test_an_address_that_refuses(status: int, told: str) -> None:
    class Refusing(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.send_response(status)
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            """Nothing."""

    with serving(ThreadingHTTPServer(("127.0.0.1", 0), Refusing)) as http:
        async with opened(MCPServer(url=f"http://127.0.0.1:{http.server_port}/mcp")) as server:
            assert server.notices[0].message == f"The MCP server local {told} Its tools are left out."


async def test_keys_are_left_out_of_what_tools_answer() -> None:
    """It goes to the provider, and into history and recordings. What is no key is left as it is."""
    async with opened(odd(env={"API_KEY": "hush-hush", "FOLDER": "/home/me/notes"})) as server:
        environment = json.loads((await server.call("env")).text)
        said = (await server.call("echo", note="hush-hush")).text
    assert (environment["API_KEY"], environment["FOLDER"]) == ("...", "/home/me/notes")
    assert said == '{"note": "..."}'


async def test_an_answer_that_is_none_of_the_protocol_is_told_in_short() -> None:
    answer = '{"jsonrpc": "2.0", "id": json.loads(line).get("id"), "result": {"no": 1}}'
    code = f"import json, sys\nfor line in sys.stdin: print(json.dumps({answer}), flush=True)"
    async with opened(MCPServer(command=(sys.executable, "-c", code), name="x")) as server:
        (notice,) = server.notices
    assert notice.message == "The MCP server x answers in a way that MCP does not have. Its tools are left out."
