"""Where Gemini Live is reached, and how one shows who one is.

Three ways: an API key, an ephemeral token in its place (`auth_tokens/...`), or Vertex AI with Google Cloud
credentials. Keys travel in headers only: a URL ends up in logs.
"""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

from voicecli.config import RealtimeConfig, check_url
from voicecli.credentials import checked_key
from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.providers.gemini.errors import KEY_ADVICE
from voicecli.providers.gemini.models import DEFAULT_MODEL, find_model

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["Endpoint", "find_endpoint", "is_configured"]

_HOST = "https://generativelanguage.googleapis.com"
_SERVICE = "google.ai.generativelanguage.{version}.GenerativeService.{method}"
_VERTEX_SERVICE = "google.cloud.aiplatform.{version}.LlmBidiService/BidiGenerateContent"
_VERTEX_ADVICE = "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS."
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)
_TRUE = {"1", "true", "yes", "on"}


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where to connect, and as whom.

    Attributes:
        url: of the WebSocket.
        model: the model's resource name, as the setup names it.
        api: the base address of the plain HTTP API and its version; "" on Vertex AI.
        headers: those that authenticate. For Vertex AI it may fetch a token, and block meanwhile.
        secret: what must never be shown, or "".
        vertex: whether it is Vertex AI, which knows fewer messages.
    """

    url: str
    model: str
    api: str
    headers: Callable[[], Mapping[str, str]] = field(repr=False)
    secret: str = field(default="", repr=False)
    vertex: bool = False


def is_configured(environ: Mapping[str, str] = os.environ) -> bool:
    """Whether the environment holds a key, or says that Vertex AI is to be used."""
    return bool(_key(environ)) or _wants_vertex(environ)


def find_endpoint(config: RealtimeConfig, environ: Mapping[str, str] = os.environ) -> Endpoint:
    """The endpoint that settings and environment ask for.

    A key in the settings comes first, then a project in the settings (Vertex AI), GOOGLE_GENAI_USE_VERTEXAI,
    a key in the environment, and last GOOGLE_CLOUD_PROJECT together with GOOGLE_CLOUD_LOCATION.

    Raises:
        ConfigurationError: no key, or one that cannot be one.
    """
    if not config.api_key and (config.project or _wants_vertex(environ)):
        return _vertex(config, environ)
    key = config.api_key or _key(environ)
    if not key.strip():
        raise ConfigurationError("No key for Gemini is set.", advice=KEY_ADVICE)
    key = checked_key(key, "Gemini", advice=KEY_ADVICE)
    base = config.base_url or environ.get("GOOGLE_GEMINI_BASE_URL") or _HOST
    check_url("GOOGLE_GEMINI_BASE_URL", base)
    headers = {"x-goog-api-key": key}
    method, version = "BidiGenerateContent", config.api_version or _version(config)
    if key.startswith("auth_tokens/"):
        # Ephemeral tokens are served by the early version only, unless the user knows better.
        method, version = "BidiGenerateContentConstrained", config.api_version or "v1alpha"
        headers["Authorization"] = f"Token {key}"
    path = f"ws/{_SERVICE.format(version=version, method=method)}"
    name = config.model or DEFAULT_MODEL
    model = name if name.startswith(("models/", "tunedModels/")) else f"models/{name}"
    return Endpoint(_join(base, path), model, f"{base.rstrip('/')}/{version}", lambda: headers, key)


def _key(environ: Mapping[str, str]) -> str:
    return environ.get("GEMINI_API_KEY") or environ.get("GOOGLE_API_KEY") or ""


def _wants_vertex(environ: Mapping[str, str]) -> bool:
    if environ.get("GOOGLE_GENAI_USE_VERTEXAI", "").lower() in _TRUE:
        return True
    # One of them alone is set by many a Google Cloud tool and says nothing about Gemini.
    return not _key(environ) and bool(environ.get("GOOGLE_CLOUD_PROJECT") and environ.get("GOOGLE_CLOUD_LOCATION"))


def _version(config: RealtimeConfig) -> str:
    model = find_model(config.model or DEFAULT_MODEL)
    early = (config.affective_dialog and model.affective_dialog) or (config.proactive_audio and model.proactive_audio)
    return "v1alpha" if early else "v1beta"


def _vertex(config: RealtimeConfig, environ: Mapping[str, str]) -> Endpoint:
    location = config.location or environ.get("GOOGLE_CLOUD_LOCATION") or "global"
    project = config.project or environ.get("GOOGLE_CLOUD_PROJECT")
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
    path = f"ws/{_VERTEX_SERVICE.format(version=config.api_version or 'v1beta1')}"
    name = config.model or DEFAULT_MODEL
    if not name.startswith("projects/"):
        name = f"projects/{project}/locations/{location}/publishers/google/models/{name.rpartition('/')[2]}"
    return Endpoint(_join(base, path), name, "", _GoogleCloud(), vertex=True)


def _join(base: str, path: str) -> str:
    parts = urlsplit(base)
    scheme = {"https": "wss", "http": "ws"}.get(parts.scheme, parts.scheme)
    return urlunsplit((scheme, parts.netloc, f"{parts.path.rstrip('/')}/{path}", parts.query, ""))


class _GoogleCloud:
    """Headers from the application-default credentials; renews the token when it is about to expire."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None

    def __call__(self) -> Mapping[str, str]:
        try:
            import google.auth
            from google.auth.exceptions import GoogleAuthError, TransportError
            from google.auth.transport.requests import Request
        except ImportError as error:
            raise ConfigurationError(
                "Vertex AI needs the package google-auth.", advice="pip install 'voicecli[vertex]'"
            ) from error
        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=_SCOPES)
            if not self._credentials.valid:
                self._credentials.refresh(Request())  # type: ignore[no-untyped-call]
        except TransportError as error:
            raise RealtimeConnectionError(f"Google Cloud gives no token: {error}", retryable=True) from error
        except GoogleAuthError as error:
            raise self._refused(error) from error
        headers = {"Authorization": f"Bearer {self._credentials.token}"}
        if quota_project := getattr(self._credentials, "quota_project_id", None):
            headers["x-goog-user-project"] = quota_project
        return headers

    @staticmethod
    def _refused(error: Exception) -> RealtimeError:
        return AuthenticationError(f"Google Cloud gives no token: {error}", advice=_VERTEX_ADVICE)
