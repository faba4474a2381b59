"""The language model that the settings ask for, and what the offline engine does not have."""

import ipaddress
from urllib.parse import urlsplit

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.pricing import Prices
from voicecli.providers.local.downloads.catalogue import Download, known, names
from voicecli.providers.local.settings import BUILT_IN, VOICE, LocalSettings
from voicecli.user_folders import expanded

__all__ = [
    "chosen_llm",
    "chosen_voice",
    "endpoint_address",
    "is_loopback",
    "is_url",
    "lacks",
    "model_at_endpoint",
    "priced_models",
]

_URL = ("http://", "https://")
_WHAT_THERE_IS = (
    f'Use "{BUILT_IN}" (built in), {", ".join(names("language model"))} (to download), the path of a .gguf file, or '
    "the URL of an OpenAI-compatible endpoint."
)
_LACKS = {
    "reasoning_effort": "the offline engine's models do not reason",
    "turn_detection.eagerness": "the offline engine has turn_model instead",
    "turn_detection.start_sensitivity": "the offline engine has a threshold instead",
    "turn_detection.end_sensitivity": "the offline engine has a threshold instead",
    "turn_detection.idle_timeout_ms": "the offline engine does not speak up by itself",
    "base_url": "the offline engine has no server",
    "headers": "the offline engine has no server",
    "debug_file": "the offline engine has no frames",
}
_ENDPOINTS = "only a model behind a URL has it"


def is_url(llm: str) -> bool:
    """True for the URL of an endpoint."""
    return llm.startswith(_URL)


def chosen_llm(config: RealtimeConfig) -> str | None:
    """The language model that `config` asks for: "smollm2", a download's name, a .gguf file's path, an endpoint's URL.

    It may be named in `llm` or in `model`. None if it is named nowhere: then a server on this machine is looked for.

    Raises:
        ConfigurationError: it is none of these, the file does not exist, or is not downloaded yet.
    """
    own = config.own(LocalSettings)
    name, field = own.llm, "llm"
    model_of_endpoint = name is not None and is_url(name) and own.llm_model in (None, config.model)
    if config.model is not None and (name is None or config.model != BUILT_IN) and not model_of_endpoint:
        name, field = config.model, "model"
    if name is None or name == BUILT_IN or is_url(name):
        return name
    if (download := known(name, "language model")) is not None:
        _check_downloaded(download, field)
        return download.name
    path = expanded(name)
    if path.suffix != ".gguf":
        raise ConfigurationError(f"{field}: the offline engine has no model {name!r}.", advice=_WHAT_THERE_IS)
    if not path.is_file():
        raise ConfigurationError(f"{field}: there is no file {name}.", advice=_WHAT_THERE_IS)
    return str(path)


def endpoint_address(config: RealtimeConfig) -> str:
    """The URL of the endpoint that `config` asks for; "" where the words of a conversation stay on this machine."""
    names = (config.own(LocalSettings).llm, config.model)
    return next((name for name in names if name is not None and is_url(name)), "")


def model_at_endpoint(config: RealtimeConfig) -> str | None:
    """The model that is wanted of an endpoint, named in `llm_model` or in `model`; None if any will do."""
    own = config.own(LocalSettings)
    named = config.model if config.model != BUILT_IN and own.llm is not None and is_url(own.llm) else None
    return own.llm_model or named


def is_loopback(host: str) -> bool:
    """True for an address of this machine."""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def priced_models(config: RealtimeConfig) -> dict[str, Prices | None]:
    """The language model, where it is elsewhere: what it costs there is not known. All else costs nothing."""
    try:
        host = urlsplit(endpoint_address(config)).hostname or ""
    except ValueError:  # whoever connects says so
        host = ""
    return {} if not host or is_loopback(host) else {model_at_endpoint(config) or f"the model at {host}": None}


def chosen_voice(config: RealtimeConfig) -> str:
    """The voice that `config` asks for: "joe", the name of a download, or the path of an .onnx file.

    Raises:
        ConfigurationError: it is none of these, the file does not exist, or is not downloaded yet.
    """
    name = config.voice
    if name is None or name == VOICE:
        return VOICE
    if (download := known(name, "voice")) is not None:
        _check_downloaded(download, "voice")
        return download.name
    path = expanded(name)
    if path.suffix != ".onnx":
        voices = ", ".join([f"{VOICE} (built in)", *names("voice")])
        raise ConfigurationError(
            f"voice: the offline engine has no voice {name!r}.",
            advice=f"Use {voices} (to download: voice models pull NAME), or the path of an .onnx file made for Piper.",
        )
    for file in (path, path.with_name(f"{path.name}.json")):
        if not file.is_file():
            raise ConfigurationError(
                f"voice: there is no file {file}.",
                advice="A voice made for Piper is an .onnx file and an .onnx.json file.",
            )
    return str(path)


def _check_downloaded(download: Download, field: str) -> None:
    from voicecli.providers.local.downloads.store import read_record

    if read_record(download) is None:
        raise ConfigurationError(
            f"{field}: {download.name} is not downloaded yet.", advice=f"Run: voice models pull {download.name}"
        )


def lacks(config: RealtimeConfig) -> dict[str, str]:
    """The settings that the engine, or its language model, does not have, and why."""
    if any(name is not None and is_url(name) for name in (config.own(LocalSettings).llm, config.model)):
        return {name: why for name, why in _LACKS.items() if name != "reasoning_effort"}
    return _LACKS | {"llm_model": _ENDPOINTS, "llm_api_key": _ENDPOINTS}
