"""The status line of the footer: state, devices, latency, cost. Pure."""

from collections.abc import Sequence
from itertools import pairwise

from rich.text import Text

from voicecli.terminal.fit import Glyphs, head
from voicecli.terminal.printable import printable
from voicecli.terminal.render_entry import latency_text
from voicecli.terminal.view_model import State, ViewModel

__all__ = ["device_forms", "fitted", "status_line"]

_NAME_CELLS = 24
_STEADY_FROM = 40  # columns; from here on there is room for the longest state
_STATE_CELLS = len("Thinking 9.9 s")
_METER_BANDS = 5
_SHORT_METERS = (5, 3)  # bars where the device is one letter
_STATE_STYLES = {
    State.CONNECTING: "yellow",
    State.LISTENING: "blue",
    State.READY: "blue",
    State.HEARING: "cyan",
    State.THINKING: "magenta",
    State.SPEAKING: "green",
    State.BOTH: "green",
    State.ASKING: "yellow",
    State.MUTED: "red",
    State.ASLEEP: "blue",
    State.RECONNECTING: "yellow",
    State.ENDING: "dim",
    State.ENDED: "dim",
}


def status_line(view: ViewModel, width: int, glyphs: Glyphs) -> Text:
    """The state of the conversation, and as much else as there is room for at this many columns."""
    return fitted(_segments(view, width, glyphs), width)


def _segments(view: ViewModel, width: int, glyphs: Glyphs) -> list[list[Text]]:
    """The parts of the status line from the most needed to the least, each from its longest form to its shortest.

    A form that is in a list twice is one that comes before the names of the devices.
    """
    audio = view.audio
    style = f"bold {_STATE_STYLES[view.state]}"
    # Where there is room, all states are as wide: the rest of the line stays where it is.
    least = _STATE_CELLS if width >= _STEADY_FROM else 0
    words, short = view.state_words.ljust(least), view.short_state_words.ljust(least)
    state = [Text(shown, style) for shown in (f"{glyphs.bullet} {words}", f"{glyphs.bullet} {short}", short)]
    if view.state is State.RECONNECTING and width >= _STEADY_FROM:
        state = state[:1]  # how long it takes is worth more than all that follows
    mic = device_forms("mic", audio.microphone, audio.microphone_bands, view.microphone_muted, glyphs)
    muted = view.speaker_muted and view.has_speaker
    speaker = device_forms("spk", audio.speaker, audio.speaker_bands, muted, glyphs)
    latency: list[Text] = []
    if view.latency_ms is not None:
        figure = latency_text(view.latency_ms)
        latency = [*[Text.assemble(("first sound ", "dim"), figure)] * 2, figure]
    cost = [Text(view.cost_words, style="dim")] if view.cost_words else []
    echo = [Text(f"echo {audio.echo}", style="dim")] if audio.echo else []
    return [forms for forms in (state, mic, speaker, latency, cost, echo) if forms]


def device_forms(label: str, name: str, bands: Sequence[float], muted: bool, glyphs: Glyphs) -> list[Text]:
    """A device, from its longest form to its shortest."""
    if not name and not bands and not muted:
        return []
    red = "bold red"
    meter = Text("MUTED", style=red) if muted else _meter(bands, _METER_BANDS, glyphs)
    short = head(printable(name), _NAME_CELLS, glyphs)
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


def fitted(segments: list[list[Text]], width: int) -> Text:
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
