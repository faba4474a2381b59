"""Asking a provider over plain HTTP which models it has."""

import http.client
import json
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from typing import Any

from voicecli.credentials import check_headers
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.threads import run_in_thread
from voicecli.tls import tls_context

__all__ = ["fetch_json", "unreadable"]


class _StayHere(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, *args: Any, **kwargs: Any) -> None:
        """None: following one would hand the key to another server."""


async def fetch_json(
    url: str,
    headers: Mapping[str, str],
    *,
    timeout_s: float,
    title: str,
    refused: Callable[[int, bytes], RealtimeConnectionError],
) -> Any:
    """The JSON at a URL.

    Args:
        title: of the provider, for errors.
        refused: what an HTTP status other than success means.

    Raises:
        ConfigurationError: the URL or a header is unusable.
        RealtimeConnectionError: it cannot be reached, or what `refused` makes of its answer.
    """

    check_headers(headers)

    def fetch() -> Any:
        try:
            request = urllib.request.Request(url, headers=dict(headers))
            opener = urllib.request.build_opener(_StayHere, urllib.request.HTTPSHandler(context=tls_context()))
            with opener.open(request, timeout=timeout_s) as response:
                body = response.read()
        except urllib.error.HTTPError as error:
            with error:
                raise refused(error.code, error.read(10_000)) from None
        except http.client.InvalidURL:
            raise _unusable(title) from None
        except (OSError, http.client.HTTPException) as error:
            cause = getattr(error, "reason", error)
            reason = getattr(cause, "strerror", None) or str(cause) or type(cause).__name__
            raise RealtimeConnectionError(
                f"{title} cannot be reached: {reason}.", advice="Check the network and the address.", retryable=True
            ) from None
        except ValueError:  # the URL or a header: what it names may hold a key
            raise _unusable(title) from None
        try:
            return json.loads(body)
        except ValueError as error:
            raise unreadable(title) from error

    return await run_in_thread(fetch)


def _unusable(title: str) -> ConfigurationError:
    return ConfigurationError(f"{title} cannot be asked at this address.", advice="Check base_url and headers.")


def unreadable(title: str) -> RealtimeConnectionError:
    return RealtimeConnectionError(f"{title} gave no list of models that can be read.", advice="Check the base URL.")
