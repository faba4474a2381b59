"""The shared part of the providers' loopback servers: a WebSocket server that checks its clients' conduct."""

import asyncio
import contextlib
import json
import ssl
import threading
from collections.abc import Callable, Iterator, Mapping
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = ["LoopbackServer", "http_answer"]


class LoopbackServer:
    """`async with LoopbackServer() as server:`, on 127.0.0.1 and a port of its own.

    Leaving it raises AssertionError if a client broke a rule, unless `forgiving`.

    Args:
        tls: the server's certificate.

    Attributes:
        connections: those that are open.
    """

    def __init__(self, *, tls: ssl.SSLContext | None = None, forgiving: bool = False) -> None:
        self.forgiving = forgiving
        self.tls = tls
        self.connections: set[ServerConnection] = set()
        self._changed = asyncio.Condition()
        self._server: Server | None = None

    async def __aenter__(self) -> Self:
        self._server = await serve(
            self._serve,
            "127.0.0.1",
            0,
            process_request=self.admit,
            max_size=None,
            max_queue=None,  # a client that goes on sending must not hold up the close
            compression=None,
            close_timeout=0.5,
            ssl=self.tls,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for connection in list(self.connections):
            connection.transport.abort()
        await self._server.wait_closed()
        if error is None and not self.forgiving:
            assert not self.violations, self.violations

    @property
    def violations(self) -> list[str]:
        """Rules that clients broke."""
        raise NotImplementedError

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    async def until(self, condition: Callable[[], bool], timeout: float = 20.0) -> None:
        """Wait until messages that came or went make it true."""
        async with asyncio.timeout(timeout), self._changed:
            await self._changed.wait_for(condition)

    async def note(self) -> None:
        """Something came or went."""
        async with self._changed:
            self._changed.notify_all()

    def admit(self, connection: ServerConnection, request: Request) -> Response | None:
        """An HTTP answer in place of the upgrade, or None."""
        raise NotImplementedError

    async def talk(self, connection: ServerConnection) -> None:
        """Serve one connection."""
        raise NotImplementedError

    @classmethod
    @contextlib.contextmanager
    def in_thread(cls, **options: Any) -> Iterator[Self]:
        """The server on a loop of its own, for tests without one."""
        started: list[Self] = []
        failed: list[BaseException] = []
        ready = threading.Event()
        loop = asyncio.new_event_loop()
        stop = asyncio.Event()

        async def run() -> None:
            async with cls(**options) as server:
                started.append(server)
                ready.set()
                await stop.wait()

        def main() -> None:
            try:
                loop.run_until_complete(run())
            except BaseException as error:
                failed.append(error)
            finally:
                ready.set()
                loop.close()

        thread = threading.Thread(target=main, name="loopback server")
        thread.start()
        ready.wait(20)
        try:
            if started:
                yield started[0]
        finally:
            if not loop.is_closed():
                with contextlib.suppress(RuntimeError):
                    loop.call_soon_threadsafe(stop.set)
            thread.join(20)
        if failed:
            raise failed[0]

    async def _serve(self, connection: ServerConnection) -> None:
        self.connections.add(connection)
        try:
            with contextlib.suppress(ConnectionClosed):
                await self.talk(connection)
        finally:
            self.connections.discard(connection)
            await self.note()


def http_answer(status: int, body: object, headers: Mapping[str, str] | None = None) -> Response:
    """A whole HTTP answer with a JSON body."""
    data = json.dumps(body).encode()
    given = {"Content-Type": "application/json", "Content-Length": str(len(data)), **(headers or {})}
    return Response(status, "", Headers(given), data)
