"""An estimate of where the listener is, for programs that play the reply themselves and do not say."""

from collections import deque

from voicecli.audio import Playhead
from voicecli.pcm16 import PcmFormat

__all__ = ["PlaybackEstimate"]


class PlaybackEstimate:
    """Takes it that audio is played as soon as it comes, without gaps. Times are in seconds, of any monotonic clock.

    Args:
        sample_rate: of the audio, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._bytes_per_s = PcmFormat(sample_rate).bytes_per_s
        self._pieces: deque[tuple[str, float, float]] = deque()  # item, when its sound starts, when it ends
        self._paused_at: float | None = None

    def add(self, audio: bytes, item_id: str, now: float) -> None:
        """A chunk of the item's audio was handed out."""
        now = self._time(now)
        while self._pieces and self._pieces[0][2] <= now and self._pieces[0][0] != item_id:
            self._pieces.popleft()  # heard, and of an item that nobody will ask for
        start = max(now, self._pieces[-1][2]) if self._pieces else now
        end = start + len(audio) / self._bytes_per_s
        if self._pieces and self._pieces[-1][0] == item_id and self._pieces[-1][2] == start:
            start = self._pieces.pop()[1]  # goes on without a gap
        self._pieces.append((item_id, start, end))

    def sounds(self, now: float) -> None:
        """The first sound of the reply is heard only now: whoever plays it waited until there was enough of it."""
        first = len(self._pieces) - 1
        while first > 0 and self._pieces[first][1] == self._pieces[first - 1][2]:
            first -= 1
        if first >= 0 and (late := now - self._pieces[first][1]) > 0:
            for index in range(first, len(self._pieces)):
                item, start, end = self._pieces[index]
                self._pieces[index] = item, start + late, end + late

    def pause(self, now: float) -> None:
        """The sound is held up until `resume`."""
        if self._paused_at is None:
            self._paused_at = now

    def resume(self, now: float) -> None:
        """The sound goes on where it was held up."""
        if self._paused_at is not None:
            at, self._paused_at = self._paused_at, None
            pieces, self._pieces = self._pieces, deque()
            for item, start, end in pieces:
                if start < at:
                    self._pieces.append((item, start, min(end, at)))
                if end > at:
                    self._pieces.append((item, max(start, at) + now - at, end + now - at))

    @property
    def last_end(self) -> float | None:
        """The time at which what came last will have been heard, or was; None when nothing came since `clear`."""
        return self._pieces[-1][2] if self._pieces else None

    def ends_at(self, now: float) -> float | None:
        """The time at which all will have been heard; None when all has, or the sound is held up."""
        if self._paused_at is not None or not self._pieces or self._pieces[-1][2] <= now:
            return None
        return self._pieces[-1][2]

    def is_heard(self, now: float) -> bool:
        """True when nothing is left to be heard."""
        return not self._pieces or self._pieces[-1][2] <= self._time(now)

    def playhead(self, now: float) -> Playhead | None:
        """The item being heard and how much of it has been, or None when all has."""
        now = self._time(now)
        playing = next((piece for piece in self._pieces if piece[2] > now), None)
        if playing is None:
            return None
        item_id = playing[0]
        heard_s = sum(min(end, now) - start for item, start, end in self._pieces if item == item_id and start < now)
        return Playhead(item_id, round(heard_s * 1000))

    def clear(self, now: float) -> Playhead | None:
        """Forget what is unheard, and any pause; says where the listener was."""
        playhead = self.playhead(now)
        self._pieces.clear()
        self._paused_at = None
        return playhead

    def _time(self, now: float) -> float:
        return now if self._paused_at is None else self._paused_at
