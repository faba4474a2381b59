"""The real models, loaded once."""

import asyncio
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from voicecli.providers.local.chat_model import Message
from voicecli.providers.local.llama import LlamaModel
from voicecli.providers.local.model_file import ensure_model
from voicecli.providers.local.stt import Moonshine
from voicecli.providers.local.tts import Piper

HEAD = Message("system", "You are a friendly voice assistant. Your answers are spoken, so keep them short.")


@dataclass
class Models:
    hearing: Moonshine
    model: LlamaModel
    voice: Piper


@pytest.fixture(scope="session")
def model_path() -> Path:
    return ensure_model()


@pytest.fixture(scope="session")
def models(model_path: Path) -> Iterator[Models]:
    async def load() -> Models:
        return Models(*await asyncio.gather(Moonshine.load(), LlamaModel.load(model_path), Piper.load()))

    async def close(loaded: Models) -> None:
        await asyncio.gather(loaded.hearing.aclose(), loaded.model.aclose(), loaded.voice.aclose())

    loaded = asyncio.run(load())
    yield loaded
    asyncio.run(close(loaded))
