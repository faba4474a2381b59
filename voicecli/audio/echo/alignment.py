"""Alignment of the render and the capture stream, frame by frame, at a distance that stays the same.

Pure: no clock, no device. One thread renders, another captures.
"""

import statistics
from collections import deque
from enum import Enum

from voicecli.audio.echo.framing import FRAME_MS

__all__ = ["Distance", "FramePairs"]

# The length of a window of the skew, and how many windows tell its usual range. Devices of 10 to 150 ms a block, called
# up to some 12 ms late, then give no false alarm; only where both have the same long blocks there are some: one in 40 s
# with 100 ms (simulated). A discontinuity is noticed after 90 ms (blocks of 10 ms) to 350 ms (of 93 ms).
_WINDOW_MS = 250
_WINDOWS = 5
_RECENT_MS = 60
_LEAST_JUMP_MS = 20
# Where a device's buffer is only filled more than before, or less, nothing is lost, and no echo moves. With PulseAudio
# on a busy machine that happens each 12 s, by 10 to 70 ms; in 65 of 89 cases no echo had moved (measured).
_MAX_REFILL_MS = 80
_MAX_RENDERED_MS = 1_000  # kept while nothing is captured
# How long a captured frame waits for what was rendered at the same time, when that is late; then it was nothing. It
# does not wait at all once nothing was rendered for so long that no loudspeaker can be running.
_MAX_WAIT_MS = 100
_NOT_RUNNING_MS = 500


class Distance(Enum):
    """What becomes of the distance of the streams, and with it of that of an echo to its sound."""

    SAME = "same"
    DOUBTFUL = "doubtful"
    """A device may have lost something; or its buffer is filled otherwise than before. The pairs stay as they are."""
    CHANGED = "changed"
    """The pairs are others from now on."""


class FramePairs:
    """Pairs rendered with captured frames, at a distance that stays the same.

    Devices call in bunches, of up to 200 ms. Passed on as they come, they look to WebRTC's canceller as if one device
    ran ahead of the other; by 32 ms for a second, and it forgets what it has learnt, in the middle of a reply. So a
    rendered frame waits here for the captured frame that comes at the same time at the earliest, as far as is known;
    then its echo still comes after it.

    Args:
        silence: a frame of it, in place of what was not rendered.
    """

    def __init__(self, silence: bytes) -> None:
        self._silence = silence
        self._skew = _Skew()
        # Each frame with how much was rendered before it.
        self._rendered: deque[tuple[int, bytes]] = deque(maxlen=_MAX_RENDERED_MS // FRAME_MS)
        self._captured: deque[bytes] = deque()
        self._taken_ms = 0  # captured before the first of these
        self._lead_ms = 0  # how much more was rendered than captured, before the two frames of a pair
        self._is_known = False  # whether that is so
        self._unrendered_ms = _NOT_RUNNING_MS  # captured since something was rendered

    def rendered(self, frame: bytes) -> None:
        """Take a rendered frame. On the render thread."""
        self._rendered.append((self._skew.rendered_ms, frame))
        self._skew.rendered()
        self._unrendered_ms = 0

    def captured(self, frame: bytes, *, quiet: bool, echo_ms: float) -> Distance:
        """Take a captured frame; what becomes of the distance. On the capture thread.

        Args:
            quiet: whether there is no echo, so that a change does not matter.
            echo_ms: how late an echo comes, at least; infinity where there is none.
        """
        self._captured.append(frame)
        self._unrendered_ms += FRAME_MS
        jump_ms = self._skew.captured()
        low = self._skew.low
        if low is None:
            return Distance.SAME
        # A loudspeaker that was there first is ahead of what is paired: its echo would come before its sound.
        was_first = not self._is_known and low - self._lead_ms >= _LEAST_JUMP_MS
        self._is_known = True
        ahead_ms = low - self._lead_ms
        # What is captured waits for what is rendered: that can be ended while there is no echo.
        waits = quiet and -ahead_ms >= _LEAST_JUMP_MS
        # What was lost bit by bit, or by a clock that is slow, adds up to more than any buffer holds. And where an echo
        # would come before its sound if this was lost, nothing could find it any more.
        is_lost = ahead_ms >= _LEAST_JUMP_MS and (ahead_ms > _MAX_REFILL_MS or echo_ms - ahead_ms < FRAME_MS)
        if abs(jump_ms) > _MAX_REFILL_MS or was_first or waits or (is_lost and (quiet or jump_ms)):
            self._lead_ms = low
            return Distance.CHANGED
        return Distance.DOUBTFUL if jump_ms else Distance.SAME

    def take(self) -> list[tuple[bytes, bytes]]:
        """The pairs (rendered, captured) that are complete. The latest captured frames may wait."""
        pairs: list[tuple[bytes, bytes]] = []
        while self._captured:
            wanted_ms = self._taken_ms + self._lead_ms
            while self._rendered and self._rendered[0][0] < wanted_ms:
                self._rendered.popleft()
            rendered = self._silence
            if self._rendered:
                if self._rendered[0][0] == wanted_ms:
                    rendered = self._rendered.popleft()[1]
            elif wanted_ms >= self._skew.rendered_ms:  # it is yet to be rendered, not gone
                if len(self._captured) <= _MAX_WAIT_MS // FRAME_MS and self._unrendered_ms <= _NOT_RUNNING_MS:
                    break
                self._lead_ms -= FRAME_MS
            self._taken_ms += FRAME_MS
            pairs.append((rendered, self._captured.popleft()))
        return pairs


class _Skew:
    """Skew between the streams: how much more was rendered than captured; notices a discontinuity in either.

    The skew swings by the devices' blocks, and when one is called late it swings out to one side. After a discontinuity
    all of the swing moves, by more than its width.

    Attributes:
        low: the low end of the swing, in ms; None while it is not known.
        rendered_ms: how much was rendered.
    """

    def __init__(self) -> None:
        self.low: int | None = None
        self.rendered_ms = 0  # written by the render thread; all else by the capture thread
        self._captured_ms = 0
        self._recent: deque[int] = deque(maxlen=_WINDOW_MS // FRAME_MS)
        self._since = 0  # frames since the last window
        self._lows: deque[int] = deque(maxlen=_WINDOWS)
        self._highs: deque[int] = deque(maxlen=_WINDOWS)
        self._usual: tuple[int, int] | None = None

    def rendered(self) -> None:
        """Count a rendered frame."""
        self.rendered_ms += FRAME_MS

    def captured(self) -> int:
        """Count a captured frame; by how much the skew jumps with it, in ms."""
        self._captured_ms += FRAME_MS
        skew = self.rendered_ms - self._captured_ms
        self._recent.append(skew)
        self._since += 1
        if self._usual is not None:
            low, high = self._usual
            least = max(_LEAST_JUMP_MS, high - low)
            # The latest alone tells, nearly always.
            if not high - least < skew < low + least and (moved := self._moved(low, high, least)) is not None:
                self._lows.clear()
                self._highs.clear()
                self._learn(moved)
                return min(moved) - low
        if self._since == self._recent.maxlen:
            self._learn(list(self._recent))
        return 0

    def _learn(self, skews: list[int]) -> None:
        self._lows.append(min(skews))
        self._highs.append(max(skews))
        self._usual = statistics.median_low(self._lows), statistics.median_low(self._highs)
        self.low = min(self._lows)
        self._since = 0

    def _moved(self, usual_low: int, usual_high: int, least: int) -> list[int] | None:
        """The latest skews, all after a discontinuity, which moves them by `least`; None where there was none."""
        width = usual_high - usual_low
        skews = list(self._recent)[-(_RECENT_MS + 2 * width) // FRAME_MS :]
        lows_by, highs_by = min(skews) - usual_low, max(skews) - usual_high
        captured_ms = (len(skews) - 1) * FRAME_MS
        # A capture stream that was only held up comes in one go, and is where it was at the end of it.
        held_up = skews[-1] - skews[0] + captured_ms < captured_ms // 2
        return skews if (min(lows_by, highs_by) >= least and not held_up) or max(lows_by, highs_by) <= -least else None
