"""The reply while it is heard: whole, wrapped, and what was heard of it told from what is to come."""

import io
from dataclasses import replace
from itertools import pairwise

import pytest
from rich.console import Console

from tests.terminal.stage import DEVICES, STARTED, Stage, assistant, now, user
from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    AudioDone,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
)
from voicecli.terminal.entries import Entry
from voicecli.terminal.fit import wrap
from voicecli.terminal.render_entry import draw_entry
from voicecli.terminal.render_footer import draw_footer
from voicecli.terminal.view_model import ViewModel

SECOND = bytes(48_000)
WORDS = "one two three four five six seven eight nine ten"


def chunk(seconds: int, item_id: str = "a1", response_id: str = "r") -> AudioChunk:
    return AudioChunk(SECOND * seconds, response_id, item_id)


def speaking(*events: Event, text: str = WORDS) -> Stage:
    """A reply of ten seconds under way, whose words have come."""
    stage = Stage(ResponseStarted("r"), now("speaking"), assistant(text, final=False), *events)
    plays(stage, 0)
    return stage


def plays(stage: Stage, played_ms: int, item_id: str = "a1") -> None:
    stage.view.audio = replace(DEVICES, playing=True, playing_item=item_id, played_ms=played_ms)


def parts(stage: Stage, width: int = 80, height: int = 24) -> tuple[str, str]:
    """The words of the reply in the footer that were heard, and those that are to come."""
    heard = to_come = ""
    for line in draw_footer(stage.view, width, height)[:-3]:
        if line.plain.startswith("● "):
            continue
        dim = {at for span in line.spans if span.style == "dim" for at in range(span.start, span.end)}
        heard += "".join(char for at, char in enumerate(line.plain) if at not in dim) + " "
        to_come += "".join(char for at, char in enumerate(line.plain) if at in dim) + " "
    return " ".join(heard.split()), " ".join(to_come.split())


def test_what_was_heard_is_told_from_what_is_to_come() -> None:
    stage = speaking(chunk(10), AudioDone("r"))
    assert parts(stage) == ("", WORDS)
    plays(stage, 5_000)
    assert parts(stage) == ("one two three four five", "six seven eight nine ten")
    plays(stage, 10_000)
    assert parts(stage) == (WORDS, "")


def test_a_reply_is_shown_whole_and_wrapped() -> None:
    text = "word " * 60 + "end."
    stage = speaking(text=text)
    assert " ".join(" ".join(stage.said(60)[1:]).split()) == text
    assert max(map(len, stage.said(60))) <= 54
    assert stage.said(60)[0] == "● Assistant"


@pytest.mark.parametrize("height", [12, 16, 24, 50])
def test_of_a_long_reply_the_screen_follows_the_listener(height: int) -> None:
    words = [f"w{number}" for number in range(400)]
    stage = speaking(chunk(100), AudioDone("r"), text=" ".join(words))
    for seconds in (0, 10, 50, 90, 99, 100):
        plays(stage, seconds * 1000)
        assert len(stage.footer(height=height)) <= height // 2
        heard, to_come = (part.replace("…", "").split() for part in parts(stage, height=height))
        place = len(heard and words[: words.index(heard[-1]) + 1])
        assert abs(place - seconds * 4) < 25, "what is being heard is on the screen"
        assert words[place : place + len(to_come)] == to_come
        said = stage.said(height=height)
        if seconds == 0:
            assert (said[0], said[-1][:2]) == ("● Assistant", "… ")
        if seconds == 100:
            assert (said[0][:2], said[-1][:2]) == ("… ", "  ")


def test_words_that_are_ahead_of_their_sound_are_not_taken_for_heard() -> None:
    """OpenAI sends a reply's words faster than its sound."""
    stage = speaking(chunk(1))
    plays(stage, 900)
    assert parts(stage)[0] == "one two three"


def test_an_interruption_keeps_what_was_heard_until_it_is_told() -> None:
    stage = speaking(chunk(10), AudioDone("r"))
    plays(stage, 5_000)
    stage.footer()
    stage.view.audio = DEVICES
    stage.happen(Interrupted("r", "a1"), now("listening"), ResponseDone("r", "cancelled"))
    assert parts(stage) == ("one two three four five", "six seven eight nine ten")


def test_a_reply_that_falls_silent_before_its_end_waits_for_why() -> None:
    """The loudspeaker stops first, and then it is told that the reply was cut."""
    stage = speaking(chunk(10), AudioDone("r"), assistant(WORDS), ResponseDone("r"))
    plays(stage, 5_000)
    assert stage.scrolled() == []
    stage.view.audio = DEVICES
    assert stage.scrolled() == []
    stage.happen(Interrupted("r", "a1"), now("listening"), assistant("one two", interrupted=True))
    assert stage.scrolled() == ["● Assistant", "  one two …"]


def test_a_reply_whose_end_is_not_told_is_printed_all_the_same() -> None:
    stage = speaking(chunk(10), AudioDone("r"), assistant(WORDS), ResponseDone("r"))
    plays(stage, 5_000)
    assert stage.scrolled() == []
    stage.view.audio = DEVICES
    stage.now = 2.1
    assert stage.scrolled() == ["● Assistant", f"  {WORDS}"]


def test_a_reply_that_was_heard_to_its_end_is_printed_at_once() -> None:
    stage = speaking(chunk(10), AudioDone("r"), assistant(WORDS), ResponseDone("r"))
    plays(stage, 9_900)
    assert stage.scrolled() == []
    stage.view.audio = DEVICES
    assert stage.scrolled() == ["● Assistant", f"  {WORDS}"]


def test_the_second_part_of_a_reply_is_heard_after_the_first() -> None:
    stage = speaking(chunk(10), assistant("And more.", item_id="a2"), chunk(2, "a2"), AudioDone("r"))
    plays(stage, 5_000)
    assert parts(stage)[1] == "six seven eight nine ten And more."
    plays(stage, 0, "a2")
    assert parts(stage) == (WORDS, "And more.")
    stage.view.audio = DEVICES
    assert parts(stage) == (f"{WORDS} And more.", ""), "all was heard"


def test_a_written_reply_has_no_part_that_is_to_come() -> None:
    stage = Stage()
    stage.view = ViewModel(speaks=False, clock=lambda: 0.0)
    stage.happen(STARTED, ResponseStarted("r"), now("speaking"), assistant(WORDS, final=False))
    stage.view.audio = DEVICES
    assert parts(stage) == (WORDS, "")


@pytest.mark.parametrize(
    "text", [WORDS, "日本語のとても長い文章です。" * 6, "x" * 90, "a\n\nb  c\n", "", " lead", "e\u0301" * 40]
)
@pytest.mark.parametrize("cells", [1, 2, 7, 20, 200])
def test_wrapped_lines_hold_all_of_the_text_in_order(text: str, cells: int) -> None:
    lines = wrap(text, cells)
    assert "".join("".join(text[start:stop].split()) for start, stop in lines) == "".join(text.split())
    assert all(a[1] <= b[0] for a, b in pairwise(lines))
    for start, stop in lines:
        assert Console().measure(text[start:stop]).maximum <= max(cells, 2)


# -- Notices


def test_a_notice_waits_below_until_the_answer_was_heard() -> None:
    stage = Stage(user("Hi"), now("thinking"), Notice("x", "Take note."))
    assert stage.scrolled() == ["● You", "  Hi"]
    assert stage.said() == ["Take note."]
    stage.happen(ResponseStarted("r"), now("speaking"), assistant("Hello."), chunk(1), ResponseDone("r"))
    plays(stage, 500)
    assert stage.said() == ["● Assistant", "  Hello.", "", "Take note."]
    assert stage.scrolled() == []
    stage.view.audio = DEVICES
    stage.happen(now("listening"))
    assert stage.scrolled() == ["● Assistant", "  Hello.", "Take note."]
    assert stage.said() == []


def test_notices_are_printed_when_no_answer_comes() -> None:
    stage = Stage(user("Hi"), now("thinking"), ErrorOccurred(RealtimeError("It failed.")))
    stage.happen(ResponseStarted("r"), ResponseDone("r", "failed", "x"), now("listening"))
    assert stage.scrolled() == ["● You", "  Hi", "Error: It failed.", "The answer is not complete: x"]


def test_an_empty_line_stands_around_notices_and_before_turns() -> None:
    stage = Stage(user("Hi"), ResponseStarted("r"), assistant("Hello."), ResponseDone("r"))
    entries = stage.view.take_entries()
    stage.happen(Notice("x", "One."), Notice("x", "Two."))
    entries += stage.view.take_entries()
    stage.happen(ResponseStarted("r2"), assistant("Unasked.", item_id="a2"), ResponseDone("r2"))
    entries += stage.view.take_entries()
    console, before = Console(width=80, file=io.StringIO()), None
    with console.capture() as capture:
        for entry in entries:
            console.print(draw_entry(entry, 80, after=before), highlight=False)
            before = entry
    assert [line.rstrip() for line in capture.get().splitlines()] == [
        "● You",
        "  Hi",
        "● Assistant",
        "  Hello.",
        "",
        "One.",
        "Two.",
        "",
        "● Assistant",
        "  Unasked.",
    ]


# -- The first line


def header(width: int, microphone: str = "Built-in Microphone", speaker: str = "Headphones") -> list[str]:
    view = ViewModel(provider="OpenAI Realtime")
    view.apply(replace(STARTED, model="gpt-realtime-2", voice="marin"))
    view.audio = replace(DEVICES, microphone=microphone, speaker=speaker)
    entries: list[Entry] = view.take_entries()
    view.apply(replace(STARTED, resumed=True))
    assert view.take_entries() == [], "it is printed once"
    console = Console(width=width, file=io.StringIO())
    with console.capture() as capture:
        console.print(draw_entry(entries[0], width), highlight=False)
    return capture.get().splitlines()


def test_the_first_line_names_everybody() -> None:
    assert header(100) == ["OpenAI Realtime  gpt-realtime-2  voice marin  mic Built-in Microphone  spk Headphones"]


def test_long_names_of_devices_are_cut_to_one_line() -> None:
    long = "Starship/Matisse HD Audio Controller Analog Stereo"
    for width in (90, 100, 120):
        (line,) = header(width, long, "USB")
        assert len(line) <= width
        assert "mic Starship" in line
        assert line.endswith("spk USB")


def test_in_a_narrow_terminal_devices_have_a_line_of_their_own() -> None:
    assert header(60) == [
        "OpenAI Realtime  gpt-realtime-2  voice marin",
        "mic Built-in Microphone  spk Headphones",
    ]
    long = "Starship/Matisse HD Audio Controller Analog Stereo"
    assert header(60, long, "USB")[1].endswith("\u2026  spk USB")
    assert len(header(60, long, long)[1]) <= 60


def test_without_a_loudspeaker_none_is_named() -> None:
    assert header(100, speaker="") == ["OpenAI Realtime  gpt-realtime-2  voice marin  mic Built-in Microphone"]
