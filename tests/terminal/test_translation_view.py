"""What is seen of an interpreter: both sides, one beside or below the other, and what stands under them."""

import io

import pytest
from rich.console import Console

from voicecli.errors import RealtimeError
from voicecli.events import (
    ErrorOccurred,
    Event,
    Notice,
    Reconnecting,
    SessionEnded,
    SessionStarted,
    StateChanged,
    TranscriptUpdate,
    Usage,
    UsageUpdated,
)
from voicecli.terminal.fit import ASCII, UNICODE, Glyphs
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.translation_page import TranslationPage
from voicecli.terminal.translation_view import TranslationView
from voicecli.terminal.view_model import AudioStatus

STARTED = SessionStarted("s", "gpt-realtime-translate", "", 24_000, 24_000)
DEVICES = AudioStatus("Built-in Microphone", "Headphones", (0.0, 0.5, 1.0), (0.2,), echo="gate")


class Keys:
    def __init__(self) -> None:
        self.done: list[str] = []

    def mute_microphone(self, muted: bool) -> None:
        self.done.append(f"microphone {muted}")

    def mute_speaker(self, muted: bool) -> None:
        self.done.append(f"speaker {muted}")

    def end(self) -> None:
        self.done.append("end")


class Stage:
    """A view whose clock the test sets."""

    def __init__(self, *, both: bool = True, position_s: float | None = None) -> None:
        self.now = 0.0
        self.lag: float | None = None
        self.view = TranslationView(
            provider="OpenAI Realtime",
            to="es",
            both=both,
            lag_s=lambda: self.lag,
            position_s=lambda: position_s,
            clock=lambda: self.now,
        )
        self.keys = Keys()
        self.page = TranslationPage(self.view, self.keys)
        if position_s is None:
            self.page.heard(DEVICES)
        self.happen(STARTED, StateChanged("silent", "listening"))

    def happen(self, *events: Event) -> None:
        for event in events:
            self.view.apply(event)

    def hear(self, text: str, item: str = "h1", *, final: bool = True) -> None:
        self.happen(TranscriptUpdate("user", item, text, final))

    def say(self, text: str, item: str = "t1", *, final: bool = True) -> None:
        self.happen(TranscriptUpdate("assistant", item, text, final))

    def footer(self, width: int = 100, height: int = 24, glyphs: Glyphs = UNICODE) -> list[str]:
        return [line.plain.rstrip() for line in self.page.footer(width, height, glyphs)]

    def scrolled(self, width: int = 100) -> list[str]:
        console = Console(width=width, file=io.StringIO(), legacy_windows=False)
        with console.capture() as capture:
            for drawn in self.page.scrolled(width, UNICODE):
                console.print(drawn, highlight=False)
        return [line.rstrip() for line in capture.get().splitlines()]

    def press(self, name: str) -> None:
        self.page.press(Key(name))


def test_both_sides_stand_beside_each_other_while_they_grow() -> None:
    stage = Stage()
    stage.hear("Good morning.", "h1")
    stage.hear("How are", "h2", final=False)
    stage.say("Buenos", final=False)
    lines = stage.footer()
    assert [line.split("  ")[0] for line in lines[1:3]] == ["Good morning.", "How are"]
    assert lines[1].endswith("Buenos")
    assert lines[1].index("Buenos") == 51


def test_on_a_narrow_screen_one_stands_below_the_other() -> None:
    stage = Stage()
    stage.hear("Good morning.")
    stage.say("Buenos días.")
    assert stage.footer(60)[1:3] == ["Good morning.", "  Buenos días."]


@pytest.mark.parametrize("width", [20, 40, 60, 100, 160])
@pytest.mark.parametrize("height", [1, 3, 8, 24])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_no_line_is_wider_than_the_screen_and_half_of_it_is_left(width: int, height: int, glyphs: Glyphs) -> None:
    stage = Stage()
    stage.lag = 2.5
    for number in range(20):
        stage.hear("This is a sentence of some length, of which there are many.", f"h{number}", final=number < 19)
        stage.say("今日はとても長い文章をたくさん話しますので、よろしくお願いします。", f"t{number}", final=number < 19)
    stage.happen(UsageUpdated(Usage(session_seconds=95, cost_usd=0.0538)))
    lines = stage.page.footer(width, height, glyphs)
    assert all(line.cell_len <= width for line in lines)
    assert len(lines) <= max(height // 2 + 3, 1)


def test_the_status_says_what_happens_to_which_language_and_how_late() -> None:
    stage = Stage()
    stage.lag = 2.44
    stage.happen(StateChanged("silent", "speaking"), UsageUpdated(Usage(session_seconds=60, cost_usd=0.034)))
    status = stage.footer(160)[-2]
    for words in ("● Translating", "to es", "lag 2.4 s", "Built-in Microphone", "Headphones", "$0.0340", "echo gate"):
        assert words in status


@pytest.mark.parametrize(
    ("event", "state"),
    [
        (StateChanged("speaking", "listening"), "Hearing"),
        (StateChanged("silent", "listening"), "Listening"),
        (StateChanged("speaking", "speaking"), "Translating"),
        (Reconnecting(2, 1.0, "gone", 6), "Reconnecting 2"),
        (SessionEnded("closed"), "Ended"),
    ],
)
def test_the_state_in_a_word(event: Event, state: str) -> None:
    stage = Stage()
    stage.happen(event)
    assert stage.view.state == state


def test_what_was_said_goes_up_when_both_have_paused() -> None:
    stage = Stage()
    assert stage.scrolled()[0].startswith("OpenAI Realtime  gpt-realtime-translate  mic Built-in")
    stage.hear("Good morning.")
    stage.now = 10
    assert stage.scrolled() == []  # its translation is still to come
    stage.say("Buenos días.")
    stage.now = 13
    assert [line.split("  ")[0] for line in stage.scrolled()] == ["", "Good morning."]
    assert "Good morning." not in "".join(stage.footer())


def test_what_is_never_translated_does_not_stay_for_ever() -> None:
    stage = Stage()
    stage.scrolled()
    stage.hear("Buenos días.")
    stage.now = 26
    assert stage.scrolled()[-1] == "Buenos días."


def test_of_long_speech_what_both_sides_have_goes_up() -> None:
    stage = Stage()
    stage.scrolled()
    sentence = "This is a sentence of some length, of which there are many, and it never pauses at all."
    for number in range(8):
        stage.hear(f"{number} {sentence}", f"h{number}", final=number < 7)
    for number in range(5):
        stage.say(f"{number} Una frase.", f"t{number}", final=number < 4)
    lines = stage.scrolled()
    assert any("3 Una frase." in line for line in lines)
    assert any(line.startswith(f"3 {sentence[:20]}") for line in lines)
    assert not any(line.startswith("4 ") for line in lines)
    assert any(line.startswith("4 ") for line in stage.footer())


def test_all_that_is_left_goes_up_at_the_end() -> None:
    stage = Stage()
    stage.scrolled()
    stage.say("Adiós", final=False)
    stage.page.finish()
    assert stage.scrolled()[-1].endswith("Adiós")


def test_notes_and_errors_are_told() -> None:
    stage = Stage()
    stage.scrolled()
    stage.happen(Notice("some", "It costs."), ErrorOccurred(RealtimeError("It failed.")))
    assert stage.scrolled() == ["It costs.", "It failed."]
    stage.happen(Reconnecting(1, 1.0, "gone"), STARTED)
    assert stage.scrolled() == ["Connected again."]


def test_keys() -> None:
    stage = Stage()
    for name in ("m", "m", "s", "x"):
        stage.press(name)
    assert stage.keys.done == ["microphone True", "microphone False", "speaker True"]
    assert "s speaker on" in stage.footer()[-1]
    stage.press("?")
    assert any("mute the microphone" in line for line in stage.scrolled())
    stage.press("q")
    assert stage.keys.done[-1] == "end"
    assert stage.view.state == "Ending"
    assert stage.footer()[-1] == ""


def test_of_a_recording_is_seen_how_far_it_is() -> None:
    stage = Stage(position_s=83.4)
    assert "at 1:23" in stage.footer()[-2]
    assert stage.scrolled()[0] == "OpenAI Realtime  gpt-realtime-translate"


def test_the_last_line_sums_it_up() -> None:
    stage = Stage()
    stage.lag = 2.0
    stage.happen(UsageUpdated(Usage(session_seconds=61, cost_usd=0.03)))
    stage.now = 65
    assert stage.view.summary().startswith("1:05 min, translated 2.0 s later, ")
    assert TranslationView(provider="p", to="es").summary() == ""


def test_nothing_that_is_said_writes_control_characters() -> None:
    stage = Stage()
    stage.hear("a\x1b[31mb")
    assert "\x1b" not in "".join(stage.footer())
