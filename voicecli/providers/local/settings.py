"""The offline engine's own settings."""

from dataclasses import dataclass
from typing import Literal

from voicecli.config import ProviderSettings, setting

__all__ = ["BUILT_IN", "VOICE", "Backchannels", "LocalSettings"]

BUILT_IN = "smollm2"
"""The language model that needs no server and no choice."""
VOICE = "joe"
"""The voice that is installed with the engine."""
Backchannels = Literal["words", "wide", "off"]


@dataclass(frozen=True, kw_only=True)
class LocalSettings(ProviderSettings):
    """Settings that only the offline engine has.

    Attributes:
        llm: its language model: "smollm2" (built in), the name of one that was pulled, the path of a .gguf file, or the
            URL of an OpenAI-compatible endpoint; None takes that of a server on this machine (Ollama, LM Studio,
            llama.cpp), or else the built-in one. Not shown, as a URL may hold a key.
        llm_model: the model's name at that endpoint; None takes the only one it has, or the one in memory.
        llm_api_key: a key for that endpoint, where it needs one. Never shown.
        backchannels: what the user may say while a reply is spoken without interrupting it, as it only shows that they
            listen: "words" knows the usual ones ("mm-hm", "okay, yeah"); "wide" takes all short remarks that neither
            command nor ask, and now and then one that was meant; "off" none. After a question they are answers.
    """

    llm: str | None = setting(
        None,
        shown=False,
        metavar="NAME|FILE|URL",
        common=True,
        help="smollm2 (built in), a model that was pulled, a .gguf file, or the URL of an OpenAI-compatible endpoint. "
        "Without it: a server on this machine (Ollama, LM Studio, llama.cpp), or else smollm2.",
    )
    llm_model: str | None = setting(
        None, metavar="NAME", help="The model's name at that server; a key for it goes into VOICE_LLM_API_KEY."
    )
    llm_api_key: str | None = setting(None, secret=True)
    backchannels: Backchannels = setting(
        "words",
        metavar="WHICH",
        help='What shows that you listen ("mm-hm") and does not stop a reply: words, wide (short remarks) or off.',
    )
