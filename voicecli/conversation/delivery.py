"""One iteration over a conversation's events."""

import asyncio
from collections.abc import Iterable

from voicecli.conversation.handlers import MOST_WAITING
from voicecli.errors import RealtimeError
from voicecli.events import Event

__all__ = ["Subscription"]


class Subscription:
    """One `async for` over a session. One that is left standing ends with an error instead of eating the memory."""

    def __init__(self, backlog: Iterable[Event] = ()) -> None:
        self._queue: asyncio.Queue[Event | None] = asyncio.Queue()
        self._failure: RealtimeError | None = None
        self._finished = False
        for event in backlog:
            self._queue.put_nowait(event)

    @property
    def waiting(self) -> int:
        """How many events have not been read."""
        return self._queue.qsize()

    def put(self, event: Event) -> None:
        if self._finished:
            return
        self._queue.put_nowait(event)
        if self._queue.qsize() >= MOST_WAITING:
            self.finish(
                RealtimeError(
                    f"{MOST_WAITING} events of the conversation were not read, and later ones are lost.",
                    advice="Read them as they come, or leave the iteration.",
                )
            )

    def finish(self, failure: RealtimeError | None) -> None:
        if not self._finished:
            self._finished, self._failure = True, failure
            self._queue.put_nowait(None)

    def __aiter__(self) -> "Subscription":
        return self

    async def __anext__(self) -> Event:
        event = await self._queue.get()
        if event is not None:
            return event
        self._queue.put_nowait(None)  # whoever asks again gets the same answer
        if self._failure is not None:
            raise self._failure
        raise StopAsyncIteration
