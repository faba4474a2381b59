"""The engine's voices: the one that is installed with it, and any other that was made for Piper."""

from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

from voicecli.audio.pcm import resample_pcm16
from voicecli.providers.local.downloads.catalogue import known
from voicecli.providers.local.downloads.store import checked_path
from voicecli.providers.local.settings import VOICE
from voicecli.providers.local.tts import Piper, PiperSynthesizer, TextToSpeech, read_config
from voicecli.providers.local.voice_graph import open_session
from voicecli.telemetry import without_telemetry
from voicecli.threads import Worker

with without_telemetry():
    from piper import PiperVoice, SynthesisConfig

__all__ = ["OtherVoice", "load_voice"]

_RATE = 22_050


async def load_voice(voice: str, *, speed: float) -> TextToSpeech:
    """Load a voice.

    Args:
        voice: "joe", the name of a download, or the path of an .onnx file.
        speed: 1.0 is the voice's own.

    Raises:
        RealtimeError: it cannot be loaded.
    """
    if voice == VOICE:
        return await Piper.load(speed=speed)
    return await OtherVoice.load(voice, speed=speed)


class OtherVoice(PiperSynthesizer):
    """Synthesizer with any voice for Piper, a sentence at a time; of several speakers the first.

    A sentence that is being made cannot be stopped; closing the generator drops it.
    """

    def __init__(self, worker: Worker, loaded: Any, speed: float) -> None:
        super().__init__(worker, loaded, speed)
        self._voice = loaded
        # Without randomness, as the installed voice.
        self._style = SynthesisConfig(length_scale=1 / speed, noise_scale=0.0, noise_w_scale=0.0)

    @classmethod
    async def load(cls, voice: str, *, speed: float = 1.0) -> "OtherVoice":
        """Load it, by a download's name or the path of its .onnx file. Raises RealtimeError."""
        return await cls._begin(partial(_load, voice), speed)

    def _sounds(self, text: str) -> Iterator[bytes]:
        for chunk in self._voice.synthesize(text, self._style):
            if sound := resample_pcm16(chunk.audio_int16_bytes, chunk.sample_rate, _RATE):
                yield sound


def _load(voice: str) -> Any:
    download = known(voice, "voice")
    model = Path(voice) if download is None else checked_path(download)
    config = read_config(model.with_name(f"{model.name}.json"), "Give one that was made for Piper.")
    return PiperVoice(session=open_session(model), config=config)
