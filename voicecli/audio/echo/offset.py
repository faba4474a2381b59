"""Offset of the two streams to each other, by samples. Pure: no clock, no device."""

import math
from collections import deque

from voicecli.audio.echo.framing import FRAME_MS

__all__ = ["OffsetPairs"]

# An echo may be put 71 ms nearer to begin with, and then come up to 200 ms later.
_LEAST_MS, _MOST_MS = -50, 280


class OffsetPairs:
    """Pairs frames of two streams at an offset.

    Args:
        frame_size: in bytes, PCM16 mono.

    Attributes:
        offset: how much later the rendered stream is, in samples. Where that is negative, the captured stream is late
            instead, by whole frames.
        offset_ms: the same in ms.
    """

    def __init__(self, frame_size: int) -> None:
        self.offset = 0
        self.offset_ms = 0.0
        self._size = frame_size
        kept = (_MOST_MS - _LEAST_MS) // FRAME_MS + 1
        self._rendered = deque([bytes(frame_size)] * kept, maxlen=kept)
        self._captured = deque([bytes(frame_size)] * kept, maxlen=kept)

    def move(self, samples: int) -> bool:
        """Let the rendered stream be so much later, or earlier; False where the offset would not be -50 to 280 ms."""
        ms = (self.offset + samples) * 2 / self._size * FRAME_MS
        is_possible = _LEAST_MS <= ms <= _MOST_MS
        if is_possible:
            self.offset += samples
            self.offset_ms = ms
        return is_possible

    def pair(self, rendered: bytes, captured: bytes) -> tuple[bytes, bytes]:
        """Take the next frame of each stream; the two frames that belong together now."""
        self._rendered.append(rendered)
        self._captured.append(captured)
        if not self.offset:
            return rendered, captured
        late = max(0, math.ceil(-self.offset * 2 / self._size))  # frames
        before, by = divmod(late * self._size + self.offset * 2, self._size)
        shifted = self._rendered[-1 - before]
        if by:
            shifted = self._rendered[-2 - before][-by:] + shifted[:-by]
        return shifted, self._captured[-1 - late]
