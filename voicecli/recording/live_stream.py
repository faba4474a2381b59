"""Sound that comes as it is spoken or heard, put where it belongs in time."""

from collections import deque
from collections.abc import Iterator
from typing import NamedTuple

from voicecli.pcm16 import SAMPLE_BYTES, peak

__all__ = ["LiveStream", "Placed"]

# How far a stream may be from its time before it is moved. Two clocks that differ by 50 ppm, as those of sound cards
# do, need ten minutes for it. Whoever listens to both sides notices an offset from some 50 ms on.
_TOLERANCE_S = 0.03
# A gap this long is none of clocks: it is made wherever it falls. A shorter one waits for a quiet moment.
_GAP_S = 0.1
# So long is waited for what shows that a piece was only late: a program that is held up for a moment takes what came
# meanwhile all at once.
_WINDOW_S = 1.0
_MOST_S = 30.0  # of sound that waits to be placed
_QUIET = 100  # of 32768: -50 dBFS


class Placed(NamedTuple):
    """A piece of sound, and where it begins.

    Attributes:
        frame: where, in samples since the conversation began.
        joins: whether it goes on where the piece before it ended.
    """

    frame: int
    audio: bytes
    joins: bool


class LiveStream:
    """Places the pieces of a stream of which only the latest time is known at which each may have begun.

    A piece may be told late, never early: of all that come within a second, the one that is least late tells where they
    all belong. So a moment in which the program was held up makes no gap, and a second without sound does.

    Args:
        sample_rate: of PCM16 mono, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._rate = sample_rate
        self._pieces: deque[tuple[bytes, float]] = deque()  # with the latest time of the stream's first sample by it
        self._waiting = 0  # samples of them
        self._pushed = 0  # samples that came
        self._shift: float | None = None  # where the stream's first sample belongs, by all that was placed
        self._passed = 0  # samples that were placed, or left out

    def push(self, audio: bytes, began: float) -> None:
        """Take a piece that began at that time at the latest, in samples since the conversation began."""
        if not audio:
            return
        self._pieces.append((audio, began - self._pushed))
        self._pushed += len(audio) // SAMPLE_BYTES
        self._waiting += len(audio) // SAMPLE_BYTES

    @property
    def began(self) -> float | None:
        """The time of the first sample, as far as it can be told by now: before the conversation where it is negative.

        None before there is one, and once pieces have been placed.
        """
        if self._shift is not None or not self._pieces:
            return None
        return min(base for _, base in self._pieces)

    def ready(self, now: float) -> bool:
        """Whether a piece waits that nothing can show to be late any more, now being in samples, too."""
        return bool(self._pieces) and (
            now - self._passed - self._pieces[0][1] >= _WINDOW_S * self._rate or self._waiting > _MOST_S * self._rate
        )

    def take(self, now: float | None) -> Iterator[Placed]:
        """The pieces that are `ready`; with None all of them. To be read to the end."""
        least: deque[float] = deque()  # of each piece and all after it
        for _, base in reversed(self._pieces):
            least.appendleft(min(base, least[0]) if least else base)
        joins = self._shift is not None
        while self._pieces and (now is None or self.ready(now)):
            audio, _ = self._pieces.popleft()
            earliest = least.popleft()
            samples = len(audio) // SAMPLE_BYTES
            self._waiting -= samples
            late = 0.0 if self._shift is None else earliest - self._shift
            if self._shift is None:
                self._shift = earliest
            elif late > _GAP_S * self._rate or (late > _TOLERANCE_S * self._rate and peak(audio) < _QUIET):
                self._shift, joins = earliest, False
            elif -late > max(samples, _TOLERANCE_S * self._rate) and peak(audio) < _QUIET:
                # It is ahead of its time: silence is left out until it is not.
                self._shift, joins = self._shift - samples, False
                self._passed += samples
                continue
            yield Placed(round(self._shift) + self._passed, audio, joins)
            self._passed += samples
            joins = True
