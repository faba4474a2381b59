"""Sound: where it comes from, where it goes, and what is done to it on the way.

All audio inside voicecli is PCM16: signed 16-bit little-endian samples, mono, as `bytes`.
"""

from typing import TYPE_CHECKING, Any

from voicecli.audio.ports import AudioSink, AudioSource, EchoMode, Playhead

if TYPE_CHECKING:
    from voicecli.audio.pcm import chunk_audio, float32_to_pcm16, pcm16_to_float32, resample_pcm16

__all__ = [
    "AudioSink",
    "AudioSource",
    "EchoMode",
    "Playhead",
    "chunk_audio",
    "float32_to_pcm16",
    "pcm16_to_float32",
    "resample_pcm16",
]


def __getattr__(name: str) -> Any:
    # numpy and soxr load on first use: `import voicecli` and `voice --help` must not pay for them.
    if name in {"chunk_audio", "float32_to_pcm16", "pcm16_to_float32", "resample_pcm16"}:
        from voicecli.audio import pcm

        return getattr(pcm, name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
