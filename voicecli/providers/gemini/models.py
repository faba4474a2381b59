"""Gemini's Live models, voices and prices, and what differs between the models on the wire.

Prices and dates: as published in November 2026.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from voicecli.ports import ModelInfo, VoiceInfo
from voicecli.pricing import Prices

__all__ = [
    "DEFAULT_MODEL",
    "DEFAULT_VOICE",
    "MODELS",
    "VOICES",
    "LiveModel",
    "ToolBehavior",
    "find_model",
    "prices_for",
]

DEFAULT_MODEL = "gemini-3.8-live"
# In the set of every Live model there has been.
DEFAULT_VOICE = "Kore"

ToolBehavior = Literal["BLOCKING", "NON_BLOCKING"]
Thinking = Literal["none", "level", "level_required", "budget"]

# There is no published discount for cached input of Live models: it costs the same.
_GEMINI_3 = Prices(
    text_in=0.75,
    text_cached=0.75,
    text_out=4.50,
    audio_in=3.00,
    audio_cached=3.00,
    audio_out=12.00,
    image_in=1.00,
    image_cached=1.00,
)
_GEMINI_25 = Prices(
    text_in=0.50,
    text_cached=0.50,
    text_out=2.00,
    audio_in=3.00,
    audio_cached=3.00,
    audio_out=12.00,
    image_in=3.00,
    image_cached=3.00,
)


@dataclass(frozen=True, kw_only=True, slots=True)
class LiveModel:
    """A model, and the fields it takes: one wrong field closes the socket. The defaults are safe for any model.

    Attributes:
        thinking: how its thinking is set: not at all, by a level (that may be required), or by a budget of tokens.
        tool_behaviors: which behaviors a function may declare; none to leave it to the model.
        scheduling: whether the result of a NON_BLOCKING call may say when it is to be spoken of.
        client_content: whether turns may be told in writing after the conversation began.
        affective_dialog, proactive_audio: whether it takes these settings; both need API version v1alpha.
        always_proactive: whether it is proactive without being told.
        all_video: whether to ask that pictures count even when nobody speaks.
    """

    info: ModelInfo
    thinking: Thinking = "none"
    tool_behaviors: tuple[ToolBehavior, ...] = ()
    scheduling: bool = False
    client_content: bool = False
    affective_dialog: bool = False
    proactive_audio: bool = False
    always_proactive: bool = False
    all_video: bool = False


def _native_audio_25(name: str, note: str, deprecated: str) -> LiveModel:
    return LiveModel(
        info=ModelInfo(name, note, deprecated, _GEMINI_25),
        thinking="budget",
        tool_behaviors=("BLOCKING", "NON_BLOCKING"),
        scheduling=True,
        client_content=True,
        affective_dialog=True,
        proactive_audio=True,
    )


MODELS = (
    LiveModel(
        info=ModelInfo(DEFAULT_MODEL, "answers fast, thinks while it speaks", prices=_GEMINI_3),
        tool_behaviors=("BLOCKING", "NON_BLOCKING"),
        scheduling=True,
        client_content=True,
        always_proactive=True,
        all_video=True,
    ),
    LiveModel(
        info=ModelInfo(
            "gemini-3.8-live-extended-thinking", "thinks longer, talks meanwhile; tools run aside", prices=_GEMINI_3
        ),
        thinking="level_required",
        tool_behaviors=("NON_BLOCKING",),
        client_content=True,
        always_proactive=True,
        all_video=True,
    ),
    LiveModel(
        info=ModelInfo("gemini-3.1-flash-live-preview", "preview", "shut down on 2026-11-17", _GEMINI_3),
        thinking="level",
        tool_behaviors=("BLOCKING",),
        all_video=True,
    ),
    _native_audio_25("gemini-2.5-flash-native-audio-latest", "emotional voice", "replaced by gemini-3.8-live"),
    _native_audio_25("gemini-2.5-flash-native-audio-preview-12-2025", "preview", "shut down on 2026-11-17"),
    _native_audio_25("gemini-live-2.5-flash-native-audio", "on Vertex AI only", "retires on 2026-12-13"),
)

VOICES = tuple(
    VoiceInfo(name, style)
    for name, style in (
        ("Zephyr", "bright"),
        ("Puck", "upbeat"),
        ("Charon", "informative"),
        ("Kore", "firm"),
        ("Fenrir", "excitable"),
        ("Leda", "youthful"),
        ("Orus", "firm"),
        ("Aoede", "breezy"),
        ("Callirrhoe", "easy-going"),
        ("Autonoe", "bright"),
        ("Enceladus", "breathy"),
        ("Iapetus", "clear"),
        ("Umbriel", "easy-going"),
        ("Algieba", "smooth"),
        ("Despina", "smooth"),
        ("Erinome", "clear"),
        ("Algenib", "gravelly"),
        ("Rasalgethi", "informative"),
        ("Laomedeia", "upbeat"),
        ("Achernar", "soft"),
        ("Alnilam", "firm"),
        ("Schedar", "even"),
        ("Gacrux", "mature"),
        ("Pulcherrima", "forward"),
        ("Achird", "friendly"),
        ("Zubenelgenubi", "casual"),
        ("Vindemiatrix", "gentle"),
        ("Sadachbia", "lively"),
        ("Sadaltager", "knowledgeable"),
        ("Sulafat", "warm"),
    )
)

_BY_NAME = {model.info.name: model for model in MODELS}


def prices_for(model: str, given: Mapping[str, Prices]) -> Prices | None:
    """The prices of a model by its name or resource name: those that the user gives, else those that are known."""
    short = model.rpartition("/")[2]
    return given.get(model) or given.get(short) or find_model(short).info.prices


def find_model(name: str) -> LiveModel:
    """The entry of a model, by its name or resource name; the safest set of fields for an unknown one."""
    short = name.rpartition("/")[2]
    return _BY_NAME.get(short) or LiveModel(info=ModelInfo(short))
