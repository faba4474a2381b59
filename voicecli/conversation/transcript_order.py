"""Events on their way to those who listen: a reply's words behind the words it answers, but not for ever."""

import asyncio
from collections.abc import Callable

from voicecli.events import Event, ResponseDone, ResponseStarted, TranscriptUpdate

__all__ = ["TranscriptOrder", "WordOrder"]

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


class TranscriptOrder:
    """Holds a reply's words back until the user's words that it answers are known.

    Providers transcribe the user apart from answering, so the text of a question often arrives after the first
    words of its answer. The reply's end waits with its words, unless another reply begins first. Sound is never held.
    Whoever drives it calls `release()` when the wait has become too long.
    """

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._held: list[Event] = []

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def push(self, event: Event) -> list[Event]:
        """What can be delivered now that this event has arrived, in order."""
        match event:
            case TranscriptUpdate("user", item_id, final=final):
                (self._open.discard if final else self._open.add)(item_id)
                return [event, *self.release()] if not self._open else [event]
            case TranscriptUpdate("assistant", item_id, interrupted=True) if not self._holds(item_id):
                return [event]  # the user's open words are those that cut it
            case TranscriptUpdate("assistant") | ResponseDone() if self._open or self._held:
                self._held.append(event)
                return []
            case ResponseStarted():  # one reply at a time
                ends = [held for held in self._held if isinstance(held, ResponseDone)]
                self._held = [held for held in self._held if not isinstance(held, ResponseDone)]
                return [*ends, event]
        return [event]

    def _holds(self, item_id: str) -> bool:
        return any(isinstance(event, TranscriptUpdate) and event.item_id == item_id for event in self._held)

    def release(self) -> list[Event]:
        """All that was held; and no more waiting for the user's words that are open now."""
        self._open.clear()
        held, self._held = self._held, []
        return held
