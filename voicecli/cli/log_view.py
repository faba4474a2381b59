"""A kept conversation, drawn on a terminal as the live view draws it, with times."""

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from voicecli.cli.log_lines import cost_words, latency_ms, length_ms, length_words
from voicecli.events import TurnMetrics
from voicecli.history.records import ConversationRecord, FoundTurn, ResponseRecord, ToolCallRecord, in_order
from voicecli.terminal.entries import Entry, Remark, ToolCall, Utterance
from voicecli.terminal.fit import glyphs_for, head
from voicecli.terminal.printable import printable
from voicecli.terminal.reasons import reason_words
from voicecli.terminal.render_entry import SPEAKERS, draw_entry, stands_apart

__all__ = ["draw_conversation", "draw_found"]

_GAP = 2  # cells


def draw_conversation(conversation: ConversationRecord, console: Console | None = None) -> None:
    """Draw a conversation on standard output."""
    console = console or Console(highlight=False)
    glyphs = glyphs_for(console.encoding)
    console.print(_title(conversation))
    entries = list(_entries(conversation))
    times = max((len(length_words(at_ms)) for at_ms, _, _ in entries), default=0)
    width = console.width - times - _GAP
    lines = Table.grid(padding=(0, _GAP, 0, 0))
    lines.add_column(style="dim", justify="right", no_wrap=True)
    lines.add_column(overflow="fold")
    before: Entry | None = None
    for at_ms, entry, detail in entries:
        if before is None or stands_apart(entry, before):
            lines.add_row()
        lines.add_row(length_words(at_ms), draw_entry(entry, width, glyphs))
        if detail:
            lines.add_row("", Text(f"  {head(printable(detail), width - _GAP, glyphs)}", "dim"))
        before = entry
    lines.add_row()
    console.print(lines)
    console.print(Text(_summary(conversation), "dim"))


def draw_found(found: Sequence[FoundTurn], console: Console | None = None) -> None:
    """Draw turns that were found on standard output, each below its conversation, with the words in bold."""
    console = console or Console(highlight=False)
    id_ = ""
    for each in found:
        if each.conversation.id != id_:
            if id_:
                console.print()
            id_ = each.conversation.id
            console.print(_title(each.conversation))
        name, style = SPEAKERS[each.turn.role]
        line = Text.assemble(f"{length_words(each.turn.started_ms)}  ", (f"{name}: ", style))
        for piece, is_word in each.excerpt:
            line.append(printable(piece), "bold" if is_word else "")
        console.print(line)


def _title(conversation: ConversationRecord) -> Text:
    parts = (
        f"{conversation.started_at:%Y-%m-%d %H:%M}",
        conversation.provider,
        conversation.model,
        f"voice {conversation.voice}" if conversation.voice else "",
        f"continues {conversation.continues}" if conversation.continues else "",
    )
    line = Text(conversation.id, "bold")
    line.append("".join(f"  {printable(part)}" for part in parts if part), "not bold dim")
    return line


def _summary(conversation: ConversationRecord) -> str:
    turns = sum(turn.role == "user" for turn in conversation.turns)
    latency = latency_ms(conversation)
    parts = (
        f"{turns} turn{'' if turns == 1 else 's'} in {length_words(length_ms(conversation))}",
        "" if latency is None else f"latency median {latency} ms",
        f"cost {cost_words(conversation.usage) or '$0'}",
        "" if conversation.ended_at else "not ended",
        f"recorded in {conversation.recording}" if conversation.recording else "",
    )
    return printable(", ".join(filter(None, parts)))


def _entries(conversation: ConversationRecord) -> Iterator[tuple[int, Entry, str]]:
    """What is drawn, when it began, in ms, and what stands below it in one line."""
    answers = _answers(conversation)
    for each in in_order(conversation):
        if isinstance(each, ToolCallRecord):
            call = ToolCall(each.name, each.arguments, 0.0, outcome="cancelled")
            if each.output is not None:
                call.outcome = "failed" if each.is_error else "done"
            yield each.started_ms, call, each.output or ""
            continue
        response = answers.get(id(each))
        yield (
            each.started_ms,
            Utterance(
                each.role,
                text=each.text,
                final=each.final,
                interrupted=each.interrupted or not each.final,
                latency_ms=_latency(response.metrics) if response else None,
                flaw=_flaw(response) if response else "",
            ),
            "",
        )
    for response in conversation.responses:
        if _flaw(response) and response not in answers.values():
            yield response.done_ms, Remark("warning", f"The answer is not complete: {_flaw(response)}"), ""


def _answers(conversation: ConversationRecord) -> dict[int, ResponseRecord]:
    """The response of each turn that is the first of one, by the turn's identity."""
    found: dict[int, ResponseRecord] = {}
    replies = [turn for turn in conversation.turns if turn.role == "assistant"]
    for response in conversation.responses:
        later = (turn for turn in replies if turn.started_ms >= response.started_ms and id(turn) not in found)
        first = next(later, None)
        if first is not None and first.started_ms <= response.done_ms:
            found[id(first)] = response
    return found


def _latency(metrics: TurnMetrics) -> int | None:
    return metrics.first_audio_ms if metrics.first_heard_ms is None else metrics.first_heard_ms


def _flaw(response: ResponseRecord) -> str:
    return reason_words(response.reason) if response.status in ("failed", "incomplete") else ""
