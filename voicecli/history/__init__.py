"""What was said, kept on this machine: turns, calls of tools, costs. Knows the vocabulary, and nothing above it.

A program keeps its conversations where it asks for that: `voice.connect(logs=[HistoryLog(voice.provider)])`. A `Store`
reads them, as `voice logs` does.
"""

from typing import TYPE_CHECKING

from voicecli.lazy_names import name_loader

if TYPE_CHECKING:
    from voicecli.history.log import HistoryLog
    from voicecli.history.records import (
        ConversationRecord,
        FoundTurn,
        ResponseRecord,
        ToolCallRecord,
        TurnRecord,
        UsageRecord,
    )
    from voicecli.history.store import NoConversationError, Store

__all__ = [
    "ConversationRecord",
    "FoundTurn",
    "HistoryLog",
    "NoConversationError",
    "ResponseRecord",
    "Store",
    "ToolCallRecord",
    "TurnRecord",
    "UsageRecord",
]

_HOMES = {
    **dict.fromkeys(
        ("ConversationRecord", "FoundTurn", "ResponseRecord", "ToolCallRecord", "TurnRecord", "UsageRecord"), "records"
    ),
    **dict.fromkeys(("NoConversationError", "Store"), "store"),
    "HistoryLog": "log",
}


if not TYPE_CHECKING:  # with it, a type checker would take any name for one that there is
    # With SQLite, which only those need who keep or read something.
    __getattr__ = name_loader(__name__, _HOMES)


def __dir__() -> list[str]:
    return sorted([*__all__, *(name for name in globals() if name.startswith("__"))])
