"""The offline engine's own settings."""

from dataclasses import dataclass

from voicecli.config import ProviderSettings, setting

__all__ = ["BUILT_IN", "LocalSettings"]

BUILT_IN = "smollm2"


@dataclass(frozen=True, kw_only=True)
class LocalSettings(ProviderSettings):
    """Settings that only the offline engine has.

    Attributes:
        llm: its language model: "smollm2" (built in), a path to a .gguf file, or the URL of an OpenAI-compatible
            endpoint; not shown, as that may hold a key.
        llm_model: the model's name at that endpoint; None takes the only one it has.
        llm_api_key: a key for that endpoint, where it needs one. Never shown.
    """

    llm: str = setting(
        "smollm2",
        shown=False,
        metavar="WHAT",
        common=True,
        help="smollm2, a .gguf file, or the URL of an OpenAI-compatible endpoint.",
    )
    llm_model: str | None = setting(
        None, metavar="NAME", help="The model's name at that URL; a key for it goes into VOICE_LLM_API_KEY."
    )
    llm_api_key: str | None = setting(None, secret=True, help="A key for the server of --llm.")
