"""The calls of tools in a conversation: each runs by itself, and its result goes back to the model."""

import asyncio
import json
import logging
from collections.abc import Awaitable, Callable, Mapping

from voicecli.commands import SendImage, ToolResult
from voicecli.conversation.consent import Consent, NotAllowedError
from voicecli.conversation.handlers import Handler, call_handler
from voicecli.errors import RealtimeError, ToolError
from voicecli.events import ErrorOccurred, Event, ToolCallFinished, ToolCallRequest
from voicecli.text import described
from voicecli.tools import Tool, ToolOutput, tool_output

__all__ = ["ToolCalls"]

_log = logging.getLogger(__name__)
_STOP_TIMEOUT_S = 2.0


class ToolCalls:
    """Runs what the model calls, off the path on which events are received.

    Exactly one result goes out for a call, whatever the tool does; none for one that the model took back.

    Args:
        tools: what may be called, by name.
        handlers: asked before them with (name, arguments); None leaves the call to the next.
        consent: is asked before a call is made.
        timeout_s: how long one may take, in seconds, once it is allowed.
        answer: sends a result to the model; raises RealtimeError when it is too late.
        show: sends a picture to the model; None where it takes none.
        tell: delivers an event.
    """

    def __init__(
        self,
        tools: Mapping[str, Tool],
        handlers: list[Handler],
        consent: Consent,
        *,
        timeout_s: float,
        answer: Callable[[ToolResult], Awaitable[None]],
        show: Callable[[SendImage], Awaitable[None]] | None = None,
        tell: Callable[[Event], None],
    ) -> None:
        self._tools = tools
        self._handlers = handlers
        self._consent = consent
        self._failed: list[Handler] = []
        self._timeout_s = timeout_s
        self._answer = answer
        self._show = show
        self._tell = tell
        self._calls: dict[str, asyncio.Task[ToolOutput]] = {}
        self._answering: set[asyncio.Task[None]] = set()
        self._stopping: set[asyncio.Task[ToolOutput]] = set()
        self._closed = False

    def __len__(self) -> int:
        """The number of calls that run, or have a result on its way."""
        return len(self._calls) + len(self._answering)

    def start(self, request: ToolCallRequest) -> None:
        """Begin a call. Returns at once. One that runs already is not run twice, and none begins after the end."""
        if self._closed or request.by_provider or request.call_id in self._calls:
            return
        call = asyncio.create_task(self._call(request), name=f"voicecli-tool-{request.name}")
        self._calls[request.call_id] = call
        # Not in the task: one that is cancelled before it began would never do it.
        call.add_done_callback(lambda call: self._ended(request, call))

    def cancel(self, call_id: str) -> None:
        """The model does not want the result any more: it gets none."""
        if (call := self._calls.pop(call_id, None)) is not None:
            call.cancel()
            self._stopping.add(call)
            call.add_done_callback(self._stopping.discard)

    async def aclose(self) -> None:
        """Stop all that run. One that will not be cancelled is left to itself; a tool may end the conversation."""
        self._closed = True
        for call_id, call in list(self._calls.items()):
            if call is not asyncio.current_task():
                self.cancel(call_id)
        for task in self._answering:
            task.cancel()
        if tasks := [*self._stopping, *self._answering]:
            await asyncio.wait(tasks, timeout=_STOP_TIMEOUT_S)

    def _ended(self, request: ToolCallRequest, call: asyncio.Task[ToolOutput]) -> None:
        error: BaseException | None = None
        try:
            error = call.exception()
        except asyncio.CancelledError as cancelled:
            error = cancelled
        if self._calls.get(request.call_id) is not call:
            return  # it was cancelled here
        del self._calls[request.call_id]
        answering = asyncio.create_task(self._send(request, call, error), name=f"voicecli-result-{request.name}")
        self._answering.add(answering)
        answering.add_done_callback(self._answering.discard)

    async def _send(
        self, request: ToolCallRequest, call: asyncio.Task[ToolOutput], error: BaseException | None
    ) -> None:
        failure: ToolError | None = None
        if error is None:
            output = self._described(call.result())
        else:
            failure = error if isinstance(error, ToolError) else ToolError(f"{request.name} failed: {described(error)}")
            output = json.dumps({"error": failure.message})
        try:
            if error is None and self._show is not None:
                for picture in call.result().pictures:
                    await self._show(picture)
            await self._answer(ToolResult(request.call_id, output, failure is not None))
        except RealtimeError as too_late:
            _log.debug("The result of %s came too late: %s", request.name, too_late)
            return
        self._tell(ToolCallFinished(request.call_id, request.name, output, failure is not None))
        if failure is not None:
            _log.debug("%s", failure, exc_info=failure)
            if not isinstance(failure, NotAllowedError):  # as the user wished
                self._tell(ErrorOccurred(failure))

    def _described(self, output: ToolOutput) -> str:
        """The text, with a word about pictures, which go to the model by themselves."""
        if not (count := len(output.pictures)):
            return output.text
        pictures = "A picture" if count == 1 else f"{count} pictures"
        if self._show is not None:
            told = f"[{pictures} of this result {'is' if count == 1 else 'are'} shown.]"
        else:
            told = f"[{pictures} of this result {'is' if count == 1 else 'are'} left out.]"
        return f"{output.text}\n{told}".strip()

    async def _call(self, request: ToolCallRequest) -> ToolOutput:
        try:
            arguments = json.loads(request.arguments or "{}")
        except (ValueError, RecursionError) as error:
            raise ToolError(f"{request.name} was called with arguments that are not JSON: {error}.") from error
        if not isinstance(arguments, dict):
            raise ToolError(f"{request.name} was called with {arguments!r} instead of named arguments.")
        tool = self._tools.get(request.name)
        asked = self._consent.for_all and (tool is not None or bool(self._handlers))
        if asked:
            await self._consent.obtain(request, tool)
        for handler in self._handlers:
            deadline = asyncio.timeout(self._timeout_s)
            try:
                async with deadline:
                    result = await call_handler(handler, request.name, arguments)
            except (Exception, SystemExit) as error:
                if deadline.expired():
                    raise ToolError(f"{request.name} did not answer within {self._timeout_s:g} s.") from None
                self._log_failure(handler, error)
                raise ToolError(f"{request.name} failed: {described(error)}") from error
            if result is not None:
                return tool_output(request.name, result)
        if tool is None:
            names = ", ".join(self._tools) or "none"
            raise ToolError(f"There is no tool {request.name!r}; there are: {names}.")
        if not asked:
            await self._consent.obtain(request, tool)
        return await tool.run(arguments, self._timeout_s)

    def _log_failure(self, handler: Handler, error: BaseException) -> None:
        """Log what a handler raised, with its traceback; as an error once: one that fails usually goes on failing."""
        first = handler not in self._failed
        if first:
            self._failed.append(handler)
        level = logging.ERROR if first else logging.DEBUG
        _log.log(level, "An on_tool_call handler failed: %s", described(error), exc_info=error)
