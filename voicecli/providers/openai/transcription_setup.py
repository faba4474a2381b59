"""The `session.update` that a TranscriberSetup means. What the model does not take is refused with all of the update,
hence left out, and told."""

import re
from typing import Any

from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.events import Notice
from voicecli.ports import TranscriberSetup
from voicecli.providers.ignored import ignored_setting
from voicecli.providers.openai.errors import Server, ServerError
from voicecli.providers.openai.models import deprecation, takes_keywords, takes_prompt
from voicecli.providers.openai.settings import OpenAISettings
from voicecli.providers.openai.setup import language_code, noise_reduction
from voicecli.providers.speech_hints import check_keywords, check_languages

__all__ = ["check_model", "setting_refused", "transcription_notices", "transcription_session", "writes_meanwhile"]

JSON = dict[str, Any]

_PCM = {"type": "audio/pcm", "rate": 24_000}
_CONVERSATIONAL = re.compile(r"gpt-(4o-)?(mini-)?(realtime|audio|live)(?!-whisper|-transcribe)\b.*")
_FIELD = re.compile(r"\btranscription\b\.?(\w*)")
_HINTS = {"language": "languages", "languages": "languages", "keywords": "keywords", "prompt": "prompt"}
"""Fields in errors, and the settings that fill them."""
_MEANWHILE = ("gpt-live-transcribe", "gpt-realtime-whisper")


def writes_meanwhile(model: str) -> bool:
    """Return whether the model writes while one speaks, rather than after each utterance."""
    return model.startswith(_MEANWHILE)


def check_model(model: str) -> None:
    """Raises ConfigurationError for a model of OpenAI's that makes conversation."""
    if _CONVERSATIONAL.fullmatch(model):
        raise ConfigurationError(
            f"model: {model!r} makes conversation, and transcribes nothing by itself.",
            advice="Leave it out, or choose one that transcribes, such as gpt-transcribe.",
        )


def transcription_session(setup: TranscriberSetup, model: str) -> JSON:
    """The settings to tell the server at the start.

    Raises:
        ConfigurationError: a language or a keyword that the service would refuse.
    """
    transcription: JSON = {"model": model}
    check_languages("languages", setup.languages)
    check_keywords("keywords", setup.keywords, forbidden="<>")
    languages = list(dict.fromkeys(map(language_code, setup.languages)))
    if takes_keywords(model):
        # Both kinds together are refused, and so is a list without entries.
        if languages:
            transcription["languages"] = languages
        if setup.keywords:
            transcription["keywords"] = list(dict.fromkeys(setup.keywords))
    elif len(languages) == 1:
        transcription["language"] = languages[0].partition("-")[0]
    if setup.prompt and takes_prompt(model):
        transcription["prompt"] = setup.prompt
    # These models refuse turn detection, or never complete what it commits.
    audio: JSON = {"format": _PCM, "turn_detection": None, "transcription": transcription}
    if noise := noise_reduction(setup.config.own(OpenAISettings)):
        audio["noise_reduction"] = noise
    return {"type": "transcription", "audio": {"input": audio}}


def transcription_notices(setup: TranscriberSetup, model: str, *, is_openai: bool) -> list[Notice]:
    """Notices about what the model lacks, and about its end, which is OpenAI's own."""
    lacking: dict[str, str] = {}
    if not takes_keywords(model):
        if len(setup.languages) > 1:
            lacking["languages"] = f"{model} takes one"
        if setup.keywords:
            lacking["keywords"] = f"{model} does not take them"
    if setup.prompt and not takes_prompt(model):
        lacking["prompt"] = f"{model} does not take it"
    notices = [ignored_setting(name, why) for name, why in lacking.items()]
    if is_openai and (goes_away := deprecation(model)):
        notices.insert(0, Notice("model_deprecated", f"{model} is deprecated: {goes_away}."))
    return notices


def setting_refused(error: ServerError, server: Server) -> RealtimeConnectionError | None:
    """The error for a refused field of `transcription`, by the name that users know; None for anything else."""
    found = _FIELD.search(error.param)
    if found is None:
        return None
    setting = _HINTS.get(found[1], "model")
    return RealtimeConnectionError(
        f"{server.name}: it refused {setting!r}: {error.message.rstrip('. ') or error.name}.",
        advice=server.model_advice if setting == "model" else f"Leave {setting!r} out, or give it another value.",
        code=error.name,
    )
