"""TLS, and proxies of the environment: used, or told clearly why not."""

import asyncio
import ssl
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest
import truststore

from tests.connection.plain_talk import failure, opened, talk
from tests.loopback.faulty import (
    ConnectProxy,
    FaultyServer,
    Peer,
    converse,
    self_signed,
    tcp_server,
)
from tests.support.virtual_time import virtual_time
from voicecli.errors import ConfigurationError
from voicecli.tls import tls_context


async def test_a_certificate_that_nobody_signed_is_told_and_can_be_trusted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls, certificate = self_signed(tmp_path)
    async with FaultyServer(tls=tls) as server:
        error = await failure(server.url)
        assert error.code == "certificate"
        assert "self-signed certificate" in error.message
        assert "SSL_CERT_FILE" in error.advice
        assert not error.retryable
        for variable in ("SSL_CERT_FILE", "REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE"):
            with monkeypatch.context() as environment:
                environment.setenv(variable, str(certificate))
                async with opened(server.url) as (connection, events):
                    await talk(connection, events, "hello")
        # Trusted, but for another name.
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        error = await failure(server.url.replace("127.0.0.1", "localhost"))
        assert error.code == "certificate"
        assert "localhost" in error.message


@pytest.mark.parametrize("platform", ["darwin", "win32"])
async def test_where_the_system_knows_the_certificates_it_is_asked(
    platform: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On a Mac and on Windows OpenSSL knows no certificates, or not all."""
    monkeypatch.setattr(sys, "platform", platform)
    tls, certificate = self_signed(tmp_path)
    async with FaultyServer(tls=tls) as server:
        assert isinstance(tls_context(), truststore.SSLContext)
        error = await failure(server.url)
        assert error.code == "certificate"
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        async with opened(server.url) as (connection, events):
            await talk(connection, events, "hello")


async def test_a_python_without_certificates_is_told_how_to_get_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As the one from python.org on a Mac, before they are installed, and without truststore."""
    monkeypatch.setattr("voicecli.tls.find_spec", lambda name: None)
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(ssl, "create_default_context", lambda: ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT))
    tls, _ = self_signed(tmp_path)
    async with FaultyServer(tls=tls) as server:
        error = await failure(server.url)
    assert "this Python knows no certificates" in error.message
    assert "Install Certificates.command" in error.advice
    assert 'pip install "truststore"' in error.advice


async def test_a_certificate_file_that_is_missing_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(tmp_path / "missing.pem"))
    with pytest.raises(ConfigurationError, match="REQUESTS_CA_BUNDLE"):
        async with opened("wss://127.0.0.1:9/talk"):
            pass


async def test_tls_with_a_server_that_has_none_is_told() -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async with FaultyServer() as server, tcp_server(answer) as port:
        hung_up = await failure(server.url.replace("ws://", "wss://"))
        assert "it hangs up" in hung_up.message
        assert "wss://" in hung_up.advice
        answered = await failure(f"wss://127.0.0.1:{port}")
        assert answered.code == "tls"
        assert "wss://" in answered.advice


async def test_a_tls_connection_survives_a_reset(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tls, certificate = self_signed(tmp_path)
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))

    async def leave(peer: Peer) -> None:
        await peer.begin()
        await peer.expect("text")
        peer.reset()

    async with FaultyServer(leave, converse, tls=tls) as server, opened(server.url) as (connection, events):
        await talk(connection, events, "hello")
        assert server.peers[1].received[1]["texts"] == ["hello"]


@virtual_time
async def test_a_proxy_from_the_environment_is_used() -> None:
    async with FaultyServer() as server:
        proxy = ConnectProxy(server.port)
        async with tcp_server(proxy.handle) as port:
            with pytest.MonkeyPatch.context() as environment:
                environment.setenv("https_proxy", f"http://127.0.0.1:{port}")
                # Only the proxy knows this host.
                async with opened("ws://provider.invalid/talk") as (connection, events):
                    await talk(connection, events, "hello")
        assert proxy.asked_for == ["provider.invalid:80"]


@virtual_time
async def test_a_proxy_that_refuses_is_told() -> None:
    proxy = ConnectProxy(0, status=407)
    async with tcp_server(proxy.handle) as port:
        with pytest.MonkeyPatch.context() as environment:
            environment.setenv("https_proxy", f"http://user:secret@127.0.0.1:{port}")
            error = await failure("ws://provider.invalid/talk")
    assert "proxy" in error.message
    assert "407" in error.message
    assert "secret" not in str(error)


@pytest.mark.parametrize(
    "proxy",
    [
        "gopher://user:secret@127.0.0.1",
        pytest.param(
            "socks5h://127.0.0.1:9",
            marks=pytest.mark.skipif(find_spec("python_socks") is not None, reason="python-socks is there"),
        ),
    ],
)
async def test_a_proxy_that_cannot_be_used_is_a_matter_of_configuration(
    proxy: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("https_proxy", proxy)
    with pytest.raises(ConfigurationError, match="proxy") as raised:
        async with opened("ws://provider.invalid/talk"):
            pass
    assert raised.value.advice
    assert "secret" not in str(raised.value)
