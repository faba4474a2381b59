"""A language model's answers, freed of what is not for the user, and bounded."""

import asyncio
import secrets
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace

from voicecli.errors import RealtimeConnectionError, RealtimeError
from voicecli.events import Notice
from voicecli.providers.local.chat_model import ChatModel, Delta, Finish, Message, Thought, ToolCall
from voicecli.providers.local.reasoning import ReasoningFilter, begins_by_thinking
from voicecli.providers.local.tool_text import ToolTextFilter
from voicecli.tools import ToolSchema

__all__ = ["FilteredModel"]

# Ten minutes of speech, at some 16 characters a second.
_LONGEST_ANSWER = 10_000
_NO_THINKING = "Use a model that does not think, or turn its thinking off."


@dataclass(slots=True)
class _Answer:
    """One answer under way."""

    reasoning: ReasoningFilter
    calls_in_text: ToolTextFilter
    has_text: bool = False
    has_calls: bool = False
    has_thoughts: bool = False
    length: int = 0
    ready: list[str | ToolCall] = field(default_factory=list)


class FilteredModel:
    """A ChatModel around another. Its answers hold text for the user, calls of tools, and an end.

    Reasoning and the tokens of templates are dropped; calls written as text become calls, with ids that are used once;
    an answer without an end is cut.

    Args:
        thinking_timeout_s: the longest the model may think without a word for the user.
        longest_answer: in characters.
    """

    def __init__(self, model: ChatModel, *, thinking_timeout_s: float, longest_answer: int = _LONGEST_ANSWER) -> None:
        self._model = model
        self._thinking_timeout_s = thinking_timeout_s
        self._longest_answer = longest_answer
        self._begins_inside = begins_by_thinking(model.name)
        self._ids: set[str] = set()

    @property
    def name(self) -> str:
        return self._model.name

    @property
    def context_tokens(self) -> int:
        return self._model.context_tokens

    @property
    def examples(self) -> Sequence[Message]:
        return self._model.examples

    @property
    def tools(self) -> bool:
        return self._model.tools

    async def warm_up(self, messages: Sequence[Message]) -> None:
        await self._model.warm_up(messages)

    async def read_ahead(self, messages: Sequence[Message]) -> None:
        await self._model.read_ahead(messages)

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()
    ) -> AsyncGenerator[Delta, None]:
        """As ChatModel's; also raises RealtimeError when there is no answer in what the model gives."""
        answer = _Answer(ReasoningFilter(inside=self._begins_inside), ToolTextFilter([tool.name for tool in tools]))
        clock = asyncio.get_running_loop()
        deadline: float | None = None
        async with aclosing(self._model.stream(messages, tools)) as deltas:
            while True:
                delta = await self._next(deltas, deadline)
                finish = self._take(answer, delta, has_tools=bool(tools))
                for ready in answer.ready:
                    yield ready
                if finish is not None:
                    self._learn(answer)
                    self._check(answer, finish, after_tool=bool(messages) and messages[-1].role == "tool")
                    yield finish
                    return
                if answer.ready or deadline is None:
                    deadline = clock.time() + self._thinking_timeout_s
                answer.ready = []

    async def aclose(self) -> None:
        await self._model.aclose()

    async def _next(self, deltas: AsyncGenerator[Delta, None], deadline: float | None) -> Delta:
        try:
            async with asyncio.timeout_at(deadline) as limit:
                return await anext(deltas, Finish())
        except TimeoutError:
            if not limit.expired():
                raise
            raise RealtimeConnectionError(
                f"{self.name} gave no word for {self._thinking_timeout_s:g} s, and was still at it.",
                advice=f"{_NO_THINKING} Or raise response_timeout_s.",
            ) from None

    def _take(self, answer: _Answer, delta: Delta, *, has_tools: bool) -> Finish | None:
        """Put what `delta` completes into `answer.ready`; the end, when the answer is over."""
        match delta:
            case Thought():
                if not answer.has_thoughts and not answer.has_text:
                    # The server tells thoughts apart: what it gives as text is none.
                    answer.reasoning = ReasoningFilter()
                answer.has_thoughts = True
            case ToolCall():
                self._add(answer, delta)
            case Finish():
                self._add_text(answer, answer.reasoning.flush(), has_tools=has_tools)
                if has_tools:
                    for part in answer.calls_in_text.flush():
                        self._add(answer, part)
                return delta
            case str():
                self._add_text(answer, answer.reasoning.push(delta), has_tools=has_tools)
        if answer.length >= self._longest_answer:
            length = f"{self._longest_answer} characters"
            notice = Notice("answer_cut", f"{self.name} would not come to an end: cut after {length}.")
            return Finish(truncated=True, reason=f"cut after {length}", notices=(notice,))
        return None

    def _add_text(self, answer: _Answer, text: str, *, has_tools: bool) -> None:
        if text:
            for part in answer.calls_in_text.push(text) if has_tools else [text]:
                self._add(answer, part)

    def _add(self, answer: _Answer, part: str | ToolCall) -> None:
        if isinstance(part, str):
            part = part[: max(0, self._longest_answer - answer.length)]
            answer.length += len(part)
            answer.has_text = answer.has_text or bool(part.strip())
        else:
            answer.has_calls = True
            part = replace(part, call_id=self._new_id(part.call_id))
        answer.ready.append(part)

    def _new_id(self, call_id: str) -> str:
        """The id, or another where there is none, or an earlier call had it."""
        while not call_id or call_id in self._ids:
            call_id = f"call_{secrets.token_hex(6)}"
        self._ids.add(call_id)
        return call_id

    def _learn(self, answer: _Answer) -> None:
        """Note whether its answers begin with thoughts that no tag opens, which only an answer shows."""
        if answer.reasoning.stray:
            self._begins_inside = True
        elif answer.reasoning.unfounded or answer.has_thoughts:
            self._begins_inside = False

    def _check(self, answer: _Answer, finish: Finish, *, after_tool: bool) -> None:
        if answer.has_text or answer.has_calls:
            return
        if answer.has_thoughts or answer.reasoning.reasoned:
            if finish.truncated:
                raise RealtimeError(
                    f"{self.name} thought until its limit of tokens was reached, and did not answer.",
                    advice=f"{_NO_THINKING} Or raise max_output_tokens.",
                )
            raise RealtimeError(f"{self.name} thought, and did not answer.", advice=_NO_THINKING)
        if not (after_tool or finish.truncated):
            raise RealtimeError(f"{self.name} gave an empty answer.", advice="Ask again, or use another model.")
