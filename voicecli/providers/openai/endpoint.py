"""Address and key of the Realtime API and of GPT-Live: at api.openai.com, Azure, or a compatible server."""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from voicecli.config import RealtimeConfig, check_url
from voicecli.credentials import checked_key
from voicecli.errors import ConfigurationError
from voicecli.providers.openai.models import is_live
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.settings.keys import has_key, stored_key
from voicecli.text import valid_text

__all__ = [
    "KEY_VARIABLES",
    "NAME",
    "SETUP_ADVICE",
    "Endpoint",
    "doubts_key",
    "find_address",
    "find_endpoint",
    "is_configured",
]

NAME = "openai"
KEY_VARIABLES = ("OPENAI_API_KEY", "AZURE_OPENAI_API_KEY")
SETUP_ADVICE = (
    "Run `voice keys set openai`, or set OPENAI_API_KEY, with a key from https://platform.openai.com/api-keys, "
    "or AZURE_OPENAI_ENDPOINT and AZURE_OPENAI_API_KEY."
)
_OPENAI = "https://api.openai.com/v1"
_KEY = re.compile(r"(sk-|ek_)[\w-]{20,}")
"""Keys, and ephemeral ones; older keys have 48 characters after "sk-", newer ones more."""
_AZURE = (".azure.com", ".azure.us", ".azure.cn")
_SECURE = {"http": "http", "ws": "http", "https": "https", "wss": "https"}
_REALTIME = "/realtime"
_LIVE = "/live/sessions"
# Paths that are a base and get the protocol's path appended; any other path is taken as complete.
_BASE_PATHS = {"", "/v1", "/openai", "/openai/v1"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """A server that speaks the Realtime API or GPT-Live, and what to send it when connecting.

    Attributes:
        url: of the WebSocket; holds no secret of ours.
        models_url: of the list of models.
        headers: with the key, hence not in the repr.
    """

    url: str
    models_url: str
    headers: Mapping[str, str] = field(repr=False)

    @property
    def host(self) -> str:
        """The server's host, and its port where one is named."""
        url = urlsplit(self.url)
        return f"{url.hostname}:{url.port}" if url.port else url.hostname or ""

    @property
    def is_openai(self) -> bool:
        """Whether OpenAI itself answers there."""
        return f".{urlsplit(self.url).hostname}".endswith(".openai.com")

    @property
    def server(self) -> str:
        """The server's name for people."""
        if self.is_openai:
            return "OpenAI"
        return "Azure OpenAI" if (urlsplit(self.url).hostname or "").endswith(_AZURE) else self.host


def is_configured() -> bool:
    """Return whether there is a key for OpenAI, or the environment holds what Azure needs."""
    return bool(os.environ.get("OPENAI_API_KEY")) or _azure_is_configured() or has_key(NAME)


def find_endpoint(config: RealtimeConfig, model: str, service: str = "") -> Endpoint:
    """The endpoint that the settings and the environment name.

    `base_url` comes before OPENAI_BASE_URL; Azure is used when its two variables are set and no key for OpenAI is. A
    stored key comes after all variables.

    Args:
        model: decides which protocol is spoken, and hence the path.
        service: of the Realtime API, as its path goes on: "/translations"; "" for conversations.

    Raises:
        ConfigurationError: no key, a stored one that cannot be had, or a key that no header can hold.
    """
    base, key = _base_and_key(config)
    url = urlsplit(base)
    assert url.hostname is not None
    azure = url.hostname.endswith(_AZURE)
    if azure:
        key = config.api_key or os.environ.get("AZURE_OPENAI_API_KEY") or key
    key = key or stored_key(NAME)
    if not key and (azure or url.hostname.endswith("openai.com")):
        raise ConfigurationError("No key for OpenAI is stored, and OPENAI_API_KEY is not set.", advice=SETUP_ADVICE)
    protocol = _LIVE if is_live(model) and not service else _REALTIME
    path = _path(url.path.rstrip("/"), protocol, azure=azure)
    # A path that is no base, and not that of conversations, is taken as it is.
    place = f"{path}{service}" if path.endswith(_REALTIME) else path
    query = dict(parse_qsl(url.query, keep_blank_values=True))
    # GPT-Live has its model in the first message.
    with_model = query if protocol == _LIVE else {"model": valid_text(model)} | query
    scheme = _SECURE[url.scheme]
    return Endpoint(
        url=urlunsplit((scheme.replace("http", "ws"), url.netloc, place, urlencode(with_model), "")),
        models_url=urlunsplit((scheme, url.netloc, path.removesuffix(protocol) + "/models", urlencode(query), "")),
        headers=_headers(config, key, azure=azure),
    )


def find_address(config: RealtimeConfig) -> str:
    """The server's address, with or without a key. Raises ConfigurationError."""
    return _base_and_key(config)[0]


def doubts_key(key: str, config: RealtimeConfig) -> str:
    """Why this does not look like a key of OpenAI's; other servers have keys of any kind."""
    ours = f".{urlsplit(find_address(config)).hostname}".endswith(".openai.com")
    if not ours or _KEY.fullmatch(key):
        return ""
    return "keys of OpenAI are longer" if key.startswith("sk-") else 'keys of OpenAI begin with "sk-"'


def _base_and_key(config: RealtimeConfig) -> tuple[str, str | None]:
    """The base address, and a key for OpenAI, if there is one."""
    key = config.api_key or os.environ.get("OPENAI_API_KEY")
    base = config.base_url or os.environ.get("OPENAI_BASE_URL")
    if not base and not key and _azure_is_configured():
        base = os.environ["AZURE_OPENAI_ENDPOINT"]
    if base:
        check_url("base_url" if config.base_url else "OPENAI_BASE_URL or AZURE_OPENAI_ENDPOINT", base)
    return base or _OPENAI, key


def _path(path: str, protocol: str, *, azure: bool) -> str:
    if azure and path in {"", "/openai"}:
        path = "/openai/v1"
    for other in (_REALTIME, _LIVE):  # a base may be given as the address of either
        path = path.removesuffix(other) if path.removesuffix(other) in _BASE_PATHS else path
    return f"{path}{protocol}" if path in _BASE_PATHS else path


def _headers(config: RealtimeConfig, key: str | None, *, azure: bool) -> dict[str, str]:
    own = config.own(OpenAISettings)
    headers: dict[str, str] = {}
    if key:
        key = checked_key(key, "OpenAI")
        headers["api-key" if azure else "Authorization"] = key if azure else f"Bearer {key}"
    for name, value in (
        ("OpenAI-Organization", own.organization or os.environ.get("OPENAI_ORG_ID")),
        ("OpenAI-Project", own.project or os.environ.get("OPENAI_PROJECT_ID")),
    ):
        if value and not azure:
            headers[name] = value
    given = {name.lower() for name in config.headers}
    return {name: value for name, value in headers.items() if name.lower() not in given} | dict(config.headers)


def _azure_is_configured() -> bool:
    return bool(os.environ.get("AZURE_OPENAI_ENDPOINT") and os.environ.get("AZURE_OPENAI_API_KEY"))
