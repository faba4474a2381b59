"""Drawing of entries for the scrollback. Pure."""

import json

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from voicecli.terminal.entries import ApprovalQuestion, Entry, Remark, ToolCall, Utterance
from voicecli.terminal.fit import UNICODE, Glyphs, head
from voicecli.terminal.printable import printable

__all__ = ["SPEAKERS", "argument_words", "call_words", "draw_entry", "latency_text"]

SPEAKERS = {"user": ("You", "cyan"), "assistant": ("Assistant", "green")}
"""Role -> name and colour."""

_SLOW_MS = 1_000  # an answer later than this is felt as a pause
_REMARK_STYLES = {"note": "dim", "warning": "yellow", "error": "red", "help": ""}


def draw_entry(entry: Entry, width: int, glyphs: Glyphs = UNICODE) -> RenderableType:
    """The entry as it goes into the scrollback, at this many columns."""
    match entry:
        case Utterance():
            return _draw_utterance(entry, glyphs)
        case ToolCall():
            mark, mark_style = {
                "done": (glyphs.done, "dim"),
                "failed": (glyphs.failed, "red"),
                "cancelled": ("cancelled", "dim"),
            }[entry.outcome or "cancelled"]
            call = head(call_words(entry.name, entry.arguments), max(width - cell_len(mark) - 3, 1), glyphs)
            return Text.assemble((f"{glyphs.bullet} ", "yellow"), call, " ", (mark, mark_style))
        case ApprovalQuestion(name, arguments, server):
            question = f"Allow {printable(name)} on {printable(server)}?"
            header = Text.assemble((f"{glyphs.bullet} ", "yellow"), (question, "bold yellow"), overflow="fold")
            body = "\n".join(map(printable, argument_words(arguments, exact=True)))
            return Group(header, Padding(Text(body, overflow="fold"), (0, 0, 0, 2))) if body else header
        case Remark(kind, text):
            return Group(*(Text(printable(line), style=_REMARK_STYLES[kind]) for line in text.split("\n")))


def latency_text(milliseconds: int) -> Text:
    """A latency, coloured where it is felt as a pause."""
    return Text(f"{milliseconds} ms", style="red" if milliseconds >= _SLOW_MS else "dim")


def call_words(name: str, arguments: str) -> str:
    """A call of a tool in one line: its name and arguments, safe to show."""
    return printable(" ".join([name, *argument_words(arguments)]))


def argument_words(arguments: str, *, exact: bool = False) -> list[str]:
    """Each argument as `name=value`; `exact` tells the characters that cannot be seen from each other, too."""
    try:
        values = json.loads(arguments or "{}")
    except (ValueError, RecursionError):
        values = None
    if not isinstance(values, dict):
        return [arguments]
    return [
        f"{name}={value if _is_plain(value, exact) else json.dumps(value, ensure_ascii=False)}"
        for name, value in values.items()
    ]


def _draw_utterance(words: Utterance, glyphs: Glyphs) -> RenderableType:
    name, style = SPEAKERS[words.role]
    header = Text("\n" if words.role == "user" else "")  # a line apart from what came before
    header.append(f"{glyphs.bullet} {name}", f"bold {style}")
    if words.latency_ms is not None:
        header.append("  ").append(latency_text(words.latency_ms))
    lines = [printable(line) for line in words.text.strip().splitlines()]
    if words.interrupted:
        lines[-1:] = [f"{lines[-1] if lines else ''} {glyphs.ellipsis}"]
    body = Text("\n".join(lines), overflow="fold")
    if words.flaw:
        body.append(f"\nThe answer is not complete: {printable(words.flaw)}", style=_REMARK_STYLES["warning"])
    return Group(header, Padding(body, (0, 0, 0, 2)))


def _is_plain(value: object, exact: bool) -> bool:
    return isinstance(value, str) and (value.isprintable() or not exact)
