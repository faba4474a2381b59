"""The client of an MCP server, by the official package `mcp`, which nothing else imports."""

import asyncio
import contextlib
import logging
import os
import signal
import sys
import threading
from collections.abc import AsyncIterator, Callable, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, TextIO

from voicecli._version import __version__
from voicecli.mcp.link import CallError, CallResult, LinkError, LinkEvents, ListedTool
from voicecli.telemetry import without_telemetry
from voicecli.text import described
from voicecli.threads import run_in_thread
from voicecli.tls import tls_context

with without_telemetry():
    import httpx2
    import mcp_types as types
    from mcp import Client, MCPError, StdioServerParameters
    from mcp.client.stdio import stdio_client
    from mcp.client.streamable_http import streamable_http_client
    from pydantic import ValidationError

if TYPE_CHECKING:
    from voicecli.mcp.server_settings import ServerSettings

__all__ = ["hold_link"]

_MAX_PAGES = 20
_TAIL_BYTES = 2_048
_MODERN = "2026-07-28"  # from this version of the protocol on, changes are told to those who listen only
_log = logging.getLogger(__name__)


async def hold_link(server: "ServerSettings", events: LinkEvents) -> None:
    """A `HoldLink`: start or dial the server, and keep it until it is ended from here."""
    _quieten()
    ended = asyncio.Event()
    errors = _ErrorOutput()
    statuses: list[int] = []

    async def on_message(message: object) -> None:
        if isinstance(message, types.ToolListChangedNotification):
            events.tools_changed()

    try:
        async with Client(
            _watched(_transport(server, errors, statuses, events.started), ended),
            message_handler=on_message,
            client_info=types.Implementation(name="voicecli", version=__version__),
            cache=None,
        ) as client:
            errors.started()
            _answer_questions(client, events.asked)
            link = _ClientLink(client, ended)
            await events.up(link)
            errors.forget()
            listening = asyncio.create_task(_listen(client, events.tools_changed))
            try:
                await link.ended.wait()
            finally:
                listening.cancel()
                link.close()
        if link.lost:
            raise LinkError("has ended.")
    except (Exception, BaseExceptionGroup) as error:
        reason, said = _reason(error, server, statuses), await errors.last_line()
        raise LinkError(f"{reason} It said: {said}" if said else reason) from None
    finally:
        errors.close()


class _ClientLink:
    """A `Link` by the client.

    Attributes:
        lost: whether the server ended by itself.
    """

    def __init__(self, client: Client, ended: asyncio.Event) -> None:
        self.ended = asyncio.Event()
        self.lost = False
        self._client = client
        self._watch = asyncio.create_task(self._end(ended))

    def close(self) -> None:
        self._watch.cancel()

    async def _end(self, ended: asyncio.Event) -> None:
        await ended.wait()
        self._lose()

    def _lose(self) -> None:
        if not self.ended.is_set():
            self.lost = True
            self.ended.set()

    async def list_tools(self) -> list[ListedTool]:
        tools: list[ListedTool] = []
        cursor = None
        try:
            for _ in range(_MAX_PAGES):
                page = await self._client.list_tools(cursor=cursor)
                tools += map(_listed, page.tools)
                if (cursor := page.next_cursor) is None:
                    break
        except MCPError as error:
            raise LinkError(f"does not list its tools: {error.message}") from error
        except Exception as error:
            raise LinkError("lists its tools in a way that MCP does not have.") from error
        return tools

    async def call(self, name: str, arguments: Mapping[str, Any], progressed: Callable[[], None]) -> CallResult:
        async def on_progress(progress: float, total: float | None, message: str | None) -> None:
            progressed()

        try:
            result = await self._client.call_tool(name, dict(arguments), progress_callback=on_progress)
        except MCPError as error:
            if error.code == types.CONNECTION_CLOSED:
                self._lose()
                raise LinkError("has ended.") from error
            raise CallError(error.message) from error
        except Exception as error:
            # What comes from a server may be anything, and validation tells it by exceptions of many kinds.
            _log.debug("A result of %s could not be read", name, exc_info=error)
            raise CallError(f"its result could not be read ({type(error).__name__}).") from error
        blocks = [block.model_dump(mode="json", by_alias=True, exclude_none=True) for block in result.content]
        return CallResult(blocks, result.structured_content, bool(result.is_error))


def _listed(tool: types.Tool) -> ListedTool:
    hints = tool.annotations
    return ListedTool(
        tool.name,
        tool.description or tool.title or "",
        tool.input_schema,
        read_only=bool(hints and hints.read_only_hint and not hints.destructive_hint),
    )


@contextlib.asynccontextmanager
async def _transport(
    server: "ServerSettings", errors: "_ErrorOutput", statuses: list[int], started: Callable[[Callable[[], None]], None]
) -> AsyncIterator[Any]:
    """A connection; the statuses by which a server over HTTP refuses are added to `statuses`."""
    if server.argv:
        program, *arguments = server.argv
        parameters = StdioServerParameters(
            command=program,
            args=arguments,
            env=dict(server.env),
            cwd=server.cwd,
            encoding_error_handler="replace",
        )
        transport = stdio_client(parameters, errlog=errors.file)
        async with transport as streams:
            started(partial(_kill, _program(transport)))
            yield streams
        return
    # A proxy cannot reach what is on this machine.
    timeout = httpx2.Timeout(30.0, read=300.0)

    async def note(response: httpx2.Response) -> None:
        if response.is_error:
            statuses.append(response.status_code)

    async with (
        httpx2.AsyncClient(
            headers=dict(server.headers),
            timeout=timeout,
            verify=tls_context(),
            trust_env=not server.is_here,
            event_hooks={"response": [note]},
        ) as http,
        streamable_http_client(server.url, http_client=http) as streams,
    ):
        yield streams


def _program(transport: Any) -> Any:
    """The program behind this transport, which keeps it to itself; None where it does so in another way than today."""
    frame = getattr(getattr(transport, "gen", None), "ag_frame", None)
    return frame.f_locals.get("process") if frame is not None else None


def _kill(program: Any) -> None:
    """Kill a program that still runs, and what it has started."""
    if program is None or program.returncode is not None:
        return
    with contextlib.suppress(OSError):
        if sys.platform == "win32":
            program.kill()
        else:
            os.killpg(program.pid, signal.SIGKILL)  # it has a session of its own


@contextlib.asynccontextmanager
async def _watched(transport: Any, ended: asyncio.Event) -> AsyncIterator[Any]:
    """The transport, which sets `ended` when nothing more can come: the client by itself tells only who calls."""
    async with transport as (read, write):
        yield _Watched(read, ended), write


class _Watched:
    """A stream of messages that notes its end."""

    def __init__(self, stream: Any, ended: asyncio.Event) -> None:
        self._stream = stream
        self._ended = ended

    def __getattr__(self, name: str) -> Any:
        return getattr(self._stream, name)

    def __aiter__(self) -> "_Watched":
        return self

    async def __anext__(self) -> Any:
        try:
            return await anext(self._stream)
        except Exception:
            self._ended.set()
            raise

    async def receive(self) -> Any:
        try:
            return await self._stream.receive()
        except Exception:
            self._ended.set()
            raise

    async def __aenter__(self) -> "_Watched":
        await self._stream.__aenter__()
        return self

    async def __aexit__(self, *raised: Any) -> Any:
        return await self._stream.__aexit__(*raised)


async def _listen(client: Client, changed: Callable[[], None]) -> None:
    tools = client.server_capabilities.tools
    if client.protocol_version < _MODERN or tools is None or not tools.list_changed:
        return
    with contextlib.suppress(Exception):  # a server that tells no changes has the tools that it had
        async with client.listen(tools_list_changed=True) as subscription:
            async for _ in subscription:
                changed()


def _answer_questions(client: Client, asked: Callable[[str], None]) -> None:
    async def decline(context: object, params: Any) -> types.ElicitResult:
        asked(str(getattr(params, "message", "")))
        return types.ElicitResult(action="decline")

    # Given to the client at its making, it would be declared, and servers would count on it.
    client.session._elicitation_callback = decline


class _ErrorOutput:
    """The standard error of a program, of which the end is kept: it must not get on our terminal, nor fill a pipe."""

    def __init__(self) -> None:
        reading, writing = os.pipe()
        self.file: TextIO = os.fdopen(writing, "w")
        self._tail = b""
        self._reader = threading.Thread(target=self._read, args=(reading,), name="voicecli-mcp-stderr", daemon=True)
        self._reader.start()

    def started(self) -> None:
        """The program has it: it ends with the program."""
        self.file.close()

    def forget(self) -> None:
        """Forget what it said so far: it is no reason for what comes."""
        self._tail = b""

    def close(self) -> None:
        self.file.close()

    async def last_line(self) -> str:
        """The last line that says something."""
        self.file.close()
        await run_in_thread(self._reader.join, 1.0)  # a program that it started may go on writing
        lines = [line.strip() for line in self._tail.decode(errors="replace").splitlines()]
        return next((line for line in reversed(lines) if line), "")

    def _read(self, descriptor: int) -> None:
        with contextlib.suppress(OSError), os.fdopen(descriptor, "rb", buffering=0) as file:
            while data := file.read(4_096):
                self._tail = (self._tail + data)[-_TAIL_BYTES:]


def _reason(error: BaseException, server: "ServerSettings", statuses: list[int]) -> str:
    """Why there is no server, as the rest of a sentence."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    match error:
        case LinkError():
            return str(error)
        case OSError() if server.argv and server.cwd and not os.path.isdir(server.cwd):
            return f"cannot be started: there is no folder {server.cwd!r}."
        case FileNotFoundError() if server.argv:
            return f"cannot be started: there is no program {server.argv[0]!r}."
        case OSError():
            return f"cannot be started: {error.strerror or type(error).__name__}."
        case httpx2.ConnectError():
            return "cannot be reached: nothing answers at its address."
        case httpx2.HTTPError():
            return f"cannot be reached ({type(error).__name__})."
        case MCPError(code=types.CONNECTION_CLOSED):
            return "ended before it was ready."
        case MCPError() if statuses and statuses[-1] in (401, 403):
            return f"refuses with the status {statuses[-1]}: it wants a key or a login. Give its token in headers."
        case MCPError() if statuses:
            return f"answers with the status {statuses[-1]}: is that the address of an MCP server?"
        case MCPError():
            return f"refuses: {error.message}"
        case ValidationError():
            return "answers in a way that MCP does not have."
    _log.debug("The MCP server %s failed", server.name, exc_info=error)
    return f"failed: {described(error)}"


def _quieten() -> None:
    """Keep the client's log of what servers send, a traceback for each line of nonsense, and of addresses, which may
    hold a key, from the terminal: it goes to our own log of details, in short."""
    for name in ("mcp", "httpx2"):
        logger = logging.getLogger(name)
        if not any(isinstance(handler, _Short) for handler in logger.handlers):
            logger.addHandler(_Short())
            logger.propagate = False


class _Short(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        if record.name.startswith("mcp"):
            _log.debug("%s: %s", record.name, record.msg)
