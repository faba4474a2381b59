"""The offline engine's own settings."""

from dataclasses import dataclass
from typing import Literal

from voicecli.config import ProviderSettings, setting

__all__ = ["BUILT_IN", "Backchannels", "LocalSettings"]

BUILT_IN = "smollm2"
Backchannels = Literal["words", "wide", "off"]


@dataclass(frozen=True, kw_only=True)
class LocalSettings(ProviderSettings):
    """Settings that only the offline engine has.

    Attributes:
        llm: its language model: "smollm2" (built in), a path to a .gguf file, or the URL of an OpenAI-compatible
            endpoint; not shown, as that may hold a key.
        llm_model: the model's name at that endpoint; None takes the only one it has.
        llm_api_key: a key for that endpoint, where it needs one. Never shown.
        backchannels: what the user may say while a reply is spoken without interrupting it, as it only shows that they
            listen: "words" knows the usual ones ("mm-hm", "okay, yeah"); "wide" takes all short remarks that neither
            command nor ask, and now and then one that was meant; "off" none. After a question they are answers.
    """

    llm: str = setting(
        "smollm2",
        shown=False,
        metavar="WHAT",
        help="smollm2, a .gguf file, or the URL of an OpenAI-compatible endpoint.",
    )
    llm_model: str | None = setting(
        None, metavar="NAME", help="The model's name at that URL; a key for it goes into VOICE_LLM_API_KEY."
    )
    llm_api_key: str | None = setting(None, secret=True)
    backchannels: Backchannels = setting(
        "words",
        metavar="WHICH",
        help='What shows that you listen ("mm-hm") and does not stop a reply: words, wide (short remarks) or off.',
    )
