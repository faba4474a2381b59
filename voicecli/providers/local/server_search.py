"""Search for a server with language models on this machine: Ollama, LM Studio, llama.cpp."""

import asyncio
import ipaddress
import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException
from typing import Any

from voicecli.errors import ConfigurationError
from voicecli.providers.local.server_models import look_at
from voicecli.threads import run_in_thread

__all__ = ["LocalServer", "addresses", "find_servers", "search_limit"]

_OLLAMA, _LM_STUDIO, _LLAMA_CPP = 11_434, 1_234, 8_080
_PORTS, _LIMIT = "VOICECLI_LLM_PORTS", "VOICECLI_LLM_SEARCH_S"
_LIMIT_S = 0.2
_MOST_S = 60.0
_MOST_BYTES = 4 << 20  # of one list
_LOOPBACK = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class LocalServer:
    """A server on this machine that was recognised, and has a model for conversations.

    Attributes:
        title: its program.
        url: of its OpenAI-compatible endpoint.
        models: the best first.
        loaded: whether the first is in memory.
    """

    title: str
    url: str
    models: tuple[str, ...]
    loaded: bool


def addresses(environment: Mapping[str, str] = os.environ) -> list[str]:
    """The addresses to look at, "HOST:PORT", all of them on this machine.

    They are those that the three programs have unless told otherwise; Ollama's is that in OLLAMA_HOST if it is this
    machine's. The variable VOICECLI_LLM_PORTS names other ports, with commas between; empty, none.

    Raises:
        ConfigurationError: the variable holds what is no port.
    """
    ports = environment.get(_PORTS)
    if ports is None:
        return list(
            dict.fromkeys([_ollama(environment), *(f"{_LOOPBACK}:{port}" for port in (_LM_STUDIO, _LLAMA_CPP))])
        )
    found = []
    for port in filter(None, (text.strip() for text in ports.split(","))):
        if not (port.isascii() and port.isdigit() and 0 < int(port) < 65_536):
            raise ConfigurationError(
                f"{_PORTS}: {port!r} is no port.", advice="Give numbers such as 11434,1234,8080, or nothing."
            )
        found.append(f"{_LOOPBACK}:{port}")
    return found


def search_limit(environment: Mapping[str, str] = os.environ) -> float:
    """The longest that a search may take, in seconds: 0.2, or what VOICECLI_LLM_SEARCH_S says.

    Raises:
        ConfigurationError: the variable holds no such number.
    """
    text = environment.get(_LIMIT) or str(_LIMIT_S)
    try:
        limit = float(text)
    except ValueError:
        limit = -1.0
    if not 0 < limit <= _MOST_S:
        raise ConfigurationError(f"{_LIMIT}: {text!r} is no time in seconds.", advice=f"Give one up to {_MOST_S:.0f}.")
    return limit


async def find_servers(where: Sequence[str] | None = None, *, limit_s: float | None = None) -> list[LocalServer]:
    """Ask all addresses at once; those with a model in memory come first.

    They are asked for their lists of models, and sent nothing else. No proxy is used, and no redirect followed.

    Args:
        where: "HOST:PORT" each; those of `addresses` if None.
        limit_s: for all of it; that of `search_limit` if None. What has not answered by then counts as not there.

    Raises:
        ConfigurationError: a variable that says where or how long to look is wrong.
    """
    where = addresses() if where is None else where
    limit_s = search_limit() if limit_s is None else limit_s
    if not where:
        return []
    tasks = [asyncio.create_task(_ask(address, limit_s)) for address in where]
    try:
        await asyncio.wait(tasks, timeout=limit_s)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
    servers = [task.result() for task in tasks if not task.cancelled()]
    return sorted((server for server in servers if server is not None), key=lambda server: not server.loaded)


async def _ask(address: str, limit_s: float) -> LocalServer | None:
    async def fetch(path: str) -> Any:
        return await run_in_thread(_json, address, f"/{path}", limit_s)

    found = await look_at(fetch)
    if found is None or not found.names:
        return None
    return LocalServer(found.title, f"http://{address}/v1", found.names, found.loaded)


def _json(address: str, path: str, limit_s: float) -> Any:
    """The JSON there; None if there is none. Blocks, for as long as something comes."""
    host, _, port = address.rpartition(":")
    # Python's own client: it starts ten times faster than httpx, and knows neither proxies nor redirects.
    connection = HTTPConnection(host.strip("[]"), int(port), timeout=limit_s)
    try:
        connection.request("GET", path)
        response = connection.getresponse()
        body = response.read(_MOST_BYTES + 1) if response.status == 200 else b""
        return json.loads(body) if len(body) <= _MOST_BYTES else None
    except (OSError, HTTPException, ValueError, RecursionError):
        return None
    finally:
        connection.close()


def _ollama(environment: Mapping[str, str]) -> str:
    """Ollama's address on this machine, read from OLLAMA_HOST as Ollama does."""
    value = environment.get("OLLAMA_HOST", "").strip().strip("\"'").strip()
    scheme, _, rest = value.rpartition("://")
    port = {"http": 80, "https": 443}.get(scheme, _OLLAMA)
    host, given = _split(rest.partition("/")[0])
    if given.isascii() and given.isdigit() and 0 < int(given) < 65_536:
        port = int(given)
    if host in ("", "localhost"):
        return f"{_LOOPBACK}:{port}"
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return f"{_LOOPBACK}:{_OLLAMA}"
    if address.is_loopback:
        return f"[{address}]:{port}" if address.version == 6 else f"{address}:{port}"
    # One that listens everywhere listens here, too.
    return f"{_LOOPBACK}:{port if address.is_unspecified else _OLLAMA}"


def _split(text: str) -> tuple[str, str]:
    """Host and port; the port is "" where there is none."""
    if text.startswith("["):
        host, _, rest = text[1:].partition("]")
        return host, rest.removeprefix(":")
    if text.count(":") > 1:  # an address of IPv6 without brackets
        return text, ""
    host, _, port = text.partition(":")
    return host, port
