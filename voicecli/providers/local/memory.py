"""Memory of the conversation for a language model, within its context."""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from voicecli.providers.local.chat_model import Message, ToolCall
from voicecli.transcript import Turn

__all__ = ["Memory"]

# English has some 4 characters to a token; 3 leaves room for other languages and for the template's own tokens.
_CHARS_PER_TOKEN = 3
_CALL_DROPPED = "The call was cancelled: the user went on."


class Memory:
    """The conversation as the language model is told it: the user's words, and what was *heard* of the answers.

    It is only ever appended to, so that the model need not read it again, except that a reply is cut to what was heard.
    When it outgrows the model, its older half is dropped at once.

    Args:
        head: the system prompt and examples; never dropped.
        history: turns of an earlier conversation.
        context_tokens: room for head, conversation and answer.
    """

    def __init__(self, head: Sequence[Message], history: Iterable[Turn], *, context_tokens: int) -> None:
        self._head = list(head)
        self._messages: list[Message] = []
        self._room = context_tokens * _CHARS_PER_TOKEN - sum(map(_size, head))
        for turn in history:
            self._add_turn(turn)
        self.version = 0
        """Changes whenever the conversation does."""

    def add(self, message: Message) -> None:
        """Append a message."""
        self.version += 1
        self._messages.append(message)
        if sum(map(_size, self._messages)) > self._room:
            self._drop_older_half()

    def cut(self, item_id: str, heard: str) -> None:
        """Cut the reply `item_id` to what was heard of it."""
        # The latest of that name: the history of another conversation may have it, too.
        for index, message in reversed(list(enumerate(self._messages))):
            if message.role == "assistant" and message.item_id == item_id:
                if message.text != heard:
                    self.version += 1
                    self._messages[index] = replace(message, text=heard)
                return

    def messages(self, then: Message | None = None) -> list[Message]:
        """The messages for the model: user messages in a row as one, each tool call with an output.

        Args:
            then: a last message, which is not remembered.
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
