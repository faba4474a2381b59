"""The wake word: listens for a phrase, and keeps what was said with it."""

from collections.abc import Callable
from typing import Protocol

from voicecli.audio.pcm import Resampler
from voicecli.audio.wake.words import TRAINED, Phrase, parse_phrase
from voicecli.config import ClientVAD
from voicecli.errors import ConfigurationError
from voicecli.install import install_command, missing_packages
from voicecli.pcm16 import PcmFormat

__all__ = ["Detector", "WakeWord", "check_wake_word", "ensure_wake_word"]

_RATE = 16_000  # that detectors take, in Hz
_KEPT_MS = 2_000
_OF_ANY_WORD = ("onnxruntime", "pip")
_OF_TRAINED = ("pymicro_wakeword",)
# A token is a short word, or a part of a long one: enough for the phrase, in half the time that all words would take.
_MAX_TOKENS_PER_SECOND = 3.0


class Detector(Protocol):
    """Detector of a phrase in PCM16 mono at 16000 Hz."""

    async def hear(self, audio: bytes) -> int | None:
        """Take more audio; where the phrase was said, how long ago the utterance began at the most, in ms."""

    def reset(self) -> None:
        """Forget what was heard."""

    async def aclose(self) -> None:
        """Release what it uses."""


class WakeWord:
    """Listens for a wake word in PCM16 mono of any rate.

        wake_word = await WakeWord.load("computer", microphone.sample_rate)
        async for chunk in microphone:
            if said := await wake_word.process(chunk):
                ...  # begin a conversation, in which `said` is what the user says first

    Args:
        phrase: what is listened for, for people.
        sample_rate: of the audio, in Hz.
        detector: closed with it.
    """

    def __init__(self, phrase: str, sample_rate: int, detector: Detector) -> None:
        self.phrase = phrase
        self._format = PcmFormat(sample_rate)
        self._detector = detector
        self.reset()

    @classmethod
    async def load(cls, phrase: str, sample_rate: int) -> "WakeWord":
        """Load what a phrase needs: at most about 0.5 s, 200 MB.

        Args:
            phrase: one or a few English words, which need voicecli[local]; or what a small model is trained for
                ("alexa", "hey_jarvis", "hey_mycroft", "okay_nabu"), which needs voicecli[wake].

        Raises:
            ConfigurationError: it cannot be listened for, or a package is missing.
            RealtimeError: a model cannot be loaded.
        """
        parsed = check_wake_word(phrase)
        return cls(str(parsed), sample_rate, await _detector(parsed))

    async def process(self, audio: bytes) -> bytes | None:
        """Take more audio, any number of bytes.

        Returns:
            Where the phrase was said in it, the sound from the beginning of the utterance on (up to 2 s), to be heard
            by whom it wakes; then it begins to listen anew. Otherwise None.

        Raises:
            RealtimeError: a model fails.
        """
        self._recent += audio
        del self._recent[: -self._format.size(_KEPT_MS)]
        began_ms = await self._detector.hear(self._resampler.process(audio))
        if began_ms is None:
            return None
        said = bytes(self._recent[-self._format.size(min(began_ms, _KEPT_MS)) :])
        self.reset()
        return said

    def reset(self) -> None:
        """Forget what was heard, as after a gap in the audio."""
        self._recent = bytearray()
        self._resampler = Resampler(self._format.sample_rate, _RATE)
        self._detector.reset()

    async def aclose(self) -> None:
        """Release the models; idempotent."""
        await self._detector.aclose()


def check_wake_word(phrase: str) -> Phrase:
    """Check that a phrase can be listened for.

    Raises:
        ConfigurationError: it is none, or a package is missing for it.
    """
    parsed = parse_phrase(phrase)
    # Where its model is missing a trained phrase is not left to the recogniser: "hey Jarvis" it takes for "K. Jarvis".
    packages, extra = (_OF_TRAINED, "wake") if parsed.trained else (_OF_ANY_WORD, "local")
    if missing := missing_packages(packages):
        other = "" if parsed.trained else f' (or "voicecli[wake]", and take one of {", ".join(TRAINED)})'
        raise ConfigurationError(
            f"wake: {phrase!r} needs packages that are not installed: {', '.join(missing)}.",
            advice=f"Run: {install_command(extra)}{other}",
        ) from ModuleNotFoundError(", ".join(missing))
    return parsed


def ensure_wake_word(phrase: str, progress: Callable[[int, int], None]) -> None:
    """Fetch what a phrase needs, unless it is there: as `ensure_files` does. Raises as `check_wake_word`, too."""
    if not check_wake_word(phrase).trained:
        from voicecli.audio.recogniser_files import ensure_recogniser

        ensure_recogniser(progress)


async def _detector(phrase: Phrase) -> Detector:
    if phrase.trained:
        from voicecli.audio.wake.trained import TrainedDetector

        return TrainedDetector(phrase.trained)
    from voicecli.audio.speech_to_text import Moonshine
    from voicecli.audio.vad_engines import make_engine
    from voicecli.audio.wake.recognised import RecognisedDetector

    engine = make_engine(ClientVAD(), _RATE)
    recogniser = await Moonshine.load(max_tokens_per_second=_MAX_TOKENS_PER_SECOND)
    return RecognisedDetector(phrase, recogniser, engine)
