"""The `session.update` that a TranscriberSetup means. What the model does not take is refused with all of the update,
hence left out, and told."""

import re
from typing import Any

from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.events import Notice
from voicecli.ports import TranscriberSetup
from voicecli.providers.ignored import ignored_setting
from voicecli.providers.openai.errors import Server, ServerError
from voicecli.providers.openai.models import deprecation
from voicecli.providers.openai.settings import OpenAISettings

__all__ = ["check_model", "setting_refused", "transcription_notices", "transcription_session", "writes_meanwhile"]

JSON = dict[str, Any]

_PCM = {"type": "audio/pcm", "rate": 24_000}
_CODE = re.compile(r"[a-z]{2,3}(-[a-z0-9]{1,8})*", re.IGNORECASE)
_REGIONAL = {"zh-cn", "zh-tw", "zh-hk"}
"""The codes of which the service takes the region, too."""
_CONVERSATIONAL = re.compile(r"gpt-(4o-)?(mini-)?(realtime|audio|live)(?!-whisper|-transcribe)\b.*")
_LISTS = ("gpt-transcribe", "gpt-live-transcribe")
"""Models that take several languages, and keywords."""
_FIELD = re.compile(r"\btranscription\b\.?(\w*)")
_HINTS = {"language": "languages", "languages": "languages", "keywords": "keywords", "prompt": "prompt"}
"""Fields in errors, and the settings that fill them."""
_MEANWHILE = ("gpt-live-transcribe", "gpt-realtime-whisper")
_WITHOUT_PROMPT = ("gpt-realtime-whisper", "gpt-4o-transcribe-diarize")


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
    languages, keywords = _languages(setup), _keywords(setup)
    if model.startswith(_LISTS):
        # Both kinds together are refused, and so is a list without entries.
        if languages:
            transcription["languages"] = languages
        if keywords:
            transcription["keywords"] = keywords
    elif len(languages) == 1:
        transcription["language"] = languages[0].partition("-")[0]
    if setup.prompt and not model.startswith(_WITHOUT_PROMPT):
        transcription["prompt"] = setup.prompt
    # These models refuse turn detection, or never complete what it commits.
    audio: JSON = {"format": _PCM, "turn_detection": None, "transcription": transcription}
    if noise := setup.config.own(OpenAISettings).noise_reduction:
        audio["noise_reduction"] = {"type": noise}
    return {"type": "transcription", "audio": {"input": audio}}


def transcription_notices(setup: TranscriberSetup, model: str) -> list[Notice]:
    """Notices about what the model lacks, and about its end."""
    lacking: dict[str, str] = {}
    if not model.startswith(_LISTS):
        if len(setup.languages) > 1:
            lacking["languages"] = f"{model} takes one"
        if setup.keywords:
            lacking["keywords"] = f"{model} does not take them"
    if setup.prompt and model.startswith(_WITHOUT_PROMPT):
        lacking["prompt"] = f"{model} does not take it"
    notices = [ignored_setting(name, why) for name, why in lacking.items()]
    if goes_away := deprecation(model):
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


def _languages(setup: TranscriberSetup) -> list[str]:
    codes: dict[str, None] = {}
    for given in setup.languages:
        code = given.strip().lower().replace("_", "-")
        if not _CODE.fullmatch(code):
            raise ConfigurationError(
                f"languages: {given!r} is no code of a language.", advice="Write codes such as en, de or zh-tw."
            )
        codes[code if code in _REGIONAL else code.partition("-")[0]] = None
    return list(codes)


def _keywords(setup: TranscriberSetup) -> list[str]:
    words: dict[str, None] = {}
    for given in setup.keywords:
        word = given.strip()
        if not word or not word.isprintable() or "<" in word or ">" in word:
            raise ConfigurationError(
                f"keywords: OpenAI does not take {given!r}.", advice="Write single lines without < and >."
            )
        words[word] = None
    return list(words)
