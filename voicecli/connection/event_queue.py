"""Events between the reader of a socket and the program that iterates over them."""

import asyncio
from collections import deque
from collections.abc import AsyncIterator

from voicecli.events import Event

__all__ = ["EventQueue"]


class EventQueue:
    """A queue of events that its writer never waits for.

    Attributes:
        waiting_bytes: how much the events not yet taken hold, roughly.
    """

    def __init__(self) -> None:
        self.waiting_bytes = 0
        self._batches: deque[tuple[list[Event], int]] = deque()
        self._closed = False
        self._error: BaseException | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._caught_up = asyncio.Event()

    def put(self, events: list[Event], size: int = 0) -> None:
        """Add events that together hold `size` bytes."""
        self._batches.append((events, size))
        self.waiting_bytes += size
        self._caught_up.clear()
        self._wake()

    async def caught_up(self) -> None:
        """Return when whoever iterates has dealt with all events so far, and asks for more."""
        await self._caught_up.wait()

    def close(self, error: BaseException | None = None) -> None:
        """No more events come: the iteration ends after those that wait, by `error` if there is one."""
        self._closed = True
        self._error = error
        self._wake()

    async def __aiter__(self) -> AsyncIterator[Event]:
        while True:
            while self._batches:
                events, size = self._batches.popleft()
                self.waiting_bytes -= size
                for event in events:
                    yield event
            self._caught_up.set()
            if self._closed:
                if self._error is not None:
                    raise self._error
                return
            self._waiter = asyncio.get_running_loop().create_future()
            try:
                await self._waiter
            finally:
                self._waiter = None

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
