"""Making a WebSocket: the one place where what can go wrong on the way there becomes an error of voicecli."""

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from websockets.asyncio.client import connect
from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus, InvalidURI, ProxyError

from voicecli._version import __version__
from voicecli.connection.socket import CLOSE_TIMEOUT_S, Socket
from voicecli.credentials import check_headers
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.install import package_command
from voicecli.ports import Codec
from voicecli.tls import roots_missing, tls_context

__all__ = ["MAX_MESSAGE_BYTES", "UNREACHABLE", "dial", "hang_up", "place", "unreachable"]

UNREACHABLE = "unreachable"
"""The code of errors that came before the provider could answer."""

MAX_MESSAGE_BYTES = 64 * 2**20
"""Far above the largest legal message (a conversation item with an image), far below what hurts."""

# How much may lie ready in the process, and unsent in the kernel. Together about 0.7 s of audio at 64 kB/s
# (24 kHz in base64): what lies there can be neither dropped nor kept for the next socket.
_WRITE_BUFFER_BYTES = 16 * 2**10
_KERNEL_BUFFER_BYTES = 32 * 2**10
# Several round trips around the world.
_BRIEFLY_S = 0.5


class _Dialling(connect):
    def process_redirect(self, exc: Exception) -> Exception | str:
        # Following one would hand the key to another server.
        return exc


class _NoDebug(logging.LoggerAdapter[logging.Logger]):
    """The websockets library logs all headers, keys included, at level DEBUG: it is never on."""

    def isEnabledFor(self, level: int) -> bool:  # noqa: N802
        return level > logging.DEBUG and super().isEnabledFor(level)


_LOGGER = _NoDebug(logging.getLogger("voicecli.websockets"), {})


def place(url: str) -> str:
    """Host and port of a URL, without what may be secret in the rest of it."""
    parts = urlsplit(url)
    return f"{parts.hostname}:{parts.port}" if parts.port else f"{parts.hostname}"


async def dial(codec: Codec, headers: Mapping[str, str]) -> Socket:
    """An open WebSocket to the codec's provider; a proxy is taken from the environment.

    Args:
        headers: of the handshake.

    Raises:
        ConfigurationError: the URL, a header, a proxy or a certificate file is unusable.
        RealtimeConnectionError: the provider cannot be reached (`code` is UNREACHABLE or "certificate"), or what
            the codec makes of its refusal.
    """
    url = codec.url
    check_headers(headers)
    options: dict[str, Any] = {"ssl": tls_context()} if url.startswith("wss:") else {}
    try:
        dialling = _Dialling(
            url,
            additional_headers=headers,
            user_agent_header=f"voicecli/{__version__}",
            create_connection=Socket,
            compression=None,  # base64 audio does not shrink, and deflate costs 300 kB a socket
            max_size=MAX_MESSAGE_BYTES,
            write_limit=_WRITE_BUFFER_BYTES,
            close_timeout=CLOSE_TIMEOUT_S,
            open_timeout=None,  # the caller has one for the whole beginning
            ping_interval=None,  # the caller watches
            logger=_LOGGER,
            **options,
        )
    except (InvalidURI, ValueError):
        # The URL itself may hold a key.
        raise ConfigurationError("base_url: not a WebSocket address.", advice="Write wss://host/path.") from None
    try:
        opened = await dialling
    except InvalidStatus as refusal:
        raise _refused(codec, refusal) from None
    except (InvalidHandshake, InvalidProxy, OSError, ImportError, UnicodeError) as error:
        raise unreachable(place(url), error) from error
    assert isinstance(opened, Socket)
    _keep_kernel_buffer_small(opened)
    return opened


async def hang_up(opened: Socket, *, patiently: bool = True) -> None:
    """Close the socket, with a goodbye if it is open.

    Args:
        patiently: wait for the other end to say goodbye, for at most about a second; otherwise only for as long as a
            healthy one needs.
    """
    if opened.is_open:
        # close() has a timeout for the answer, but would wait for ever to say goodbye into a full send buffer.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S * 1.5 if patiently else _BRIEFLY_S):
                await opened.close()
    opened.transport.abort()
    await opened.wait_closed()


def _refused(codec: Codec, refusal: InvalidStatus) -> RealtimeConnectionError:
    response = refusal.response
    error = codec.refused(response.status_code, bytes(response.body or b""))
    wait = response.headers.get("Retry-After", "")
    if error.retry_after_s is None and wait.isdecimal():
        error.retry_after_s = float(wait)
    return error


def unreachable(where: str, error: Exception) -> RealtimeConnectionError | ConfigurationError:
    """The error for what went wrong on the way to a server.

    Args:
        where: its host and port.
    """

    def failed(why: str, advice: str, code: str = UNREACHABLE) -> RealtimeConnectionError:
        return RealtimeConnectionError(
            f"Cannot reach {where}: {why}.", advice=advice, code=code, retryable=code == UNREACHABLE
        )

    match error:
        case ssl.SSLCertVerificationError() if roots_missing():
            return failed(
                "this Python knows no certificates",
                'Run "Install Certificates.command" in the folder of this Python under Applications, or '
                f"{package_command('truststore')}",
                "certificate",
            )
        case ssl.SSLCertVerificationError():
            return failed(
                f"its certificate is not trusted ({error.verify_message})",
                "Behind a company proxy, point SSL_CERT_FILE at its root certificate; check the computer's date.",
                "certificate",
            )
        case ssl.SSLError():
            return failed(
                f"TLS failed ({error.reason or error})", "Check the address: ws:// is without, wss:// with TLS.", "tls"
            )
        case socket.gaierror() | UnicodeError():
            return failed("there is no such host, or no network", "Check the network and the address.")
        case ConnectionRefusedError():
            return failed("it refuses connections", "Check that the server runs, and its port.")
        case ConnectionResetError() | ConnectionAbortedError():
            return failed("it hangs up", "Check the address: ws:// is without, wss:// with TLS.")
        case InvalidProxy():
            return ConfigurationError(
                "The proxy in the environment is no valid address.",
                advice="Look at HTTPS_PROXY, ALL_PROXY and their like; it reads http://host:port.",
            )
        case ProxyError():
            return failed(f"the proxy does not let us through ({error})", "Look at HTTPS_PROXY and NO_PROXY.")
        case ImportError():
            return ConfigurationError(
                "The environment names a SOCKS proxy.", advice="Install python-socks[asyncio], or unset ALL_PROXY."
            )
        case InvalidHandshake():
            return failed("it does not answer like a WebSocket server", "Check the address.")
    reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
    return failed(reason or type(error).__name__, "Check the network.")


def _keep_kernel_buffer_small(opened: Socket) -> None:
    # Linux and macOS: without it the kernel takes in minutes of audio that a slow line then delivers late.
    option = getattr(socket, "TCP_NOTSENT_LOWAT", None)
    raw = opened.transport.get_extra_info("socket")
    if option is not None and raw is not None:
        raw.setsockopt(socket.IPPROTO_TCP, option, _KERNEL_BUFFER_BYTES)
