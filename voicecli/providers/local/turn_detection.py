"""Detection of the user's turns: start, pauses and end, by the audio's own clock, at whatever speed it comes. Pure."""

from collections.abc import Callable
from dataclasses import dataclass

from voicecli.pcm16 import PcmFormat

__all__ = ["EndOfTurn", "PossibleEndOfTurn", "StartOfTurn", "TurnAudio", "TurnChange", "TurnDetector", "TurnResumed"]

_CHUNK_BYTES = 1024  # Silero's: 512 samples at 16000 Hz
_CHUNK_MS = 32
_AUDIO = PcmFormat(16_000)
# Speech for this long starts a turn: shorter is a click or a cough.
_ONSET_CHUNKS = 3
# Speech for this long ends a pause, once half of the silence that ends a turn has passed.
_RESUME_CHUNKS = 2
# Pauses within a turn that are longer than this are hardly more than those longer than 250 ms (16 and 12, 5 and 5, 16
# and 13 in three recordings of people), so that a guess so early is seldom wasted. Only what is said in real time is
# guessed so early: the recognizer makes a little less of words without the silence after them.
_GUESS_MS = 96
# Inside a turn less certainty will do, so that soft endings of words are not taken for silence.
_HYSTERESIS = 0.15
_PARTIAL_MS = 500


@dataclass(frozen=True, slots=True)
class StartOfTurn:
    """Start of a turn."""


@dataclass(frozen=True, slots=True)
class TurnAudio:
    """Audio of the turn that goes on.

    Attributes:
        audio: what is new since the last TurnAudio, the first time with the pre-roll; about 0.5 s.
    """

    audio: bytes


@dataclass(frozen=True, slots=True)
class PossibleEndOfTurn:
    """Pause in the turn that may be its end: half of the silence that ends a turn has passed, in real time 96 ms.

    Attributes:
        audio: all that was said so far, as in EndOfTurn, with the silence so far.
        pause: its number, for `TurnDetector.set_silence`.
        speech_ms: how long the user spoke so far, in ms.
    """

    audio: bytes
    pause: int = 0
    speech_ms: int = 0


@dataclass(frozen=True, slots=True)
class TurnResumed:
    """Speech after a pause: the turn goes on."""


@dataclass(frozen=True, slots=True)
class EndOfTurn:
    """End of the turn.

    Attributes:
        audio: all that was said, with the pre-roll and half of the silence; empty when nobody spoke.
        silence_ms: the silence that ended it, in ms; None where `TurnDetector.end` did.
        speech_ms: how long the user spoke, in ms.
    """

    audio: bytes
    silence_ms: int | None = None
    speech_ms: int = 0


TurnChange = StartOfTurn | TurnAudio | PossibleEndOfTurn | TurnResumed | EndOfTurn


class TurnDetector:
    """Detector of turns in PCM16 mono at 16000 Hz.

    Args:
        probability: how likely 512 samples are speech, 0 to 1.
        automatic: whether silence ends a turn and speech starts one. Otherwise a turn is all audio until `end`;
            pauses are told all the same.
        silence_ms: silence that ends a turn, unless `set_silence` says otherwise.
        pre_roll_ms: audio from before the onset that belongs to the turn.
        threshold: the probability from which on it is speech.
    """

    def __init__(
        self,
        probability: Callable[[bytes], float],
        *,
        automatic: bool,
        silence_ms: int,
        pre_roll_ms: int,
        threshold: float = 0.5,
    ) -> None:
        self._probability = probability
        self._automatic = automatic
        self._silence_ms = silence_ms
        self._pre_roll_bytes = _AUDIO.size(pre_roll_ms)
        self._threshold = threshold
        self._guess_ms = silence_ms / 2
        self._unseen = b""  # less than a chunk
        self._before = bytearray()  # the pre-roll
        self._turn: bytearray | None = None
        self._passed_on = 0  # bytes of the turn, by TurnAudio
        self._speech = 0  # chunks of speech in a row
        self._quiet_ms = 0
        self._speech_end: int | None = None  # bytes of the turn up to the end of speech; None while nobody spoke
        self._speech_start = 0  # bytes of the turn before the speech
        self._paused = False
        self._pauses = 0
        self._silence_of_pause = (0, 0)  # the number of a pause, and the silence that ends the turn in it

    @property
    def open(self) -> bool:
        """Whether a turn is under way."""
        return self._turn is not None

    def process(self, audio: bytes, *, realtime: bool = True) -> list[TurnChange]:
        """Process audio of any length; the changes in it, in order.

        Args:
            realtime: whether it comes as it is spoken, so that a guess is to be made early.
        """
        self._guess_ms = min(_GUESS_MS, self._silence_ms / 2) if realtime else self._silence_ms / 2
        changes: list[TurnChange] = []
        audio = self._unseen + audio
        whole = len(audio) - len(audio) % _CHUNK_BYTES
        self._unseen = audio[whole:]
        for start in range(0, whole, _CHUNK_BYTES):
            changes += self._take(audio[start : start + _CHUNK_BYTES])
        return changes

    def begin(self) -> list[TurnChange]:
        """Begin a turn now, whatever is heard; no change if there is one."""
        if self._turn is not None:
            return []
        self._turn = self._before if self._automatic else bytearray()
        self._before = bytearray()
        self._passed_on = self._quiet_ms = 0
        self._speech_end = len(self._turn) if self._automatic else None
        self._speech_start = max(0, len(self._turn) - _ONSET_CHUNKS * _CHUNK_BYTES)
        self._paused = False
        return [StartOfTurn()]

    def end(self) -> list[TurnChange]:
        """End the turn now; no change if there is none."""
        if self._turn is None:
            return []
        self._turn += self._unseen
        self._unseen = b""
        return [self._end_of_turn()]

    def set_silence(self, pause: int, silence_ms: int) -> None:
        """Let another silence end the turn in this pause, if it is the latest and lasts. Any thread may call it."""
        if pause >= self._silence_of_pause[0]:  # what is decided late of an earlier one says nothing of this one
            self._silence_of_pause = (pause, silence_ms)

    def clear(self) -> None:
        """Forget the turn and all audio."""
        self._turn = None
        self._speech = 0
        self._unseen = b""
        self._before.clear()

    def _take(self, chunk: bytes) -> list[TurnChange]:
        inside = self._turn is not None
        is_speech = self._probability(chunk) >= self._threshold - (_HYSTERESIS if inside else 0)
        self._speech = self._speech + 1 if is_speech else 0
        if inside or not self._automatic:
            changes = self.begin()
            return changes + self._continue(chunk)
        self._before += chunk
        del self._before[: -(self._pre_roll_bytes + _ONSET_CHUNKS * _CHUNK_BYTES)]
        return self.begin() if self._speech >= _ONSET_CHUNKS else []

    def _continue(self, chunk: bytes) -> list[TurnChange]:
        assert self._turn is not None
        self._turn += chunk
        if self._speech >= (_RESUME_CHUNKS if self._quiet_ms >= self._silence_ms / 2 else 1):
            if self._speech_end is None:
                self._speech_start = len(self._turn) - len(chunk)
            self._speech_end, self._quiet_ms = len(self._turn), 0
            resumed: list[TurnChange] = [TurnResumed()] if self._paused else []
            self._paused = False
            return resumed + self._partial()
        if self._speech_end is None:
            del self._turn[: -self._pre_roll_bytes]
            return []
        self._quiet_ms += _CHUNK_MS
        changes: list[TurnChange] = []
        if not self._paused and self._quiet_ms >= self._guess_ms:
            self._paused = True
            self._pauses += 1
            changes.append(PossibleEndOfTurn(self._said(self._turn), self._pauses, self._speech_ms))
        pause, silence_ms = self._silence_of_pause
        if not (self._paused and pause == self._pauses):
            silence_ms = self._silence_ms
        if self._automatic and self._quiet_ms >= silence_ms:
            changes.append(self._end_of_turn(self._quiet_ms))
        return changes

    def _end_of_turn(self, silence_ms: int | None = None) -> EndOfTurn:
        assert self._turn is not None
        audio, self._turn, self._speech = self._said(self._turn), None, 0
        return EndOfTurn(audio, silence_ms, self._speech_ms)

    @property
    def _speech_ms(self) -> int:
        """How long the user spoke in the last turn, its pauses included."""
        if self._speech_end is None:
            return 0
        return int(_AUDIO.duration_ms(self._speech_end - self._speech_start))

    def _said(self, turn: bytearray) -> bytes:
        if self._speech_end is None:
            return b""
        return bytes(turn[: self._speech_end + _AUDIO.size(self._silence_ms / 2)])

    def _partial(self) -> list[TurnChange]:
        assert self._turn is not None
        if len(self._turn) - self._passed_on < _AUDIO.size(_PARTIAL_MS):
            return []
        audio = bytes(self._turn[self._passed_on :])
        self._passed_on = len(self._turn)
        return [TurnAudio(audio)]
