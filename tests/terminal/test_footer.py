"""The footer at every width, and text that is safe to show."""

import io
from collections.abc import Callable, Iterator
from typing import SupportsIndex

import pytest
from rich.cells import cell_len
from rich.console import Console

from tests.support.picture import Scene, picture
from tests.terminal.stage import DEVICES, Stage, now, user
from voicecli.events import (
    ApprovalRequest,
    Event,
    ResponseDone,
    ResponseStarted,
    ToolCallFinished,
    ToolCallRequest,
    TurnMetrics,
    Usage,
)
from voicecli.terminal.fit import ASCII, UNICODE, Glyphs, glyphs_for, head, tail
from voicecli.terminal.key_decoder import Key
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.printable import printable
from voicecli.terminal.render_footer import draw_footer
from voicecli.terminal.view_model import AudioStatus


def test_the_status_line_keeps_what_matters_most() -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=Usage(cost_usd=0.5), metrics=TurnMetrics(410)))
    stage.view.audio = DEVICES
    lines = {width: stage.status(width) for width in (130, 70, 50, 30, 20, 12, 5)}
    assert lines == {
        130: "● Listening       mic ▁▅█ Built-in Microphone  spk █▁▁▁▁ Headphones"
        "  first sound 410 ms  $0.5000  echo gate",
        70: "● Listening       mic ▁▅█  spk █▁▁▁▁  410 ms  $0.5000  echo gate",
        50: "● Listening       mic ▁▅█  s█▁▁▁▁  410 ms  $0.5000",
        30: "Listening  m▁▅█  s▅▁▁  410 ms",
        20: "● Listening  mic ▁▅█",
        12: "● Listening",
        5: "Liste",
    }


def test_the_status_line_tells_what_a_limit_allows() -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=Usage(cost_usd=0.5)), max_cost=2)
    assert "$0.5000 of $2.00" in stage.status(80)
    assert "of" not in Stage(max_cost=2).status(80)
    assert "of $2" not in stage.view.summary()


@pytest.mark.parametrize("width", [40, 60, 80, 120])
def test_the_status_line_does_not_jump_between_states(width: int) -> None:
    stage = Stage(ResponseStarted("r"), ResponseDone("r", usage=Usage(cost_usd=0.5), metrics=TurnMetrics(410)))
    stage.view.audio = AudioStatus("Built-in Microphone", "Headphones", (0.0,) * 5, (0.0,) * 5, echo="aec")
    rests = [stage.status(width).partition("m")[2]]
    changes: list[list[Event]] = [
        [now("listening", user="speaking")],
        [now("thinking")],
        [now("speaking")],
        [now("thinking"), ApprovalRequest("a", "f", "{}", "s")],
    ]
    for events in changes:
        stage.happen(*events)
        stage.now += 6.66
        rests.append(stage.status(width).partition("  m")[2])
    assert len(set(rests)) == 1, rests


def test_the_shortest_meters_say_whose_they_are() -> None:
    stage = Stage(now("speaking"))
    stage.view.audio = AudioStatus("Mic", "Speaker", (0.0, 1.0, 0.0, 0.0, 0.5), (1.0,))
    assert stage.status(20) == "Speaking  m▁█▅  s███"
    stage.view.microphone_muted = stage.view.speaker_muted = True
    assert stage.status(24) == "Speaking  m MUTE  s MUTE"


WIDE = "日本語のとても長い文章です。" * 6


RIGHT_TO_LEFT = "שלום עולם, מה שלומך היום? " * 4


PERSIAN = "می\u200cخواهم"  # noqa: RUF001


@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
@pytest.mark.parametrize("width", [*range(1, 42), 80, 200])
def test_no_line_of_the_footer_is_wider_than_the_screen(width: int, glyphs: Glyphs) -> None:
    scene = Scene()
    for moment in scene.moments():
        for height in (1, 2, 5, 6, 24):
            lines = draw_footer(scene.view, width, height, glyphs)
            assert len(lines) <= min(max(3, height // 2), height), moment
            assert max(cell_len(line.plain) for line in lines) <= width, (moment, lines)
    for text in (WIDE, RIGHT_TO_LEFT, "e\u0301" * 90, "👩\u200d👧" * 30):
        stage = Stage(user(text, final=False))
        assert cell_len(stage.footer(width)[0]) <= width
        stage.view.editor = LineEditor()
        stage.view.editor.text = text
        for cursor in (0, len(text) // 2, len(text)):
            stage.view.editor.cursor = cursor
            assert cell_len(stage.footer(width)[0]) <= width


def test_a_long_partial_shows_its_newest_words() -> None:
    stage = Stage(user("one two three four five six", final=False))
    assert stage.footer(23, 10)[0] == "… three four five six", "room is left for a window that is made narrower"
    assert stage.footer(20)[0] == "…ree four five six"
    stage.happen(user(WIDE, final=False))
    assert stage.footer(20)[0] == "…も長い文章です。"
    stage.happen(user("a\u0301" * 30, final=False))
    assert stage.footer(20)[0] == "…" + "a\u0301" * 17, "an accent keeps its letter"


@pytest.mark.parametrize(("text", "width"), [(WIDE, 20), (RIGHT_TO_LEFT, 20), ("word " * 30, 20), ("x" * 100, 9)])
def test_a_long_turn_is_wrapped_and_indented_and_complete(text: str, width: int) -> None:
    lines = Stage(user(text)).scrolled(width)
    assert lines[0] == "● You"
    assert all(line.startswith("  ") and cell_len(line) <= width for line in lines[1:])
    assert "".join(lines[1:]).replace(" ", "") == text.replace(" ", "")


def test_the_view_can_be_drawn_in_ascii() -> None:
    assert glyphs_for("utf-8") is UNICODE
    assert glyphs_for("ascii") is glyphs_for("latin-1") is glyphs_for(None) is glyphs_for("nonsense") is ASCII
    stage = Stage(user("Hi"), ToolCallRequest("c", "f", "{}"), ToolCallFinished("c", "f", ""))
    stage.happen(now("listening", user="speaking"))
    stage.view.audio = DEVICES
    drawn = stage.scrolled(glyphs=ASCII) + stage.footer(glyphs=ASCII)
    assert "".join(drawn).isascii()
    assert drawn[-2].startswith("* Hearing you     mic _=# Built-in Microphone")


def test_words_do_not_steer_the_terminal() -> None:
    evil = "a\x1b]0;title\x07\x9b2J\u202e\r\n\ud800\U000e0041z"
    assert printable(evil) == "a\\x1b]0;title\\x07\\x9b2J\\u202e  \\ud800\\U000e0041z"
    assert printable(PERSIAN) == PERSIAN
    stage = Stage(user(evil, final=False))
    assert all(line.isprintable() for line in stage.footer())
    stage.happen(user(evil))
    assert all(line.isprintable() for line in stage.scrolled())


def test_without_colour_no_colour_is_written(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    stream = io.StringIO()
    console = Console(file=stream, force_terminal=True, color_system="truecolor", legacy_windows=False)
    for line in draw_footer(Stage().view, 80, 24):
        console.print(line)
    assert "Listening" in stream.getvalue()
    assert not any(f"\x1b[{code}" in stream.getvalue() for code in ("3", "9", "1;3", "38"))


def test_the_picture_shows_the_view_and_fetches_nothing() -> None:
    svg = picture("listening", "speaking", "reconnecting", width=100)
    for words in (
        "Listening",
        "Speaking",
        "Reconnecting&#160;2/6,&#160;next&#160;in&#160;4&#160;s",
        "get_weather",
        "first&#160;sound",
    ):
        assert words in svg
    assert "url(http" not in svg
    assert "@import" not in svg


class CountedText(str):
    """A text that counts the characters that are looked at one by one."""

    looked_at = 0

    def __iter__(self) -> Iterator[str]:
        for char in super().__iter__():
            self.looked_at += 1
            yield char

    def __getitem__(self, key: SupportsIndex | slice) -> str:
        self.looked_at += not isinstance(key, slice)
        return super().__getitem__(key)


@pytest.mark.parametrize("cut", [head, tail])
def test_of_a_long_text_only_what_is_shown_is_looked_at(cut: Callable[[str, int, Glyphs], str]) -> None:
    text = CountedText("word " * 40_000)
    assert len(cut(text, 20, UNICODE)) == 20
    assert 20 <= text.looked_at < 100


def test_a_long_paste_is_shown_around_the_cursor() -> None:
    stage = Stage()
    stage.view.editor = LineEditor()
    stage.view.editor.press(Key("paste", "word " * 40_000))
    for cursor in (200_000, 100_000, 0):
        stage.view.editor.cursor = cursor
        assert "word word word" in stage.footer()[-3]
