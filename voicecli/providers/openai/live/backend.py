"""The backend: the model of the Responses API to which the Live model hands work over, and its calls of tools.

A backend that has called tools waits for all of them: each result is an item, and one `response.create` goes on with
them, when the response that called is over and no call of the session is without its result.
"""

import json
from collections.abc import Collection
from dataclasses import dataclass

from voicecli.commands import ToolResult
from voicecli.events import ApprovalRequest, ToolCallCancelled, ToolCallFinished, ToolCallRequest, Usage
from voicecli.pricing import Prices, with_cost
from voicecli.providers.fields import at, identifier, reason, text
from voicecli.providers.openai.fields import Frame
from voicecli.providers.openai.live.usage import backend_usage
from voicecli.providers.openai.live.wire import Wire
from voicecli.text import valid_text

__all__ = ["Backend"]

_CANCELLED = "Cancelled: the user interrupted."
_RUNNING = "It runs; the result will be told when it is there."
_GIVEN_UP_MS = 120_000
"""After so long without news of it, work is taken to have come to nothing: that is told by no event."""
_OVER = frozenset({"response.completed", "response.failed", "response.incomplete", "response.cancelled"})


@dataclass(slots=True)
class _Call:
    """A call that waits for its result.

    Attributes:
        session: the number of the session in which it was made: no later one knows it.
    """

    name: str
    arguments: str
    session: int
    background: bool = False


@dataclass(slots=True)
class _Response:
    """A response being made.

    Attributes:
        task_id: the work that it is for; "" where that is not told.
        called: whether it has called a tool.
    """

    task_id: str
    called: bool = False


class Backend:
    """Work that is under way, and calls without result; calls outlive sessions.

    Args:
        background: names of tools whose result is not waited for.
        prices: of the backend's model.

    Attributes:
        enabled: whether there is one; otherwise the Live model hands work over to the program, which does none.
        prices: of its model.
        usage: what it used, since that was taken last.
    """

    def __init__(self, wire: Wire, *, enabled: bool, background: Collection[str], prices: Prices | None) -> None:
        self.enabled = enabled
        self.prices = prices
        self.usage = Usage()
        self._wire = wire
        self._background = background
        self._session = 0
        self._calls: dict[str, _Call] = {}
        self._approvals: set[str] = set()
        self._known: set[str] = set()  # calls and approvals that were told
        self._known_tasks: set[str] = set()
        self._tasks: dict[str, bool] = {}  # handed over and not done, by id; whether a result of the program's is due
        self._responding: dict[str, _Response] = {}  # those being made, by id
        self._continued: set[str] = set()  # tasks that a response which was asked for goes on with
        self._creating = ""  # the event that asks for a response, while that has not begun
        self._wanted = False
        self._news_ms = 0.0

    def restart(self) -> None:
        """A new session, which knows nothing of the work of the last one, and may give its names again."""
        self._session += 1
        self._known = set(self._calls)
        self._known_tasks.clear()
        self._approvals.clear()
        self._tasks.clear()
        self._responding.clear()
        self._continued.clear()
        self._creating, self._wanted, self._news_ms = "", False, 0.0

    @property
    def working(self) -> bool:
        """Whether something is being done that the model will tell of, and that does not wait for the program."""
        asks = bool(self._creating or (self._wanted and not self._blocked))
        return asks or bool(self._responding) or not all(self._tasks.values())

    @property
    def calls_open(self) -> bool:
        """Whether it waits for the program."""
        return self._blocked or any(not call.background for call in self._calls.values())

    @property
    def _blocked(self) -> bool:
        mine = any(call.session == self._session and not call.background for call in self._calls.values())
        return mine or bool(self._approvals)

    # -- from the program

    def say(self, content: list[Frame]) -> None:
        """Add what the user wrote or showed; nobody answers it before `want()`."""
        self._wire.queue("response.item.create", item={"type": "message", "role": "user", "content": content})

    def want(self) -> None:
        """A response is wanted, as soon as one can be asked for."""
        self._wanted = True
        self.flush()

    def flush(self) -> None:
        """Ask for the response that is wanted, if it can be."""
        under_way = self._creating or self._responding or not all(self._tasks.values())
        if self._wanted and not (under_way or self._blocked):
            self._wanted = False
            self._creating = self._wire.queue("response.create")
            self._news_ms = self._wire.now_ms
            self._continued = set(self._tasks)
            self._tasks = dict.fromkeys(self._tasks, False)

    def result(self, result: ToolResult) -> bool:
        """Give the result of a call to the backend; returns whether that is one of a session that is over, or of a
        call that was not waited for, so that it has to be told by other means."""
        call = self._calls.pop(result.call_id, None)
        if call is None:
            return False
        self._wire.transcript.apply(result)
        if call.background or call.session != self._session:
            told = f"Tool {call.name}({call.arguments}): {valid_text(result.output)}"
            self.say([{"type": "input_text", "text": told}])
            return True
        self._output(result.call_id, result.output)
        self.want()
        return False

    def approve(self, approval_id: str, *, approve: bool) -> None:
        """Answer an ApprovalRequest."""
        if approval_id in self._approvals:
            self._approvals.discard(approval_id)
            item = {"type": "mcp_approval_response", "approval_request_id": approval_id, "approve": approve}
            self._wire.queue("response.item.create", item=item)
            self.want()

    def cancel_calls(self) -> None:
        """Nobody wants the results any more, but no call may stay without one."""
        for call_id, call in list(self._calls.items()):
            if call.background:
                continue
            del self._calls[call_id]
            self._wire.transcript.apply(ToolResult(call_id, _CANCELLED))
            self._wire.events.append(ToolCallCancelled(call_id))
            if call.session == self._session:
                self._output(call_id, _CANCELLED)
        # The tasks that waited are not gone on with.
        self._tasks = {task: waits for task, waits in self._tasks.items() if not waits}

    def _output(self, call_id: str, output: str) -> None:
        item = {"type": "function_call_output", "call_id": call_id, "output": valid_text(output)}
        self._wire.queue("response.item.create", item=item)

    # -- from the service

    def handed_over(self, frame: Frame) -> str:
        """The Live model hands work over; returns the id of a task for the program, "" for others and repetitions."""
        task = at(frame, "delegation")
        task_id, target = identifier(task, "id"), text(task, "target")
        if not task_id or task_id in self._known_tasks:
            return ""
        self._known_tasks.add(task_id)
        if target == "client" or not self.enabled:
            return task_id
        self._tasks[task_id] = False
        self._news_ms = self._wire.now_ms
        return ""

    def event(self, frame: Frame) -> tuple[bool, str]:
        """An event of the backend's.

        Returns:
            whether it begins to respond, and why it failed, if it did.
        """
        event = at(frame, "event")
        kind = text(event, "type")
        response = at(event, "response")
        response_id = identifier(response, "id") or identifier(event, "response_id")
        task_id = identifier(frame, "delegation_id")
        self._news_ms = self._wire.now_ms
        begins, why = False, ""
        if kind == "response.created":
            self._responding[response_id] = _Response(task_id)
            self._creating, begins = "", True
        elif kind == "response.output_item.done":
            self._item(at(event, "item"), self._response(response_id, task_id))
        elif kind in _OVER:
            why = self._over(kind, response, response_id, task_id)
        return begins, why

    def _response(self, response_id: str, task_id: str) -> _Response:
        """The response that an event is of, which names it by one id or another, or by none."""
        known = self._responding.get(response_id)
        of_task = (response for response in self._responding.values() if task_id and response.task_id == task_id)
        first = next(iter(self._responding.values()), None)
        return known or next(of_task, None) or first or self._responding.setdefault(response_id, _Response(task_id))

    def _item(self, item: Frame, response: _Response) -> None:
        kind = text(item, "type")
        if kind == "function_call" and text(item, "status") in {"", "completed", "in_progress"}:
            self._call(item, response)
        elif kind == "mcp_call":
            self._called(item)
        elif kind == "mcp_approval_request":
            approval_id = identifier(item, "id")
            if approval_id and approval_id not in self._known:
                self._known.add(approval_id)
                self._approvals.add(approval_id)
                response.called = True
                server = text(item, "server_label")
                asked = ApprovalRequest(approval_id, text(item, "name"), text(item, "arguments"), server)
                self._wire.events.append(asked)

    def _called(self, item: Frame) -> None:
        """The backend has called a tool of an MCP server itself."""
        call_id = identifier(item, "id") or self._wire.id("call")
        if call_id in self._known:
            return
        self._known.add(call_id)
        name, server = text(item, "name"), text(item, "server_label")
        failed = reason(item.get("error"))
        request = ToolCallRequest(call_id, name, text(item, "arguments"), by_provider=True, server=server)
        finished = ToolCallFinished(call_id, name, failed or text(item, "output"), is_error=bool(failed))
        for event in (request, finished):
            self._wire.transcript.apply(event)
            self._wire.events.append(event)

    def _call(self, item: Frame, response: _Response) -> None:
        """A tool is to be called, once, however often the service says so."""
        call_id = identifier(item, "call_id") or identifier(item, "id") or self._wire.id("call")
        if call_id in self._known:
            return
        self._known.add(call_id)
        arguments = item.get("arguments")
        written = json.dumps(arguments) if isinstance(arguments, dict | list) else text(item, "arguments")
        name = text(item, "name")
        call = _Call(name, written, self._session, name in self._background)
        self._calls[call_id] = call
        response.called = True
        if call.background:
            self._output(call_id, _RUNNING)
            self._wanted = True
        request = ToolCallRequest(call_id, name, written, call.background)
        self._wire.transcript.apply(request)
        self._wire.events.append(request)

    def _over(self, kind: str, response: Frame, response_id: str, task_id: str) -> str:
        done = self._response(response_id, task_id)
        self._responding = {key: each for key, each in self._responding.items() if each is not done}
        usage = with_cost(backend_usage(response.get("usage")), self.prices)
        if usage != Usage():
            self.usage += usage
        task_id = task_id or done.task_id or next((task for task, waits in self._tasks.items() if not waits), "")
        if done.called and kind == "response.completed":
            if task_id in self._tasks:
                self._tasks[task_id] = True
        else:
            # One response goes on with all that waited.
            for task in {task_id} | (self._continued if not self._responding else set()):
                self._tasks.pop(task, None)
        self._continued.clear()
        self.flush()
        if kind == "response.completed":
            return ""
        return text(at(response, "error"), "message") or text(at(response, "incomplete_details"), "reason") or kind

    def take_usage(self) -> Usage | None:
        """What it used since this was called last; None for nothing."""
        usage, self.usage = self.usage, Usage()
        return None if usage == Usage() else usage

    def settle_oldest(self) -> None:
        """A task came to nothing, and the service does not say which: the oldest."""
        if self._responding:
            del self._responding[next(iter(self._responding))]
        if self._tasks:
            del self._tasks[next(iter(self._tasks))]
        self._creating = ""
        self.flush()

    def refused(self, event_id: str) -> bool:
        """An event was refused; returns whether it is one that asked for a response."""
        mine = bool(event_id) and event_id == self._creating
        if mine:
            self._creating = ""
        return mine

    def tick(self) -> bool:
        """The session's clock went on; returns whether work is given up by now."""
        if not self.working or self._wire.now_ms - self._news_ms < _GIVEN_UP_MS:
            return False
        self._tasks = {task: waits for task, waits in self._tasks.items() if waits}
        self._responding.clear()
        self._creating, self._wanted = "", False
        return True
