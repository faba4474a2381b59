"""Models, voices and prices of OpenAI's Realtime API: what each takes, and the reading of usage reports."""

import re
from collections.abc import Mapping
from typing import Any

from voicecli.events import Usage
from voicecli.ports import ModelInfo, VoiceInfo
from voicecli.pricing import Prices, with_cost
from voicecli.providers.fields import at
from voicecli.text import valid_text

__all__ = [
    "BACKEND_MODELS",
    "DEFAULT_BACKEND_MODEL",
    "DEFAULT_MODEL",
    "DEFAULT_TRANSCRIPTION_MODEL",
    "DEFAULT_VOICE",
    "MODELS",
    "PRICES_AS_OF",
    "TRANSCRIPTION_MODELS",
    "VOICES",
    "deprecation",
    "is_live",
    "is_reasoning",
    "prices_of",
    "response_usage",
    "takes_keywords",
    "takes_prompt",
    "transcription_usage",
    "voice_name",
    "voice_on_wire",
]

DEFAULT_MODEL = "gpt-realtime-2.1"
DEFAULT_VOICE = "marin"
DEFAULT_TRANSCRIPTION_MODEL = "gpt-transcribe"
DEFAULT_BACKEND_MODEL = "gpt-5.6-luna"
"""To which GPT-Live hands work over."""

PRICES_AS_OF = "2026-10"
"""The day on which the model pages that these prices are from were read."""

_LARGE_REASONING = Prices(4.00, 0.40, 24.00, 32.00, 0.40, 64.00, 5.00, 0.50)
_LARGE = Prices(4.00, 0.40, 16.00, 32.00, 0.40, 64.00, 5.00, 0.50)
_SMALL = Prices(0.60, 0.06, 2.40, 10.00, 0.30, 20.00, 0.80, 0.08)
_LIVE = Prices(session_minute=0.05)
_SHUTDOWN = "shut down on 2027-01-20"

MODELS = (
    ModelInfo("gpt-realtime-2.1", "recommended; reasons; 128k context", prices=_LARGE_REASONING),
    ModelInfo("gpt-realtime-2.1-mini", "cheap; reasons; 128k context", prices=_SMALL),
    ModelInfo("gpt-realtime-2", "superseded by 2.1; reasons; 128k context", prices=_LARGE_REASONING),
    ModelInfo("gpt-live-1.1", "full duplex; billed by the minute, silence too; 128k context", prices=_LIVE),
    ModelInfo("gpt-live-1", "superseded by 1.1; full duplex; billed by the minute, silence too", prices=_LIVE),
    ModelInfo("gpt-realtime-1.5", "32k context", prices=_LARGE),
    ModelInfo("gpt-realtime", "32k context", f"{_SHUTDOWN}; use gpt-realtime-2.1", _LARGE),
    ModelInfo("gpt-realtime-mini", "32k context", f"{_SHUTDOWN}; use gpt-realtime-2.1-mini", _SMALL),
    ModelInfo("gpt-audio-mini", "32k context", f"{_SHUTDOWN}; use gpt-realtime-2.1-mini"),
)

_LIVE_VOICES = {
    "American English": ("gleam", "meridian"),
    "of the American South": ("delta", "cinder"),
    "British English": ("vesper",),
    "Irish English": ("willow", "stone"),
    "Australian English": ("quartz", "ripple"),
    "Filipino English": ("beacon",),
    "Brazilian Portuguese": ("bossa", "tempo"),
    "Japanese": ("shida",),
    "German, French, Hindi, Japanese or Korean": (
        *("nuri", "juni", "flitz", "brise", "sillage", "nira", "harema", "noeul"),
    ),
}
VOICES = (
    VoiceInfo("marin", "recommended"),
    VoiceInfo("cedar", "recommended"),
    *(VoiceInfo(name) for name in ("alloy", "ash", "ballad", "coral", "echo", "sage", "shimmer", "verse")),
    *(VoiceInfo(name, f"GPT-Live only; {where}") for where, names in _LIVE_VOICES.items() for name in names),
)

BACKEND_MODELS = {
    "gpt-5.6-luna": Prices(0.20, 0.02, 1.20),
    "gpt-5.6-terra": Prices(2.00, 0.20, 12.00),
}
"""Models to which GPT-Live can hand work over, and their prices; pictures count as text there."""

_TRANSCRIPTION_SHUTDOWN = "shut down on 2027-02-26; use gpt-transcribe"
# Text and audio tokens cost the same here.
_4O = Prices(2.50, 2.50, 10.00, 2.50, 2.50, 10.00)
_4O_MINI = Prices(1.25, 1.25, 5.00, 1.25, 1.25, 5.00)

TRANSCRIPTION_MODELS = (
    ModelInfo("gpt-transcribe", "recommended; begins at the end of a turn", prices=Prices(transcription_minute=0.0045)),
    ModelInfo("gpt-live-transcribe", "while you speak", prices=Prices(transcription_minute=0.017)),
    ModelInfo("gpt-realtime-whisper", "while you speak; no keywords", prices=Prices(transcription_minute=0.017)),
    ModelInfo("gpt-4o-transcribe", "", _TRANSCRIPTION_SHUTDOWN, _4O),
    ModelInfo("gpt-4o-transcribe-diarize", "", _TRANSCRIPTION_SHUTDOWN),
    ModelInfo("gpt-4o-mini-transcribe", "", _TRANSCRIPTION_SHUTDOWN, _4O_MINI),
    ModelInfo("whisper-1", "", _TRANSCRIPTION_SHUTDOWN, Prices(transcription_minute=0.006)),
)
"""Models that write down what the user says, in a conversation or without one. The first one costs a quarter of the
next two, and takes a recording as fast as it can be sent."""

_BY_NAME = {model.name: model for model in (*MODELS, *TRANSCRIPTION_MODELS)}
_PRICES = {name: model.prices for name, model in _BY_NAME.items()} | BACKEND_MODELS
_SNAPSHOT = re.compile(r"-\d{4}-\d{2}-\d{2}$")
# gpt-realtime-2, -2.1, -2.1-mini; not gpt-realtime-2025-08-28.
_REASONING = re.compile(r"gpt-realtime-2(\.\d+)?(-.*)?")
_TAKES_KEYWORDS = re.compile(r"gpt-(live-)?transcribe(-.*)?")
_TAKES_NO_PROMPT = re.compile(r"gpt-realtime-whisper(-.*)?|.*-diarize(-.*)?")
_CUSTOM_VOICE = "voice_"


def is_live(model: str) -> bool:
    """Return whether the model speaks GPT-Live, rather than the Realtime API."""
    return model.startswith("gpt-live-") and not model.startswith("gpt-live-transcribe")


def is_reasoning(model: str) -> bool:
    """Return whether the model takes `reasoning` and `parallel_tool_calls`; others refuse the whole update for them."""
    return bool(_REASONING.fullmatch(model))


def takes_keywords(model: str) -> bool:
    """Return whether the transcription model takes `keywords`, and several `languages`."""
    return bool(_TAKES_KEYWORDS.fullmatch(model))


def takes_prompt(model: str) -> bool:
    """Return whether the transcription model takes a `prompt`; most do."""
    return not _TAKES_NO_PROMPT.fullmatch(model)


def voice_on_wire(voice: str) -> str | dict[str, str]:
    """The voice as the API takes it: the id of a custom one ("voice_1234") is an object, any other a name."""
    return {"id": voice} if voice.startswith(_CUSTOM_VOICE) else voice


def voice_name(voice: object) -> str:
    """The name, or the id, of a voice that a server tells; "" where it tells none."""
    name = voice.get("id") if isinstance(voice, Mapping) else voice
    return valid_text(name) if isinstance(name, str) else ""


def deprecation(model: str) -> str:
    """Tell when and why the model goes away; "" for one that stays, or is not known."""
    if model.startswith(("gpt-4o-realtime-preview", "gpt-4o-mini-realtime-preview")):
        return "gone with the beta in May 2026; use gpt-realtime-2.1"
    known = _known(model)
    return known.deprecated if known else ""


def prices_of(model: str) -> Prices | None:
    """The prices of a model, also of one that transcribes; None where they are not known."""
    return _PRICES.get(model) or _PRICES.get(_SNAPSHOT.sub("", model))


def response_usage(usage: object, prices: Prices | None) -> Usage:
    """The `usage` of a response.done, with its cost; the zero Usage where it says nothing."""
    if not isinstance(usage, Mapping):
        return Usage()
    given = at(usage, "input_token_details")
    made = at(usage, "output_token_details")
    cached = at(given, "cached_tokens_details")
    text_in, audio_in, image_in = (_count(given, f"{kind}_tokens") for kind in ("text", "audio", "image"))
    text_out, audio_out = (_count(made, f"{kind}_tokens") for kind in ("text", "audio"))
    approximate = False
    # Thinking may be reported outside the modalities; what they do not account for is text.
    if (rest := _count(usage, "input_tokens") - text_in - audio_in - image_in) > 0:
        text_in, approximate = text_in + rest, True
    if (rest := _count(usage, "output_tokens") - text_out - audio_out) > 0:
        text_out, approximate = text_out + rest, True
    cached_text, cached_audio, cached_image = (_count(cached, f"{kind}_tokens") for kind in ("text", "audio", "image"))
    if not cached and (cached_tokens := _count(given, "cached_tokens")):
        cached_text, approximate = min(cached_tokens, text_in), True
    return with_cost(
        Usage(
            input_text_tokens=text_in,
            input_audio_tokens=audio_in,
            input_image_tokens=image_in,
            cached_text_tokens=min(cached_text, text_in),
            cached_audio_tokens=min(cached_audio, audio_in),
            cached_image_tokens=min(cached_image, image_in),
            output_text_tokens=text_out,
            output_audio_tokens=audio_out,
            approximate=approximate,
        ),
        prices,
    )


def transcription_usage(usage: object, prices: Prices | None) -> Usage:
    """The `usage` of a finished transcription, seconds or tokens, with what it costs by the prices of that model."""
    if not isinstance(usage, Mapping):
        return Usage()
    if "seconds" in usage:
        seconds = usage["seconds"]
        if not isinstance(seconds, int | float) or not 0 <= seconds < 1e9:
            return Usage()
        return with_cost(Usage(transcription_seconds=float(seconds)), prices)
    details = at(usage, "input_token_details")
    text = _count(details, "text_tokens")
    tokens = Usage(
        input_text_tokens=text,
        input_audio_tokens=max(_count(usage, "input_tokens") - text, 0),
        output_text_tokens=_count(usage, "output_tokens"),
        approximate=not details,
    )
    return with_cost(tokens, prices)


def _known(model: str) -> ModelInfo | None:
    return _BY_NAME.get(model) or _BY_NAME.get(_SNAPSHOT.sub("", model))


def _count(details: Mapping[str, Any], name: str) -> int:
    value = details.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63 else 0
