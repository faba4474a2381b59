"""A hub of models on loopback: what huggingface.co answers to downloads, and what can go wrong with them."""

import hashlib
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

from tests.support.serving import serving
from voicecli.providers.local.downloads.catalogue import Download

__all__ = ["COMMIT", "HubServer", "content_of"]

COMMIT = "0123456789abcdef0123456789abcdef01234567"
_SMALL = 100_000  # bytes; larger files are stored elsewhere, and known by their sha256


def content_of(path: str, size: int = 3_000_000) -> bytes:
    """What the file of that path holds."""
    if path.endswith((".json", "MODEL_CARD")):
        return f"About {path}\n".encode()
    seed = hashlib.sha256(path.encode()).digest()
    return (seed * (size // len(seed) + 1))[:size]


@dataclass
class Seen:
    """A request as it came."""

    method: str
    path: str
    headers: dict[str, str]


@dataclass
class HubServer:
    """The hub, and its store of large files on a port of its own. Set HF_ENDPOINT to `url`.

    Attributes:
        files: contents by repository and path: "owner/name/path".
        cuts: after how many bytes of a large file each connection breaks, one after the other.
        wrong: whether other bytes come than the checksum is of.
        hold: while it is not set, large files stop after their first half.
        ignores_range: whether it always sends all of a file.
        gone: whether no file is there any more.
    """

    files: dict[str, bytes]
    cuts: list[int] = field(default_factory=list)
    wrong: bool = False
    ignores_range: bool = False
    gone: bool = False
    hold: threading.Event = field(default_factory=threading.Event)
    seen: list[Seen] = field(default_factory=list)
    url: str = ""
    store_url: str = ""

    @classmethod
    def of(cls, *downloads: Download, size: int = 3_000_000) -> "HubServer":
        """One that has these, with contents of its own."""
        files = {f"{each.repo}/{path}": content_of(path, size) for each in downloads for path in each.files}
        hub = cls(files)
        hub.hold.set()
        return hub

    @property
    def fetched(self) -> list[str]:
        """What was read of the store of large files: the range of each request."""
        return [
            seen.headers.get("Range", "all") for seen in self.seen if seen.method == "GET" and "/store/" in seen.path
        ]

    @contextmanager
    def running(self) -> Iterator["HubServer"]:
        with _served(self) as self.url, _served(self) as self.store_url:
            try:
                yield self
            finally:
                self.hold.set()


@contextmanager
def _served(hub: HubServer) -> Iterator[str]:
    server = _Server(("127.0.0.1", 0), _Handler)
    server.hub = hub
    with serving(server):
        yield f"http://127.0.0.1:{server.server_port}"


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    hub: HubServer

    def handle_error(self, request: object, client_address: object) -> None:
        """Nothing: clients may leave."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server
    protocol_version = "HTTP/1.1"

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        hub = self.server.hub
        hub.seen.append(Seen(self.command, self.path, {name.title(): text for name, text in self.headers.items()}))
        if self.path.startswith("/store/"):
            self._send_stored(self.path.removeprefix("/store/"))
            return
        repo, _, rest = self.path.removeprefix("/").partition("/resolve/")
        revision, _, path = rest.partition("/")
        content = hub.files.get(f"{repo}/{path}")
        if hub.gone or content is None or revision not in ("main", COMMIT):
            self.send_response(404)
            self.send_header("X-Error-Code", "EntryNotFound")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        if len(content) < _SMALL:
            self.send_response(200)
            sha1 = hashlib.sha1(b"blob %d\0" % len(content) + content).hexdigest()
            self._send_headers({"ETag": f'"{sha1}"', "Content-Length": str(len(content))})
            if self.command == "GET":
                self.wfile.write(content)
            return
        self.send_response(302)
        sha256 = hashlib.sha256(content).hexdigest()
        linked = {"X-Linked-Etag": f'"{sha256}"', "X-Linked-Size": str(len(content))}
        self._send_headers({**linked, "Location": f"{hub.store_url}/store/{repo}/{path}", "Content-Length": "0"})

    def _send_stored(self, key: str) -> None:
        hub = self.server.hub
        content = hub.files[key]
        if hub.wrong:
            content = content[:-1] + bytes([content[-1] ^ 1])
        begin, wanted = 0, self.headers.get("Range")
        if wanted and not hub.ignores_range:
            begin = int(wanted.removeprefix("bytes=").removesuffix("-"))
            self.send_response(206)
            self.send_header("Content-Range", f"bytes {begin}-{len(content) - 1}/{len(content)}")
        else:
            self.send_response(200)
        self.send_header("Content-Length", str(len(content) - begin))
        self.end_headers()
        end = hub.cuts.pop(0) if hub.cuts else len(content)
        self.close_connection = end < len(content) or not hub.hold.is_set()
        half = min(begin + (len(content) - begin) // 2, end)
        self.wfile.write(content[begin:half])
        self.wfile.flush()
        hub.hold.wait(60)
        self.wfile.write(content[half:end])

    def _send_headers(self, headers: dict[str, str]) -> None:
        for name, value in {"X-Repo-Commit": COMMIT, **headers}.items():
            self.send_header(name, value)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        return
