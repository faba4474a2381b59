"""Asking a provider's server for its headers: names, TLS, proxies, and clocks."""

import asyncio
import socket
import time
from email.utils import formatdate
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path

import pytest

from tests.loopback.faulty import ConnectProxy, free_port, self_signed, tcp_server
from tests.support.serving import serving
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.providers.reachability import Answer, ask_server, proxy_for


@pytest.fixture(autouse=True)
def no_proxies(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "WSS_PROXY", "WS_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)


class Clock(BaseHTTPRequestHandler):
    """Answers with the header `Date` that the class is given, and keeps what it was sent."""

    date: str | None = ""
    asked: list[str]

    def do_HEAD(self) -> None:
        self.asked.append(f"{self.command} {self.path}\n{self.headers}")
        self.send_response_only(404)
        if self.date is not None:
            self.send_header("Date", self.date or formatdate(usegmt=True))
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None: ...


def server(date: str | None = "") -> tuple[HTTPServer, list[str]]:
    asked: list[str] = []
    handler = type("Dated", (Clock,), {"date": date, "asked": asked})
    return HTTPServer(("127.0.0.1", 0), handler), asked


def ask(date: str | None = "", *, scheme: str = "http") -> tuple[Answer, list[str]]:
    clock, asked = server(date)
    with serving(clock):
        return ask_server(f"{scheme}://127.0.0.1:{clock.server_port}/v1?key=sk-secret", timeout_s=20), asked


@pytest.mark.parametrize("scheme", ["http", "ws"])
def test_nothing_but_the_headers_is_asked_for(scheme: str) -> None:
    answer, asked = ask(scheme=scheme)
    assert answer.place.startswith("127.0.0.1:")
    assert answer.tls == ""
    assert answer.skew_s is not None
    assert abs(answer.skew_s) < 60
    (request,) = asked
    assert request.startswith("HEAD /\n")
    assert "secret" not in request
    assert "Authorization" not in request


@pytest.mark.parametrize("days", [-2, 3])
def test_the_clocks_are_compared(days: int) -> None:
    answer, _ = ask(formatdate(time.time() + days * 86_400, usegmt=True))
    assert answer.skew_s is not None
    assert round(answer.skew_s / 86_400) == -days


@pytest.mark.parametrize("date", [None, "yesterday", "Mon, 99 Nov 2026 10:00:00 GMT"])
def test_a_server_may_tell_no_time(date: str | None) -> None:
    assert ask(date)[0].skew_s is None


async def test_a_certificate_that_nobody_signed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, certificate = self_signed(tmp_path)
    clock, _ = server()
    clock.socket = tls.wrap_socket(clock.socket, server_side=True)
    with serving(clock):
        address = f"wss://127.0.0.1:{clock.server_port}"
        with pytest.raises(RealtimeConnectionError, match="its certificate is not trusted") as caught:
            ask_server(address, timeout_s=20)
        assert "check the computer's date" in caught.value.advice
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        assert ask_server(address, timeout_s=20).tls.startswith("TLSv1.")


def test_a_server_that_is_not_there() -> None:
    with pytest.raises(RealtimeConnectionError, match="it refuses connections"):
        ask_server(f"http://127.0.0.1:{free_port()}", timeout_s=20)


def test_a_server_that_says_nothing_is_waited_for_no_longer_than_that() -> None:
    with (
        socket.create_server(("127.0.0.1", 0)) as silent,
        pytest.raises(RealtimeConnectionError, match="timed out"),
    ):
        ask_server(f"http://127.0.0.1:{silent.getsockname()[1]}", timeout_s=0.1)


async def test_through_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    clock, _ = server()
    with serving(clock):
        proxy = ConnectProxy(clock.server_port)
        async with tcp_server(proxy.handle) as port:
            monkeypatch.setenv("WS_PROXY", f"http://anna:secret@127.0.0.1:{port}")
            address = "ws://voice.example:80"
            assert proxy_for(address).endswith(f"@127.0.0.1:{port}")
            answer = await asyncio.to_thread(ask_server, address, timeout_s=20)
    assert proxy.asked_for == ["voice.example:80"]
    assert answer.place == "voice.example:80"


def test_proxies_that_cannot_be_looked_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:1080")
    monkeypatch.setenv("HTTPS_PROXY", "socks5://anna:secret@127.0.0.1:1080")
    with pytest.raises(ConfigurationError, match=r"through a proxy \(socks5\)"):
        ask_server("https://voice.example", timeout_s=1)
    monkeypatch.setenv("NO_PROXY", "voice.example")
    assert proxy_for("https://voice.example") == ""
