"""The order of captions: by their times, though words come late and channels are not equally fast. Pure."""

from voicecli.captions import Caption

__all__ = ["CaptionOrder"]

_NOTICED_MS = 2_000  # after its beginning an utterance is known, or there is none
_MOST_LATE_MS = 60_000  # of sound that goes by while words are awaited; then what follows waits no longer


class CaptionOrder:
    """Holds final captions back until none can come that belongs before them.

    Args:
        channels: how many there are.
    """

    def __init__(self, channels: int) -> None:
        self._heard_ms = [0] * channels
        self._awaited: dict[str, int] = {}  # utterances whose words are still to come, and where they begin
        self._waiting: list[Caption] = []  # in order

    def heard(self, channel: int, until_ms: int) -> list[Caption]:
        """Know that so much sound of a channel (from 0) has gone in; returns what need not wait any longer."""
        self._heard_ms[channel] = until_ms
        return self._ready()

    def awaits(self, utterance: str, start_ms: int) -> None:
        """Know that words from there on are to come."""
        self._awaited.setdefault(utterance, start_ms)

    def add(self, caption: Caption) -> list[Caption]:
        """Take a final caption, also an empty one; returns what need not wait any longer."""
        self._awaited.pop(caption.id, None)
        if caption.text.strip():
            place = len(self._waiting)
            while place and self._waiting[place - 1].start_ms > caption.start_ms:
                place -= 1
            self._waiting.insert(place, caption)
        return self._ready()

    def rest(self) -> list[Caption]:
        """All that waits, in order: nothing more comes."""
        waiting, self._waiting = self._waiting, []
        return waiting

    def _ready(self) -> list[Caption]:
        if not self._waiting:
            return []
        latest = max(self._heard_ms)
        for utterance in [each for each, start in self._awaited.items() if latest - start > _MOST_LATE_MS]:
            del self._awaited[utterance]
        known_ms = min(self._heard_ms) - _NOTICED_MS if len(self._heard_ms) > 1 else latest
        count = 0
        while count < len(self._waiting) and self._may_go(self._waiting[count].start_ms, known_ms, latest):
            count += 1
        ready, self._waiting = self._waiting[:count], self._waiting[count:]
        return ready

    def _may_go(self, start_ms: int, known_ms: int, latest_ms: int) -> bool:
        if any(start < start_ms for start in self._awaited.values()):
            return False
        # A service that says nothing of what it awaits holds nothing up; nor does a channel that ends early.
        return start_ms <= known_ms or latest_ms - start_ms > _MOST_LATE_MS
