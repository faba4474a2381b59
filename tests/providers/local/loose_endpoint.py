"""A chat endpoint on loopback: sends whatever a test gives it, and refuses what it likes."""

import json
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.support.serving import serving

__all__ = ["Chunk", "Endpoint", "Reply", "sse"]

Chunk = dict[str, Any]


def sse(chunks: Sequence[object], *, done: bool = True, end: str = "\n\n") -> bytes:
    """The chunks as server-sent events."""
    events = [f"data: {chunk if isinstance(chunk, str) else json.dumps(chunk)}{end}" for chunk in chunks]
    return "".join([*events, f"data: [DONE]{end}" if done else ""]).encode()


class Reply:
    """One answer to a question.

    Args:
        pieces: the body; each is sent by itself. "PAUSE" waits for 20 ms, "STALL" until the test is over; b"" closes
            the connection.
        framing: "chunked", "length", or "none", where the end of the connection is that of the body.
    """

    def __init__(
        self,
        *pieces: bytes | str,
        status: int = 200,
        kind: str | None = "text/event-stream",
        framing: str = "chunked",
        headers: dict[str, str] | None = None,
    ) -> None:
        self.pieces = pieces
        self.status = status
        self.kind = kind
        self.framing = framing
        self.headers = headers or {}


class Endpoint(ThreadingHTTPServer):
    """Lists the model `m`, and answers as `reply` does, which is given each request."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.reply: Callable[[dict[str, Any]], Reply] = lambda request: Reply()
        self.requests: list[dict[str, Any]] = []
        self.over = threading.Event()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/v1"

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients may leave."""

    @classmethod
    @contextmanager
    def running(cls) -> Iterator["Endpoint"]:
        with serving(cls()) as endpoint:
            try:
                yield endpoint
            finally:
                endpoint.over.set()


class _Handler(BaseHTTPRequestHandler):
    server: Endpoint
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def do_GET(self) -> None:
        self._send(Reply(b'{"data": [{"id": "m"}]}', kind="application/json", framing="length"))

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.requests.append(request)
        try:
            self._send(self.server.reply(request))
        except OSError:
            self.close_connection = True

    def _send(self, reply: Reply) -> None:
        self.send_response(reply.status)
        if reply.kind is not None:
            self.send_header("Content-Type", reply.kind)
        for name, value in reply.headers.items():
            self.send_header(name, value)
        if reply.framing == "chunked":
            self.send_header("Transfer-Encoding", "chunked")
        elif reply.framing == "length":
            self.send_header("Content-Length", str(sum(map(len, reply.pieces))))
        else:
            self.send_header("Connection", "close")
        self.end_headers()
        for piece in reply.pieces:
            if piece == b"":
                self.close_connection = True
                return
            if piece == "PAUSE":
                self.server.over.wait(0.02)
                continue
            if isinstance(piece, str):
                self.server.over.wait(30)
                self.close_connection = True
                return
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if reply.framing == "chunked" else piece)
            self.wfile.flush()
        if reply.framing == "chunked":
            self.wfile.write(b"0\r\n\r\n")
        self.close_connection = reply.framing == "none"

    def log_message(self, format: str, *args: object) -> None:
        return
