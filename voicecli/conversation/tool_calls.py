"""The calls of tools in a conversation: each runs by itself, and its result goes back to the model."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from voicecli.commands import ToolResult
from voicecli.conversation.handlers import Handler, call_handler
from voicecli.errors import RealtimeError, ToolError
from voicecli.events import ErrorOccurred, Event, ToolCallFinished, ToolCallRequest
from voicecli.tools import Tool, output_text

__all__ = ["ToolCalls"]

_log = logging.getLogger(__name__)
_STOP_TIMEOUT_S = 2.0


class ToolCalls:
    """Runs what the model calls, off the path on which events are received.

    Args:
        tools: what may be called, by name.
        handlers: asked before them with (name, arguments); None leaves the call to the next.
        timeout_s: how long one may take, in seconds.
        answer: sends a result to the model; raises RealtimeError when it is too late.
        tell: delivers an event.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        handlers: list[Handler],
        *,
        timeout_s: float,
        answer: Callable[[ToolResult], Awaitable[None]],
        tell: Callable[[Event], None],
    ) -> None:
        self._tools = tools
        self._handlers = handlers
        self._timeout_s = timeout_s
        self._answer = answer
        self._tell = tell
        self._tasks: dict[str, asyncio.Task[None]] = {}

    def __len__(self) -> int:
        """How many run."""
        return len(self._tasks)

    def start(self, request: ToolCallRequest) -> None:
        """Begin a call. Returns at once."""
        self._tasks[request.call_id] = asyncio.create_task(self._run(request), name=f"voicecli-tool-{request.name}")

    def cancel(self, call_id: str) -> None:
        """The model does not want the result any more: it gets none."""
        if call_id in self._tasks:
            self._tasks[call_id].cancel()

    async def aclose(self) -> None:
        """Stop all that run. One that will not be cancelled is left to itself."""
        if tasks := list(self._tasks.values()):
            for task in tasks:
                task.cancel()
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT_S)

    async def _run(self, request: ToolCallRequest) -> None:
        failure: ToolError | None = None
        try:
            try:
                output = await self._call(request)
            except ToolError as error:
                failure = error
                output = json.dumps({"error": error.message})
            await self._answer(ToolResult(request.call_id, output, failure is not None))
        except RealtimeError as error:
            _log.debug("The result of %s came too late: %s", request.name, error)
            return
        finally:
            self._tasks.pop(request.call_id, None)
        self._tell(ToolCallFinished(request.call_id, request.name, output, failure is not None))
        if failure is not None:
            self._tell(ErrorOccurred(failure))

    async def _call(self, request: ToolCallRequest) -> str:
        try:
            arguments = json.loads(request.arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{request.name} was called with arguments that are not JSON: {error}.") from error
        if not isinstance(arguments, dict):
            raise ToolError(f"{request.name} was called with {arguments!r} instead of named arguments.")
        for handler in self._handlers:
            deadline = asyncio.timeout(self._timeout_s)
            try:
                async with deadline:
                    result = await call_handler(handler, request.name, arguments)
            except Exception as error:
                if deadline.expired():
                    raise ToolError(f"{request.name} did not answer within {self._timeout_s:g} s.") from None
                raise ToolError(f"{request.name} failed: {type(error).__name__}: {error}") from error
            if result is not None:
                return output_text(request.name, result)
        tool = self._tools.get(request.name)
        if tool is None:
            names = ", ".join(self._tools) or "none"
            raise ToolError(f"There is no tool {request.name!r}; there are: {names}.")
        return await tool.run(arguments, self._timeout_s)
