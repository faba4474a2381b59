"""A thread of one's own for an engine that blocks, and that must not be called from two threads."""

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

__all__ = ["Worker"]

_T = TypeVar("_T")


class Worker:
    """Runs functions one after the other on one thread."""

    def __init__(self, name: str) -> None:
        self._executor = ThreadPoolExecutor(max_workers=1, thread_name_prefix=f"voicecli-{name}")

    async def run(self, function: Callable[[], _T]) -> _T:
        """The function's result. Cancelled, the call is dropped if it waits; if it runs, its result is."""
        return await asyncio.get_running_loop().run_in_executor(self._executor, function)

    async def aclose(self, release: Callable[[], None] = lambda: None, *, timeout: float = 3.0) -> None:
        """Run `release` on the thread and end it; after `timeout` seconds it is left to end by itself."""
        last = asyncio.wrap_future(self._executor.submit(release))
        self._executor.shutdown(wait=False)
        await asyncio.wait([last], timeout=timeout)
        if last.done():
            last.result()
        else:
            last.cancel()
