"""The offline engine's models for tests that need real ones: loaded once, by whoever asks first."""

import asyncio
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:  # nobody waits for these libraries who needs no models
    from voicecli.audio.speech_to_text import Moonshine
    from voicecli.providers.local.llama import LlamaModel
    from voicecli.providers.local.tts import Piper

__all__ = ["Models", "model_path", "models", "shared_models"]


@dataclass
class Models:
    hearing: "Moonshine"
    model: "LlamaModel"
    voice: "Piper"


@pytest.fixture(scope="session")
def model_path() -> Path:
    from voicecli.providers.local.model_file import ensure_model

    return ensure_model()


@pytest.fixture(scope="session")
def models(model_path: Path) -> Iterator[Models]:
    from voicecli.audio.speech_to_text import Moonshine
    from voicecli.providers.local.llama import LlamaModel
    from voicecli.providers.local.tts import Piper

    async def load() -> Models:
        return Models(*await asyncio.gather(Moonshine.load(), LlamaModel.load(model_path), Piper.load()))

    async def close(loaded: Models) -> None:
        await asyncio.gather(loaded.hearing.aclose(), loaded.model.aclose(), loaded.voice.aclose())

    loaded = asyncio.run(load())
    yield loaded
    asyncio.run(close(loaded))


@pytest.fixture
def shared_models(models: Models, model_path: Path, monkeypatch: pytest.MonkeyPatch) -> Models:
    """Have the engine take the models that are loaded already, where it would load the same, and leave them open."""
    defaults: list[tuple[Any, list[object], dict[str, object]]] = [
        (models.hearing, [], {}),
        (models.model, [model_path], {"temperature": None, "max_tokens": None}),
        (models.voice, [], {"speed": 1.0}),
    ]
    for model, arguments, settings in defaults:
        monkeypatch.setattr(type(model), "load", _loader(model, arguments, settings))
        monkeypatch.setattr(model, "aclose", _leave_open)
    return models


def _loader(model: Any, arguments: list[object], settings: dict[str, object]) -> Callable[..., Awaitable[Any]]:
    load = type(model).load

    async def loaded(*given: object, **given_settings: object) -> Any:
        if list(given) == arguments and given_settings == settings:
            return model
        return await load(*given, **given_settings)

    return loaded


async def _leave_open() -> None:
    return
