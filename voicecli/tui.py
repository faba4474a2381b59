"""The live view: draws a `View` with Rich, and joins it to terminal and keyboard."""

import asyncio
import atexit
import json
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import Self, TextIO

from rich.cells import cell_len, get_character_cell_size
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.text import Text

from voicecli.key_commands import Controls, KeyCommands
from voicecli.keyboard import Keyboard, open_keyboard
from voicecli.keys import Key
from voicecli.line_editor import LineEditor
from voicecli.printable import printable
from voicecli.screen import Screen
from voicecli.terminal_signals import TerminalSignals
from voicecli.view import Entry, Remark, Said, Sound, State, ToolRun, View, cost_words

__all__ = ["ASCII", "UNICODE", "Glyphs", "LiveView", "can_show", "draw_entry", "draw_footer", "glyphs_for"]

_FRAME_S = 1 / 12  # smooth to the eye, and far below 1% of a core
_SLOW_MS = 1_000  # an answer later than this is felt as a pause
_LAST_FRAMES = 24  # how long a slow terminal may take for the last words: 2 s
_WIDEST = 1_000  # columns: lines longer than this are hard to read anyway
_NAME_CELLS = 24
_FULL_FROM_ROWS = 6  # on a lower screen the footer is the status alone
_NARROW = 24  # columns; below it, who speaks is told by the state
_METER_BANDS = 5
_SPEAKERS = {"user": ("You", "cyan"), "assistant": ("Assistant", "green")}
_STATE_STYLES = {
    State.CONNECTING: "yellow",
    State.LISTENING: "blue",
    State.READY: "blue",
    State.HEARING: "cyan",
    State.THINKING: "magenta",
    State.SPEAKING: "green",
    State.MUTED: "red",
    State.RECONNECTING: "yellow",
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


def can_show(stdin: TextIO, stdout: TextIO) -> bool:
    """Whether a live view is possible here: a terminal both ways, and one that obeys escape codes."""
    if not (stdin.isatty() and stdout.isatty()) or os.environ.get("TERM") == "dumb":
        return False
    if sys.platform == "win32":
        from voicecli.keyboard_windows import enable_escape_codes

        return enable_escape_codes()
    return True


# -- drawing: pure


def draw_entry(entry: Entry, width: int, glyphs: Glyphs = UNICODE) -> RenderableType:
    """What goes into the scrollback for it, at this many columns."""
    match entry:
        case Said():
            return _said(entry, glyphs)
        case ToolRun():
            mark, mark_style = {
                "done": (glyphs.done, "dim"),
                "failed": (glyphs.failed, "red"),
                "cancelled": ("cancelled", "dim"),
            }[entry.outcome or "cancelled"]
            call = _head(_call_words(entry), max(width - cell_len(mark) - 3, 1), glyphs)
            return Text.assemble((f"{glyphs.bullet} ", "yellow"), call, " ", (mark, mark_style))
        case Remark(kind, text):
            return Group(*(Text(printable(line), style=_REMARK_STYLES[kind]) for line in text.splitlines()))


def draw_footer(view: View, width: int, height: int, glyphs: Glyphs = UNICODE) -> list[Text]:
    """The footer's lines for a screen of this size: none is wider, and some rows are left for the conversation."""
    lines = [_top_line(view, width, glyphs), _fit(_status_segments(view, glyphs), width), _hint_line(view, width)]
    if height < _FULL_FROM_ROWS:
        lines = lines[:2] if view.editor is not None and height > 1 else lines[1:2]
    for line in lines:
        line.truncate(width)  # on the narrowest screens
    return lines


def _said(said: Said, glyphs: Glyphs) -> RenderableType:
    name, style = _SPEAKERS[said.role]
    header = Text("\n" if said.role == "user" else "")  # a line apart from what came before
    header.append(f"{glyphs.bullet} {name}", f"bold {style}")
    if said.latency_ms is not None:
        header.append("  ").append(_latency(said.latency_ms))
    lines = [printable(line) for line in said.text.strip().splitlines()]
    if said.interrupted:
        lines[-1:] = [f"{lines[-1] if lines else ''} {glyphs.ellipsis}"]
    body = Text("\n".join(lines), overflow="fold")
    return Group(header, Padding(body, (0, 0, 0, 2)))


def _latency(milliseconds: int) -> Text:
    return Text(f"{milliseconds} ms", style="red" if milliseconds >= _SLOW_MS else "dim")


def _call_words(run: ToolRun) -> str:
    try:
        arguments = json.loads(run.arguments or "{}")
    except ValueError:
        arguments = None
    if not isinstance(arguments, dict):
        return printable(f"{run.name} {run.arguments}")
    words = [
        f"{name}={value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)}"
        for name, value in arguments.items()
    ]
    return printable(" ".join([run.name, *words]))


def _top_line(view: View, width: int, glyphs: Glyphs) -> Text:
    """What is going on in words: the line being typed, a question to the user, or what is being said."""
    if view.editor is not None:
        return _typed_line(view.editor, width, glyphs)
    if view.approvals:
        request = view.approvals[0]
        ask = f"Allow {_call_words(ToolRun(request.name, request.arguments, 0.0))} on {printable(request.server)}?"
        return Text(_head(ask, width, glyphs), style="bold yellow")
    if tools := view.running_tools:
        seconds = f" {view.clock() - tools[-1].since:.0f} s"
        return Text(_head(_call_words(tools[-1]), max(width - len(seconds), 1), glyphs) + seconds, style="dim")
    if (partial := view.partial) is not None:
        label = f"{_SPEAKERS[partial.role][0]}: " if width >= _NARROW else ""
        return Text(label + _tail(printable(partial.text.strip()), width - len(label), glyphs), style="dim")
    return Text("")


def _typed_line(editor: LineEditor, width: int, glyphs: Glyphs) -> Text:
    before = _tail(printable(editor.text[: editor.cursor]), width - 4, glyphs)
    after = printable(editor.text[editor.cursor :]) or " "
    line = Text.assemble(("> ", "bold cyan"), before)
    line.append(after[0], style="reverse")
    line.append(_head(after[1:], max(width - line.cell_len, 0), glyphs))
    return line


def _status_segments(view: View, glyphs: Glyphs) -> list[list[Text]]:
    """The parts of the status line from the most needed to the least, each from its longest form to its shortest."""
    sound = view.sound
    style = f"bold {_STATE_STYLES[view.state]}"
    state = [Text(f"{glyphs.bullet} {view.state_words}", style), Text(view.state_words, style)]
    mic = _device("mic", sound.microphone, sound.microphone_bands, view.microphone_muted, glyphs)
    speaker = _device("spk", sound.speaker, sound.speaker_bands, view.speaker_muted, glyphs)
    latency = (
        [Text.assemble(("first sound ", "dim"), _latency(view.latency_ms)), _latency(view.latency_ms)]
        if (view.latency_ms is not None)
        else []
    )
    cost = [Text(cost_words(view.usage), style="dim")] if cost_words(view.usage) else []
    echo = [Text(f"echo {sound.echo}", style="dim")] if sound.echo else []
    return [forms for forms in (state, mic, speaker, latency, cost, echo) if forms]


def _device(label: str, name: str, bands: Sequence[float], muted: bool, glyphs: Glyphs) -> list[Text]:
    if not name and not bands and not muted:
        return []
    meter = Text("MUTED", style="bold red") if muted else _meter(bands, glyphs)
    short = _head(printable(name), _NAME_CELLS, glyphs)
    named = Text.assemble((f"{label} ", "dim"), meter, (f" {short}", "dim")) if short else None
    return [*([named] if named else []), Text.assemble((f"{label} ", "dim"), meter), meter]


def _meter(bands: Sequence[float], glyphs: Glyphs) -> Text:
    """A bar for each band; a single level fills as many bars from the left."""
    if len(bands) == 1:
        bands = [bands[0] * _METER_BANDS - place for place in range(_METER_BANDS)]
    top = len(glyphs.bars) - 1
    bars = "".join(glyphs.bars[min(max(round(band * top), 0), top)] for band in bands or (0.0,) * _METER_BANDS)
    return Text(bars, style="green")


def _hint_line(view: View, width: int) -> Text:
    """The keys that work now: with words as far as they fit, then keys alone."""
    hints = view.key_hints
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
    """The segments in a line: as many as have room in their shortest form, then each longer where that still fits."""
    chosen: list[tuple[list[Text], int]] = []
    for forms in segments:
        shortest = (forms, len(forms) - 1)
        if chosen and _line_of([*chosen, shortest]).cell_len > width:
            break
        chosen.append(shortest)
    for _ in range(max(len(forms) for forms, _ in chosen) - 1):
        for place, (forms, form) in enumerate(chosen):
            longer = [*chosen[:place], (forms, max(form - 1, 0)), *chosen[place + 1 :]]
            if _line_of(longer).cell_len <= width:
                chosen = longer
    return _line_of(chosen)


def _line_of(chosen: Sequence[tuple[list[Text], int]]) -> Text:
    return Text("  ").join(forms[form] for forms, form in chosen)


def _head(text: str, cells: int, glyphs: Glyphs) -> str:
    """The beginning of the text, with a mark where it is cut."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(glyphs.ellipsis)
    if room < 0:
        return text[:0]
    kept, used = 0, 0
    for char in text:
        used += get_character_cell_size(char)
        if used > room:
            break
        kept += 1
    return text[:kept] + glyphs.ellipsis


def _tail(text: str, cells: int, glyphs: Glyphs) -> str:
    """The end of the text, with a mark where it is cut."""
    if cell_len(text) <= cells:
        return text
    room = cells - cell_len(glyphs.ellipsis)
    if room < 0:
        return text[:0]
    start, used = len(text), 0
    while start > 0:
        used += get_character_cell_size(text[start - 1])
        if used > room:
            break
        start -= 1
    while start < len(text) and get_character_cell_size(text[start]) == 0:
        start += 1  # it belongs to the letter that was cut
    return glyphs.ellipsis + text[start:]


# -- the terminal


class LiveView:
    """Shows a conversation in the terminal, and takes its keys, while its context is open.

        view = View()
        async with LiveView(view, controls, sound=read_devices):
            await converse(session, microphone, speaker, [view.apply])
        print(view.summary())

    The terminal is given back on leaving, on Ctrl-Z, and when the process is told to end (SIGTERM, SIGHUP).
    Ctrl-C calls `controls.end()`; the second one raises KeyboardInterrupt where the program is.

    Args:
        sound: asked for every picture what the devices do; must not wait.
        stdin, stdout: the terminal; see `can_show`.
    """

    def __init__(
        self,
        view: View,
        controls: Controls,
        *,
        sound: Callable[[], Sound] | None = None,
        stdin: TextIO = sys.stdin,
        stdout: TextIO = sys.stdout,
    ) -> None:
        self._view = view
        self._sound = sound
        self._commands = KeyCommands(view, controls)
        self._keyboard: Keyboard = open_keyboard(stdin, stdout, self._press)
        self._screen = Screen(stdout)
        # Only renders: what is written passes through the screen.
        self._console = Console(file=stdout, width=_WIDEST, force_terminal=True, legacy_windows=False)
        self._glyphs = glyphs_for(stdout.encoding)
        self._signals = TerminalSignals(leave=self._leave, enter=self._keyboard.open, end=controls.end)
        self._drawing: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        atexit.register(self._leave)  # for ends that pass by __aexit__
        self._signals.install()
        try:
            self._keyboard.open()
        except BaseException:
            self._signals.remove()
            raise
        self._drawing = asyncio.create_task(self._draw_on(), name="voicecli-view")
        return self

    async def __aexit__(self, *exc_info: object) -> None:
        try:
            if self._drawing is not None:
                self._drawing.cancel()
                with suppress(asyncio.CancelledError):
                    await self._drawing
            self.draw()
            for _ in range(_LAST_FRAMES):
                if self._screen.flush():
                    break
                await asyncio.sleep(_FRAME_S)
        finally:
            self._leave()
            self._signals.remove()
            atexit.unregister(self._leave)

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C was pressed."""
        return self._signals.interrupted

    def draw(self) -> None:
        """Show the conversation as it is now."""
        if self._sound is not None:
            self._view.set_sound(self._sound())
        width, height = self._screen.size
        entries = self._view.take_entries()
        text = "".join(self._ansi(draw_entry(entry, width, self._glyphs), width) for entry in entries)
        footer = [self._ansi(line, width).rstrip("\n") for line in draw_footer(self._view, width, height, self._glyphs)]
        self._screen.draw(text, footer)

    async def _draw_on(self) -> None:
        while True:
            self._commands.tick()
            self.draw()
            await asyncio.sleep(_FRAME_S)

    def _press(self, key: Key) -> None:
        self._commands.press(key)
        self.draw()

    def _leave(self) -> None:
        self._screen.close()
        self._keyboard.close()

    def _ansi(self, renderable: RenderableType, width: int) -> str:
        with self._console.capture() as capture:
            self._console.print(renderable, width=width, highlight=False)
        # Rich fills indented lines up with spaces, which whoever copies the text does not want.
        return "".join(f"{line.rstrip()}\n" for line in capture.get().splitlines())
