"""Utterances on their way to the program: a pause ends them, too. Pure: no clock, no I/O."""

from dataclasses import dataclass, replace

from voicecli.events import TranscriptUpdate

__all__ = ["CaptionClock"]

_PAUSE_S = 1.0
"""Without another word for so long, an utterance is over."""


@dataclass(slots=True)
class _Open:
    """An utterance that is not over.

    Attributes:
        update: the last one that came of it.
        at: when, in seconds.
    """

    update: TranscriptUpdate
    at: float


class CaptionClock:
    """Ends utterances of which nothing more comes. What comes of one all the same is another one.

    Times are in seconds of one monotonic clock.
    """

    def __init__(self) -> None:
        self._open: dict[str, _Open] = {}
        self._told: dict[str, tuple[str, int]] = {}  # of those ended here: their text so far, and how often

    def apply(self, update: TranscriptUpdate, now: float) -> TranscriptUpdate | None:
        """The update as it is to be told; None when it adds nothing to what was."""
        ended, text = self._told.get(update.item_id), update.text
        if update.final:
            self._open.pop(update.item_id, None)
            self._told.pop(update.item_id, None)
        if ended is not None:
            before, times = ended
            text = text.removeprefix(before).strip()
            if not text:
                return None
        if not update.final:
            self._open[update.item_id] = _Open(update, now)
        if ended is None:
            return update
        return replace(update, item_id=f"{update.item_id}.{times + 1}", text=text)

    def deadline(self) -> float | None:
        """When the next utterance is over, unless another word of it comes."""
        return min((each.at + _PAUSE_S for each in self._open.values()), default=None)

    def due(self, now: float) -> list[TranscriptUpdate]:
        """The ends of utterances that are over by now."""
        over = [each.update for each in self._open.values() if now >= each.at + _PAUSE_S]
        return [ended for update in over if (ended := self._end(update)) is not None]

    def close(self) -> list[TranscriptUpdate]:
        """The ends of all."""
        return [ended for each in list(self._open.values()) if (ended := self._end(each.update)) is not None]

    def _end(self, update: TranscriptUpdate) -> TranscriptUpdate | None:
        _, times = self._told.get(update.item_id, ("", 0))
        ended = self.apply(replace(update, final=True), 0.0)
        self._told[update.item_id] = update.text, times + 1
        return ended
