"""Detection of any words, by speech recognition of the openings of utterances."""

from typing import TYPE_CHECKING

from voicecli.audio.vad_engines import VadEngine
from voicecli.audio.wake.openings import OpeningFinder
from voicecli.audio.wake.words import Phrase
from voicecli.pcm16 import PcmFormat

if TYPE_CHECKING:  # its library is not needed to name it
    from voicecli.audio.speech_to_text import SpeechToText

__all__ = ["RecognisedDetector"]

_AUDIO = PcmFormat(16_000)
# Recognition takes about 0.15 s of a core. Beside constant speech no more of it than this, on an average and at once;
# half of the latter is kept for what follows a long pause: who wakes it has mostly been silent before.
_EVERY_MS = 8_000
_MOST_AT_ONCE = 6
_LONG_PAUSE_MS = 700
# A slow speaker says ten letters a second; what follows lets the recogniser hear where the last word ends.
_MS_PER_LETTER, _AFTER_MS = 90, 500
# The recogniser hears a single word better after silence: "computer" in a room, by 11 voices, 7 times instead of 4.
_SILENCE = _AUDIO.silence(500)
_LATE_MS = 60  # an opening is complete with a frame of each engine, and a chunk


class RecognisedDetector:
    """Detector of a phrase in PCM16 mono at 16000 Hz: it must open an utterance.

    Args:
        recogniser: closed with the detector.
        engine: of voice activity detection, for what webrtcvad takes for speech.
    """

    def __init__(self, phrase: Phrase, recogniser: "SpeechToText", engine: VadEngine) -> None:
        self._phrase = phrase
        self._recogniser = recogniser
        letters = sum(map(len, phrase.words))
        self._openings = OpeningFinder(engine, _AFTER_MS + _MS_PER_LETTER * letters)
        self._allowance = float(_MOST_AT_ONCE)  # how often the recogniser may run

    async def hear(self, audio: bytes) -> int | None:
        """Take more audio; where the phrase was said, how long ago the utterance began at the most, in ms.

        Raises:
            RealtimeError: the recogniser fails.
        """
        self._allowance = min(self._allowance + _AUDIO.duration_ms(len(audio)) / _EVERY_MS, _MOST_AT_ONCE)
        began = None
        for opening in self._openings.process(audio):
            kept = 0 if opening.after_ms >= _LONG_PAUSE_MS else _MOST_AT_ONCE / 2
            if self._allowance < kept + 1:
                continue
            self._allowance -= 1
            if self._phrase.opens(await self._recogniser.transcribe(_SILENCE + opening.audio)):
                began = round(_AUDIO.duration_ms(len(opening.audio))) + _LATE_MS
        return began

    def reset(self) -> None:
        """Forget what was heard."""
        self._openings.reset()

    async def aclose(self) -> None:
        """Release the recogniser."""
        await self._recogniser.aclose()
