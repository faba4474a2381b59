"""Detection of the phrases that small models are trained for, by the package pymicro-wakeword."""

from voicecli.errors import ConfigurationError

__all__ = ["TrainedDetector"]

_KEPT_MS = 2_000  # the phrase has just ended when it is found; it and a breath before it


class TrainedDetector:
    """Detector of one trained phrase in PCM16 mono at 16000 Hz; takes 0.4% of a core.

    Args:
        name: of the model, one of `TRAINED`.

    Raises:
        ConfigurationError: the package is missing, or cannot be loaded here.
    """

    def __init__(self, name: str) -> None:
        try:
            from pymicro_wakeword import MicroWakeWord, MicroWakeWordFeatures, Model

            self._model = MicroWakeWord.from_builtin(Model(name))
            self._features = MicroWakeWordFeatures()
        except (
            ImportError,
            OSError,
            ValueError,
        ) as error:  # a system that is too old for its library, or a damaged package
            raise ConfigurationError(
                f"wake: the package pymicro-wakeword cannot be loaded: {error}.",
                advice='It needs glibc 2.35, macOS 15 or Windows x64. With "voicecli[local]", any word wakes.',
            ) from error

    async def hear(self, audio: bytes) -> int | None:
        """Take more audio; where the phrase was said, how long ago the utterance began at the most, in ms."""
        found = False
        for features in self._features.process_streaming(audio):
            found = bool(self._model.process_streaming(features)) or found
        return _KEPT_MS if found else None

    def reset(self) -> None:
        """Forget what was heard."""
        self._features.reset()
        self._model.reset()

    async def aclose(self) -> None:
        """Release the model."""
        self._model.close()
