"""Sound: where it comes from, where it goes, and what is done to it on the way.

All audio inside voicecli is PCM16: signed 16-bit little-endian samples, mono, as `bytes`.
"""

from typing import TYPE_CHECKING

from voicecli.audio.ports import AudioSink, AudioSource, EchoMode, Playhead
from voicecli.lazy_names import name_loader

if TYPE_CHECKING:
    from voicecli.audio.devices.microphone import Microphone
    from voicecli.audio.devices.speaker import Speaker
    from voicecli.audio.pcm import chunk_audio, float32_to_pcm16, pcm16_to_float32, resample_pcm16
    from voicecli.audio.wake.wake_word import WakeWord

__all__ = [
    "AudioSink",
    "AudioSource",
    "EchoMode",
    "Microphone",
    "Playhead",
    "Speaker",
    "WakeWord",
    "chunk_audio",
    "float32_to_pcm16",
    "pcm16_to_float32",
    "resample_pcm16",
]


_PCM = ("chunk_audio", "float32_to_pcm16", "pcm16_to_float32", "resample_pcm16")
_HOMES = {
    "Microphone": "devices.microphone",
    "Speaker": "devices.speaker",
    "WakeWord": "wake.wake_word",
    **dict.fromkeys(_PCM, "pcm"),
}


if not TYPE_CHECKING:  # with it, a type checker would take any name for one that there is
    # numpy, soxr and sounddevice load on first use: `import voicecli` and `voice --help` must not pay for them.
    __getattr__ = name_loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
