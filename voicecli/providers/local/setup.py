"""The language model that the settings ask for, and what the offline engine does not have."""

from pathlib import Path

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.providers.local.settings import BUILT_IN, LocalSettings

__all__ = ["chosen_llm", "lacks"]

_URL = ("http://", "https://")
_WHAT_THERE_IS = f'Use "{BUILT_IN}" (built in), the path of a .gguf file, or the URL of an OpenAI-compatible endpoint.'
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


def chosen_llm(config: RealtimeConfig) -> str:
    """The language model that `config` asks for: "smollm2", the path of a .gguf file, or an endpoint's URL.

    It may be named in `llm` or in `model`.

    Raises:
        ConfigurationError: it is none of these, or the file does not exist.
    """
    own = config.own(LocalSettings)
    name, field = own.llm, "llm"
    if config.model not in (None, BUILT_IN) and not (name.startswith(_URL) and own.llm_model in (None, config.model)):
        name, field = str(config.model), "model"
    if name == BUILT_IN or name.startswith(_URL):
        return name
    path = Path(name).expanduser()
    if path.suffix != ".gguf":
        raise ConfigurationError(f"{field}: the offline engine has no model {name!r}.", advice=_WHAT_THERE_IS)
    if not path.is_file():
        raise ConfigurationError(f"{field}: there is no file {name}.", advice=_WHAT_THERE_IS)
    return str(path)


def lacks(config: RealtimeConfig) -> dict[str, str]:
    """The settings that the engine, or its language model, does not have, and why."""
    if config.own(LocalSettings).llm.startswith(_URL) or (config.model or "").startswith(_URL):
        return {name: why for name, why in _LACKS.items() if name != "reasoning_effort"}
    return _LACKS | {"llm_model": _ENDPOINTS, "llm_api_key": _ENDPOINTS}
