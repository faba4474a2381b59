"""Timeline of what a device was given, from which follows how much of it has been heard."""

from dataclasses import dataclass
from typing import NamedTuple

__all__ = ["ItemSpan", "Timeline"]

_MAX_RUNS = 8  # stretches of audio to look back on; a device's latency spans two or three at most


@dataclass(slots=True, eq=False)
class ItemSpan:
    """A stretch of one item's audio, in samples.

    Attributes:
        item_id: the item.
        start: its first sample, counted from the first one in the buffer.
        before: samples of the item in earlier stretches, and those that were left out.
        length: of the stretch.
    """

    item_id: str
    start: int
    before: int
    length: int = 0


class Timeline(NamedTuple):
    """Blocks given to a device up to the latest. Replaced as a whole: no thread sees it half-written.

    Attributes:
        read_at: when the latest block was given, in seconds.
        before, after: samples given before that block, and with it.
        played: how many of all these were audio, not silence between it.
        runs: where each stretch of audio began: (samples given, of them audio) until there.
        playing: whether the latest block was audio to its end.
    """

    read_at: float = 0.0
    before: int = 0
    after: int = 0
    played: int = 0
    runs: tuple[tuple[int, int], ...] = ()
    playing: bool = False

    def with_block(self, now: float, size: int, audio: int) -> "Timeline":
        """The timeline once a block of `size` samples is given, of which the first `audio` are audio."""
        runs = self.runs if self.playing or not audio else (*self.runs, (self.after, self.played))[-_MAX_RUNS:]
        return Timeline(now, self.after, self.after + size, self.played + audio, runs, audio == size)

    def heard(self, now: float, latency_s: float, sample_rate: float) -> int:
        """Samples of audio that have left the loudspeaker.

        Args:
            now: in seconds, of the clock of `with_block`.
            latency_s: from giving a block until its first sample is heard.
            sample_rate: in Hz.
        """
        sounded = min(self.after, self.before + round((now - self.read_at - latency_s) * sample_rate))
        limit = self.played
        for given, played in reversed(self.runs):
            if given <= sounded:
                return min(limit, played + sounded - given)
            limit = played
        return limit
