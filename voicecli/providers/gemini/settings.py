"""Gemini's own settings."""

from dataclasses import dataclass

from voicecli.config import ProviderSettings, setting

__all__ = ["GeminiSettings"]


@dataclass(frozen=True, kw_only=True)
class GeminiSettings(ProviderSettings):
    """Settings that only Gemini has.

    Attributes:
        google_search: whether the model may search the web.
        code_execution: whether it may run code, at Google.
        affective_dialog: whether it answers to the tone, too; on models that can.
        proactive_audio: whether it may ignore what is not meant for it; on models that can.
        project, location: of Google Cloud; a project means Vertex AI, unless a key is given. None takes
            GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION.
        api_version: of Gemini's API.
    """

    google_search: bool = setting(False, help="Let the model search.")
    code_execution: bool = setting(False, help="Let the model run code.")
    affective_dialog: bool = setting(False, help="Answer to the tone too.")
    proactive_audio: bool = setting(False, help="Let it ignore what is not meant for it.")
    project: str | None = setting(None, metavar="NAME", help="Google Cloud project (Vertex AI).")
    location: str | None = setting(None, metavar="NAME", help="Google Cloud region (Vertex AI).")
    api_version: str | None = setting(None, metavar="NAME", help="Of Gemini's API.")
