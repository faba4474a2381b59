"""The backend of a loopback GPT-Live: responses, calls of tools, and the rules about them."""

from itertools import count
from typing import Any

from tests.loopback.live_script import Call, Work
from tests.loopback.live_wire import Frame, RefusedError

__all__ = ["LiveBackend"]

USAGE = {
    "input_tokens": 1_000,
    "input_tokens_details": {"cached_tokens": 200, "cache_write_tokens": 0},
    "output_tokens": 100,
    "output_tokens_details": {"reasoning_tokens": 20},
    "total_tokens": 1_100,
}


class LiveBackend:
    """Responses that are made, and calls that wait for their results.

    Attributes:
        items: what the client added.
        unanswered: calls without result.
        asked_too_early: how often a response was asked for while a call had no result, or one was being made.
    """

    def __init__(self, model: str, first_id: int = 1) -> None:
        self.model = model
        self.items: list[Frame] = []
        self.unanswered: dict[str, str] = {}  # with the task that called
        self.answered: set[str] = set()
        self.active: str | None = None
        self.waiting: list[tuple[str, Work]] = []  # tasks with further work, once their calls are answered
        self._ids = count(first_id)

    def add(self, item: Frame) -> None:
        """Raises RefusedError."""
        if item.get("type") == "function_call_output":
            call_id = item["call_id"]
            if call_id not in self.unanswered and call_id not in self.answered:
                raise RefusedError("invalid_value", f"No tool call found for {call_id!r}.", "item.call_id")
            self.unanswered.pop(call_id, None)
            self.answered.add(call_id)
        self.items.append(item)

    def check_create(self) -> None:
        """Raises RefusedError where a response must not be asked for now."""
        if self.unanswered:
            raise RefusedError("invalid_value", f"Partial batch: {[*self.unanswered]} have no output.", None)
        if self.active is not None:
            raise RefusedError("invalid_value", "A response is under way.", None)

    def begin(self, task: str) -> list[Frame]:
        self.active = f"resp_{next(self._ids)}"
        return [self._event(task, "response.created", response=self._response("in_progress"), sequence_number=0)]

    def finish(self, task: str, calls: tuple[Call, ...], fails: str = "", text: str = "") -> list[Frame]:
        """The end of the response that is made."""
        assert self.active is not None
        frames = [self._item(task, 0, {"id": f"rs_{next(self._ids)}", "type": "reasoning", "summary": []})]
        for index, call in enumerate(calls, 1):
            number = next(self._ids)
            call_id = call.call_id or f"call_{number}"
            self.unanswered[call_id] = task
            item = {"id": f"fc_{number}", "type": "function_call", "status": "completed", "call_id": call_id}
            frames.append(self._item(task, index, item | {"name": call.name, "arguments": call.arguments}))
        if text and not calls and not fails:
            part = {"type": "output_text", "text": text, "annotations": []}
            item = {"id": f"msg_{next(self._ids)}", "type": "message", "role": "assistant", "status": "completed"}
            frames.append(self._item(task, 1, item | {"content": [part]}))
        kind = fails if fails.startswith("response.") else "response.completed"
        response = self._response(kind.removeprefix("response.")) | {"usage": USAGE}
        if kind == "response.failed":
            response["error"] = {"code": "server_error", "message": "It broke."}
        if kind == "response.incomplete":
            response["incomplete_details"] = {"reason": "max_output_tokens"}
        frames.append(self._event(task, kind, response=response, sequence_number=9))
        self.active = None
        return frames

    def _item(self, task: str, index: int, item: Frame) -> Frame:
        return self._event(task, "response.output_item.done", item=item, output_index=index, sequence_number=index)

    def _event(self, task: str, kind: str, **fields: Any) -> Frame:
        frame: Frame = {"type": "response.event", "event": {"type": kind, **fields}}
        return frame | ({"delegation_id": task} if task else {})

    def _response(self, status: str) -> Frame:
        return {
            "id": self.active,
            "object": "response",
            "created_at": 1,
            "model": self.model,
            "status": status,
            "output": [],
            "tools": [],
            "tool_choice": "auto",
            "parallel_tool_calls": True,
            "instructions": None,
            "error": None,
            "incomplete_details": None,
            "metadata": {},
            "temperature": None,
            "top_p": None,
        }
