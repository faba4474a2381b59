"""Pauses in the user's turns: how long each may last, by what was said before it."""

from collections.abc import Callable

from voicecli.config import LONGER_PAUSE_MS
from voicecli.providers.local.turn_model import Pause, TurnModel

__all__ = ["PauseLengths", "longer_ms"]

# By the chance that the turn ends with what was said: what a pause may last beyond the silence that ends a turn. With
# these steps the built-in model cuts off a quarter of the turns that silence alone does (`python -m benchmarks.hearing
# turns`). The middle one is for short answers, and for sentences that could end here.
_LONGER_MS = ((0.25, 0), (0.05, 300), (0.0, LONGER_PAUSE_MS))


class PauseLengths:
    """Sets the silence that ends the turn in the pause under way.

    Until it is known whether the sentence goes on, the longest silence holds: the answer, which needs the words too,
    could not begin sooner.

    Args:
        model: tells how likely a turn is complete.
        silence_ms: that ends a complete turn.
        set_silence: sets it for the pause of that number, as `TurnDetector.set_silence`.
    """

    def __init__(self, model: TurnModel, silence_ms: int, set_silence: Callable[[int, int], None]) -> None:
        self._model = model
        self._silence_ms = silence_ms
        self._set_silence = set_silence

    @property
    def needs_words(self) -> bool:
        """Whether `decide` is called with words; otherwise with sound."""
        return self._model.needs_words

    def begin(self, pause: int) -> None:
        """A pause has begun; `decide` will be called."""
        self._set_silence(pause, self._silence_ms + LONGER_PAUSE_MS)

    async def decide(self, pause: int, said: Pause) -> None:
        """Decide by what was said before the pause. Without words it was noise, which ends a turn as ever."""
        is_noise = self.needs_words and not said.text
        self._set_silence(pause, self._silence_ms + longer_ms(1.0 if is_noise else await self._model.end_chance(said)))

    async def aclose(self) -> None:
        """Release the model."""
        await self._model.aclose()


def longer_ms(end_chance: float) -> int:
    """The time that a pause may last beyond the silence that ends a turn, in ms.

    Args:
        end_chance: that the turn ends there, 0 to 1.
    """
    return next(longer for least, longer in _LONGER_MS if end_chance >= least)
