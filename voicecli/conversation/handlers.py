"""The functions a program registers with `@voice.on_...`, and how they are called.

Each handler has a lane of its own: its calls run one after the other, in the order of the events, and a handler
that is slow or raises holds up nobody else.
"""

import asyncio
import inspect
import logging
from collections import deque
from collections.abc import Callable
from functools import partial
from typing import Any

from voicecli.errors import RealtimeError
from voicecli.threads import run_in_thread

__all__ = ["HOOKS", "MOST_WAITING", "Handler", "HandlerLanes", "Handlers", "call_handler", "positional_arity"]

Handler = Callable[..., Any]

HOOKS = ("audio", "connect", "disconnect", "error", "interrupted", "tool_call", "transcript")

MOST_WAITING = 10_000
"""Events that wait for a handler or an iteration: about a quarter of an hour of a reply's sound, 50 MB."""

_log = logging.getLogger(__name__)


class Handlers:
    """What has been registered, by hook. Outlives sessions; several handlers of one hook run in turn."""

    def __init__(self) -> None:
        self._by_hook: dict[str, list[Handler]] = {hook: [] for hook in HOOKS}

    def add(self, hook: str, handler: Handler) -> None:
        if not callable(handler):
            raise TypeError(f"on_{hook} takes a function, not {type(handler).__name__}")
        self._by_hook[hook].append(handler)

    def of(self, hook: str) -> list[Handler]:
        return self._by_hook[hook]

    def any(self) -> bool:
        return any(self._by_hook.values())


async def call_handler(handler: Handler, *args: Any) -> Any:
    """Call a handler: a coroutine function on the event loop, a plain one in a thread, where it may block."""
    return await (handler(*args) if _is_coroutine_function(handler) else _call_in_thread(handler, *args))


def _is_coroutine_function(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004


async def _call_in_thread(handler: Handler, *args: Any) -> Any:
    result = await run_in_thread(handler, *args)
    return await result if inspect.isawaitable(result) else result


def positional_arity(handler: Handler, most: int) -> int:
    """How many positional arguments the handler takes, `most` at the most."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return most
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return most
    positional = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    return min(most, sum(parameter.kind in positional for parameter in parameters))


class HandlerLanes:
    """Calls the handlers for one session.

    Args:
        handlers: whom to call.
    """

    # How long the end of a session waits for handlers that still have events to take, and then for those that it
    # cancels, in seconds.
    DRAIN_S = 5.0
    STOP_S = 2.0

    def __init__(self, handlers: Handlers) -> None:
        self._handlers = handlers
        self._lanes: dict[tuple[str, int], _Lane] = {}
        self._complained: list[Handler] = []

    def call(self, hook: str, *args: Any) -> None:
        """Have every handler of the hook called with as many of the arguments as it takes. Returns at once."""
        for index, handler in enumerate(self._handlers.of(hook)):
            lane = self._lanes.get((hook, index))
            if lane is None:
                arity = positional_arity(handler, len(args))
                lane = self._lanes[hook, index] = _Lane(hook, handler, arity, self._failed)
            lane.put(args)

    def discard(self, hook: str) -> None:
        """Forget the calls of a hook that have not begun."""
        for (name, _), lane in self._lanes.items():
            if name == hook:
                lane.discard()

    def _failed(self, hook: str, handler: Handler, error: Exception) -> None:
        name = getattr(handler, "__name__", repr(handler))
        if hook == "error":
            # Its own failure cannot go to it again.
            _log.warning("The on_error handler %s failed: %s: %s", name, type(error).__name__, error)
            return
        wrapped = RealtimeError(f"The on_{hook} handler {name} failed: {type(error).__name__}: {error}")
        wrapped.__cause__ = error
        if self._handlers.of("error"):
            self.call("error", wrapped)
        else:
            # Said once for each handler: one that fails usually goes on failing.
            first = handler not in self._complained
            if first:
                self._complained.append(handler)
            _log.log(logging.WARNING if first else logging.DEBUG, "%s", wrapped)

    async def aclose(self) -> None:
        """Let the handlers take what is left, for `DRAIN_S` at the most, then stop them."""
        try:
            async with asyncio.timeout(self.DRAIN_S):
                # A failing handler may open the lane of on_error, so look again.
                while busy := [lane for lane in self._lanes.values() if not lane.idle]:
                    for lane in busy:
                        await lane.drain()
        except TimeoutError:
            names = ", ".join(lane.name for lane in self._lanes.values() if not lane.idle)
            _log.warning("Stopped handlers that were still running %g s after the end: %s", self.DRAIN_S, names)
        finally:
            for lane in self._lanes.values():
                lane.cancel()
            if self._lanes:
                await asyncio.wait([lane.task for lane in self._lanes.values()], timeout=self.STOP_S)


class _Lane:
    """Calls one handler with the first `arity` of the arguments of each event."""

    def __init__(
        self, hook: str, handler: Handler, arity: int, failed: Callable[[str, Handler, Exception], None]
    ) -> None:
        self.name = f"on_{hook}"
        self._hook = hook
        self._handler = handler
        self._arity = arity
        self._failed = failed
        # What inspection says of the handler is asked once: it takes longer than most handlers.
        self._call = handler if _is_coroutine_function(handler) else partial(_call_in_thread, handler)
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._wake = asyncio.Event()
        self._idle = asyncio.Event()
        self._stopped = False
        self._overrun = False
        self.task = asyncio.create_task(self._run(), name=f"voicecli-{self.name}")

    @property
    def idle(self) -> bool:
        return self._idle.is_set()

    def put(self, args: tuple[Any, ...]) -> None:
        if len(self._waiting) >= MOST_WAITING:
            self._waiting.popleft()
            if not self._overrun:
                self._overrun = True
                late = RealtimeError(f"it does not keep up; {MOST_WAITING} calls wait, and the oldest are dropped")
                self._failed(self._hook, self._handler, late)
        self._waiting.append(args)
        self._idle.clear()
        self._wake.set()

    def discard(self) -> None:
        self._waiting.clear()

    async def drain(self) -> None:
        await self._idle.wait()

    def cancel(self) -> None:
        self._stopped = True  # should the handler swallow the cancellation
        self.task.cancel()

    async def _run(self) -> None:
        try:
            while not self._stopped:
                if self._waiting:
                    await self._call_next()
                    continue
                self._idle.set()
                self._wake.clear()
                await self._wake.wait()
        finally:
            self._idle.set()

    async def _call_next(self) -> None:
        try:
            await self._call(*self._waiting.popleft()[: self._arity])
        except Exception as error:
            self._failed(self._hook, self._handler, error)
