"""The clock of a recording beside that of its conversation."""

__all__ = ["RecordingClock"]


class RecordingClock:
    """Tells where in the recording a moment of the conversation is. Both count samples of the recording.

    They differ where the conversation takes less time than its sound: what was said while the provider was dialled
    stands before it, and a file is sent, and its answer received, in a part of the time for which they sound.

    Args:
        rate: of the recording, in Hz.
    """

    def __init__(self, rate: int) -> None:
        self._rate = rate
        self._points: list[tuple[float, float]] = []
        self._times: tuple[tuple[int, int], ...] | None = ()  # None when they are to be made anew

    def frame(self, moment: float) -> int:
        """The place of a moment that is not before the last jump."""
        if not self._points:
            return max(0, round(moment))
        at, place = self._points[-1]
        return max(0, round(place + moment - at))

    def begin(self, frames: int) -> None:
        """Let so many frames stand before the conversation."""
        if frames > 0 and not self._points:
            self._points.append((0, frames))
            self._times = None

    def jump(self, since: float, moment: float, frame: int) -> None:
        """Let a later place be that of a moment. What has happened since `since` is spread over the time between."""
        if self.frame(moment) >= frame:
            return
        if not self._points:
            self._points.append((0, 0))
        last = self._points[-1][0]
        if last < since < moment:
            self._points.append((since, self.frame(since)))
        if last == moment:
            self._points.pop()
        self._points.append((moment, frame))
        self._times = None

    @property
    def times(self) -> tuple[tuple[int, int], ...]:
        """Points (ms of the conversation, ms of the recording), as `ConversationRecord.recording_times` has them."""
        if self._times is None:  # they are asked for with each chunk, and may be many
            rate = self._rate
            self._times = tuple((round(at * 1000 / rate), round(place * 1000 / rate)) for at, place in self._points)
        return self._times
