"""Drawing of entries for the scrollback. Pure."""

import json
from collections.abc import Sequence

from rich.cells import cell_len
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from voicecli.terminal.entries import ApprovalQuestion, Entry, Header, Remark, ToolCall, Utterance
from voicecli.terminal.fit import UNICODE, Glyphs, head
from voicecli.terminal.printable import printable

__all__ = [
    "REMARK_STYLES",
    "SPEAKERS",
    "argument_words",
    "call_words",
    "draw_entry",
    "label",
    "latency_text",
    "question_words",
    "stands_apart",
]

SPEAKERS = {"user": ("You", "cyan"), "assistant": ("Assistant", "green")}
"""Role -> name and colour."""

_SLOW_MS = 1_000  # an answer later than this is felt as a pause
REMARK_STYLES = {"note": "dim", "warning": "yellow", "error": "red", "help": ""}
"""Kind of a remark -> its style."""

_LEAST_NAME = 10  # cells; a shorter name of a device tells nothing
_GAP = "  "


def stands_apart(entry: Entry, after: Entry | None) -> bool:
    """True where an empty line stands between two entries: before each turn, and around remarks.

    Args:
        after: what stands before the entry; None for nothing.
    """
    if after is None:
        return False
    if isinstance(entry, Utterance) and entry.role == "user":
        return True
    return isinstance(entry, Remark) != isinstance(after, Remark) or isinstance(after, Header)


def draw_entry(entry: Entry, width: int, glyphs: Glyphs = UNICODE, after: Entry | None = None) -> RenderableType:
    """The entry as it goes into the scrollback, at this many columns.

    Args:
        after: the entry before it.
    """
    drawn = _draw(entry, width, glyphs)
    return Group(Text(), drawn) if stands_apart(entry, after) else drawn


def _draw(entry: Entry, width: int, glyphs: Glyphs) -> RenderableType:
    match entry:
        case Header():
            return _draw_header(entry, width, glyphs)
        case Utterance():
            return _draw_utterance(entry, glyphs)
        case ToolCall():
            mark, mark_style = {
                "done": (glyphs.done, "dim"),
                "failed": (glyphs.failed, "red"),
                "cancelled": ("cancelled", "dim"),
            }[entry.outcome or "cancelled"]
            call = head(call_words(entry), max(width - cell_len(mark) - 3, 1), glyphs)
            line = Text.assemble((f"{glyphs.bullet} ", "yellow"), call, " ", (mark, mark_style))
            output = head(printable(" ".join(entry.output.split())), max(width - 4, 1), glyphs)
            return Group(line, Text(f"  {output}", mark_style)) if output else line
        case ApprovalQuestion(name, arguments, server):
            question = question_words(name, server)
            header = Text.assemble((f"{glyphs.bullet} ", "yellow"), (question, "bold yellow"), overflow="fold")
            body = "\n".join(map(printable, argument_words(arguments, exact=True)))
            return Group(header, Padding(Text(body, overflow="fold"), (0, 0, 0, 2))) if body else header
        case Remark(kind, text):
            return Group(*(Text(printable(line), style=REMARK_STYLES[kind]) for line in text.split("\n")))


def latency_text(milliseconds: int) -> Text:
    """A latency, coloured where it is felt as a pause."""
    return Text(f"{milliseconds} ms", style="red" if milliseconds >= _SLOW_MS else "dim")


def call_words(call: ToolCall) -> str:
    """A call of a tool in one line: its name and arguments, safe to show."""
    where = ["on", f"{call.server}:"] if call.server else []
    return printable(" ".join([call.name, *where, *argument_words(call.arguments)]))


def question_words(name: str, server: str) -> str:
    """The question whether a tool may run, safe to show."""
    return f"Allow {printable(name)} on {printable(server)}?" if server else f"Allow {printable(name)}?"


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


def label(words: Utterance, glyphs: Glyphs) -> Text:
    """The line above somebody's words."""
    name, style = SPEAKERS[words.role]
    line = Text(f"{glyphs.bullet} {name}", f"bold {style}")
    if words.latency_ms is None:
        return line
    return Text.assemble(line, _GAP, latency_text(words.latency_ms))


def _draw_header(header: Header, width: int, glyphs: Glyphs) -> Text:
    """The first line; where there is no room for it, the names of the devices are cut, or have a line of their own."""
    devices = [
        (name, printable(device)) for name, device in (("mic", header.microphone), ("spk", header.speaker)) if device
    ]
    voice = f"voice {header.voice}" if header.voice else ""
    first = [printable(part) for part in (header.provider, header.model, voice) if part]
    named = _named(devices, width - cell_len(_GAP.join([*first, ""])), glyphs)
    between = _GAP
    if named is None:
        between, named = "\n", _named(devices, width, glyphs) or [f"{name} {device}" for name, device in devices]
    line = Text(style="dim", overflow="fold")
    line.append(first[0], "bold")
    line.append("".join(_GAP + part for part in first[1:]))
    return line.append(between + _GAP.join(named)) if named else line


def _named(devices: Sequence[tuple[str, str]], cells: int, glyphs: Glyphs) -> list[str] | None:
    """What fits of the devices' names; None where that would tell nothing."""
    fixed = cell_len(_GAP.join(f"{name} " for name, _ in devices))
    room = (cells - fixed) // max(len(devices), 1)
    spare = sum(max(room - cell_len(device), 0) for _, device in devices)
    if any(room + spare < min(cell_len(device), _LEAST_NAME) for _, device in devices):
        return None
    return [f"{name} {head(device, room + spare, glyphs)}" for name, device in devices]


def _draw_utterance(words: Utterance, glyphs: Glyphs) -> RenderableType:
    lines = [printable(line) for line in words.text.strip().splitlines()]
    if words.interrupted:
        lines[-1:] = [f"{lines[-1] if lines else ''} {glyphs.ellipsis}"]
    body = Text("\n".join(lines), overflow="fold")
    if words.flaw:
        body.append(f"\nThe answer is not complete: {printable(words.flaw)}", style=REMARK_STYLES["warning"])
    return Group(label(words, glyphs), Padding(body, (0, 0, 0, 2)))


def _is_plain(value: object, exact: bool) -> bool:
    if not isinstance(value, str):
        return False
    return not exact or (value.isprintable() and value == value.strip() != "")
