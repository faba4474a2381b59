"""Facts about a conversation, for people."""

from datetime import datetime

from voicecli.events import Usage
from voicecli.history.exports.timeline import clock_text
from voicecli.history.records import ConversationRecord

__all__ = ["facts", "told_at"]


def facts(record: ConversationRecord) -> list[tuple[str, str]]:
    """Names and values of what is known of a conversation."""
    length = ""
    if record.ended_at is not None:
        length = clock_text(round((record.ended_at - record.started_at).total_seconds() * 1000))
    known = [
        ("Provider", record.provider),
        ("Model", record.model),
        ("Voice", record.voice),
        ("Lasted", length),
        ("Ended", record.end),
        ("Used", _used(record.usage)),
        ("Continues", record.continues),
        ("Id", record.id),
    ]
    return [(name, value) for name, value in known if value]


def told_at(moment: datetime) -> str:
    """A time of day with its date: 2026-11-28 11:15."""
    return f"{moment:%Y-%m-%d %H:%M}"


def _used(usage: Usage) -> str:
    tokens = usage.input_tokens + usage.output_tokens
    words = [f"{tokens} tokens"] if tokens else []
    if usage.session_seconds:
        words.append(f"{usage.session_seconds / 60:.1f} minutes")
    if usage.cost_usd is None:
        words.append("price not known")
    elif usage.cost_usd:
        words.append(f"{'~' if usage.approximate else ''}${usage.cost_usd:.4f}")
    return ", ".join(words)
