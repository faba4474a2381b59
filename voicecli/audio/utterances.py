"""Where utterances begin and end in a stream of PCM16 mono, by voice activity and the audio's own clock. Pure.

For what is written down, whoever says it: unlike a turn, an utterance is bounded in length, and ends early rather than
late. Its times are those of the first and the last frame that is voice.
"""

import math
from dataclasses import dataclass

import numpy as np

from voicecli.audio.pcm import Resampler
from voicecli.audio.vad_engines import SPEECH_PROBABILITY, VadEngine
from voicecli.pcm16 import PcmFormat

__all__ = ["UtteranceChange", "UtteranceDetector", "UtteranceEnded", "UtteranceStarted"]

# Within an utterance less certainty will do, so that soft endings of words are not taken for silence.
_HYSTERESIS = 0.15
_LEAST_VOICE_MS = 160  # that an utterance has; less is a click or a breath
_DOUBT_MS = 320  # of silence, after which less than that is forgotten
_SHORT_PAUSE_MS = 192  # ends an utterance that is long already; shorter ones are within words
_LONG_SHARE = 0.7  # of the longest, from which on it is long
_QUIET_MS = 96  # how long the place is at which one without any pause is cut


@dataclass(frozen=True, slots=True)
class UtteranceStarted:
    """Somebody speaks.

    Attributes:
        start_ms: where the voice begins, since the stream began.
    """

    start_ms: int


@dataclass(frozen=True, slots=True)
class UtteranceEnded:
    """The utterance is over: by a pause, by its length, or because the input is.

    Attributes:
        start_ms, end_ms: where its first voice begins, and its last one ends.
        cut_ms: where what follows begins. Not before `end_ms`, and at most what has passed.
    """

    start_ms: int
    end_ms: int
    cut_ms: int


UtteranceChange = UtteranceStarted | UtteranceEnded


class UtteranceDetector:
    """Finds utterances. What it finds does not depend on how the stream was cut into chunks.

    Args:
        engine: tells voice from noise; used by nobody else.
        sample_rate: of the stream, in Hz.
        pause_ms: silence that ends an utterance.
        longest_ms: no utterance is longer. From 70% of that on a pause of 0.2 s will do; where there is none, it ends
            at the quietest place of the rest.
        looks_back: whether that place may have passed already; else a long utterance ends where it is.
    """

    def __init__(
        self,
        engine: VadEngine,
        sample_rate: int,
        *,
        pause_ms: int = 600,
        longest_ms: int = 15_000,
        looks_back: bool = True,
    ) -> None:
        self._engine = engine
        self._frame_ms = engine.frame_ms
        self._frame_size = PcmFormat(engine.sample_rate).size(engine.frame_ms)
        self._resampler = Resampler(sample_rate, engine.sample_rate)
        self._looks_back = looks_back
        self._pause = self._frames_of(pause_ms)
        self._short_pause = min(self._frames_of(_SHORT_PAUSE_MS), self._pause)
        self._least_voice = self._frames_of(_LEAST_VOICE_MS)
        self._doubt = self._frames_of(_DOUBT_MS)
        self._longest = self._frames_of(longest_ms)
        self._long = int(self._longest * _LONG_SHARE)
        self._pending = bytearray()
        self._frames = 0  # judged so far
        self._forget()

    @property
    def position_ms(self) -> int:
        """How much of the stream has been judged, in ms."""
        return self._frames * self._frame_ms

    @property
    def speaking(self) -> bool:
        """Whether an utterance is under way."""
        return self._is_utterance

    def process(self, audio: bytes) -> list[UtteranceChange]:
        """Take more audio, whole samples; returns what it changed, in order."""
        self._pending += self._resampler.process(audio)
        return self._judge()

    def end(self) -> list[UtteranceChange]:
        """End the utterance under way, if there is one: no more is said for now. The clock goes on."""
        changes: list[UtteranceChange] = []
        if self._is_utterance:
            changes.append(self._ended(self._frames))
        self._forget()
        return changes

    def _frames_of(self, duration_ms: int) -> int:
        return max(1, math.ceil(duration_ms / self._frame_ms))

    def _forget(self) -> None:
        self._start = -1  # the first frame of voice; -1 while nothing is said
        self._last_voice = 0
        self._is_utterance = False  # there has been enough voice
        self._voice: list[bool] = []  # frame by frame, since the start
        self._levels: list[float] = []

    def _judge(self) -> list[UtteranceChange]:
        changes: list[UtteranceChange] = []
        size = self._frame_size
        taken = 0
        while len(self._pending) - taken >= size:
            frame = bytes(self._pending[taken : taken + size])
            taken += size
            self._take(frame, self._engine.probability(frame), changes)
        del self._pending[:taken]
        return changes

    def _take(self, frame: bytes, probability: float, changes: list[UtteranceChange]) -> None:
        place = self._frames
        self._frames += 1
        is_voice = probability >= SPEECH_PROBABILITY - (_HYSTERESIS if self._start >= 0 else 0)
        if self._start < 0:
            if not is_voice:
                return
            self._start = place
        self._add(place, is_voice, _level(frame))
        silence = place - self._last_voice
        if not self._is_utterance:
            if sum(self._voice) >= self._least_voice:
                self._is_utterance = True
                changes.append(UtteranceStarted(self._start * self._frame_ms))
            elif silence >= self._doubt:
                self._forget()
            return
        length = len(self._voice)
        if silence >= (self._short_pause if length >= self._long else self._pause):
            changes.append(self._ended(self._frames))
            self._forget()
        elif length >= self._longest:
            self._cut(changes)

    def _add(self, place: int, is_voice: bool, level: float) -> None:
        self._voice.append(is_voice)
        self._levels.append(level)
        if is_voice:
            self._last_voice = place

    def _cut(self, changes: list[UtteranceChange]) -> None:
        """End an utterance that is as long as may be, and begin the next one with what is behind the cut."""
        place = self._quietest() if self._looks_back else len(self._voice)
        voice, levels, start = self._voice, self._levels, self._start
        before = [at for at in range(place) if voice[at]]
        self._last_voice = start + before[-1]  # the first frame is voice
        changes.append(self._ended(start + place))
        self._forget()
        first = next((at for at in range(place, len(voice)) if voice[at]), None)
        if first is None:
            return
        self._start = start + first
        for at in range(first, len(voice)):
            self._add(start + at, voice[at], levels[at])
        self._is_utterance = True
        changes.append(UtteranceStarted(self._start * self._frame_ms))

    def _quietest(self) -> int:
        width = self._frames_of(_QUIET_MS)
        places = range(self._long, len(self._levels) - width)
        quietest = min(places, key=lambda at: sum(self._levels[at : at + width]), default=len(self._levels) - width)
        return max(1, quietest + width // 2)

    def _ended(self, cut: int) -> UtteranceEnded:
        return UtteranceEnded(
            self._start * self._frame_ms, (self._last_voice + 1) * self._frame_ms, cut * self._frame_ms
        )


def _level(frame: bytes) -> float:
    samples = np.frombuffer(frame, "<i2").astype(np.float32)
    return float(np.sqrt(np.mean(samples * samples)))
