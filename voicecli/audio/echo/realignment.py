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

__all__ = ["RealignedProcessing"]

# How much learnable sound there has been when the echo's distance is first looked for, and when that is given up. With
# 0.4 s it is found in 9 of 10 cases, and never wrongly (simulated).
_FROM_MS, _EVERY_MS, _UNTIL_MS = 400, 100, 1_000
_MISSED_MS = 2_000
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


class RealignedProcessing:
    """WebRTC's processing, with the echo where it cancels well, and kept through discontinuities.

    Where the echo's delay, when it is first known, is one at which WebRTC cancels poorly, a new processing begins with
    what has been heard until then, and with the rendered stream delayed a little; as soon as it has caught up, it takes
    over. Meanwhile the present one goes on: nobody who speaks then is lost.

    After a discontinuity the echo is at another distance. A new canceller lets the echo of a hard room through for
    seconds, as each does at first. So the former one is put aside; when it is clear by how much the echo has moved, the
    streams are shifted by that, and the former one goes on. Until then, or if that stays unclear, a new one is used.

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
        self._successor: _Aligned | None = None  # catches up
        self._next_ms = _FROM_MS
        self._missed: deque[tuple[bytes, bytes]] = deque(maxlen=_MISSED_MS // FRAME_MS)  # by what comes next
        self._waiting: deque[tuple[bytes, bytes]] = deque()

    @property
    def catching_up(self) -> bool:
        """Whether what it returned last was the residue of an earlier frame."""
        return self._successor is None and bool(self._waiting)

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
        if self._former is None and self._detector.knows_pattern:
            self._former = self._present
            self._former.known_ms += learnable_ms
            self._former.placed = True  # as well as it is
        self._detector.moved()
        self._present = _Aligned(self._make(), self._frame_size)
        self._successor = None
        self._waiting.clear()
        self._missed.clear()
        self._next_ms = _FROM_MS

    def process(self, rendered: bytes, captured: bytes, learnable_ms: int) -> bytes:
        """Take the echo of what is rendered out of what is captured: PCM16 mono, 10 ms of each.

        Args:
            learnable_ms: the sound rendered since `begin_anew`, in ms, of which something can be learnt.
        """
        self._waiting.append((rendered, captured))
        if self._former is not None or (learnable_ms and not self._present.placed):
            self._missed.append((rendered, captured))
        if self._former is not None:
            if learnable_ms >= self._next_ms:
                self._realign(self._former)
        elif not self._present.placed and (delay_ms := self._detector.delay_ms) is not None:
            self._place(delay_ms, learnable_ms)
        if self._successor is None:
            return self._catch_up(self._present, _CATCH_UP_FRAMES)
        residual = self._present.process(rendered, captured)
        self._catch_up(self._successor, _CATCH_UP_FRAMES - 1)
        if not self._waiting:
            self._present, self._successor = self._successor, None
        return residual

    def _catch_up(self, processing: "_Aligned", frames: int) -> bytes:
        residual = b""
        for _ in range(min(frames, len(self._waiting))):
            residual = processing.process(*self._waiting.popleft())
        return residual

    def _place(self, delay_ms: float, learnable_ms: int) -> None:
        self._present.placed = True
        # Where more has been learnt than is kept, that is worth more.
        low, high = _WELL_MS
        if not low <= delay_ms % _FILTER_MS <= high and delay_ms >= _BEST_MS and learnable_ms <= _MISSED_MS:
            self._successor = _Aligned(self._make(), self._frame_size)
            self._successor.placed = True
            self._successor.move(round((delay_ms - _BEST_MS) % _FILTER_MS * self._sample_rate / 1000))
            self._waiting = self._missed.copy()
        self._missed.clear()

    def _realign(self, former: "_Aligned") -> None:
        moved_by = self._detector.moved_by()
        if moved_by is not None and former.move(round(moved_by * self._sample_rate)):
            self._present, self._former = former, None
            latest = max(0, len(self._missed) - _MISSED_BY_FORMER_MS // FRAME_MS)
            self._waiting = deque(islice(self._missed, latest, None))
            return
        self._next_ms += _EVERY_MS
        if moved_by is not None or self._next_ms > _UNTIL_MS:
            self._former = None
            self._detector.forget()


class _Aligned:
    """Processing, the offset of the streams that it gets, whether that is the best one, and how much sound it knows."""

    def __init__(self, processing: WebRTCProcessing, frame_size: int) -> None:
        self.known_ms = 0
        self.placed = False
        self._processing = processing
        self._pairs = OffsetPairs(frame_size)

    def process(self, rendered: bytes, captured: bytes) -> bytes:
        return self._processing.process(*self._pairs.pair(rendered, captured))

    @property
    def delayed_ms(self) -> float:
        """How much later the rendered stream is."""
        return self._pairs.offset_ms

    def move(self, samples: int) -> bool:
        """Move the offset; whether that can be."""
        return self._pairs.move(samples)
