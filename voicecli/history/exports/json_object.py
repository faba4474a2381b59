"""A conversation as JSON."""

import dataclasses
import json
from datetime import datetime
from pathlib import Path
from typing import Any

from voicecli.history.records import ConversationRecord

__all__ = ["conversation_json", "conversation_object"]


def conversation_json(record: ConversationRecord) -> str:
    """The record as one JSON object, for people too: indented, and not in ASCII alone."""
    return json.dumps(conversation_object(record), ensure_ascii=False, indent=2) + "\n"


def conversation_object(record: ConversationRecord) -> dict[str, Any]:
    """The record as `json.dumps` takes it: its fields by their names, times of day in ISO 8601, the recording's path.

    Moments are in ms since the conversation began, by its own clock; `recording_times` leads to those of the recording.
    """
    made: dict[str, Any] = _plain(record)
    return made


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name)) for field in dataclasses.fields(value)}
    match value:
        case datetime():
            return value.isoformat()
        case Path():
            return str(value)
        case tuple() | list():
            return [_plain(item) for item in value]
    return value
