"""Finds the first words of utterances, cheaply, as most of the time nobody speaks. Pure."""

from dataclasses import dataclass

from voicecli.audio.vad import SegmentAudio, SegmentEnded, SegmentStarted, VoiceActivityDetector
from voicecli.audio.vad_engines import SPEECH_PROBABILITY, VadEngine
from voicecli.config import ClientVAD
from voicecli.pcm16 import PcmFormat

__all__ = ["Opening", "OpeningFinder"]

_AUDIO = PcmFormat(16_000)
_PAUSE_MS = 300  # ends an utterance: most pauses between sentences are longer
_PRE_ROLL_MS = 300
_ONSET_MS = 90  # of speech in a row, as in the offline engine: shorter is a click or a cough
# A voice pauses within this; what does not is a noisy room, in which only the better engine hears the pauses.
_NOISE_AFTER_MS = 6_000


@dataclass(frozen=True, slots=True)
class Opening:
    """The first words of an utterance.

    Attributes:
        audio: from 0.3 s before the first word on.
        after_ms: of silence before it, or since the beginning.
    """

    audio: bytes
    after_ms: float


class OpeningFinder:
    """Finds the openings of utterances in PCM16 mono at 16000 Hz: their first words, or all of a shorter one.

    webrtcvad listens all the time (0.04% of a core). A better engine, which costs more, listens to what webrtcvad takes
    for speech until it is sure, and to the pauses in noise.

    Args:
        engine: the better one, for 16000 Hz.
        opening_ms: of speech that make an opening.
    """

    def __init__(self, engine: VadEngine, opening_ms: int) -> None:
        self._opening_size = _AUDIO.size(_PRE_ROLL_MS + opening_ms)
        self._engine = engine
        self._frame_size = _AUDIO.size(engine.frame_ms)
        settings = ClientVAD(engine="webrtc", hangover_ms=_PAUSE_MS, pre_roll_ms=_PRE_ROLL_MS)
        self._vad = VoiceActivityDetector(settings, _AUDIO.sample_rate)
        self._silence_bytes = 0  # since the last utterance
        self._begin()

    def process(self, audio: bytes) -> list[Opening]:
        """Take more audio; the openings that are complete with it."""
        openings: list[Opening] = []
        self._silence_bytes += 0 if self._vad.speaking else len(audio)
        for transition in self._vad.process(audio):
            match transition:
                case SegmentStarted(audio=sound):
                    self._begin()
                    openings += self._take(sound)
                case SegmentAudio(audio=sound):
                    openings += self._take(sound)
                case SegmentEnded():
                    if self._speech and not self._passed:
                        openings.append(self._opening())
                    self._begin()
                    self._silence_bytes = _AUDIO.size(_PAUSE_MS)
        return openings

    def reset(self) -> None:
        """Forget all that was heard."""
        self._vad.reset()
        self._silence_bytes = 0
        self._begin()

    def _opening(self) -> Opening:
        return Opening(bytes(self._gathered), _AUDIO.duration_ms(self._silence_bytes))

    def _begin(self) -> None:
        """Look for an onset from here on."""
        self._engine.reset()
        self._gathered = bytearray()
        self._unseen = bytearray()  # by the engine
        self._in_row = 0  # frames of speech, or in noise of silence
        self._speech = False  # the onset is found
        self._passed = False  # the opening is complete: what is left is to end
        self._passed_bytes = 0

    def _take(self, sound: bytes) -> list[Opening]:
        if self._passed:
            self._passed_bytes += len(sound)
            if self._passed_bytes >= _AUDIO.size(_NOISE_AFTER_MS):
                self._find_pause(sound)
            return []
        self._gathered += sound
        if not self._speech:
            self._find_onset(sound)
        if not self._speech or len(self._gathered) < self._opening_size:
            return []
        self._passed, self._in_row = True, 0
        self._unseen.clear()
        return [self._opening()]

    def _find_onset(self, sound: bytes) -> None:
        self._unseen += sound
        while len(self._unseen) >= self._frame_size and not self._speech:
            self._in_row = self._in_row + 1 if self._is_speech() else 0
            self._speech = self._in_row * self._engine.frame_ms >= _ONSET_MS
        # What came long before the onset, or before what may be one, does not belong to the utterance.
        kept = len(self._unseen) + self._in_row * self._frame_size + _AUDIO.size(_PRE_ROLL_MS)
        del self._gathered[:-kept]

    def _find_pause(self, sound: bytes) -> None:
        self._unseen += sound
        while len(self._unseen) >= self._frame_size:
            self._in_row = 0 if self._is_speech() else self._in_row + 1
            if self._in_row * self._engine.frame_ms >= _PAUSE_MS:
                self._begin()
                self._silence_bytes = _AUDIO.size(_PAUSE_MS)

    def _is_speech(self) -> bool:
        frame = bytes(self._unseen[: self._frame_size])
        del self._unseen[: self._frame_size]
        return self._engine.probability(frame) >= SPEECH_PROBABILITY
