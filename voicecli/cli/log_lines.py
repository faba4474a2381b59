"""A kept conversation for programs and pipes, and what is told of it in a list."""

import statistics
from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

from voicecli.events import Usage
from voicecli.history.records import ConversationRecord, FoundTurn, ToolCallRecord, TurnRecord, in_order
from voicecli.terminal.printable import printable

__all__ = [
    "conversation_json",
    "cost_words",
    "found_json",
    "latency_ms",
    "length_ms",
    "length_words",
    "plain_lines",
]


def plain_lines(conversation: ConversationRecord) -> Iterator[str]:
    """What was said, a line for each turn and call, as `voice chat` writes it."""
    for each in in_order(conversation):
        match each:
            case TurnRecord(role=role, text=text):
                name = "You" if role == "user" else "Assistant"
                more = " …" if each.interrupted or not each.final else ""
                yield from map(printable, f"{name}: {text.strip()}{more}".splitlines())
            case ToolCallRecord(name=name, arguments=arguments):
                yield printable(f"Tool: {name} {arguments}")
                if each.output is not None:
                    yield printable(f"Tool: {name} {'failed' if each.is_error else 'answered'}: {each.output}")
                elif each.cancelled:
                    yield printable(f"Tool: {name} cancelled")


def conversation_json(conversation: ConversationRecord, *, whole: bool = True) -> dict[str, Any]:
    """A conversation as JSON has it.

    Args:
        whole: with turns, calls of tools, responses and usages.
    """
    told = asdict(conversation) | {
        "started_at": conversation.started_at.isoformat(),
        "ended_at": conversation.ended_at.isoformat() if conversation.ended_at else None,
        "recording": str(conversation.recording) if conversation.recording else None,
    }
    parts = ("turns", "tool_calls", "responses", "usages")
    return told if whole else {name: told[name] for name in told if name not in parts}


def found_json(found: FoundTurn) -> dict[str, Any]:
    """A turn that was found, as JSON has it."""
    return {
        "id": found.conversation.id,
        "started_at": found.conversation.started_at.isoformat(),
        **asdict(found.turn),
        "excerpt": "".join(piece for piece, _ in found.excerpt),
    }


def length_ms(conversation: ConversationRecord) -> int:
    """How long it took; where it was killed, until what is known of it ends."""
    if conversation.ended_at is not None:
        return round((conversation.ended_at - conversation.started_at).total_seconds() * 1000)
    known = [turn.ended_ms or turn.started_ms for turn in conversation.turns]
    return max([*known, *(response.done_ms for response in conversation.responses)], default=0)


def length_words(milliseconds: int) -> str:
    """A time as minutes and seconds, with hours where there are some."""
    hours, seconds = divmod(round(milliseconds / 1000), 3600)
    minutes = f"{seconds // 60:02}" if hours else f"{seconds // 60}"
    return f"{f'{hours}:' if hours else ''}{minutes}:{seconds % 60:02}"


def cost_words(usage: Usage) -> str:
    """What it cost; "" for nothing."""
    if usage.cost_usd is None:
        return "unknown"
    return f"{'~' if usage.approximate else ''}${usage.cost_usd:.4f}" if usage.cost_usd else ""


def latency_ms(conversation: ConversationRecord) -> int | None:
    """The median of its latencies: from the end of a turn until its answer was heard, or came; None without one."""
    metrics = [response.metrics for response in conversation.responses]
    known = [each.first_audio_ms if each.first_heard_ms is None else each.first_heard_ms for each in metrics]
    latencies = [latency for latency in known if latency is not None]
    return round(statistics.median(latencies)) if latencies else None
