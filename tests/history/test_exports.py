"""Exports of a conversation: every word and time in each of them, and nothing of it taken for markup."""

import re
import unicodedata
import wave
from collections.abc import Callable
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path

import pytest
from markdown_it import MarkdownIt

from tests.history.sample_record import HOSTILE, said, sample
from tests.support.chromium import CHROMIUM, open_page
from voicecli.events import TurnMetrics
from voicecli.history.exports.captions import cues, srt, vtt
from voicecli.history.exports.markdown import markdown
from voicecli.history.exports.page import Waveform, page
from voicecli.history.exports.timeline import Timeline, clock_text
from voicecli.history.records import ConversationRecord, ResponseRecord, ToolCallRecord

RECORDED = Path("talk.wav")


def test_captions_say_who_spoke_and_when() -> None:
    first = "00:00:01,000 --> 00:00:02,600\nYou: What's the weather in Paris?\n"
    assert srt(sample()).startswith(f"1\n{first}")
    assert "<v Assistant>" in vtt(sample())
    assert [cue.text for cue in cues(sample()) if cue.text.endswith("—")] == ["# 1. It is *cut* off here —"]


def test_captions_of_a_recording_have_its_times() -> None:
    # 3 s were said before the conversation; a file of 10 s was sent in 100 ms, 20 s after it began.
    record = sample(RECORDED, ((0, 3_000), (24_000, 27_000), (24_100, 37_000)))
    assert [(cue.start_ms, cue.end_ms) for cue in cues(record)][:2] == [(4_000, 5_600), (7_900, 11_200)]
    assert [cue.start_ms for cue in cues(record)][4:6] == [27_000, 38_900]


def test_a_reply_that_nobody_waited_for_lasts_in_the_recording_as_long_as_it_sounds() -> None:
    # It sounds for 4 s; the next question was sent 0.1 s after it began, and is heard behind it.
    first, second = said("assistant", "Yes.", 1_000, 5_000), said("user", "And?", 1_100, 1_200)
    response = ResponseRecord(response_id="r", started_ms=900, done_ms=1_050, metrics=TurnMetrics(audio_ms=4_000))
    record = replace(sample(RECORDED, ((1_000, 1_000), (1_100, 5_000))), turns=(first, second), responses=(response,))
    assert Timeline(record).span(first) == (1_000, 5_000)
    assert Timeline(record).span(second) == (5_000, 5_100)


def test_without_its_recording_a_conversation_has_its_own_times() -> None:
    assert cues(sample(None, ((0, 3_000),))) == cues(sample())


@pytest.mark.parametrize(
    ("moment", "place"), [(0, 3_000), (500, 3_500), (1_000, 4_000), (1_050, 9_000), (1_100, 14_000), (2_000, 14_900)]
)
def test_times_run_evenly_between_the_points_of_a_recording(moment: int, place: int) -> None:
    assert Timeline(sample(RECORDED, ((0, 3_000), (1_000, 4_000), (1_100, 14_000)))).at(moment) == place


def test_what_was_written_lasts_as_long_as_it_would_be_read() -> None:
    written, unknown = said("user", "Hello there, you", 1_000, 1_000), said("assistant", "Hm", 3_000, None)
    timeline = Timeline(replace(sample(), turns=(written, unknown)))
    assert timeline.span(written) == (1_000, 2_040)
    assert timeline.span(unknown) == (3_000, 3_500)


def test_the_first_turn_of_a_response_says_how_long_it_was_waited_for() -> None:
    more = said("assistant", "And one thing more.", 24_500, 25_000)
    record = replace(sample(), turns=(*sample().turns, more))
    assert [Timeline(record).waited_ms(turn) for turn in record.turns] == [
        None,
        2_300,
        None,
        500,
        None,
        800,
        None,
        None,
    ]


def test_clock_text() -> None:
    assert [clock_text(ms) for ms in (-5, 7_999, 754_000, 3_723_000)] == ["0:00", "0:07", "12:34", "1:02:03"]


class Shown(HTMLParser):
    """The text of a page as it is shown, and the names of all elements and attributes."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.text = ""
        self.elements: list[str] = []
        self.attributes: list[tuple[str, str]] = []
        self.feed(source)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append(tag)
        self.attributes += [(name, value or "") for name, value in attrs]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_markdown_shows_the_words_as_they_were_said() -> None:
    written = markdown(sample())
    shown = Shown(MarkdownIt("commonmark", {"html": True}).render(written))
    for turn in sample().turns:
        assert turn.text.replace("\x1b", "\ufffd") in shown.text
    assert set(shown.elements) == {"h1", "ul", "li", "p", "strong", "em", "pre", "code"}
    assert shown.elements.count("h1") == 1
    assert "``` no such address" in shown.text
    assert "- Used: 1452 tokens, \\$0.0321" in written


@pytest.mark.parametrize("export", [markdown, page, srt, vtt])
def test_no_export_steers_a_terminal(export: Callable[[ConversationRecord], str]) -> None:
    evil = "\x1b]0;title\x07 red \x9b31m\x00\x7f\b one\r\ntwo\rthree\tfour"
    call = ToolCallRecord(call_id="c", name=evil, arguments=evil, output=evil, started_ms=0)
    record = replace(sample(), turns=(said("user", evil, 0, 100),), tool_calls=(call,), end=evil, voice=evil)
    written = export(record)
    assert [char for char in written if char in "\r\t\n" or unicodedata.category(char) != "Cc"] == list(written)
    assert "\r" not in written
    assert "\ufffd\n" not in written  # of an end of line as Windows has it
    assert "four" in written


@pytest.mark.parametrize("line", ["- item", "+ item", "1. first", "12) twelfth", "===", "---", "> quote", "| a | b |"])
def test_no_line_of_words_is_taken_for_markdown(line: str) -> None:
    record = replace(sample(), turns=(said("user", f"Hi\n{line}\n{line}", 0, 100),), tool_calls=())
    shown = Shown(MarkdownIt("commonmark").enable("table").render(markdown(record)))
    assert shown.text.count(line) == 2
    assert set(shown.elements) <= {"h1", "ul", "li", "p", "strong", "br"}


def test_a_name_of_several_lines_makes_no_heading() -> None:
    call = ToolCallRecord(call_id="c", name="look\n# up", arguments="", started_ms=0)
    shown = Shown(MarkdownIt("commonmark").render(markdown(replace(sample(), tool_calls=(call,), end="over\n\n# now"))))
    assert shown.elements.count("h1") == 1
    assert "look # up" in shown.text


WAVEFORM = Waveform([0.0, 0.5, 1.0], [0.0, 0.0, 0.25], 33_000)


def test_the_page_shows_words_tools_and_waits_and_loads_nothing() -> None:
    source = page(sample(RECORDED), WAVEFORM, "data:audio/mpeg;base64,AAAA")
    shown = Shown(source)
    for turn in sample().turns:
        assert turn.text.replace("\x1b", "\ufffd") in shown.text
    assert "after 2.3 s" in shown.text
    assert shown.text.count("interrupted") == 1
    assert "failed" in shown.text
    assert shown.elements.count("script") == shown.elements.count("style") == shown.elements.count("audio") == 1
    assert shown.elements.count("svg") == 2
    assert {value for name, value in shown.attributes if name == "src"} == {"data:audio/mpeg;base64,AAAA"}
    assert "img" not in shown.elements
    assert not [value for name, value in shown.attributes if name == "href" and not value.startswith("#")]
    assert not re.search(r"https?://|url\(|@import", source)
    assert not [name for name, _ in shown.attributes if name.startswith("on")]


def test_the_page_of_what_was_not_recorded_has_no_sound() -> None:
    shown = Shown(page(sample()))
    assert "audio" not in shown.elements
    assert "svg" not in shown.elements
    assert shown.elements.count("a") == 9
    assert "button" in shown.elements  # of the zoom


def test_a_page_of_hours_has_few_times_below_its_line() -> None:
    turns = tuple(said("user", "Hm.", minute * 60_000, minute * 60_000 + 900) for minute in range(5 * 60))
    source = page(replace(sample(), turns=turns, ended_at=None))
    assert 4 <= source.count('class="tick"') <= 9
    assert ">4:00:00</span>" in source


@pytest.mark.skipif(CHROMIUM is None, reason="no Chromium")
async def test_a_browser_shows_the_page_and_obeys_no_words(tmp_path: Path) -> None:
    file = tmp_path / "talk.html"
    with wave.open(str(tmp_path / "talk.wav"), "wb") as sound:
        sound.setparams((2, 2, 8_000, 0, "NONE", ""))
        sound.writeframes(bytes(4 * 8_000 * 33))
    record = sample(RECORDED)
    calls = (replace(record.tool_calls[0], name="get_weather" * 20), *record.tool_calls[1:])
    file.write_text(page(replace(record, tool_calls=calls), WAVEFORM, "talk.wav"), encoding="utf-8")
    async with open_page(file.as_uri(), tmp_path / "profile") as shown:
        await shown.until("document.title !== '' && document.readyState === 'complete'")
        assert await shown.evaluate("document.title") == "Conversation of 2026-11-28 11:15"
        assert HOSTILE.replace("\x1b", "\ufffd") in await shown.evaluate("document.querySelector('.talk').innerText")
        # Its own script runs: by keys to the next turn, and closer.
        press = "document.dispatchEvent(new KeyboardEvent('keydown', {key: '%s', bubbles: true}))"
        await shown.evaluate(press.replace("document.d", "document.body.d") % "j")
        await shown.evaluate(press.replace("document.d", "document.body.d") % "j")
        assert await shown.evaluate("document.activeElement.id") == "t2"
        await shown.evaluate(press.replace("document.d", "document.body.d") % "+")
        wide = "document.querySelector('.lanes').clientWidth / document.querySelector('.scroll').clientWidth"
        assert await shown.evaluate(wide) == pytest.approx(2, abs=0.05)
        # The recording beside it can be played, from any turn.
        await shown.until("document.querySelector('audio').duration === 33")
        await shown.evaluate("document.querySelectorAll('button[data-at]')[3].click()")
        await shown.until("document.querySelector('audio').currentTime >= 9.5")
        await shown.until("document.querySelector('#t4').classList.contains('now')")
        # It is no wider than a telephone.
        assert await shown.evaluate("document.documentElement.scrollWidth <= innerWidth")
