"""The user's words: fragments of their transcript, put together to utterances."""

from collections.abc import Callable

from voicecli.providers.openai.live.utterance import Fragment, Utterance
from voicecli.providers.openai.live.wire import Wire

__all__ = ["UserSpeech"]

_PAUSE_MS = 1_500
"""A pause that ends an utterance."""
_TURN_PAUSE_MS = 500
_ANSWER_MS = 600
"""In a pause of this length, this much of the model's sound ends it, too; less of it is an acknowledgement."""
_OVER_MS = 2_000
"""So long no word has come when an utterance is over: longer than a pause in it, as words come unevenly."""
_ANSWERED_WITHIN_MS = 10_000
"""What the model has not answered by then, it does not mean to answer."""


class UserSpeech:
    """What the user says.

    Args:
        sound_between: how much of the model's sound lies between two times of the session's clock, in ms.
    """

    def __init__(self, wire: Wire, sound_between: Callable[[float, float], float]) -> None:
        self._wire = wire
        self._sound_between = sound_between
        self._open: Utterance | None = None
        self._came_ms = 0.0  # when the last of its words came
        self._last: Utterance | None = None  # that the model has said nothing after

    @property
    def speaking(self) -> bool:
        """Whether an utterance is open."""
        return self._open is not None

    def add(self, fragment: Fragment) -> None:
        """More words."""
        utterance = self._open
        if utterance is not None and self._begins_anew(utterance.end_ms, fragment.start_ms):
            self.close()
            utterance = None
        if utterance is None:
            utterance = self._open = Utterance(self._wire.id("user"))
        utterance.add(fragment)
        self._came_ms = self._wire.now_ms
        self._last = utterance
        self._tell(utterance, final=False)

    def answered(self) -> None:
        """The model says something."""
        self._last = None

    def lost(self) -> str:
        """The connection is lost; returns what the model heard and may still have answered."""
        self.close()
        last, self._last = self._last, None
        recent = last is not None and self._wire.now_ms - last.end_ms < _ANSWERED_WITHIN_MS
        return last.text() if last is not None and recent else ""

    def tick(self) -> None:
        """The session's clock went on."""
        if self._open is not None and self._wire.now_ms >= self._came_ms + _OVER_MS:
            self.close()

    def close(self) -> None:
        """The utterance is over."""
        utterance, self._open = self._open, None
        if utterance is not None:
            self._tell(utterance, final=True)

    def _begins_anew(self, end_ms: int, start_ms: int) -> bool:
        pause = start_ms - end_ms
        if pause >= _PAUSE_MS:
            return True
        return pause >= _TURN_PAUSE_MS and self._sound_between(end_ms, start_ms) >= _ANSWER_MS

    def _tell(self, utterance: Utterance, *, final: bool) -> None:
        if said := utterance.text():
            self._wire.tell("user", utterance.item_id, said, utterance.times, final=final)
