"""The reply that the user hears: an estimate, as the engine is not told what is played."""

from collections.abc import Callable

__all__ = ["HeardReply"]

# A player begins, and after a pause goes on, a little later than it could.
_START_S = 0.3


class HeardReply:
    """Follows the sound of the replies as it is given out, and whether it is still heard.

    Args:
        clock: the time, in seconds.
    """

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._until = 0.0
        self._paused_at: float | None = None
        self._text = ""

    @property
    def is_heard(self) -> bool:
        """Whether something of a reply is still to be heard."""
        return (self._paused_at or self._clock()) < self._until

    @property
    def asks(self) -> bool:
        """Whether the last reply ends in a question, so far."""
        return self._text.rstrip(" \"'").endswith("?")

    def add(self, text: str, duration_ms: float) -> None:
        """More of a reply was given out.

        Args:
            text: all of it so far.
            duration_ms: of the sound that is new.
        """
        self._text = text
        if duration_ms:
            now = self._clock()
            self._until = max(self._until, now + _START_S) + duration_ms / 1000

    def pause(self) -> None:
        """The user began to speak: what plays the reply pauses it, until it is cut or goes on."""
        if self._paused_at is None and self.is_heard:
            self._paused_at = self._clock()

    def resume(self) -> None:
        """It goes on."""
        if self._paused_at is not None:
            self._until += self._clock() - self._paused_at
            self._paused_at = None

    def stop(self) -> None:
        """It was cut."""
        self._until, self._paused_at = 0.0, None
