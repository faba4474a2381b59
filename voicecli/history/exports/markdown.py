"""A conversation as Markdown."""

import re
from collections.abc import Iterator

from voicecli.history.exports.facts import facts, told_at
from voicecli.history.exports.timeline import SPEAKERS, Timeline, clock_text
from voicecli.history.records import ConversationRecord, ToolCallRecord, in_order
from voicecli.text import without_controls

__all__ = ["markdown"]

_SPECIAL = re.compile(r"([\\`*_{}\[\]<>&|~#$])")


def markdown(record: ConversationRecord) -> str:
    """The conversation as Markdown that shows the words as they were said; U+FFFD stands for control characters."""
    return without_controls("\n".join(_lines(record))) + "\n"  # a terminal would obey them


def _lines(record: ConversationRecord) -> Iterator[str]:
    timeline = Timeline(record)
    yield f"# Conversation of {told_at(record.started_at)}"
    yield ""
    for name, value in facts(record):
        yield f"- {name}: {_escaped(_one_line(value))}"
    for each in in_order(record):
        if isinstance(each, ToolCallRecord):
            yield from _call(each, timeline)
        elif each.text.strip():
            cut = " *(interrupted)*" if each.interrupted else ""
            yield ""
            yield f"**{SPEAKERS.get(each.role, each.role)}** ({clock_text(timeline.at(each.started_ms))}){cut}"
            yield ""
            yield "  \n".join(_escaped(line.strip()) for line in each.text.strip().splitlines())


def _call(call: ToolCallRecord, timeline: Timeline) -> Iterator[str]:
    yield ""
    state = " — failed" if call.is_error else " — taken back" if call.cancelled else ""
    yield f"**Tool {_escaped(_one_line(call.name))}** ({clock_text(timeline.at(call.started_ms))}){state}"
    for text in (call.arguments, call.output):
        if text:
            fence = "`" * max(3, 1 + max((len(run) for run in re.findall("`+", text)), default=0))
            yield ""
            yield f"{fence}\n{text}\n{fence}"


def _one_line(text: str) -> str:
    return " ".join(text.split())


def _escaped(line: str) -> str:
    line = _SPECIAL.sub(r"\\\1", line)
    # At its beginning these would make a list, or a heading of the line before.
    return re.sub(r"^(\d+)([.)])", r"\1\\\2", re.sub(r"^([-+=])", r"\\\1", line))
