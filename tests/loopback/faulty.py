"""Servers on loopback that misbehave as told: one script for each connection, in order; the last one repeats."""

import asyncio
import contextlib
import datetime
import http
import ipaddress
import json
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from websockets.asyncio.server import Server, ServerConnection, serve
from websockets.datastructures import Headers
from websockets.exceptions import ConnectionClosed
from websockets.http11 import Request, Response

__all__ = [
    "ConnectProxy",
    "FaultyServer",
    "Peer",
    "Refusal",
    "Script",
    "converse",
    "free_port",
    "self_signed",
    "tcp_server",
]

_RECEIVE_BUFFER_BYTES = 64 * 2**10


@dataclass(frozen=True)
class Refusal:
    """The handshake is answered with this status."""

    status: int
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=dict)


class Peer:
    """The server's end of one connection.

    Attributes:
        path, headers: of the handshake.
        received: all messages that came so far.
    """

    def __init__(self, connection: ServerConnection) -> None:
        assert connection.request is not None
        self.connection = connection
        self.path = connection.request.path
        self.headers = connection.request.headers
        self.received: list[dict[str, Any]] = []

    async def send(self, **message: object) -> None:
        await self.connection.send(json.dumps(message))

    async def receive(self) -> dict[str, Any]:
        message: dict[str, Any] = json.loads(await self.connection.recv())
        self.received.append(message)
        return message

    async def expect(self, kind: str) -> dict[str, Any]:
        """The next message of this type; others before it are only recorded."""
        while (message := await self.receive())["type"] != kind:
            pass
        return message

    async def begin(self) -> None:
        await self.expect("hello")
        await self.send(type="ready", id=f"session-{id(self):x}")

    async def reply(self, reply_id: str, audio: str = "AAAA") -> None:
        await self.send(type="reply", id=reply_id)
        await self.send(type="audio", id=reply_id, data=audio)
        await self.send(type="done", id=reply_id)

    async def close(self, code: int, reason: str = "") -> None:
        """Close with this code; 1005 is a close frame without one, 1006 a connection that just ends."""
        if code == 1006:
            self.connection.transport.close()
        elif code == 1005:
            self.connection.transport.write(b"\x88\x00")
        else:
            # websockets refuses to send codes that the standard reserves.
            payload = struct.pack("!H", code) + reason.encode()
            self.connection.transport.write(bytes([0x88, len(payload)]) + payload)
        await self.connection.wait_closed()

    def reset(self) -> None:
        """TCP RST."""
        raw = self.connection.transport.get_extra_info("socket")
        raw.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.connection.transport.abort()

    def stop_reading(self) -> None:
        """Take nothing any more, not even pings: with a silent script, a black hole without FIN."""
        self.connection.transport.pause_reading()

    def write_raw(self, data: bytes) -> None:
        self.connection.transport.write(data)

    async def never(self) -> None:
        """Do nothing more until the other end is gone."""
        await self.connection.wait_closed()

    def audio(self) -> str:
        """All audio received, in order, as base64 chunks joined by a blank."""
        return " ".join(message["data"] for message in self.received if message["type"] == "audio")


Script = Callable[[Peer], Awaitable[None]]


async def converse(peer: Peer) -> None:
    """Behave well: answer each text, and each end of a turn."""
    await peer.begin()
    while True:
        message = await peer.receive()
        if message["type"] in {"text", "end"} or message.get("answer"):
            await peer.reply(f"reply-{len(peer.received)}")


class FaultyServer:
    """A WebSocket server whose n-th connection follows the n-th script.

    Attributes:
        peers: of the connections that were let in, in order.
        requests: of all handshakes, in order.
    """

    def __init__(self, *scripts: Script | Refusal, tls: ssl.SSLContext | None = None, port: int = 0) -> None:
        self._scripts = list(scripts) or [converse]
        self._tls = tls
        self._port = port
        self._server: Server | None = None
        self._chosen: dict[ServerConnection, Script] = {}
        self.peers: list[Peer] = []
        self.requests: list[Request] = []

    @property
    def port(self) -> int:
        assert self._server is not None
        port: int = next(iter(self._server.sockets)).getsockname()[1]
        return port

    @property
    def url(self) -> str:
        return f"{'wss' if self._tls else 'ws'}://127.0.0.1:{self.port}/talk"

    async def __aenter__(self) -> Self:
        # Without naming TCP, asyncio would not turn Nagle's algorithm off.
        listening = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        # Its connections inherit it: without, the kernel takes in megabytes for a server that does not read.
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        listening.bind(("127.0.0.1", self._port))
        self._server = await serve(
            self._serve,
            sock=listening,
            ssl=self._tls,
            process_request=self._admit,
            compression="deflate",  # offered, so that a client that wants it is found out
            ping_interval=None,
            max_size=None,
            close_timeout=0.5,
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        for peer in self.peers:
            peer.connection.transport.abort()
        self._server.close()
        await self._server.wait_closed()

    def stop_listening(self) -> None:
        """From now on connections are refused; those that are there stay."""
        assert self._server is not None
        self._server.close(close_connections=False)

    def _admit(self, connection: ServerConnection, request: Request) -> Response | None:
        script = self._scripts[min(len(self.requests), len(self._scripts) - 1)]
        self.requests.append(request)
        if isinstance(script, Refusal):
            headers = Headers({**script.headers, "Content-Length": str(len(script.body)), "Connection": "close"})
            return Response(script.status, http.HTTPStatus(script.status).phrase, headers, script.body)
        self._chosen[connection] = script
        return None

    async def _serve(self, connection: ServerConnection) -> None:
        peer = Peer(connection)
        self.peers.append(peer)
        with contextlib.suppress(ConnectionClosed):
            await self._chosen.pop(connection)(peer)


@contextlib.asynccontextmanager
async def tcp_server(
    handle: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[int]:
    """A plain TCP server; yields its port."""
    writers: list[asyncio.StreamWriter] = []

    async def guarded(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
            await handle(reader, writer)
        writer.close()

    server = await asyncio.start_server(guarded, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.sleep(0.01)


class ConnectProxy:
    """A tiny HTTP proxy for CONNECT, which sends everything to one port of this machine.

    Attributes:
        asked_for: the targets ("host:port") that were asked for.
    """

    def __init__(self, port: int, *, status: int = 200) -> None:
        self._port = port
        self._status = status
        self.asked_for: list[str] = []

    async def handle(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        request = (await reader.readuntil(b"\r\n\r\n")).decode()
        self.asked_for.append(request.split()[1])
        writer.write(f"HTTP/1.1 {self._status} Whatever\r\nContent-Length: 0\r\n\r\n".encode())
        if self._status != 200:
            await writer.drain()
            return
        upstream_reader, upstream_writer = await asyncio.open_connection("127.0.0.1", self._port)
        try:
            async with asyncio.TaskGroup() as both_ways:
                both_ways.create_task(_pipe(reader, upstream_writer))
                both_ways.create_task(_pipe(upstream_reader, writer))
        finally:
            upstream_writer.close()


async def _pipe(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with contextlib.suppress(ConnectionError):
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    writer.close()


def self_signed(folder: Path) -> tuple[ssl.SSLContext, Path]:
    """A server's TLS context with a certificate for 127.0.0.1 that nobody signed, and the certificate's file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "127.0.0.1")])
    now = datetime.datetime.now(datetime.UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    cert_file, key_file = folder / "cert.pem", folder / "key.pem"
    cert_file.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
    key_file.write_bytes(
        key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(cert_file, key_file)
    return context, cert_file


def free_port() -> int:
    """A port on which nobody listens."""
    with socket.socket() as sock:
        sock.bind(("127.0.0.1", 0))
        port: int = sock.getsockname()[1]
        return port
