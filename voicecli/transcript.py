"""Who said what: folds events into ordered turns. Read by the screen, the log, exports and the server.

Also what a codec keeps to tell a new socket of the conversation so far.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Literal

from voicecli.commands import Command, SendText, ToolResult
from voicecli.events import (
    Event,
    ResponseDone,
    ResponseStarted,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
)

__all__ = ["Transcript", "TranscriptOrder", "Turn", "heard_text"]


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


class TranscriptOrder:
    """Holds a reply's words back until the user's words that it answers are known.

    Providers transcribe the user apart from answering, so the text of a question often arrives after the first
    words of its answer. The reply's end waits with its words, unless another reply begins first. Sound is never held.
    Whoever drives it calls `release()` when the wait has become too long.
    """

    def __init__(self) -> None:
        self._open: set[str] = set()
        self._held: list[Event] = []

    @property
    def holding(self) -> bool:
        return bool(self._held)

    def push(self, event: Event) -> list[Event]:
        """What can be delivered now that this event has arrived, in order."""
        match event:
            case TranscriptUpdate("user", item_id, final=final):
                (self._open.discard if final else self._open.add)(item_id)
                return [event, *self.release()] if not self._open else [event]
            case TranscriptUpdate("assistant", item_id, interrupted=True) if not self._holds(item_id):
                return [event]  # the user's open words are those that cut it
            case TranscriptUpdate("assistant") | ResponseDone() if self._open or self._held:
                self._held.append(event)
                return []
            case ResponseStarted():  # one reply at a time
                ends = [held for held in self._held if isinstance(held, ResponseDone)]
                self._held = [held for held in self._held if not isinstance(held, ResponseDone)]
                return [*ends, event]
        return [event]

    def _holds(self, item_id: str) -> bool:
        return any(isinstance(event, TranscriptUpdate) and event.item_id == item_id for event in self._held)

    def release(self) -> list[Event]:
        """All that was held; and no more waiting for the user's words that are open now."""
        self._open.clear()
        held, self._held = self._held, []
        return held


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
        head = head[: max(head.rfind(" "), 0)]
    return head.rstrip()
