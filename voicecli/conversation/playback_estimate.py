"""Where the listener is, for programs that play the reply themselves and do not say."""

from collections import deque

from voicecli.audio import Playhead

__all__ = ["PlaybackEstimate"]


class PlaybackEstimate:
    """Takes it that audio is played as soon as it comes, without gaps. Times are in seconds, of any monotonic clock.

    Args:
        sample_rate: of the audio, in Hz.
    """

    def __init__(self, sample_rate: int) -> None:
        self._bytes_per_s = sample_rate * 2
        self._pieces: deque[tuple[str, float, float]] = deque()  # item, when its sound starts, when it ends

    def add(self, audio: bytes, item_id: str, now: float) -> None:
        """A chunk of the item's audio was handed out."""
        while self._pieces and self._pieces[0][2] <= now and self._pieces[0][0] != item_id:
            self._pieces.popleft()  # heard, and of an item that nobody will ask for
        start = max(now, self._pieces[-1][2]) if self._pieces else now
        end = start + len(audio) / self._bytes_per_s
        if self._pieces and self._pieces[-1][0] == item_id and self._pieces[-1][2] == start:
            start = self._pieces.pop()[1]  # goes on without a gap
        self._pieces.append((item_id, start, end))

    def playhead(self, now: float) -> Playhead | None:
        """The item being heard and how much of it has been, or None when all has."""
        playing = next((piece for piece in self._pieces if piece[2] > now), None)
        if playing is None:
            return None
        item_id = playing[0]
        heard_s = sum(min(end, now) - start for item, start, end in self._pieces if item == item_id and start < now)
        return Playhead(item_id, round(heard_s * 1000))

    def clear(self, now: float) -> Playhead | None:
        """Forget what is unheard; says where the listener was."""
        playhead = self.playhead(now)
        self._pieces.clear()
        return playhead
