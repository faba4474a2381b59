"""Measurements of a recording's quality, and of the echo between loudspeaker and microphone. Pure."""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from voicecli.audio.background import advise_on_noise
from voicecli.audio.pcm import SILENCE_DBFS, float32_to_pcm16, level
from voicecli.finding import Finding
from voicecli.pcm16 import PcmFormat

__all__ = ["ChirpEcho", "RecordingQuality", "chirp", "find_chirp", "judge", "measure_recording"]

_FRAME_MS = 20
_CLIPPED = 32_700  # converters seldom reach the very last step
# A chirp is told from chance by its correlation: over 0.5 s of noise the best one is about 5 times their RMS.
_CERTAIN = 12.0
_CHIRP_S = 0.4
_CHIRP_HZ = (300, 4_000)  # what small loudspeakers can
_CHIRP_PEAK = 0.25
_EDGE_S = 0.02

_TOO_SOFT_DBFS = -45.0
_MOST_CLIPPED = 0.001
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


def judge(
    quality: RecordingQuality,
    echo: ChirpEcho | None,
    round_trip_ms: float | None,
    *,
    starts: int = 0,
    cancels: bool,
    silero: bool,
) -> list[Finding]:
    """Judge what was measured: a finding for each figure.

    Args:
        round_trip_ms: from writing sound for the loudspeaker until it is read from the microphone.
        starts: how often sound in which nobody spoke was taken for speech.
        cancels: whether echo is cancelled here.
        silero: whether turn detection for noisy rooms is installed.
    """
    if quality.silent or quality.level <= SILENCE_DBFS:  # and then nothing is known of the rest
        return [
            Finding(
                "Level",
                "silence",
                "fail",
                "The microphone delivers nothing: is it muted, or is this terminal not allowed to use it? Otherwise "
                "choose another with --input-device.",
            )
        ]
    findings = [_judge_level(quality), _judge_noise(quality, starts, silero=silero), _judge_clipping(quality)]
    return [*findings, _judge_echo(echo, cancels=cancels), *_judge_delay(echo, round_trip_ms)]


_TOO_SOFT = "Your voice is very soft: raise the microphone's level, or move closer; or try --auto-gain-control."


def _judge_level(quality: RecordingQuality) -> Finding:
    value = f"{quality.level:.0f} dB of full scale"
    if quality.level < _TOO_SOFT_DBFS:
        return Finding("Level", value, "warn", _TOO_SOFT)
    return Finding("Level", value)


def _judge_noise(quality: RecordingQuality, starts: int, *, silero: bool) -> Finding:
    value = f"{quality.noise_floor:.0f} dB of full scale"
    if quality.level < _TOO_SOFT_DBFS and not starts:
        return Finding("Noise", value)  # of a voice that is too soft it is told already
    fix = advise_on_noise(quality.level, quality.noise_floor, starts, silero=silero)
    return Finding("Noise", value, "warn" if fix else "ok", fix)


def _judge_clipping(quality: RecordingQuality) -> Finding:
    value = f"{quality.clipped:.2%} of the samples"
    if quality.clipped > _MOST_CLIPPED:
        told = "Your voice is cut off at the top: lower the microphone's level, or move away from it."
        return Finding("Cut off", value, "warn", told)
    return Finding("Cut off", value)


def _judge_echo(echo: ChirpEcho | None, *, cancels: bool) -> Finding:
    if echo is None:
        return Finding("Echo", "not heard: right for headphones; else turn the loudspeaker up, and test again")
    value = f"{echo.gain_db:+.0f} dB"
    if echo.gain_db <= _LOUD_ECHO_DB:
        return Finding("Echo", value)
    if cancels:
        return Finding("Echo", f"{value}, which is cancelled")
    told = "The microphone hears the loudspeaker, and echo cannot be cancelled on this machine: use headphones."
    return Finding("Echo", value, "warn", told)


def _judge_delay(echo: ChirpEcho | None, round_trip_ms: float | None) -> list[Finding]:
    if echo is None or round_trip_ms is None:
        return []
    value = f"{round_trip_ms:.0f} ms"
    if echo.delay_ms <= _LONG_MS:
        return [Finding("Round trip", value)]
    told = "Sound takes long through these devices: answers will seem slower. Wireless ones often do that."
    return [Finding("Round trip", value, "warn", told)]
