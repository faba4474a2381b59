"""Draws the picture of the live view for the README: `python -m tests.support.picture assets/view.svg`."""

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from rich.console import Console
from rich.terminal_theme import DIMMED_MONOKAI

from voicecli.events import (
    AudioChunk,
    AudioDone,
    Event,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.terminal.entries import Entry
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.render_entry import draw_entry
from voicecli.terminal.render_footer import draw_footer
from voicecli.terminal.view_model import AudioStatus, ViewModel

WIDTH = 84
FORECAST = (
    "Tomorrow it will rain from noon on, so take one with you. The evening stays mild, with 17 degrees, and on "
    "Thursday the sun comes back: a good day for the walk along the river that you have been planning."
)
FORECAST_MS = 11_000
_QUIET, _LOUD = (0.1, 0.15, 0.1, 0.0, 0.0), (0.6, 1.0, 0.8, 0.5, 0.3)


class Scene:
    """A conversation about the weather, one moment after the other.

    Attributes:
        now: the time of its clock, in seconds.
    """

    def __init__(self) -> None:
        self.now = 0.0
        self.view = ViewModel(provider="OpenAI Realtime", clock=lambda: self.now)

    def moments(self) -> Iterator[str]:
        """Plays on; yields the name of each state the view is in."""
        view = self.view
        self._sound(_QUIET)
        yield "connecting"
        self._happen(SessionStarted("", "gpt-realtime-2", "marin", 24_000, 24_000))
        self._happen(StateChanged("silent", "listening"))
        yield "listening"
        self._happen(SpeechStarted(), StateChanged("speaking", "listening"))
        self._happen(TranscriptUpdate("user", "1", "What's the weather in", final=False))
        self._sound(_LOUD)
        yield "hearing"
        self._sound(_QUIET)
        self._happen(SpeechStopped(), StateChanged("silent", "thinking"))
        self._happen(TranscriptUpdate("user", "1", "What's the weather in Paris?", final=True))
        self._happen(ResponseStarted("1"), ToolCallRequest("1", "get_weather", '{"city": "Paris"}'))
        self._happen(ResponseDone("1", awaits_tools=True))
        self.now += 1.2
        yield "thinking"
        self._happen(ToolCallFinished("1", "get_weather", "{}"))
        self._reply("2", "Sunny, 21 degrees, with a light wind from the west.", first_heard_ms=640)
        self._happen(SpeechStarted(), SpeechStopped())
        self._happen(TranscriptUpdate("user", "2", "And tomorrow? Do I need an umbrella?", final=True))
        self._happen(ResponseStarted("3"), StateChanged("silent", "speaking"))
        self._happen(TranscriptUpdate("assistant", "3", FORECAST, final=False))
        self._happen(AudioChunk(bytes(48 * FORECAST_MS), "3", "3"), AudioDone("3"))
        self._sound(_QUIET, _LOUD, item="3", played_ms=FORECAST_MS * 4 // 10)
        yield "speaking"
        self._happen(Notice("rate_limit", "The limit of requests is near: 3 are left for this minute."))
        yield "note"
        self._sound(_QUIET)
        self._happen(ResponseDone("3", usage=Usage(cost_usd=0.0098), metrics=TurnMetrics(first_heard_ms=390)))
        self._happen(StateChanged("silent", "listening"))
        view.microphone_muted = True
        yield "muted"
        view.editor = LineEditor()
        view.editor.text, view.editor.cursor = "Call me Zoë", 7
        yield "typing"
        view.editor = None
        self._happen(StateChanged("silent", "reconnecting"), Reconnecting(1, 1.0, "the network is gone", 6))
        self._happen(Reconnecting(2, 4.0, "the network is gone", 6))
        yield "reconnecting"

    def _happen(self, *events: Event) -> None:
        for event in events:
            self.view.apply(event)

    def _reply(self, name: str, text: str, *, first_heard_ms: int) -> None:
        self._happen(ResponseStarted(name), TranscriptUpdate("assistant", name, text, final=True))
        metrics = TurnMetrics(first_heard_ms=first_heard_ms)
        self._happen(ResponseDone(name, usage=Usage(cost_usd=0.0112), metrics=metrics))

    def _sound(
        self,
        microphone: tuple[float, ...],
        speaker: tuple[float, ...] = (0.0,) * 5,
        item: str = "",
        played_ms: int = 0,
    ) -> None:
        self.view.audio = AudioStatus(
            "Built-in", "Headphones", microphone, speaker, any(speaker), item, played_ms, echo="aec"
        )


def picture(*moments: str, width: int = WIDTH) -> str:
    """The scrollback and the footer at each of these moments, as SVG."""
    console = Console(record=True, width=width, file=io.StringIO(), force_terminal=True, color_system="truecolor")
    scene = Scene()
    before: Entry | None = None
    console.print("$ voice chat", highlight=False)
    for moment in scene.moments():
        for entry in scene.view.take_entries():
            console.print(draw_entry(entry, width, after=before), highlight=False)
            before = entry
        if moment in moments:
            for line in draw_footer(scene.view, width, 24, after=before):
                console.print(line)
        if moment == moments[-1]:
            break
    svg = console.export_svg(title="voice chat", theme=DIMMED_MONOKAI)
    # The reader's own fonts: a picture that fetches some tells others who looks at it.
    svg = re.sub(r"@font-face \{.*?\}\s*", "", svg, flags=re.DOTALL)
    return svg.replace("Fira Code, monospace", "ui-monospace, Menlo, Consolas, DejaVu Sans Mono, monospace")


if __name__ == "__main__":
    Path(sys.argv[1]).write_text(picture(*(sys.argv[2:] or ["speaking"])), encoding="utf-8")
