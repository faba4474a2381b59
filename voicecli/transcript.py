"""The transcript: folds events into ordered turns. Read by the screen, the log, exports and the server.

Also what a codec keeps to tell a new socket of the conversation so far.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from voicecli.commands import Command, SendText, ToolResult
from voicecli.events import (
    Event,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
)

__all__ = ["Transcript", "Turn", "heard_text"]


@dataclass(slots=True)
class Turn:
    """One utterance, or one call of a tool.

    Attributes:
        role: who; "tool" for a call.
        item_id: the utterance's or the call's name within its session.
        text: what was said, as far as known; for a tool its output.
        final: whether that is all.
        interrupted: whether a reply was cut off; `text` is then what was heard of it.
        name, arguments: of a tool call; arguments as JSON.
    """

    role: Literal["user", "assistant", "tool"]
    item_id: str
    text: str = ""
    final: bool = False
    interrupted: bool = False
    name: str = ""
    arguments: str = ""


class Transcript:
    """The turns of a conversation, in order: what the user said stands before the reply to it.

    Args:
        history: turns it begins with.
    """

    def __init__(self, history: Iterable[Turn] = ()) -> None:
        self.turns: list[Turn] = list(history)
        self._by_id: dict[tuple[str, str], Turn] = {}

    def apply(self, event: Event | Command) -> Turn | None:
        """Take an event or a command into account; the turn it changed, or None."""
        match event:
            case TranscriptUpdate(role, item_id, text, final, interrupted):
                turn = self._turn(role, item_id)
                turn.text, turn.final, turn.interrupted = text, final, interrupted
            case SendText(text, item_id):
                turn = self._turn("user", item_id)
                turn.text, turn.final = text, True
            case ToolCallRequest(call_id, name, arguments):
                turn = self._turn("tool", call_id)
                turn.name, turn.arguments = name, arguments
            case ToolCallFinished(call_id, output=output) | ToolResult(call_id, output):
                turn = self._turn("tool", call_id)
                turn.text, turn.final = output, True
            case _:
                return None
        return turn

    def _turn(self, role: Literal["user", "assistant", "tool"], item_id: str) -> Turn:
        turn = self._by_id.get((role, item_id)) if item_id else None
        if turn is None:
            turn = Turn(role, item_id)
            self.turns.append(turn)
            if item_id:
                self._by_id[role, item_id] = turn
        return turn


def heard_text(text: str, played_ms: int, received_ms: int) -> str:
    """The part of `text` that was heard when `played_ms` of its `received_ms` of audio were played.

    An estimate: speech is taken as even, and cut at the last whole word.
    """
    if played_ms >= received_ms:
        return text
    if played_ms <= 0:
        return ""
    cut = len(text) * played_ms // received_ms
    head = text[:cut]
    if not text[cut : cut + 1].isspace():
        while head and not head[-1].isspace():
            head = head[:-1]
    return head.rstrip()
