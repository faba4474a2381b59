"""Drawing of a `ViewModel`: entries for the scrollback, and the footer. Pure."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from rich.cells import cell_len, get_character_cell_size
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from voicecli.events import ApprovalRequest
from voicecli.terminal.entries import ApprovalQuestion, Entry, Remark, ToolCall, Utterance
from voicecli.terminal.key_hints import key_hints
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.printable import printable
from voicecli.terminal.summary import cost_words
from voicecli.terminal.view_model import State, ViewModel

__all__ = ["ASCII", "UNICODE", "Glyphs", "draw_entry", "draw_footer", "glyphs_for"]

_SLOW_MS = 1_000  # an answer later than this is felt as a pause
_NAME_CELLS = 24
_FULL_FROM_ROWS = 6  # on a lower screen the footer is the status alone
_NARROW = 22  # cells for words; below it, who speaks is told by the state
_STEADY_FROM = 40  # columns; from here on there is room for the longest state
_STATE_CELLS = len("Thinking 9.9 s")
_METER_BANDS = 5
_SHORT_METERS = (5, 3)  # bars where the device is one letter
_SPEAKERS = {"user": ("You", "cyan"), "assistant": ("Assistant", "green")}
_STATE_STYLES = {
    State.CONNECTING: "yellow",
    State.LISTENING: "blue",
    State.READY: "blue",
    State.HEARING: "cyan",
    State.THINKING: "magenta",
    State.SPEAKING: "green",
    State.ASKING: "yellow",
    State.MUTED: "red",
    State.RECONNECTING: "yellow",
    State.ENDING: "dim",
    State.ENDED: "dim",
}
_REMARK_STYLES = {"note": "dim", "warning": "yellow", "error": "red", "help": ""}


@dataclass(frozen=True, slots=True)
class Glyphs:
    """The signs the view is drawn with."""

    bullet: str
    done: str
    failed: str
    ellipsis: str
    bars: str


UNICODE = Glyphs("●", "✓", "✗", "…", "▁▂▃▄▅▆▇█")
ASCII = Glyphs("*", "ok", "x", "...", "_.:-=+*#")


def glyphs_for(encoding: str | None) -> Glyphs:
    """The signs that text of this encoding can hold."""
    try:
        "".join((UNICODE.bullet, UNICODE.done, UNICODE.failed, UNICODE.ellipsis, UNICODE.bars)).encode(encoding or "")
    except (LookupError, UnicodeEncodeError):
        return ASCII
    return UNICODE


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
            call = _head(_call_words(entry.name, entry.arguments), max(width - cell_len(mark) - 3, 1), glyphs)
            return Text.assemble((f"{glyphs.bullet} ", "yellow"), call, " ", (mark, mark_style))
        case ApprovalQuestion(name, arguments, server):
            question = f"Allow {printable(name)} on {printable(server)}?"
            header = Text.assemble((f"{glyphs.bullet} ", "yellow"), (question, "bold yellow"), overflow="fold")
            body = "\n".join(map(printable, _argument_words(arguments, exact=True)))
            return Group(header, Padding(Text(body, overflow="fold"), (0, 0, 0, 2))) if body else header
        case Remark(kind, text):
            return Group(*(Text(printable(line), style=_REMARK_STYLES[kind]) for line in text.split("\n")))


def draw_footer(view: ViewModel, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The footer's lines for a screen of this size: none is wider, and some rows are left for the conversation."""
    # Terminals wrap what is as wide as they were when they are made narrower: the words leave some room for that.
    top = _top_line(view, width - width // 10, glyphs)
    lines = [top, _fit(_status_segments(view, width, glyphs), width), _hint_line(view, width)]
    if height < _FULL_FROM_ROWS:
        lines = lines[:2] if view.editor is not None and height > 1 else lines[1:2]
    for line in lines:
        line.truncate(width)  # on the narrowest screens
    return lines


def _draw_utterance(words: Utterance, glyphs: Glyphs) -> RenderableType:
    name, style = _SPEAKERS[words.role]
    header = Text("\n" if words.role == "user" else "")  # a line apart from what came before
    header.append(f"{glyphs.bullet} {name}", f"bold {style}")
    if words.latency_ms is not None:
        header.append("  ").append(_latency(words.latency_ms))
    lines = [printable(line) for line in words.text.strip().splitlines()]
    if words.interrupted:
        lines[-1:] = [f"{lines[-1] if lines else ''} {glyphs.ellipsis}"]
    body = Text("\n".join(lines), overflow="fold")
    if words.flaw:
        body.append(f"\nThe answer is not complete: {printable(words.flaw)}", style=_REMARK_STYLES["warning"])
    return Group(header, Padding(body, (0, 0, 0, 2)))


def _latency(milliseconds: int) -> Text:
    return Text(f"{milliseconds} ms", style="red" if milliseconds >= _SLOW_MS else "dim")


def _call_words(name: str, arguments: str) -> str:
    return printable(" ".join([name, *_argument_words(arguments)]))


def _argument_words(arguments: str, *, exact: bool = False) -> list[str]:
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


def _is_plain(value: object, exact: bool) -> bool:
    return isinstance(value, str) and (value.isprintable() or not exact)


def _top_line(view: ViewModel, width: int, glyphs: Glyphs) -> Text:
    """The first line: what is being typed, asked of the user, run or said."""
    if view.editor is not None:
        return _typed_line(view.editor, width, glyphs)
    if view.approvals:
        return Text(_question(view.approvals[0], width, glyphs), style="bold yellow")
    if tools := view.running_tools:
        run, seconds = tools[-1], f" {view.clock() - tools[-1].since:.0f} s"
        call = _head(_call_words(run.name, run.arguments), max(width - len(seconds), 1), glyphs)
        return Text(call + seconds, style="dim")
    if (partial := view.partial) is not None:
        label = f"{_SPEAKERS[partial.role][0]}: " if width >= _NARROW else ""
        return Text(label + _tail(printable(partial.text.strip()), width - len(label), glyphs), style="dim")
    return Text("")


def _question(request: ApprovalRequest, width: int, glyphs: Glyphs) -> str:
    """The question to the user: of a long one the arguments are cut, and not what they are for."""
    what, where = f"Allow {printable(request.name)}", f" on {printable(request.server)}?"
    arguments = printable(" ".join(_argument_words(request.arguments)))
    shown = _head(arguments, width - cell_len(what + where) - 1, glyphs)
    return _head(f"{what}{' ' if shown else ''}{shown}{where}", width, glyphs)


def _typed_line(editor: LineEditor, width: int, glyphs: Glyphs) -> Text:
    before = _tail(printable(editor.text[: editor.cursor]), width - 4, glyphs)
    after = printable(editor.text[editor.cursor :]) or " "
    line = Text.assemble(("> ", "bold cyan"), before)
    line.append(after[0], style="reverse")
    line.append(_head(after[1:], max(width - line.cell_len, 0), glyphs))
    return line


def _status_segments(view: ViewModel, width: int, glyphs: Glyphs) -> list[list[Text]]:
    """The parts of the status line from the most needed to the least, each from its longest form to its shortest.

    A form that is in a list twice is one that comes before the names of the devices.
    """
    audio = view.audio
    style = f"bold {_STATE_STYLES[view.state]}"
    # Where there is room, all states are as wide: the rest of the line stays where it is.
    words = view.state_words.ljust(_STATE_CELLS if width >= _STEADY_FROM else 0)
    state = [*[Text(f"{glyphs.bullet} {words}", style)] * 2, Text(words, style)]
    mic = _device("mic", audio.microphone, audio.microphone_bands, view.microphone_muted, glyphs)
    muted = view.speaker_muted and view.has_speaker
    speaker = _device("spk", audio.speaker, audio.speaker_bands, muted, glyphs)
    latency: list[Text] = []
    if view.latency_ms is not None:
        short = _latency(view.latency_ms)
        latency = [*[Text.assemble(("first sound ", "dim"), short)] * 2, short]
    cost = [Text(cost_words(view.usage), style="dim")] if cost_words(view.usage) else []
    echo = [Text(f"echo {audio.echo}", style="dim")] if audio.echo else []
    return [forms for forms in (state, mic, speaker, latency, cost, echo) if forms]


def _device(label: str, name: str, bands: Sequence[float], muted: bool, glyphs: Glyphs) -> list[Text]:
    if not name and not bands and not muted:
        return []
    red = "bold red"
    meter = Text("MUTED", style=red) if muted else _meter(bands, _METER_BANDS, glyphs)
    short = _head(printable(name), _NAME_CELLS, glyphs)
    named = [Text.assemble((f"{label} ", "dim"), meter, (f" {short}", "dim"))] if short else []
    forms = [*named, Text.assemble((f"{label} ", "dim"), meter)]
    if muted:
        return [*forms, Text.assemble((f"{label[0]} ", "dim"), ("MUTE", red))]
    return [*forms, *(Text.assemble((label[0], "dim"), _meter(bands, count, glyphs)) for count in _SHORT_METERS)]


def _meter(bands: Sequence[float], count: int, glyphs: Glyphs) -> Text:
    """At most `count` bars, one for each band or for neighbours; a single level fills as many from the left."""
    if len(bands) == 1:
        bands = [bands[0] * count - place for place in range(count)]
    elif len(bands) > count:
        parts = [place * len(bands) // count for place in range(count + 1)]
        bands = [max(bands[start:end]) for start, end in pairwise(parts)]
    top = len(glyphs.bars) - 1
    bars = "".join(glyphs.bars[min(max(round(band * top), 0), top)] for band in bands or (0.0,) * count)
    return Text(bars, style="green")


def _hint_line(view: ViewModel, width: int) -> Text:
    """The keys that work now: with words as far as they fit, then keys alone."""
    hints = key_hints(view)
    worded = len(hints)
    while worded and len(_hint_words(hints, worded)) > width:
        worded -= 1
    line = Text(style="dim")
    for index, (key, what) in enumerate(hints):
        piece = f"{key} {what}" if index < worded else key
        if line.cell_len + len(piece) + 2 * bool(line) > width:
            break
        line.append("  " if line else "").append(key, style="bold").append(piece[len(key) :])
    return line


def _hint_words(hints: Sequence[tuple[str, str]], worded: int) -> str:
    return "  ".join(f"{key} {what}" if index < worded else key for index, (key, what) in enumerate(hints))


def _fit(segments: list[list[Text]], width: int) -> Text:
    """The segments in a line: as many as have room in their shortest form, then longer ones where they still fit.

    Those that can be shortened most become longer first.
    """
    chosen: list[tuple[list[Text], int]] = []
    for forms in segments:
        shortest = (forms, len(forms) - 1)
        if chosen and _line_of([*chosen, shortest]).cell_len > width:
            break
        chosen.append(shortest)
    for level in range(max(form for _, form in chosen), 0, -1):
        for place, (forms, form) in enumerate(chosen):
            longer = [*chosen[:place], (forms, level - 1), *chosen[place + 1 :]]
            if form == level and _line_of(longer).cell_len <= width:
                chosen = longer
    return _line_of(chosen)


def _line_of(chosen: Sequence[tuple[list[Text], int]]) -> Text:
    return Text("  ").join(forms[form] for forms, form in chosen)


def _head(text: str, cells: int, glyphs: Glyphs) -> str:
    """The beginning of the text, with a mark where it is cut. Reads no more of it than it shows."""
    room = cells - cell_len(glyphs.ellipsis)
    used = kept = 0
    for place, char in enumerate(text):
        used += get_character_cell_size(char)
        if used <= room:
            kept = place + 1
        elif used > cells:
            return text[:kept] + glyphs.ellipsis if room >= 0 else ""
    return text


def _tail(text: str, cells: int, glyphs: Glyphs) -> str:
    """The end of the text, with a mark where it is cut. Reads no more of it than it shows."""
    room = cells - cell_len(glyphs.ellipsis)
    start, used = len(text), 0
    while start > 0 and used <= cells:
        start -= 1
        used += get_character_cell_size(text[start])
    if used <= cells:
        return text
    if room < 0:
        return ""
    while used > room:
        used -= get_character_cell_size(text[start])
        start += 1
    while start < len(text) and get_character_cell_size(text[start]) == 0:
        start += 1  # it belongs to the letter that was cut
    return glyphs.ellipsis + text[start:]
