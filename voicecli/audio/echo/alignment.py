"""Two streams of sound devices, brought together frame by frame: what is played, and what is recorded.

Pure: no clock, no device. One thread plays, another records.
"""

import statistics
from collections import deque
from collections.abc import Iterator

__all__ = ["FRAME_MS", "FramePairs"]

FRAME_MS = 10
"""How long a frame is: what the WebRTC audio processing takes."""

# How long to look at the two streams, and how many of these looks tell what is usual. Devices of 10 to 150 ms a block,
# called up to some 12 ms late, then give no false alarm; only where both have the same long blocks there are some: one
# in 40 s with 100 ms (simulated). A skip is noticed after 90 ms (blocks of 10 ms) to 350 ms (of 93 ms).
_SKEW_WINDOW_MS = 250
_SKEW_WINDOWS = 5
_SKEW_SIGN_MS = 60
_SKIPPED_MS = 20
_MOST_KEPT_MS = 1_000  # of what is played, while nothing is recorded
# How long a recording waits for what was played at the same time, when that is late; then it was nothing. It does not
# wait at all once nothing was played for so long that no loudspeaker can be running.
_MOST_HELD_MS = 100
_NOT_RUNNING_MS = 500


class FramePairs:
    """Brings the two streams together, frame by frame, at a distance that stays the same.

    Devices call in bunches, of up to 200 ms. Passed on as they come, they look to WebRTC's canceller as if one device
    ran ahead of the other; by 32 ms for a second, and it forgets what it has learnt, in the middle of a reply. So what
    is played waits here for the recording that comes at the same time at the earliest, as far as is known; then its
    echo still comes after it.

    Args:
        silence: a frame of it, in place of what was not played.
    """

    def __init__(self, silence: bytes) -> None:
        self._silence = silence
        self._skew = _Skew()
        # Each frame with how much was played before it.
        self._played: deque[tuple[int, bytes]] = deque(maxlen=_MOST_KEPT_MS // FRAME_MS)
        self._captured: deque[bytes] = deque()
        self._taken_ms = 0  # recorded before the first of these
        self._lead_ms = 0  # how much more was played than recorded, before the two frames of a pair
        self._unplayed_ms = _NOT_RUNNING_MS  # recorded since something was played

    def played(self, frame: bytes) -> None:
        """On the thread that plays."""
        self._played.append((self._skew.played_ms, frame))
        self._skew.played()
        self._unplayed_ms = 0

    def captured(self, frame: bytes, *, quiet: bool) -> bool:
        """On the thread that records; says whether the distance changes: that of an echo to its sound, too.

        Args:
            quiet: whether there is no echo, so that it does not matter.
        """
        self._captured.append(frame)
        self._unplayed_ms += FRAME_MS
        skipped = self._skew.captured()
        low = self._skew.low
        if low is None or not (skipped or (quiet and abs(low - self._lead_ms) >= _SKIPPED_MS)):
            return False
        self._lead_ms = low
        return True

    def take(self) -> Iterator[tuple[bytes, bytes]]:
        """The pairs that are complete: what was played, what was recorded. The last recordings may wait."""
        while self._captured:
            wanted_ms = self._taken_ms + self._lead_ms
            while self._played and self._played[0][0] < wanted_ms:
                self._played.popleft()
            played = self._silence
            if self._played:
                if self._played[0][0] == wanted_ms:
                    played = self._played.popleft()[1]
            elif wanted_ms >= self._skew.played_ms:  # it is yet to be played, not gone
                if len(self._captured) <= _MOST_HELD_MS // FRAME_MS and self._unplayed_ms <= _NOT_RUNNING_MS:
                    return
                self._lead_ms -= FRAME_MS
            self._taken_ms += FRAME_MS
            yield played, self._captured.popleft()


class _Skew:
    """Notices when one of two streams has skipped, by how much more has gone through the other.

    That swings by the devices' blocks, and when one is called late it swings out to one side. When one has skipped, all
    of the swing moves, by more than its width.

    Attributes:
        low: the low end of the swing, in ms; None while it is not known.
        played_ms: how much was played.
    """

    def __init__(self) -> None:
        self.low: int | None = None
        self.played_ms = 0  # written by the thread that plays; all else by the one that records
        self._captured_ms = 0
        self._recent: deque[int] = deque(maxlen=_SKEW_WINDOW_MS // FRAME_MS)
        self._since = 0  # frames since the last look at what is usual
        self._lows: deque[int] = deque(maxlen=_SKEW_WINDOWS)
        self._highs: deque[int] = deque(maxlen=_SKEW_WINDOWS)
        self._usual: tuple[int, int] | None = None

    def played(self) -> None:
        """Another frame was played."""
        self.played_ms += FRAME_MS

    def captured(self) -> bool:
        """Another frame was recorded; whether one of the streams has skipped, as is just noticed."""
        self._captured_ms += FRAME_MS
        self._recent.append(self.played_ms - self._captured_ms)
        self._since += 1
        moved = self._moved(*self._usual) if self._usual is not None else None
        if moved is not None:
            self._lows.clear()
            self._highs.clear()
            self._look(moved)
        elif self._since == self._recent.maxlen:
            self._look(list(self._recent))
        return moved is not None

    def _look(self, seen: list[int]) -> None:
        self._lows.append(min(seen))
        self._highs.append(max(seen))
        self._usual = statistics.median_low(self._lows), statistics.median_low(self._highs)
        self.low = min(self._lows)
        self._since = 0

    def _moved(self, usual_low: int, usual_high: int) -> list[int] | None:
        """The latest of the skew, all of it after a skip; None where there was none."""
        width = usual_high - usual_low
        seen = list(self._recent)[-(_SKEW_SIGN_MS + 2 * width) // FRAME_MS :]
        lows_by, highs_by = min(seen) - usual_low, max(seen) - usual_high
        least = max(_SKIPPED_MS, width)
        captured_ms = (len(seen) - 1) * FRAME_MS
        # A recording that was only held up comes in one go, and is where it was at the end of it.
        held_up = seen[-1] - seen[0] + captured_ms < captured_ms // 2
        return seen if (min(lows_by, highs_by) >= least and not held_up) or max(lows_by, highs_by) <= -least else None
