"""Addresses and credentials of Gemini Live.

Three ways: an API key, an ephemeral token in its place (`auth_tokens/...`), or Vertex AI with Google Cloud
credentials. Keys travel in headers only: a URL ends up in logs.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit, urlunsplit

from voicecli.config import RealtimeConfig, check_url
from voicecli.credentials import checked_key
from voicecli.errors import ConfigurationError
from voicecli.ports import FetchHeaders
from voicecli.providers.gemini.errors import KEY_ADVICE
from voicecli.providers.gemini.google_cloud import GoogleCloud
from voicecli.providers.gemini.models import DEFAULT_MODEL, find_model
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.settings.keys import has_key, stored_key

__all__ = ["KEY_VARIABLES", "NAME", "Endpoint", "doubts_key", "find_address", "find_endpoint", "is_configured"]

NAME = "gemini"
KEY_VARIABLES = ("GEMINI_API_KEY", "GOOGLE_API_KEY")
_HOST = "https://generativelanguage.googleapis.com"
_SERVICE = "google.ai.generativelanguage.{version}.GenerativeService.{method}"
_VERTEX_SERVICE = "google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"
_TRUE = {"1", "true", "yes", "on"}
_KEY = re.compile(r"(AIza[\w-]{35}|AQ\.[\w-]{20,}|auth_tokens/.+)")
"""Keys as Google has given them out for long, newer ones, and ephemeral tokens."""


@dataclass(frozen=True, slots=True)
class Endpoint:
    """An address, and the credentials for it.

    Attributes:
        url: of the WebSocket.
        model: the model's resource name, as the setup names it.
        api: the base address of the plain HTTP API and its version; "" on Vertex AI.
        headers: those with the key; none for Vertex AI.
        credentials: fetches those that authenticate where they are not known beforehand (Vertex AI), or None.
        secret: what must never be shown, or "".
        vertex: whether it is Vertex AI, which knows fewer messages.
    """

    url: str
    model: str
    api: str
    headers: Mapping[str, str] = field(repr=False)
    credentials: FetchHeaders | None = field(default=None, repr=False)
    secret: str = field(default="", repr=False)
    vertex: bool = False


def is_configured(environ: Mapping[str, str] = os.environ) -> bool:
    """Return whether there is a key, or the environment says that Vertex AI is to be used."""
    return bool(_key(environ)) or _wants_vertex(environ) or has_key(NAME)


def find_endpoint(config: RealtimeConfig, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint that settings and environment ask for.

    A key in the settings comes first, then a project in the settings (Vertex AI), GOOGLE_GENAI_USE_VERTEXAI,
    a key in the environment, a stored key, and last GOOGLE_CLOUD_PROJECT together with GOOGLE_CLOUD_LOCATION.

    Raises:
        ConfigurationError: no key, or one that cannot be one.
    """
    own = config.own(GeminiSettings)
    if _is_vertex(config, environ):
        return _vertex(config, own, environ)
    key = config.api_key or _key(environ) or stored_key(NAME) or ""
    if not key.strip():
        raise ConfigurationError("No key for Gemini is set.", advice=KEY_ADVICE)
    key = checked_key(key, "Gemini", advice=KEY_ADVICE)
    base = _base(config, environ)
    headers = {"x-goog-api-key": key}
    method, version = "BidiGenerateContent", own.api_version or _version(config, own)
    if key.startswith("auth_tokens/"):
        # Ephemeral tokens are served by the early version only, unless the user knows better.
        method, version = "BidiGenerateContentConstrained", own.api_version or "v1alpha"
        headers["Authorization"] = f"Token {key}"
    path = f"ws/{_SERVICE.format(version=version, method=method)}"
    name = config.model or DEFAULT_MODEL
    model = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
    return Endpoint(_join(base, path), model, f"{base.rstrip('/')}/{version}", headers, secret=key)


def find_address(config: RealtimeConfig, environ: Mapping[str, str] = os.environ) -> str:
    """The server's address, with or without a key. Raises ConfigurationError."""
    if _is_vertex(config, environ):
        return _vertex(config, config.own(GeminiSettings), environ).url
    return _base(config, environ)


def doubts_key(key: str, config: RealtimeConfig) -> str:
    """Why this does not look like a key of Google's; other servers have keys of any kind."""
    ours = f".{urlsplit(find_address(config)).hostname}".endswith(".googleapis.com")
    if not ours or _KEY.fullmatch(key):
        return ""
    begins = key.startswith(("AIza", "AQ."))
    return "keys of Gemini have another length" if begins else 'keys of Gemini begin with "AIza" or "AQ."'


def _is_vertex(config: RealtimeConfig, environ: Mapping[str, str]) -> bool:
    return not config.api_key and bool(config.own(GeminiSettings).project or _wants_vertex(environ))


def _base(config: RealtimeConfig, environ: Mapping[str, str]) -> str:
    base = config.base_url or environ.get("GOOGLE_GEMINI_BASE_URL") or _HOST
    check_url("GOOGLE_GEMINI_BASE_URL", base)
    return base


def _key(environ: Mapping[str, str]) -> str:
    return next((key for name in KEY_VARIABLES if (key := environ.get(name))), "")


def _wants_vertex(environ: Mapping[str, str]) -> bool:
    if environ.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in _TRUE:
        return True
    # One of them alone is set by many a Google Cloud tool and says nothing about Gemini.
    if not (environ.get("GOOGLE_CLOUD_PROJECT") and environ.get("GOOGLE_CLOUD_LOCATION")):
        return False
    return not _key(environ) and not has_key(NAME)


def _version(config: RealtimeConfig, own: GeminiSettings) -> str:
    model = find_model(config.model or DEFAULT_MODEL)
    early = (own.affective_dialog and model.affective_dialog) or (own.proactive_audio and model.proactive_audio)
    return "v1alpha" if early else "v1beta"


def _vertex(config: RealtimeConfig, own: GeminiSettings, environ: Mapping[str, str]) -> Endpoint:
    location = own.location or environ.get("GOOGLE_CLOUD_LOCATION") or "global"
    project = own.project or environ.get("GOOGLE_CLOUD_PROJECT")
    if not project:
        raise ConfigurationError(
            "Vertex AI needs a Google Cloud project.", advice="Set GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION."
        )
    if location == "global":
        host = "https://aiplatform.googleapis.com"
    elif location in {"us", "eu"}:
        host = f"https://aiplatform.{location}.rep.googleapis.com"
    else:
        host = f"https://{location}-aiplatform.googleapis.com"
    base = config.base_url or environ.get("GOOGLE_VERTEX_BASE_URL") or host
    check_url("GOOGLE_VERTEX_BASE_URL", base)
    path = f"ws/{_VERTEX_SERVICE.format(version=own.api_version or 'v1beta1')}"
    name = config.model or DEFAULT_MODEL
    if not name.startswith("projects/"):
        name = f"projects/{project}/locations/{location}/publishers/google/models/{name.rpartition('/')[2]}"
    return Endpoint(_join(base, path), name, "", {}, GoogleCloud().headers, vertex=True)


def _join(base: str, path: str) -> str:
    parts = urlsplit(base)
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))
