"""Entries of the scrollback: the header, utterances, tool calls, questions to the user, remarks."""

from dataclasses import dataclass
from typing import Literal

from voicecli.events import Role

__all__ = ["ApprovalQuestion", "Entry", "Header", "Remark", "RemarkKind", "ToolCall", "ToolOutcome", "Utterance"]

RemarkKind = Literal["note", "warning", "error", "help"]
ToolOutcome = Literal["done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Header:
    """The first line of a conversation: whom the user talks with, and through which devices.

    Attributes:
        provider: its title.
        microphone, speaker: names of devices; "" where there is none.
    """

    provider: str
    model: str
    voice: str
    microphone: str = ""
    speaker: str = ""


@dataclass(slots=True, eq=False)
class Utterance:
    """Words of the user or the assistant.

    Attributes:
        item_id: as events name it; "" while it is not known.
        latency_ms: on the first reply to a turn, how long it took from the turn's end to its first sound.
        flaw: why it is not complete, in words for people; "" where nothing is to be said.
    """

    role: Role
    item_id: str = ""
    text: str = ""
    final: bool = False
    interrupted: bool = False
    latency_ms: int | None = None
    flaw: str = ""


@dataclass(slots=True, eq=False)
class ToolCall:
    """A call of a tool.

    Attributes:
        arguments: JSON, as the model wrote it.
        since: when it began, by the view's clock, in seconds.
        server: the MCP server, where the provider makes the call.
        asked: whether it waits for the user to allow it.
        outcome: None while it runs.
        output: of a call that the provider makes: nobody else would tell of it.
    """

    name: str
    arguments: str
    since: float
    server: str = ""
    asked: bool = False
    outcome: ToolOutcome | None = None
    output: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalQuestion:
    """The question whether a tool may run.

    Attributes:
        arguments: JSON, as the model wrote it.
        server: the MCP server that has it; "" for a function.
    """

    name: str
    arguments: str
    server: str


@dataclass(frozen=True, slots=True)
class Remark:
    """Text beside the conversation, of one or more lines."""

    kind: RemarkKind
    text: str


Entry = Header | Utterance | ToolCall | ApprovalQuestion | Remark
