"""Processing of streams that are shifted: to where it cancels well, and after a discontinuity to where it goes on.

Pure: no clock, no device.
"""

from collections import deque
from collections.abc import Callable
from itertools import islice

from voicecli.audio.echo.detection import EchoDetector
from voicecli.audio.echo.framing import FRAME_MS
from voicecli.audio.echo.offset import OffsetPairs
from voicecli.audio.echo.webrtc import WebRTCProcessing

__all__ = ["SETTLED_MS", "RealignedProcessing"]

SETTLED_MS = 3_000
"""The sound of which something can be learnt that a canceller must have heard to know a room: in a hard one it lets
some through until then (measured)."""

# How much learnable sound there has been when the echo's distance is first looked for, and when that is given up. With
# 0.4 s it is found in 9 of 10 cases, and never wrongly (simulated).
_FROM_MS, _EVERY_MS, _UNTIL_MS = 400, 100, 1_000
_RECENT_MS = 2_000  # kept
# What knows the room needs no more of that than an echo lasts.
_MISSED_BY_FORMER_MS = 600
# WebRTC looks for an echo with filters of which one begins each 96 ms. In a hard room it cancels poorly what comes
# where one ends: at delays of 81 to 93 and of 174 to 189 ms it leaves up to 9 bursts a minute, of 60 ms, as loud as a
# soft voice; at others from 60 to 213 ms none after the first 2 s (simulated in steps of 3 ms).
_FILTER_MS = 96
# So the echo is brought to 40 ms, modulo that, unless it is near enough: devices that are served late move it by 10 or
# 20 ms, unnoticed.
_WELL_MS = 16, 60
_BEST_MS = 40
_CATCH_UP_FRAMES = 4  # of 10 ms, within 10 ms: what has been missed in half a second is caught up with in 0.15 s


_Pair = tuple[bytes, bytes, int]
"""10 ms rendered and captured, and how much sound of which something can be learnt was rendered before, in ms."""


class RealignedProcessing:
    """WebRTC's processing, with the echo where it cancels well, and kept through discontinuities.

    Where the echo's delay is one at which WebRTC cancels poorly, a new processing begins with what has been heard
    lately, and with the rendered stream delayed a little; as soon as it knows the room as well, it takes over.
    Meanwhile the present one goes on: nobody who speaks then is lost.

    After a discontinuity the echo is at another distance. A new canceller lets the echo of a hard room through for
    seconds, as each does at first. So the former one is put aside; when it is clear by how much the echo has moved, the
    streams are shifted by that, and the former one goes on. Until then, or if that stays unclear, a new one is used.

    An echo that moves without one is followed as soon as the detector tells, within a second: the streams are shifted.

    Args:
        frame_size: in bytes, PCM16 mono.
        sample_rate: in Hz.
        detector: is told of all pairs, and recognises the echo.
        make: makes a new processing.
    """

    def __init__(
        self, frame_size: int, sample_rate: int, detector: EchoDetector, make: Callable[[], WebRTCProcessing]
    ) -> None:
        self._frame_size = frame_size
        self._sample_rate = sample_rate
        self._detector = detector
        self._make = make
        self._present = _Aligned(make(), frame_size)
        self._former: _Aligned | None = None
        self._successor: _Aligned | None = None  # at a better place
        self._next_ms = _FROM_MS
        self._looks = detector.looks  # of which is known what they found
        self._is_placed = False  # as well as can be, as far as is known
        self._recent: deque[_Pair] = deque(maxlen=_RECENT_MS // FRAME_MS)  # since `begin_anew`

    @property
    def catching_up(self) -> bool:
        """Whether what it returned last was the residue of an earlier frame."""
        return bool(self._present.waiting)

    @property
    def known_ms(self) -> int:
        """How much learnable sound what it uses had heard before the latest `begin_anew`."""
        return self._present.known_ms

    @property
    def outrun(self) -> bool:
        """Whether the echo comes before its sound, which was delayed for where the echo was: nothing can cancel it."""
        delay_ms = self._detector.delay_ms
        return delay_ms is not None and delay_ms < self._present.delayed_ms

    def begin_anew(self, learnable_ms: int) -> None:
        """Know that the echo has moved, and is at its new distance.

        Args:
            learnable_ms: as `process` says, since the last time.
        """
        self._follow()  # the detector may have been ahead
        if self._former is None and self._detector.knows_pattern:
            self._former = self._present
            self._former.known_ms += learnable_ms
            self._former.waiting.clear()
        self._detector.moved()
        self._present, self._successor = _Aligned(self._make(), self._frame_size), None
        self._recent.clear()
        self._next_ms = _FROM_MS

    def process(self, rendered: bytes, captured: bytes, learnable_ms: int) -> bytes:
        """Take the echo of what is rendered out of what is captured: PCM16 mono, 10 ms of each.

        Args:
            learnable_ms: the sound rendered since `begin_anew`, in ms, of which something can be learnt.
        """
        if self._looks != self._detector.looks:
            self._looks, self._is_placed = self._detector.looks, False
            self._follow()
        pair = rendered, captured, learnable_ms
        self._recent.append(pair)
        if self._former is not None or self._successor is not None or not self._is_placed or self._present.waiting:
            return self._process_between(pair)
        return self._present.process(rendered, captured)

    def _process_between(self, pair: _Pair) -> bytes:
        """Process a pair while it is not clear that the present processing goes on, or while that catches up."""
        learnable_ms = pair[2]
        self._present.waiting.append(pair)
        if self._successor is not None:
            self._successor.waiting.append(pair)
        if self._former is None:
            if not self._is_placed:
                self._is_placed = True
                self._place()
        elif learnable_ms >= self._next_ms:
            self._realign(self._former)
        residual = self._present.catch_up(_CATCH_UP_FRAMES)
        if self._successor is not None:
            self._successor.catch_up(_CATCH_UP_FRAMES - 1)
            self._take_over(self._successor, learnable_ms)
        return residual

    def _follow(self) -> None:
        """Keep the echo where it was. What cannot, as that would be too far, finds it by itself, in 1 to 6 s."""
        seconds = self._detector.take_move()
        if not seconds or not (samples := round(seconds * self._sample_rate)):
            return
        self._present.move(samples)
        if self._successor is not None:
            self._successor.move(samples)
        self._recent.clear()  # of before and after

    def _place(self) -> None:
        """Begin at a better place, where there is one."""
        delay_ms = self._detector.delay_ms
        if delay_ms is None or delay_ms < _BEST_MS:
            return
        used = self._present if self._successor is None else self._successor
        low, high = _WELL_MS
        if low <= (delay_ms - used.delayed_ms) % _FILTER_MS <= high:
            return
        self._successor = _Aligned(self._make(), self._frame_size)
        self._successor.move(round((delay_ms - _BEST_MS) % _FILTER_MS * self._sample_rate / 1000))
        self._successor.waiting.extend(self._recent)
        # With what is learnable at any time it is what this one has heard.
        self._successor.known_ms = -self._recent[0][2]

    def _take_over(self, successor: "_Aligned", learnable_ms: int) -> None:
        knows_ms = min(self._present.known_ms + learnable_ms, SETTLED_MS)
        if not successor.waiting and successor.known_ms + learnable_ms >= knows_ms:
            self._present, self._successor = successor, None

    def _realign(self, former: "_Aligned") -> None:
        self._is_placed = False
        moved_by = self._detector.moved_by()
        if moved_by is not None and former.move(round(moved_by * self._sample_rate)):
            self._present, self._former = former, None
            latest = max(0, len(self._recent) - _MISSED_BY_FORMER_MS // FRAME_MS)
            former.waiting.extend(islice(self._recent, latest, None))
            return
        self._next_ms += _EVERY_MS
        if moved_by is not None or self._next_ms > _UNTIL_MS:
            self._former = None
            self._detector.forget()


class _Aligned:
    """Processing, the offset of the streams that it gets, and how much sound it knows.

    Attributes:
        known_ms: the learnable sound that it had heard before the latest `begin_anew`.
        waiting: what it is yet to be given.
    """

    def __init__(self, processing: WebRTCProcessing, frame_size: int) -> None:
        self.known_ms = 0
        self.waiting: deque[_Pair] = deque()
        self._processing = processing
        self._pairs = OffsetPairs(frame_size)

    def catch_up(self, frames: int) -> bytes:
        """Process up to so many of the frames that wait; the latest residue."""
        residual = b""
        while frames and self.waiting:
            rendered, captured, _ = self.waiting.popleft()
            residual = self.process(rendered, captured)
            frames -= 1
        return residual

    def process(self, rendered: bytes, captured: bytes) -> bytes:
        """Process a frame at once; its residue."""
        rendered, captured = self._pairs.pair(rendered, captured)
        return self._processing.process(rendered, captured)

    @property
    def delayed_ms(self) -> float:
        """How much later the rendered stream is."""
        return self._pairs.offset_ms

    def move(self, samples: int) -> bool:
        """Move the offset; whether that can be."""
        return self._pairs.move(samples)
