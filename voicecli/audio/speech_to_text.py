"""Speech to text (STT) with Moonshine tiny-en, on onnxruntime."""

import math
import threading
from collections.abc import Callable, Sequence
from functools import partial
from typing import Protocol

import numpy as np

from voicecli.audio.moonshine import RATE, MoonshineModel
from voicecli.audio.recogniser_files import ensure_recogniser
from voicecli.errors import RealtimeError
from voicecli.install import reinstall_command
from voicecli.pcm16 import PcmFormat
from voicecli.threads import Worker

__all__ = ["Moonshine", "SpeechToText"]

_AUDIO = PcmFormat(RATE)
_TOKENS_PER_SECOND = 6.5
"""What fast speech takes. The model's authors set this limit: what goes beyond it, in noise, repeats itself."""


class SpeechToText(Protocol):
    """Speech recognizer of PCM16 mono at 16000 Hz."""

    async def transcribe(self, audio: bytes) -> str:
        """Transcribe a complete utterance; "" when there are no words. Bare noise may be taken for a word."""

    async def partial(self, utterance: str, audio: bytes) -> str:
        """Transcribe an utterance that goes on, so far.

        Args:
            utterance: its name.
            audio: what is new since the last call for it.
        """

    async def aclose(self) -> None:
        """Release the model."""


class Moonshine:
    """Recognizer with Moonshine, on a thread of its own.

    The words of an utterance so far are the draft of what it is when it has gone on, which saves half of the time, or
    more: also of `transcribe`, for audio that begins as that of the last `partial` did.
    """

    def __init__(self, worker: Worker, model: MoonshineModel, tokens_per_second: float) -> None:
        self._worker = worker
        self._model = model
        self._tokens_per_second = tokens_per_second
        self._utterance = ""
        self._heard = bytearray()  # of the utterance
        self._draft: list[int] = []  # its words when that was all

    @classmethod
    async def load(cls, *, max_tokens_per_second: float | None = None) -> "Moonshine":
        """Fetch the model, if that was not done, and load it.

        Args:
            max_tokens_per_second: of audio; no more words are made of it. Most of the time goes into them.

        Raises:
            ConfigurationError: its files cannot be kept.
            RealtimeConnectionError: they cannot be fetched.
            RealtimeError: they cannot be loaded.
        """
        worker, stop = Worker("stt"), threading.Event()
        try:
            files = await worker.run(partial(ensure_recogniser, stop=stop))
            try:
                model = await worker.run(partial(MoonshineModel.load, *files))
            except Exception as error:  # onnxruntime's errors have no base of their own
                raise RealtimeError(
                    f"The speech recognition cannot be loaded: {error}",
                    advice=f"Install it anew: {reinstall_command('onnxruntime')}",
                ) from error
        except BaseException:
            stop.set()
            await worker.aclose()
            raise
        return cls(worker, model, max_tokens_per_second or _TOKENS_PER_SECOND)

    async def transcribe(self, audio: bytes) -> str:
        return await self._words(partial(self._whole, audio))

    async def partial(self, utterance: str, audio: bytes) -> str:
        return await self._words(partial(self._so_far, utterance, audio))

    async def _words(self, work: Callable[[], list[int]]) -> str:
        try:
            return self._model.text(await self._worker.run(work))
        except Exception as error:
            raise RealtimeError(f"The speech recognition failed: {error}") from error

    def _whole(self, audio: bytes) -> list[int]:
        return self._tokens(audio, self._draft if audio.startswith(self._heard) else ())

    def _so_far(self, utterance: str, audio: bytes) -> list[int]:
        if utterance != self._utterance:
            self._utterance, self._heard, self._draft = utterance, bytearray(), []
        self._heard += audio
        self._draft = self._tokens(bytes(self._heard), self._draft)
        return self._draft

    def _tokens(self, audio: bytes, draft: Sequence[int]) -> list[int]:
        if not audio:
            return []
        samples = np.frombuffer(audio, "<i2").astype(np.float32) / np.float32(32768)
        seconds = _AUDIO.duration_ms(len(audio)) / 1000
        return self._model.tokens(samples, math.ceil(seconds * self._tokens_per_second), draft)

    async def aclose(self) -> None:
        await self._worker.aclose()
