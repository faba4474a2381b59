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
from typing import Any, TypeVar

from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.events import Role
from voicecli.text import described
from voicecli.threads import run_in_thread

__all__ = [
    "HOOKS",
    "MOST_WAITING",
    "AudioHandler",
    "ErrorHandler",
    "Handler",
    "HandlerLanes",
    "Handlers",
    "PlainHandler",
    "ToolCallHandler",
    "TranscriptHandler",
    "call_handler",
    "positional_arity",
]

Handler = Callable[..., Any]

PlainHandler = TypeVar("PlainHandler", bound=Callable[[], object])
AudioHandler = TypeVar("AudioHandler", bound=Callable[[bytes], object] | Callable[[], object])
ErrorHandler = TypeVar("ErrorHandler", bound=Callable[[RealtimeError], object] | Callable[[], object])
ToolCallHandler = TypeVar("ToolCallHandler", bound=Callable[[str, dict[str, Any]], object])
TranscriptHandler = TypeVar(
    "TranscriptHandler",
    bound=Callable[[str, bool, Role], object]
    | Callable[[str, bool], object]
    | Callable[[str], object]
    | Callable[[], object],
)

HOOKS: dict[str, tuple[str, ...]] = {
    "audio": ("audio: bytes",),
    "connect": (),
    "disconnect": (),
    "error": ("error: Exception",),
    "interrupted": (),
    "tool_call": ("tool_name: str", "args: dict[str, Any]"),
    "transcript": ("text: str", "is_final: bool", "role: str"),
}
"""The hooks, and the parameters of a handler of each."""

_TAKES_ALL = {"tool_call"}
"""Hooks whose handlers cannot leave out the last parameters."""

MOST_WAITING = 10_000
"""Events that wait for a handler or an iteration: about a quarter of an hour of a reply's sound, 50 MB."""

_POSITIONAL = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)

_log = logging.getLogger(__name__)


class Handlers:
    """The registered handlers, by hook. Outlives sessions; several handlers of one hook run in turn."""

    def __init__(self) -> None:
        self._by_hook: dict[str, list[Handler]] = {hook: [] for hook in HOOKS}

    def add(self, hook: str, handler: Handler) -> None:
        """Register a handler. Raises ConfigurationError when it could not be called."""
        _check_handler(hook, handler)
        self._by_hook[hook].append(handler)

    def of(self, hook: str) -> list[Handler]:
        return self._by_hook[hook]

    def any(self) -> bool:
        return any(self._by_hook.values())


def _check_handler(hook: str, handler: Handler) -> None:
    if not callable(handler):
        raise ConfigurationError(f"on_{hook} takes a function, not {type(handler).__name__}.")
    name = getattr(handler, "__name__", type(handler).__name__)
    parameters = HOOKS[hook]
    takes = f"on_{hook} takes a function of ({', '.join(part.partition(':')[0] for part in parameters)})"
    if fewer := len(parameters) > 0 and hook not in _TAKES_ALL:
        takes += " or fewer"
    advice = f"Write def {name}({', '.join(parameters)}){', or leave out the last ones' if fewer else ''}."
    if inspect.isgeneratorfunction(handler) or inspect.isasyncgenfunction(handler):
        raise ConfigurationError(f"{takes}; {name}() is a generator, which would never run.", advice=advice)
    try:
        signature = inspect.signature(handler)
    except (TypeError, ValueError):  # some builtins have none
        return
    least = len(parameters) if hook in _TAKES_ALL else 0
    needed = [part for part in signature.parameters.values() if part.default is part.empty]
    named = [part.name for part in needed if part.kind is part.KEYWORD_ONLY]
    count = sum(part.kind in _POSITIONAL for part in needed)
    if named:
        raise ConfigurationError(f"{takes}; {name}() needs {', '.join(named)} by name.", advice=advice)
    if count > len(parameters):
        raise ConfigurationError(f"{takes}; {name}() needs {count} argument{'s' * (count > 1)}.", advice=advice)
    if (most := positional_arity(handler, len(parameters))) < least:
        raise ConfigurationError(f"{takes}; {name}() takes {most} of them.", advice=advice)


async def call_handler(handler: Handler, *args: Any) -> Any:
    """Call a handler: a coroutine function on the event loop, a plain one in a thread, where it may block."""
    return await (handler(*args) if _is_coroutine_function(handler) else _call_in_thread(handler, *args))


def _is_coroutine_function(handler: Handler) -> bool:
    return inspect.iscoroutinefunction(handler) or inspect.iscoroutinefunction(getattr(handler, "__call__", None))  # noqa: B004


async def _call_in_thread(handler: Handler, *args: Any) -> Any:
    result = await run_in_thread(handler, *args)
    return await result if inspect.isawaitable(result) else result


def positional_arity(handler: Handler, most: int) -> int:
    """Count the positional arguments that the handler takes, up to `most`."""
    try:
        parameters = inspect.signature(handler).parameters.values()
    except (TypeError, ValueError):
        return most
    if any(parameter.kind is parameter.VAR_POSITIONAL for parameter in parameters):
        return most
    return min(most, sum(parameter.kind in _POSITIONAL for parameter in parameters))


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
        self._by_hook: dict[str, list[_Lane]] = {hook: [] for hook in HOOKS}
        self._complained: list[Handler] = []

    def call(self, hook: str, *args: Any) -> None:
        """Have every handler of the hook called with as many of the arguments as it takes. Returns at once."""
        lanes, handlers = self._by_hook[hook], self._handlers.of(hook)
        if len(lanes) < len(handlers):  # some were registered since the last call
            for handler in handlers[len(lanes) :]:
                lanes.append(_Lane(hook, handler, positional_arity(handler, len(args)), self._failed))
        for lane in lanes:
            lane.put(args)

    def discard(self, hook: str) -> None:
        """Forget the calls of a hook that have not begun."""
        for lane in self._by_hook[hook]:
            lane.discard()

    @property
    def _lanes(self) -> list["_Lane"]:
        return [lane for lanes in self._by_hook.values() for lane in lanes]

    @property
    def _others(self) -> list["_Lane"]:
        """The lanes but that of the handler which runs here, if one does: it cannot wait for itself."""
        return [lane for lane in self._lanes if lane.task is not asyncio.current_task()]

    def _failed(self, hook: str, handler: Handler, error: BaseException) -> None:
        name = getattr(handler, "__name__", repr(handler))
        failed = RealtimeError(f"The on_{hook} handler {name} failed: {described(error)}")
        failed.__cause__ = error
        # With its traceback, once for each handler: one that fails usually goes on failing.
        first = handler not in self._complained
        if first:
            self._complained.append(handler)
        traceback = error if first and error.__traceback__ is not None else None
        _log.log(logging.ERROR if first else logging.DEBUG, "%s", failed, exc_info=traceback)
        if hook != "error":  # its own failure cannot go to it again
            self.call("error", failed)

    async def aclose(self) -> None:
        """Let the handlers take what is left, for `DRAIN_S` at the most, then stop them.

        A handler that calls this, to end the conversation, is left running: it is stopped by the next call.
        """
        try:
            async with asyncio.timeout(self.DRAIN_S):
                # A failing handler may open the lane of on_error, so look again.
                while busy := [lane for lane in self._others if not lane.idle]:
                    for lane in busy:
                        await lane.drain()
        except TimeoutError:
            names = ", ".join(lane.name for lane in self._others if not lane.idle)
            _log.warning("Stopped handlers that were still running %g s after the end: %s", self.DRAIN_S, names)
        finally:
            for lane in self._others:
                lane.cancel()
            if self._others:
                await asyncio.wait([lane.task for lane in self._others], timeout=self.STOP_S)


class _Lane:
    """Calls one handler with the first `arity` of the arguments of each event."""

    def __init__(
        self, hook: str, handler: Handler, arity: int, failed: Callable[[str, Handler, BaseException], None]
    ) -> None:
        self.name = f"on_{hook}"
        self._hook = hook
        self._handler = handler
        self._arity = arity
        self._failed = failed
        # What inspection says of the handler is asked once: it takes longer than most handlers.
        self._call = handler if _is_coroutine_function(handler) else partial(_call_in_thread, handler)
        self._waiting: deque[tuple[Any, ...]] = deque()
        self._loop = asyncio.get_running_loop()
        self._resting: asyncio.Future[None] | None = None  # while nothing waits; done when something does
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
        if self._resting is not None and not self._resting.done():
            self._idle.clear()
            self._resting.set_result(None)
            self._resting = None

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
                    try:
                        await self._call(*self._waiting.popleft()[: self._arity])
                    except asyncio.CancelledError as error:
                        if self.task.cancelling():
                            raise
                        self._failed(self._hook, self._handler, error)  # something that it awaited was cancelled
                    except Exception as error:
                        self._failed(self._hook, self._handler, error)
                    continue
                self._idle.set()
                self._resting = self._loop.create_future()
                await self._resting
        finally:
            self._resting = None
            self._idle.set()
