"""Speech to text (STT) with Moonshine tiny-en, which ships inside the package moonshine-voice."""

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np

from voicecli.errors import RealtimeError
from voicecli.install import reinstall_command
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

with without_telemetry():  # it brings an onnxruntime of its own
    from moonshine_voice import ModelArch, MoonshineError, get_model_path
    from moonshine_voice.transcriber import Transcriber

__all__ = ["Moonshine", "SpeechToText"]

_RATE = 16_000


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
    """Recognizer with Moonshine. Its library is not thread-safe: everything runs on one thread."""

    def __init__(self, worker: Worker, transcriber: Any) -> None:
        self._worker = worker
        self._transcriber = transcriber
        self._stream: Any = None
        self._utterance = ""

    @classmethod
    async def load(cls, *, max_tokens_per_second: float | None = None) -> "Moonshine":
        """Load the model: about 0.5 s, 200 MB.

        Args:
            max_tokens_per_second: of audio; no more words are made of it. Half of the time goes into them.
        """
        worker = Worker("stt")
        options = {
            "return_audio_data": "false",  # it is ours already
            "identify_speakers": "false",
            # It gets nothing but turns, and need not look for speech in them: that cuts sentences apart, and takes
            # the breath before the first word for a word ("You It was the best of times").
            "vad_threshold": "0",
        }
        if max_tokens_per_second is not None:
            options["max_tokens_per_second"] = str(max_tokens_per_second)
        model = str(get_model_path("tiny-en"))
        try:
            return cls(worker, await worker.run(lambda: Transcriber(model, ModelArch.TINY, options=options)))
        except (MoonshineError, OSError) as error:
            await worker.aclose()
            raise RealtimeError(
                f"The speech recognition cannot be loaded from {model}: {error}",
                advice=f"Install it anew: {reinstall_command('moonshine-voice==0.0.73')}",
            ) from error
        except BaseException:
            await worker.aclose()
            raise

    async def transcribe(self, audio: bytes) -> str:
        # One pass over the whole: the last line of a stream can be stale.
        return await self._words(lambda: self._transcriber.transcribe_without_streaming(_samples(audio), _RATE))

    async def partial(self, utterance: str, audio: bytes) -> str:
        return await self._words(lambda: self._continue(utterance, audio))

    async def _words(self, work: Callable[[], Any]) -> str:
        try:
            transcript = await self._worker.run(work)
        except MoonshineError as error:
            raise RealtimeError(f"The speech recognition failed: {error}") from error
        return " ".join(text for line in transcript.lines if (text := line.text.strip()))

    def _continue(self, utterance: str, audio: bytes) -> Any:
        if utterance != self._utterance:
            self._close_stream()
            # We ask for each update: the library's own clock never does.
            self._stream = self._transcriber.create_stream(update_interval=float("inf"))
            self._stream.start()
            self._utterance = utterance
        self._stream.add_audio(_samples(audio), _RATE)
        return self._stream.update_transcription()

    def _close_stream(self) -> None:
        if self._stream is not None:
            self._stream.close()
            self._stream = None

    async def aclose(self) -> None:
        def release() -> None:
            self._close_stream()
            self._transcriber.close()

        await self._worker.aclose(release)


def _samples(audio: bytes) -> list[float]:
    # The library takes nothing but a list.
    samples: list[float] = (np.frombuffer(audio, "<i2") / np.float32(32768)).tolist()
    return samples
