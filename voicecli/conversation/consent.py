"""The user's leave for calls of tools: which need it, what is being asked, and what was answered."""

import asyncio
import contextlib
import hashlib
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from voicecli.commands import AnswerApproval
from voicecli.config import Approve
from voicecli.errors import RealtimeError, ToolError
from voicecli.events import ApprovalAnswered, ApprovalOutcome, ApprovalRequest, Event, Notice, ToolCallRequest
from voicecli.tools import Tool

__all__ = ["ANSWERED_WITHIN_S", "Consent", "NotAllowedError"]

ANSWERED_WITHIN_S = 300.0
"""How long a question waits for an answer, in seconds: long enough to read a long command and to think about it."""


_REASONS: dict[ApprovalOutcome, str] = {
    "denied": "the user did not allow it",
    "expired": "nobody allowed it in time",
    "withdrawn": "the conversation is over",
}


class NotAllowedError(ToolError):
    """A tool was not run, as the user did not allow it. The message is meant for the model."""


@dataclass(slots=True)
class _Question:
    """A question that is open.

    Attributes:
        call: has the outcome, for the call that waits for it; None where the provider makes the call.
        timer: ends it when nobody has answered.
    """

    request: ApprovalRequest
    call: asyncio.Future[ApprovalOutcome] | None
    timer: asyncio.TimerHandle


class Consent:
    """Asks before tools run, one question for each call, and remembers what is always allowed.

    Args:
        policy: `RealtimeConfig.approve`.
        tell: tells the program of an event.
        send: sends the answer to a question of the provider's.
        heard: whether somebody is told of questions who could answer.
    """

    def __init__(
        self,
        policy: Approve,
        *,
        tell: Callable[[Event], None],
        send: Callable[[AnswerApproval], Awaitable[None]],
        heard: Callable[[], bool],
    ) -> None:
        self._policy = policy
        self._tell = tell
        self._send = send
        self._heard = heard
        self._questions: dict[str, _Question] = {}
        self._always: set[str] = set()  # tool_ids
        self._sending: set[asyncio.Task[None]] = set()

    @property
    def for_all(self) -> bool:
        """Whether every call needs the user's leave, whoever makes it."""
        return self._policy == "always"

    async def obtain(self, call: ToolCallRequest, tool: Tool | None) -> None:
        """Return when a call may be made.

        Args:
            tool: None where a handler of the program's is to answer the call.

        Raises:
            NotAllowedError: it may not.
        """
        tool_id = _tool_id(tool) if tool is not None else f"handler of {call.name}"
        if not self._needs_leave(tool) or tool_id in self._always:
            return
        request = ApprovalRequest(
            call.call_id, call.name, call.arguments, tool.server if tool else "", call.call_id, tool_id
        )
        if not self._heard():
            self._refuse_unheard(request)
            raise NotAllowedError(f"{call.name} was not run: nobody can be asked to allow it.")
        answer: asyncio.Future[ApprovalOutcome] = asyncio.get_running_loop().create_future()
        self._open(request, answer)
        self._tell(request)
        try:
            if why := _REASONS.get(await answer):
                raise NotAllowedError(f"{call.name} was not run: {why}.")
        finally:
            self._settle(call.call_id, "withdrawn")  # where the call was cancelled meanwhile

    async def provider_asks(self, request: ApprovalRequest) -> None:
        """Put a question of the provider's, unless it is answered already."""
        allowed = self._policy == "never" or request.tool_id in self._always
        if not allowed and self._heard():
            self._open(request, None)
            self._tell(request)
            return
        if not allowed:
            self._refuse_unheard(request)
        await self._reply(request.approval_id, allowed)

    async def answer(self, approval_id: str, approve: bool, *, always: bool = False) -> None:
        """Answer a question. Without effect when it is not asked any more.

        Args:
            always: whether the tool, as it is now, is allowed for the rest of the conversation.
        """
        question = self._questions.get(approval_id)
        if question is None:
            return
        tool_id, answered = question.request.tool_id, [question]
        if remembered := approve and always and bool(tool_id):
            self._always.add(tool_id)
            # It may have been asked about several calls at once.
            answered += [
                other
                for other in self._questions.values()
                if other.request.tool_id == tool_id and other is not question
            ]
        for each in answered:
            self._settle(each.request.approval_id, ("always" if remembered else "once") if approve else "denied")
        for each in answered:  # by now none of them can be answered in another way
            if each.call is None:
                await self._reply(each.request.approval_id, approve)

    def line_lost(self) -> None:
        """The provider's questions are void: the next connection asks anew."""
        for approval_id in [key for key, question in self._questions.items() if question.call is None]:
            self._settle(approval_id, "withdrawn")

    def close(self) -> None:
        """The conversation is over: nothing is asked any more. Idempotent."""
        for approval_id in list(self._questions):
            self._settle(approval_id, "withdrawn")
        for task in self._sending:
            task.cancel()

    # -- inside

    def _needs_leave(self, tool: Tool | None) -> bool:
        if self._policy == "writes":
            return tool is not None and not (tool.trusted or tool.read_only)
        return self.for_all

    def _open(self, request: ApprovalRequest, call: asyncio.Future[ApprovalOutcome] | None) -> None:
        timer = asyncio.get_running_loop().call_later(ANSWERED_WITHIN_S, self._expire, request.approval_id)
        self._questions[request.approval_id] = _Question(request, call, timer)

    def _expire(self, approval_id: str) -> None:
        question = self._questions[approval_id]
        self._settle(approval_id, "expired")
        if question.call is None:
            sending = asyncio.get_running_loop().create_task(self._reply(approval_id, False), name="voicecli-consent")
            self._sending.add(sending)
            sending.add_done_callback(self._sending.discard)

    async def _reply(self, approval_id: str, approve: bool) -> None:
        """Answer the provider."""
        with contextlib.suppress(RealtimeError):  # the conversation is over
            await self._send(AnswerApproval(approval_id, approve))

    def _refuse_unheard(self, request: ApprovalRequest) -> None:
        """Tell of a question that is answered by no, as nobody can be asked."""
        self._tell(request)
        message = f"{request.name} was not allowed: nobody can be asked. --approve never lets tools run unasked."
        self._tell(Notice("approval_refused", message))
        self._tell(ApprovalAnswered(request.approval_id, "denied"))

    def _settle(self, approval_id: str, outcome: ApprovalOutcome) -> None:
        """End a question, if it is open."""
        question = self._questions.pop(approval_id, None)
        if question is None:
            return
        question.timer.cancel()
        if question.call is not None and not question.call.done():
            question.call.set_result(outcome)
        self._tell(ApprovalAnswered(approval_id, outcome))


def _tool_id(tool: Tool) -> str:
    """A name for the tool as it is: with its server, description and schema."""
    told = [tool.server, tool.schema.name, tool.schema.description, tool.schema.parameters]
    return hashlib.sha256(json.dumps(told, sort_keys=True, default=str).encode()).hexdigest()[:16]
