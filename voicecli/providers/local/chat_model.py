"""The port to a language model: messages in, deltas of an answer out."""

import json
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from voicecli.events import Notice, Usage
from voicecli.tools import ToolSchema

__all__ = ["ChatModel", "Delta", "Finish", "Message", "Thought", "ToolCall", "tool_json"]


@dataclass(frozen=True, slots=True)
class ToolCall:
    """Call of a function by the model.

    Attributes:
        call_id: its name within the conversation.
        name: of the function.
        arguments: JSON, as the model wrote it.
    """

    call_id: str
    name: str
    arguments: str


@dataclass(frozen=True, slots=True)
class Thought:
    """Reasoning of the model, which is not for the user."""


@dataclass(frozen=True, slots=True)
class Finish:
    """End of an answer.

    Attributes:
        usage: tokens of the request and the answer.
        truncated: whether a limit cut it.
        reason: the limit that did; "" is that of the tokens.
        notices: for the user.
    """

    usage: Usage = field(default_factory=Usage)
    truncated: bool = False
    reason: str = ""
    notices: tuple[Notice, ...] = ()


Delta = str | Thought | ToolCall | Finish
"""A part of a streamed answer: text, a sign of reasoning, a call, or its end."""


@dataclass(frozen=True, slots=True)
class Message:
    """Entry of the conversation, as the model sees it.

    Attributes:
        role: its author; "tool" for the output of a call.
        text: its content.
        item_id: of the utterance; of a tool's output, the call's.
        calls: the calls of functions in an assistant's message.
    """

    role: Literal["system", "user", "assistant", "tool"]
    text: str
    item_id: str = ""
    calls: tuple[ToolCall, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The message in the format of OpenAI's chat completions, which all models take."""
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
    """Language model that answers a conversation.

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
        """Prepare for conversations that begin with `messages`.

        Raises:
            RealtimeError: it cannot answer.
        """

    async def read_ahead(self, messages: Sequence[Message]) -> None:
        """Read messages whose last one goes on, so that the answer begins sooner; or do nothing."""

    def stream(self, messages: Sequence[Message], tools: Sequence[ToolSchema] = ()) -> AsyncGenerator[Delta, None]:
        """Generate the answer, Finish last. Closing the generator stops the generation.

        Raises:
            RealtimeError: it fails.
        """

    async def aclose(self) -> None:
        """Release the model."""


def tool_json(tool: ToolSchema) -> dict[str, Any]:
    """The tool in the format of OpenAI's chat completions."""
    function = {
        "name": tool.name,
        "description": tool.description,
        "parameters": json.loads(json.dumps(tool.parameters)),
    }
    return {"type": "function", "function": function}
