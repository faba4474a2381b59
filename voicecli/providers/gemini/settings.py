"""Gemini's own settings."""

from dataclasses import dataclass

from voicecli.config import ProviderSettings, setting
from voicecli.providers.speech_hints import check_keywords, check_languages

__all__ = ["GeminiSettings"]


@dataclass(frozen=True, kw_only=True)
class GeminiSettings(ProviderSettings):
    """Settings that only Gemini has.

    Attributes:
        google_search: whether the model may search the web.
        code_execution: whether it may run code, at Google; no Live model is listed as able to.
        affective_dialog: whether it answers to the tone, too; on models that can.
        proactive_audio: whether it may ignore what is not meant for it; on models that can.
        transcription_keywords: names and terms that the user is likely to say, some 100 at most.
        transcription_languages: what may be spoken, as BCP 47 codes such as "pt-BR"; () has Gemini find out.
        project, location: of Google Cloud; a project means Vertex AI, unless a key is given. None takes
            GOOGLE_CLOUD_PROJECT and GOOGLE_CLOUD_LOCATION.
        api_version: of Gemini's API.
    """

    google_search: bool = setting(False, help="Let the model search.")
    code_execution: bool = setting(False, help="Let the model run code; no Live model is listed as able to.")
    affective_dialog: bool = setting(False, help="Answer to the tone too.")
    proactive_audio: bool = setting(False, help="Let it ignore what is not meant for it.")
    transcription_keywords: tuple[str, ...] = setting(
        (), option="transcription-keyword", metavar="WORD", help="A name or term that you may say."
    )
    transcription_languages: tuple[str, ...] = setting(
        (), option="transcription-language", metavar="CODE", help="A language that you may speak (en)."
    )
    project: str | None = setting(None, metavar="NAME", help="Google Cloud project (Vertex AI).")
    location: str | None = setting(None, metavar="NAME", help="Google Cloud region (Vertex AI).")
    api_version: str | None = setting(None, metavar="NAME", help="Of Gemini's API.")

    def __post_init__(self) -> None:
        super().__post_init__()
        check_keywords("transcription_keywords", self.transcription_keywords)
        check_languages("transcription_languages", self.transcription_languages)
