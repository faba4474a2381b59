"""What the engine asks of a language model, and what it remembers of the conversation for it."""

import json
from collections.abc import AsyncGenerator, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal, Protocol

from voicecli.events import Notice, Usage
from voicecli.tools import ToolSchema
from voicecli.transcript import Turn

__all__ = ["ChatModel", "Delta", "Finish", "Memory", "Message", "Thought", "ToolCall", "tool_json"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A function the model wants called; `arguments` is JSON as the model wrote it."""

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Thought:
    """The model is thinking; what it thinks is not for the user."""


@dataclass(frozen=True, slots=True)
class Finish:
    """The end of an answer.

    Attributes:
        truncated: whether a limit cut it.
        reason: which limit; "" is that of the tokens.
        notices: what the user is to know of it.
    """

    usage: Usage = field(default_factory=Usage)
    truncated: bool = False
    reason: str = ""
    notices: tuple[Notice, ...] = ()


Delta = str | Thought | ToolCall | Finish


@dataclass(frozen=True, slots=True)
class Message:
    """One entry of the conversation as the model sees it.

    Attributes:
        item_id: of the utterance; of a tool's output, the call's.
        calls: the functions an assistant's message calls.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    item_id: str = ""
    calls: tuple[ToolCall, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """In the format of OpenAI's chat completions, which all of them take."""
        entry: dict[str, Any] = {"role": self.role, "content": self.text}
        if self.calls:
            entry["tool_calls"] = [
                {"id": call.call_id, "type": "function", "function": {"name": call.name, "arguments": call.arguments}}
                for call in self.calls
            ]
        if self.role == "tool":
            entry["tool_call_id"] = self.item_id
        return entry


class ChatModel(Protocol):
    """A language model that answers a conversation.

    Attributes:
        name: for people.
        context_tokens: how many tokens of conversation are worth sending.
        examples: turns that show a small model how to answer; sent after the system prompt.
        tools: whether it can call functions.
    """

    @property
    def name(self) -> str: ...
    @property
    def context_tokens(self) -> int: ...
    @property
    def examples(self) -> Sequence[Message]: ...
    @property
    def tools(self) -> bool: ...
    async def warm_up(self, messages: Sequence[Message]) -> None:
        """Prepare for conversations that begin with `messages`. Raises RealtimeError when it cannot answer."""

    def stream(self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Delta, None]:
        """The answer as it comes, Finish last. Closing the generator stops the generation; raises RealtimeError."""

    async def aclose(self) -> None: ...


# English has some 4 characters to a token; 3 leaves room for other languages and for the template's own tokens.
_CHARS_PER_TOKEN = 3
_CALL_DROPPED = "The call was cancelled: the user went on."


class Memory:
    """What the language model is told of the conversation: what was said, and what was *heard* of the answers.

    Only ever appended to, so that the model need not read it again, except that a reply is cut to what was heard; when
    it outgrows the model, its older half is dropped at once.

    Args:
        head: the system prompt and examples; never dropped.
        context_tokens: room for head, conversation and answer.
    """

    def __init__(self, head: Sequence[Message], history: Iterable[Turn], *, context_tokens: int) -> None:
        self._head = list(head)
        self._messages: list[Message] = []
        self._room = context_tokens * _CHARS_PER_TOKEN - sum(map(_size, head))
        for turn in history:
            self._add_turn(turn)
        self.version = 0
        """Differs whenever the conversation differs."""

    def add(self, message: Message) -> None:
        self.version += 1
        self._messages.append(message)
        if sum(map(_size, self._messages)) > self._room:
            self._drop_older_half()

    def cut(self, item_id: str, heard: str) -> None:
        """The reply `item_id` was heard as far as `heard`, and nothing that was said after it."""
        for index, message in enumerate(self._messages):
            if message.role == "assistant" and message.item_id == item_id:
                if message.text != heard:
                    self.version += 1
                    self._messages[index] = replace(message, text=heard)
                return

    def messages(self, then: Message | None = None) -> list[Message]:
        """The conversation for the model: user messages in a row as one, each tool call with an output.

        Args:
            then: goes on with this, which is not remembered.
        """
        result = list(self._head)
        outputs = {message.item_id for message in self._messages if message.role == "tool"}
        for message in [*self._messages, *([then] if then else [])]:
            if message.role == "assistant" and not (message.text or message.calls):
                continue
            if message.role == "user" and result and result[-1].role == "user":
                result[-1] = replace(message, text=f"{result[-1].text} {message.text}")
                continue
            result.append(message)
            result.extend(
                Message("tool", _CALL_DROPPED, call.call_id) for call in message.calls if call.call_id not in outputs
            )
        return result

    def _add_turn(self, turn: Turn) -> None:
        if turn.role != "tool":
            if turn.text:
                self._messages.append(Message(turn.role, turn.text, turn.item_id))
        elif turn.final:
            call = ToolCall(turn.item_id, turn.name, turn.arguments or "{}")
            self._messages.append(Message("assistant", "", calls=(call,)))
            self._messages.append(Message("tool", turn.text, turn.item_id))

    def _drop_older_half(self) -> None:
        size = sum(map(_size, self._messages))
        while len(self._messages) > 1 and size > self._room // 2:
            size -= _size(self._messages.pop(0))
        # A conversation begins with the user; the last words of the user always stay.
        while len(self._messages) > 1 and self._messages[0].role != "user":
            self._messages.pop(0)


def _size(message: Message) -> int:
    calls = sum(len(call.name) + len(call.arguments) for call in message.calls)
    return len(message.text) + calls + 12  # the template marks where a message begins and ends


def tool_json(tool: ToolSchema) -> dict[str, Any]:
    """The tool in the format of OpenAI's chat completions."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(json.dumps(tool.parameters)),
    }
    return {"type": "function", "function": function}
