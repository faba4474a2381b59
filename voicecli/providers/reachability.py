"""Whether a provider's server can be reached: its name, the way there, TLS, and its clock. No key is sent."""

import http.client
import time
import urllib.request
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from urllib.parse import unquote, urlsplit

from voicecli._version import __version__
from voicecli.connection.dial import place, unreachable
from voicecli.errors import ConfigurationError
from voicecli.tls import tls_context

__all__ = ["Answer", "ask_server", "proxy_for"]

_SECURE = ("https", "wss")


@dataclass(frozen=True, slots=True)
class Answer:
    """A server's answer.

    Attributes:
        place: its host and port.
        took_ms: from asking for its name until the answer was there, in ms.
        tls: the version of TLS, such as "TLSv1.3"; "" without.
        skew_s: how far this computer's clock is ahead of the server's, in seconds; None where it does not tell.
    """

    place: str
    took_ms: float
    tls: str
    skew_s: float | None


def proxy_for(address: str) -> str:
    """The proxy through which a WebSocket to this address goes, as URL; "" for none."""
    parts = urlsplit(address)
    if urllib.request.proxy_bypass(f"{parts.hostname}:{parts.port}" if parts.port else parts.hostname or ""):
        return ""
    proxies = urllib.request.getproxies()
    # In the order of the library that dials.
    schemes = ("wss", "socks", "https") if parts.scheme in _SECURE else ("ws", "socks", "https", "http")
    return next((proxies[scheme] for scheme in schemes if proxies.get(scheme)), "")


def ask_server(address: str, *, timeout_s: float) -> Answer:
    """Ask a server for nothing but its headers. Blocks.

    Args:
        address: http, https, ws or wss; only host and port are used.
        timeout_s: for each step. The name server is waited for as long as the system does.

    Raises:
        ConfigurationError: the address, the proxy or a certificate file is unusable.
        RealtimeConnectionError: it cannot be reached; the message says at which step it failed, `advice` what to do.
    """
    begun = time.monotonic()
    connection = _connection(address, timeout_s)
    try:
        connection.connect()
        tls = connection.sock.version() if isinstance(connection, http.client.HTTPSConnection) else ""
        asked = time.time()
        connection.request("HEAD", "/", headers={"User-Agent": f"voicecli/{__version__}"})
        date = connection.getresponse().getheader("Date")
        now = (asked + time.time()) / 2
    except (OSError, http.client.HTTPException, UnicodeError) as error:
        raise unreachable(place(address), error) from error
    finally:
        connection.close()
    return Answer(place(address), (time.monotonic() - begun) * 1000, tls or "", _skew(date, now))


def _connection(address: str, timeout_s: float) -> http.client.HTTPConnection:
    parts, proxy = urlsplit(address), urlsplit(proxy_for(address))
    secure = parts.scheme in _SECURE
    port = parts.port or (443 if secure else 80)
    host = parts.hostname or ""
    if not proxy.geturl():
        return _open(secure, host, port, timeout_s)
    if proxy.scheme not in ("http", "") or not proxy.hostname:
        raise ConfigurationError(
            f"The way leads through a proxy ({proxy.scheme}), which is not looked through.",
            advice="A conversation tells whether it works.",
        )
    connection = _open(secure, proxy.hostname, proxy.port or 80, timeout_s)
    headers = {}
    if proxy.username:
        import base64

        login = f"{unquote(proxy.username)}:{unquote(proxy.password or '')}"
        headers["Proxy-Authorization"] = f"Basic {base64.b64encode(login.encode()).decode()}"
    connection.set_tunnel(host, port, headers)
    return connection


def _open(secure: bool, host: str, port: int, timeout_s: float) -> http.client.HTTPConnection:
    if secure:
        return http.client.HTTPSConnection(host, port, timeout=timeout_s, context=tls_context())
    return http.client.HTTPConnection(host, port, timeout=timeout_s)


def _skew(date: str | None, now: float) -> float | None:
    try:
        return now - parsedate_to_datetime(date or "").timestamp()
    except (ValueError, TypeError, OverflowError):
        return None
