"""Records of conversations that were held: what the store gives, and exports are made of."""

from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path

from voicecli.events import ResponseStatus, Role, TurnMetrics, Usage

__all__ = [
    "ConversationRecord",
    "FoundTurn",
    "ResponseRecord",
    "ToolCallRecord",
    "TurnRecord",
    "UsageRecord",
    "in_order",
]


@dataclass(frozen=True, slots=True, kw_only=True)
class TurnRecord:
    """One utterance. Times are in ms since the conversation began, by its own clock.

    Attributes:
        item_id: the utterance's name, unique in its conversation.
        text: what was said; of a reply that was cut off, what was heard of it.
        started_ms: when the speech, or the first word of it, was noticed.
        ended_ms: when it was over: of a reply, when the last of its sound was heard, or would have been, played as it
            came; None where that never came.
        final: whether `text` is all of it.
        interrupted: whether it is a reply that was cut off.
    """

    role: Role
    item_id: str
    text: str
    started_ms: int
    ended_ms: int | None = None
    final: bool = True
    interrupted: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ToolCallRecord:
    """One call of a tool. Times as in TurnRecord.

    Attributes:
        arguments: JSON as the model wrote it.
        output: what went to the model; None where nothing did.
        ended_ms: when the output went out, or the model took the call back.
    """

    call_id: str
    name: str
    arguments: str
    started_ms: int
    output: str | None = None
    ended_ms: int | None = None
    is_error: bool = False
    cancelled: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class ResponseRecord:
    """One response: what it cost, and how fast it came. Times as in TurnRecord."""

    response_id: str
    started_ms: int
    done_ms: int
    status: ResponseStatus = "completed"
    reason: str = ""
    usage: Usage = field(default_factory=Usage)
    metrics: TurnMetrics = field(default_factory=TurnMetrics)


@dataclass(frozen=True, slots=True, kw_only=True)
class UsageRecord:
    """What was used between two responses and belongs to neither: the time of a session that is billed by the minute.

    Attributes:
        started_ms, at_ms: when it was told first, and last; as in TurnRecord.
        usage: the sum of it.
    """

    started_ms: int
    at_ms: int
    usage: Usage


@dataclass(frozen=True, slots=True, kw_only=True)
class ConversationRecord:
    """A conversation.

    Attributes:
        id: as users write it; unique on this machine, and never used again.
        started_at, ended_at: with their time zone; `ended_at` None where the program was killed.
        provider: its name.
        end: why it ended, in words; "" where that is not known.
        continues: the id of the conversation that it continues, or "".
        recording: the stereo WAV file of it, or None.
        recording_times: points (ms of the conversation, ms of the recording), in order. Between two of them both run
            evenly, after the last at the same pace; () where both are the same. What was said while the provider was
            dialled stands before the conversation in its recording, and a file that is sent faster than it sounds
            takes its time there.
        usage: of the whole conversation; where it was killed, of what had been told.
        usages: the part of it that belongs to no response.
    """

    id: str
    started_at: datetime
    provider: str
    model: str
    voice: str = ""
    ended_at: datetime | None = None
    end: str = ""
    continues: str = ""
    recording: Path | None = None
    recording_times: tuple[tuple[int, int], ...] = ()
    usage: Usage = field(default_factory=Usage)
    turns: tuple[TurnRecord, ...] = ()
    tool_calls: tuple[ToolCallRecord, ...] = ()
    responses: tuple[ResponseRecord, ...] = ()
    usages: tuple[UsageRecord, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundTurn:
    """A turn in which words were found.

    Attributes:
        conversation: its conversation, without turns, calls of tools and responses.
        excerpt: the part of its text with the words, in pieces, each with whether it is one of the words.
    """

    conversation: ConversationRecord
    turn: TurnRecord
    excerpt: tuple[tuple[str, bool], ...]


def in_order(conversation: ConversationRecord) -> list[TurnRecord | ToolCallRecord]:
    """The turns and calls of tools as they were; each turn where it begins, but no answer before its question."""
    calls = sorted(conversation.tool_calls, key=lambda call: call.started_ms)
    ordered: list[TurnRecord | ToolCallRecord] = []
    for turn in conversation.turns:
        while calls and calls[0].started_ms < turn.started_ms:
            ordered.append(calls.pop(0))
        ordered.append(turn)
    return [*ordered, *calls]
