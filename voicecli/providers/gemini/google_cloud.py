"""Google Cloud's application-default credentials, by which Vertex AI lets one in."""

from collections.abc import Mapping
from typing import TYPE_CHECKING

from voicecli.errors import AuthenticationError, ConfigurationError, RealtimeConnectionError
from voicecli.install import install_command
from voicecli.threads import run_in_thread

if TYPE_CHECKING:
    from google.auth.credentials import Credentials

__all__ = ["GoogleCloud"]

_ADVICE = "Run `gcloud auth application-default login`, or set GOOGLE_APPLICATION_CREDENTIALS."
_SCOPES = ("https://www.googleapis.com/auth/cloud-platform",)


class GoogleCloud:
    """Headers with an access token, which is renewed when it is about to expire."""

    def __init__(self) -> None:
        self._credentials: Credentials | None = None

    async def headers(self) -> Mapping[str, str]:
        """The headers for a request that is made now; a new token comes over the network.

        Raises:
            AuthenticationError: there are no credentials, or Google refuses them.
            ConfigurationError: the package google-auth is missing.
            RealtimeConnectionError: Google's token server cannot be reached.
        """
        return await run_in_thread(self._headers)

    def _headers(self) -> Mapping[str, str]:
        try:
            import google.auth
            from google.auth.exceptions import GoogleAuthError, TransportError
            from google.auth.transport.requests import Request
        except ImportError as error:
            raise ConfigurationError(
                "Vertex AI needs the package google-auth.", advice=f"Run: {install_command('vertex')}"
            ) from error
        try:
            if self._credentials is None:
                self._credentials, _ = google.auth.default(scopes=_SCOPES)
            if not self._credentials.valid:
                self._credentials.refresh(Request())  # type: ignore[no-untyped-call]
        except TransportError as error:
            raise RealtimeConnectionError(
                f"Google Cloud gives no token: {error}",
                advice="Check the network.",
                code="unreachable",
                retryable=True,
            ) from error
        except GoogleAuthError as error:
            raise AuthenticationError(f"Google Cloud gives no token: {error}", advice=_ADVICE) from error
        headers = {"Authorization": f"Bearer {self._credentials.token}"}
        if quota_project := getattr(self._credentials, "quota_project_id", None):
            headers["x-goog-user-project"] = quota_project
        return headers
