"""Which words of the user's ask for an answer, where a provider tells of words only and not of speech."""

from voicecli.events import TranscriptUpdate

__all__ = ["Utterances"]

_KEPT = 64
"""Utterances whose words may still come."""


class Utterances:
    """Tells a new utterance from late words of one that has its answer. Pure.

    Args:
        speech_is_told: whether the provider tells of speech; then words ask for nothing.

    Attributes:
        unanswered: whether words came of an utterance that no response has followed.
    """

    def __init__(self, *, speech_is_told: bool) -> None:
        self.unanswered = False
        self._speech_is_told = speech_is_told
        self._responses = 0
        self._begun: dict[str, int] = {}  # utterances, and how many responses had begun when they were first told

    def words(self, update: TranscriptUpdate) -> None:
        """Words of the user's came, or the place of an utterance was kept."""
        begun = self._begun.setdefault(update.item_id, self._responses)
        while len(self._begun) > _KEPT:
            del self._begun[next(iter(self._begun))]
        if update.text and begun == self._responses and not self._speech_is_told:
            self.unanswered = True

    def response_started(self) -> None:
        """A response begins: it answers what was said so far."""
        self._responses += 1
        self.unanswered = False
