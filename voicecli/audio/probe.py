"""Measurements of a recording's quality, and of the echo between loudspeaker and microphone. Pure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicecli.audio.pcm import SILENCE_DBFS, float32_to_pcm16, level
from voicecli.pcm16 import PcmFormat

__all__ = ["ChirpEcho", "RecordingQuality", "advise", "chirp", "find_chirp", "measure_recording"]

_FRAME_MS = 20
_CLIPPED = 32_700  # converters seldom reach the very last step
# A chirp is told from chance by its correlation: over 0.5 s of noise the best one is about 5 times their RMS.
_CERTAIN = 12.0
_CHIRP_S = 0.4
_CHIRP_HZ = (300, 4_000)  # what small loudspeakers can
_CHIRP_PEAK = 0.25
_EDGE_S = 0.02

_TOO_SOFT_DBFS = -45.0
_SPEECH_OVER_NOISE_DB = 15.0
_LOUD_ECHO_DB = -40.0  # softer than that, the providers' own turn detection does not mind
_LONG_MS = 200.0


@dataclass(frozen=True, slots=True)
class RecordingQuality:
    """Quality of a recording of speech.

    Attributes:
        level: of its loudest tenth, in dBFS.
        noise_floor: the level of its softest tenth, in dBFS.
        clipped: the share of its samples that are clipped, 0 to 1.
        silent: whether it is digital silence, as of a microphone that is off.
    """

    level: float
    noise_floor: float
    clipped: float
    silent: bool


@dataclass(frozen=True, slots=True)
class ChirpEcho:
    """Echo of the chirp.

    Attributes:
        delay_ms: where it begins in the recording, in ms.
        gain_db: its level over what was played (the echo return gain), in dB.
    """

    delay_ms: float
    gain_db: float


def measure_recording(audio: bytes, sample_rate: int) -> RecordingQuality:
    """Measure PCM16 mono of at least 20 ms."""
    size = PcmFormat(sample_rate).size(_FRAME_MS)
    levels = [level(audio[start : start + size]) for start in range(0, len(audio) - size + 1, size)]
    samples: npt.NDArray[np.int16] = np.frombuffer(audio, "<i2")
    return RecordingQuality(
        level=float(np.percentile(levels, 90)),
        noise_floor=float(np.percentile(levels, 10)),
        clipped=float(np.mean((samples >= _CLIPPED) | (samples <= -_CLIPPED))),
        silent=not samples.any(),
    )


def chirp(sample_rate: int) -> bytes:
    """Make a tone that rises for 0.4 s, as PCM16: it correlates with itself at one delay only, and with no noise."""
    time = np.arange(round(_CHIRP_S * sample_rate)) / sample_rate
    low, high = _CHIRP_HZ
    tone = np.sin(2 * np.pi * (low * time + (high - low) / 2 / _CHIRP_S * time**2))
    edge = np.minimum(1, np.minimum(time, time[::-1]) / _EDGE_S)
    return float32_to_pcm16(_CHIRP_PEAK * tone * np.sin(np.pi / 2 * edge))


def find_chirp(heard: bytes, sample_rate: int) -> ChirpEcho | None:
    """Find the chirp in a recording; None when it cannot be told from noise."""
    played = np.frombuffer(chirp(sample_rate), "<i2").astype(np.float64)
    recorded = np.frombuffer(heard, "<i2").astype(np.float64)
    if recorded.size < played.size:
        return None
    size = 1 << (recorded.size + played.size).bit_length()
    spectrum = np.fft.rfft(recorded, size) * np.conj(np.fft.rfft(played, size))
    match = np.abs(np.fft.irfft(spectrum, size)[: recorded.size - played.size + 1])
    begin = int(match.argmax())
    if match[begin] <= _CERTAIN * np.median(match) or match[begin] == 0:
        return None
    gain = match[begin] / np.dot(played, played)
    return ChirpEcho(begin * 1000 / sample_rate, 20 * float(np.log10(gain)))


def advise(quality: RecordingQuality, echo: ChirpEcho | None) -> list[str]:
    """Advice to the user, the most urgent first; never empty."""
    if quality.silent or quality.level <= SILENCE_DBFS:  # and then nothing is known of the echo
        return [
            "The microphone delivers nothing: is it muted, or is this terminal not allowed to use it? "
            "Otherwise choose another with --input-device."
        ]
    advice = []
    if quality.clipped > 0.001:
        advice.append("Your voice is cut off at the top: lower the microphone's level, or move away from it.")
    elif quality.level < _TOO_SOFT_DBFS:
        advice.append(
            "Your voice is very soft: raise the microphone's level, or move closer; or try --auto-gain-control."
        )
    elif quality.level - quality.noise_floor < _SPEECH_OVER_NOISE_DB:
        advice.append("Your voice hardly stands out from the noise (did you speak?): try --vad-engine silero.")
    if echo is None:
        advice.append("The microphone does not hear the loudspeaker: right for headphones; else turn it up.")
    elif echo.gain_db > _LOUD_ECHO_DB:
        advice.append(
            "The microphone hears the loudspeaker: keep echo cancellation on (--echo auto), or use headphones."
        )
    if echo is not None and echo.delay_ms > _LONG_MS:
        advice.append("Sound takes long through these devices: answers will seem slower. Wireless ones often do that.")
    return advice or ["All is well."]
