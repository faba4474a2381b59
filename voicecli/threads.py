"""Blocking work off the event loop, on daemon threads.

`asyncio.to_thread` and the executors keep their threads alive until the calls on them return, and the end of the
program waits for that: one call that hangs in a driver, a pipe or a name server would hold it up. Threads of this
module never do.
"""

import asyncio
import contextlib
import contextvars
import queue
import threading
from collections.abc import Callable
from functools import partial
from typing import Any, Generic, TypeVar, cast

__all__ = ["TooLateError", "Worker", "call_within", "run_in_thread"]

_T = TypeVar("_T")


async def run_in_thread(function: Callable[..., _T], *args: Any, **kwargs: Any) -> _T:
    """Call a function on a thread of its own; cancelled, its result is dropped.

    The function sees the caller's context variables. What it raises is raised here; KeyboardInterrupt, StopIteration
    and SystemExit as a RuntimeError.
    """
    call = _Call(partial(function, *args, **kwargs))
    name = f"voicecli-{getattr(function, '__name__', 'call')}"
    threading.Thread(target=call.run, name=name, daemon=True).start()
    return await call.future


class TooLateError(Exception):
    """A function has not returned in time."""


def call_within(seconds: float, function: Callable[[], _T]) -> _T:
    """Call a function on a thread of its own and wait for it, without an event loop; after that time it is left alone.

    Raises:
        TooLateError: it has not returned by then.
        Exception: what it raises.
    """
    results: queue.SimpleQueue[tuple[_T | None, BaseException | None]] = queue.SimpleQueue()

    def run() -> None:
        try:
            results.put((function(), None))
        except BaseException as error:
            results.put((None, error))

    threading.Thread(target=run, name="voicecli-call", daemon=True).start()
    try:
        result, error = results.get(timeout=seconds)
    except queue.Empty:
        raise TooLateError from None
    if error is not None:
        raise error if isinstance(error, Exception) else RuntimeError(type(error).__name__)
    return cast(_T, result)


class Worker:
    """Calls functions one after the other on one thread, which the first call starts.

    Args:
        name: of the thread, after "voicecli-".
    """

    def __init__(self, name: str) -> None:
        self._name = f"voicecli-{name}"
        self._calls: queue.SimpleQueue[Callable[[], object] | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None
        self._stopped = False

    def submit(self, function: Callable[[], object]) -> None:
        """Have a function called that does not raise. Raises RuntimeError when the worker is stopped."""
        if self._stopped:
            raise RuntimeError(f"The worker {self._name} is stopped.")
        if self._thread is None:
            self._thread = threading.Thread(target=self._serve, name=self._name, daemon=True)
            self._thread.start()
        self._calls.put(function)

    async def run(self, function: Callable[[], _T]) -> _T:
        """The function's result, after all calls before it; what it raises is raised as by `run_in_thread`.

        Cancelled while it waits, the function is not called; while it runs, its result is dropped.
        """
        call = _Call(function)
        self.submit(call.run)
        return await call.future

    def stop(self) -> None:
        """End the thread when it has made its calls; idempotent."""
        if not self._stopped:
            self._stopped = True
            self._calls.put(None)

    async def aclose(self, release: Callable[[], None] = lambda: None, *, timeout: float = 3.0) -> None:
        """Call `release` as the last function and end the thread, which after `timeout` seconds is left to itself.

        Idempotent. When `release` had to wait for so long, it is not called any more.
        """
        if self._stopped:
            return
        last = _Call(release)
        self.submit(last.run)
        self.stop()
        await asyncio.wait([last.future], timeout=timeout)
        if last.future.done():
            last.future.result()
        else:
            last.future.cancel()

    def _serve(self) -> None:
        while (call := self._calls.get()) is not None:
            call()
            del call  # until the next one comes, it would keep alive what it refers to


class _Call(Generic[_T]):
    """A function to be called on another thread, and the future that gets its result on the loop that made it."""

    def __init__(self, function: Callable[[], _T]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._context = contextvars.copy_context()
        self.future: asyncio.Future[_T] = self._loop.create_future()

    def run(self) -> None:
        if self.future.cancelled():
            return
        settle: Callable[[], None]
        try:
            settle = partial(self._settle, self._context.run(self._function))
        except (KeyboardInterrupt, StopIteration, SystemExit) as error:
            # A future cannot hold the second, and the others, which end a program, are not for a thread to raise.
            settle = partial(self._fail, RuntimeError(f"{type(error).__name__}: {error}"))
        except BaseException as error:
            settle = partial(self._fail, error)
        with contextlib.suppress(RuntimeError):  # the loop is closed: nobody waits any more
            self._loop.call_soon_threadsafe(settle)

    def _settle(self, result: _T) -> None:
        if not self.future.done():
            self.future.set_result(result)

    def _fail(self, error: BaseException) -> None:
        if not self.future.done():
            self.future.set_exception(error)
