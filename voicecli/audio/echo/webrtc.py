"""WebRTC's audio processing: echo cancellation, noise suppression, gain control. Its package is loaded when used."""

from typing import Any

import numpy as np

from voicecli.errors import ConfigurationError
from voicecli.install import package_command

__all__ = ["GainEstimator", "WebRTCProcessing", "processing_rate"]

_INSTALL = package_command("pywebrtc-audio>=0.2,<0.3")

# WebRTC works at 16, 32 or 48 kHz, and its package brings 24 kHz to that. At rates without a whole number of samples in
# 10 ms it cancels worse, and with gain control it aborts the whole process (seen with 11025 and 22050 Hz).
_RATES = (16_000, 24_000, 32_000, 48_000)
_NS_LEVEL = 1  # 12 dB: 18 and 21 dB silence no more echo, and notice an interruption 15 ms later (measured)
_MAX_GAIN_DB = 20.0
_PCM16 = np.dtype(np.int16)


def processing_rate(sample_rate: int) -> int:
    """The rate at which audio of this rate is processed: the lowest that keeps all of it, at most 48 kHz."""
    return next((rate for rate in _RATES if rate >= sample_rate), _RATES[-1])


class WebRTCProcessing:
    """WebRTC's echo canceller (AEC3) with its high-pass filter and noise suppressor; 10 ms at a time.

    Args:
        sample_rate: of both streams, in Hz: one that `processing_rate` returns.

    Raises:
        ConfigurationError: its package is missing.
    """

    def __init__(self, sample_rate: int) -> None:
        self._processor = _package("Echo cancellation", "or choose --echo gate").AudioProcessor(
            sample_rate, echo_cancellation=True, high_pass_filter=True, noise_suppression=True, ns_level=_NS_LEVEL
        )

    def process(self, rendered: bytes, captured: bytes) -> bytes:
        """Take the echo of what is rendered out of what is captured: PCM16 mono, 10 ms of each."""
        near, far = np.frombuffer(captured, _PCM16), np.frombuffer(rendered, _PCM16)
        residual: bytes = self._processor.process(near, far).tobytes()
        return residual


class GainEstimator:
    """Estimates how much louder a voice must be made: WebRTC's automatic gain control (AGC2), 0 to 20 dB.

    Raises:
        ConfigurationError: its package is missing.
    """

    sample_rate = 16_000
    """Of the audio it takes, in Hz."""

    def __init__(self) -> None:
        package = _package("Gain control", "or leave it off")
        self._controller = package.GainController(self.sample_rate, max_gain_db=_MAX_GAIN_DB)

    def process(self, captured: bytes) -> float:
        """Take 10 ms of PCM16 mono; the gain in dB."""
        self._controller.process(np.frombuffer(captured, _PCM16))
        return float(self._controller.gain_db)


def _package(what: str, otherwise: str) -> Any:
    try:
        import pywebrtc_audio
    except (ImportError, OSError) as error:  # OSError: its library does not load here
        raise ConfigurationError(
            f"{what} needs the package pywebrtc-audio ({error}).",
            advice=f"Run: {_INSTALL} (it has no wheels for some platforms), {otherwise}.",
        ) from error
    if not hasattr(pywebrtc_audio, "AudioProcessor"):  # 0.0.1 is an empty stub
        raise ConfigurationError(
            f"{what} needs pywebrtc-audio 0.2; an older one is installed.",
            advice=f"Run: {_INSTALL}, {otherwise}.",
        )
    return pywebrtc_audio
