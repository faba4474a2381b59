"""An event loop whose clock jumps over waiting: backoff and timeouts take no real time, sockets are real.

Hardly anything but the timers moves the clock: however busy the machine is, work takes no time. When nothing is ready
for 2 ms, both ends of every loopback connection are waiting for the clock (the kernel delivers on loopback at once, and
both ends live in this loop), so the clock goes on to the next timer; at once where nobody else can wake the loop, since
it has no socket and no thread has been started.
"""

import asyncio
import functools
import selectors
import sys
import threading
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from voicecli.threads import Worker

__all__ = ["run_without_io", "virtual_time"]

P = ParamSpec("P")
T = TypeVar("T")

_GRACE_S = 0.002
_MOST_WORK_S = 1.0
"""How long a thread is let work in real time; one that is meant to hang is left alone after that."""
_WAITING = (Worker._serve.__code__, threading.Condition.wait.__code__, threading.Event.wait.__code__)
_TURN_S = 1e-6
"""How long a turn of the loop takes where sockets are: a round trip of no time would look like none."""


class _JumpingSelector(selectors.DefaultSelector):
    def __init__(self) -> None:
        super().__init__()
        self._threads = set(threading.enumerate())
        self.now = 0.0
        """The time by the clock, in seconds."""

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        alone = self._alone
        if not alone:
            self.now += _TURN_S
        if timeout is None or timeout <= 0:
            return super().select(timeout)
        ready = super().select(0.0 if alone else _GRACE_S)
        if not (ready or alone):
            ready = self._let_threads_work()
        if not ready:
            self.now += timeout
        return ready

    def _let_threads_work(self) -> list[tuple[selectors.SelectorKey, int]]:
        """What the threads of the test bring while one of them does something, rather than wait.

        They must be seen idle before and after a look at the sockets: what a thread hands in as it ends, or does once
        it is let run, comes between.
        """
        until, seen_idle = time.monotonic() + _MOST_WORK_S, False
        while time.monotonic() < until:
            at_work = self._at_work
            if seen_idle and not at_work:
                break
            seen_idle = not at_work
            if ready := super().select(_GRACE_S if at_work else 0.0):
                return ready
        return []

    @property
    def _at_work(self) -> bool:
        frames = sys._current_frames()
        own = (thread for thread in threading.enumerate() if thread not in self._threads)
        return any(
            getattr(frames.get(each.ident or 0), "f_code", None) not in _WAITING or _may_run(each) for each in own
        )

    @property
    def _alone(self) -> bool:
        """Whether only the clock can wake the loop: its one descriptor is its own, by which threads would do it."""
        return len(self.get_map() or ()) <= 1 and self._threads.issuperset(threading.enumerate())


def _may_run(thread: threading.Thread) -> bool:
    """Whether the system would let a thread go on that looks as if it waited: it has been woken, and not yet run."""
    try:
        status = Path(f"/proc/self/task/{thread.native_id}/stat").read_text()
    except OSError:  # another system, or it has just ended
        return False
    return status.rpartition(")")[2].split()[0] == "R"


class _VirtualTimeLoop(asyncio.SelectorEventLoop):
    def __init__(self) -> None:
        self._jumping = _JumpingSelector()
        super().__init__(self._jumping)

    def time(self) -> float:
        return self._jumping.now


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
