"""An event loop whose clock jumps over waiting: backoff and timeouts take no real time, sockets are real.

When nothing is ready for 2 ms, both ends of every loopback connection are waiting for the clock (the kernel delivers on
loopback at once, and both ends live in this loop), so the clock goes on to the next timer.
"""

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

__all__ = ["run_without_io", "virtual_time"]

P = ParamSpec("P")
T = TypeVar("T")

_GRACE_S = 0.002


class _JumpingSelector(selectors.DefaultSelector):
    jumped_s = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        if timeout is None or timeout <= _GRACE_S:
            return super().select(timeout)
        ready = super().select(_GRACE_S)
        if not ready:
            self.jumped_s += timeout - _GRACE_S
        return ready


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return super().time() + self._jumping.jumped_s


def virtual_time(test: Callable[P, Coroutine[Any, Any, None]]) -> Callable[P, None]:
    """Run the test in virtual time; it must leave no task behind."""

    async def checked(*args: P.args, **kwargs: P.kwargs) -> None:
        await test(*args, **kwargs)
        left = asyncio.all_tasks() - {asyncio.current_task()}
        assert not left, f"tasks left behind: {left}"

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> None:
        with asyncio.Runner(loop_factory=_VirtualTimeLoop) as runner:
            runner.run(checked(*args, **kwargs))

    return run


class _IdleSelector(selectors.DefaultSelector):
    """Waits for nothing: the clock goes on instead."""

    now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        assert timeout is not None, "nothing will ever happen any more"
        self.now += max(timeout, 0.0)
        return []


class _ClockworkLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._clock = _IdleSelector()
        super().__init__(self._clock)

    def time(self) -> float:
        return self._clock.now


def run_without_io(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that uses neither sockets nor threads, in exact virtual time that begins at 0."""
    with asyncio.Runner(loop_factory=_ClockworkLoop) as runner:
        return runner.run(work)
