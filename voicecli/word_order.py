"""Events on their way to those who listen: a reply's words behind the words it answers, but not for ever."""

import asyncio
from collections.abc import Callable

from voicecli.events import Event
from voicecli.transcript import TranscriptOrder

__all__ = ["WordOrder"]

# How long the reply's words wait for the user's, in seconds. Transcriptions arrive within about a second of the
# turn's end; later than this is rare, and a reader should not wait longer.
_TRANSCRIPT_WAIT_S = 2.0


class WordOrder:
    """Drives a `TranscriptOrder` by the event loop's clock.

    Args:
        deliver: takes each event when its time has come.
    """

    def __init__(self, deliver: Callable[[Event], None]) -> None:
        self._deliver = deliver
        self._order = TranscriptOrder()
        self._timer: asyncio.TimerHandle | None = None

    @property
    def holding(self) -> bool:
        """Whether some events wait."""
        return self._order.holding

    def push(self, event: Event) -> None:
        for ready in self._order.push(event):
            self._deliver(ready)
        if not self._order.holding:
            self._stop_timer()
        elif self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(_TRANSCRIPT_WAIT_S, self.release)

    def release(self) -> None:
        """Deliver all that waits."""
        self._stop_timer()
        for event in self._order.release():
            self._deliver(event)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
