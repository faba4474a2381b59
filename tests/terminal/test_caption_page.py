"""The page of captions: what is being said is replaced, what was said scrolls, and nothing is wider than the screen."""

import io

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console
from rich.text import Text

from voicecli.captions import Caption
from voicecli.terminal.caption_page import CaptionPage
from voicecli.terminal.fit import ASCII, UNICODE, Glyphs
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.view_model import AudioStatus

LONG = "It was the best of times, it was the worst of times, it was the age of wisdom. " * 4


class Controls:
    def __init__(self) -> None:
        self.done: list[object] = []

    def mute(self, muted: bool) -> None:
        self.done.append(muted)

    def end(self) -> None:
        self.done.append("end")


class Page:
    """A page with a clock of its own."""

    def __init__(self) -> None:
        self.now = 100.0
        self.controls = Controls()
        self.page = CaptionPage("moonshine, offline", self.controls, clock=lambda: self.now)

    def scrolled(self, width: int = 60) -> list[str]:
        console = Console(width=width, file=io.StringIO())
        lines = []
        for drawn in self.page.scrolled(width, UNICODE):
            with console.capture() as capture:
                console.print(drawn)
            lines += capture.get().splitlines()
        return lines

    def footer(self, width: int = 60, height: int = 24, glyphs: Glyphs = UNICODE) -> list[str]:
        return [line.plain.rstrip() for line in self.page.footer(width, height, glyphs)]


def caption(text: str, *, final: bool = False, start_ms: int = 3_000, channel: int | None = None) -> Caption:
    return Caption(id=str(start_ms), start_ms=start_ms, end_ms=start_ms + 1, text=text, final=final, channel=channel)


def test_what_is_being_said_is_replaced_until_it_is_final() -> None:
    shown = Page()
    assert shown.footer()[-2].startswith("● Loading")
    shown.page.listen()
    shown.page.heard(AudioStatus(microphone="Built-in", microphone_bands=(0.0, 1.0, 0.5, 0.0, 0.0)))
    shown.now += 65
    assert shown.footer() == ["", "● Listening  mic ▁█▅▁▁ Built-in  01:05  moonshine, offline", "m mute  q end"]
    shown.page.apply(caption("It was"))
    shown.page.apply(caption("It was the best"))
    assert shown.footer()[0] == "00:03  It was the best"
    assert shown.footer()[2].startswith("● Hearing")
    assert shown.scrolled() == []
    shown.page.apply(caption("It was the best of times.", final=True))
    assert shown.scrolled() == ["00:03  It was the best of times."]
    assert shown.scrolled() == []
    assert "times" not in " ".join(shown.footer())


def test_long_words_are_indented_and_those_being_said_end_in_view() -> None:
    shown = Page()
    shown.page.apply(caption(LONG, start_ms=3_723_000, channel=2))
    footer = shown.footer(height=14)
    assert len(footer) == 7
    assert footer[0].startswith("… ")
    assert footer[3].endswith("age of wisdom.")
    shown.page.apply(caption(LONG, start_ms=3_723_000, channel=2, final=True))
    first, *others = shown.scrolled()
    assert first.startswith("1:02:03  Channel 2: It was the best")
    assert all(line.startswith("         It") or line.startswith("         ") for line in others)
    assert max(map(len, [first, *others])) <= 60


def test_the_end_keeps_what_is_known() -> None:
    shown = Page()
    shown.page.listen()
    shown.page.apply(caption("Half a sent"))
    shown.page.finish()
    shown.page.finish()
    assert shown.scrolled() == ["00:03  Half a sent"]
    assert shown.footer()[-1] == ""
    shown.page.apply(caption("late"))
    assert "late" not in " ".join(shown.footer())


def test_keys_mute_and_end() -> None:
    shown = Page()
    shown.page.listen()
    shown.page.press(Key("m"))
    shown.page.press(Key("m", action="repeat"))
    assert shown.controls.done == [True]
    assert "MUTED" in shown.footer()[-2]
    assert "m unmute" in shown.footer()[-1]
    shown.page.press(Key("m"))
    shown.page.press(Key("x"))
    shown.page.press(Key("q"))
    assert shown.controls.done == [True, False, "end"]
    assert "Ending" in shown.footer()[-2]


def test_words_and_notes_do_not_steer_the_terminal() -> None:
    shown = Page()
    shown.page.apply(caption("\x1b[31mred", final=True))
    shown.page.note("lost\x07 " + "word " * 20)
    assert shown.scrolled()[0] == "00:03  \\x1b[31mred"
    shown.page.note("lost\x07")
    assert shown.scrolled() == ["lost\\x07"]


@given(st.text(max_size=200), st.integers(1, 120), st.integers(1, 50), st.booleans(), st.sampled_from([ASCII, UNICODE]))
def test_nothing_is_wider_or_higher_than_there_is_room_for(
    text: str, width: int, height: int, muted: bool, glyphs: Glyphs
) -> None:
    shown = Page()
    shown.page.listen()
    shown.page.muted = muted
    shown.page.heard(AudioStatus(microphone=text))
    shown.page.apply(caption(" ".join(text.split()) or "x"))
    lines: list[Text] = shown.page.footer(width, height, glyphs)
    assert len(lines) <= max(height // 2, 2, 1)
    assert all(line.cell_len <= width for line in lines)
    assert all("\n" not in line.plain for line in lines)


@pytest.mark.parametrize("width", [5, 23, 24])
def test_on_a_narrow_screen_the_words_come_first(width: int) -> None:
    shown = Page()
    shown.page.apply(caption("It was", final=True))
    assert ("00:03" in " ".join(shown.scrolled(width))) is (width >= 24)
