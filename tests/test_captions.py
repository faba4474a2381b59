"""Captions: SRT and WebVTT, as a library reads them, and what a reader can follow."""

import io
import itertools
import unicodedata

import pysubs2
import pytest
import webvtt
from hypothesis import given
from hypothesis import strategies as st

from tests.history.sample_record import FORECAST, HOSTILE
from voicecli.captions import Caption, CaptionFormat, CaptionText, Cue, readable, srt, vtt


def cue(start_ms: int, end_ms: int, text: str, speaker: str = "") -> Cue:
    return Cue(start_ms=start_ms, end_ms=end_ms, text=text, speaker=speaker)


def columns(line: str) -> int:
    return sum(0 if unicodedata.combining(each) else 1 + (unicodedata.east_asian_width(each) in "WF") for each in line)


def test_srt_is_as_it_is_written() -> None:
    assert srt([cue(0, 1_500, "Hello.", "You"), cue(3_661_042, 3_663_000, "Hi!", "Assistant")]) == (
        "1\n00:00:00,000 --> 00:00:01,500\nYou: Hello.\n\n2\n01:01:01,042 --> 01:01:03,000\nAssistant: Hi!\n"
    )


def test_webvtt_is_as_it_is_written() -> None:
    assert vtt([cue(0, 1_500, "A < B & C", 'Zoë <"x">')]) == (
        'WEBVTT\n\n00:00:00.000 --> 00:00:01.500\n<v Zoë &lt;"x"&gt;>A &lt; B &amp; C\n'
    )


def test_nothing_said_is_an_empty_file() -> None:
    assert srt([cue(0, 100, " \n ")]) == ""
    assert vtt([]) == "WEBVTT\n"


def test_the_speaker_is_named_where_it_changes() -> None:
    spoken = [cue(0, 900, "One."), cue(1_000, 1_900, "Two.", "Ann"), cue(2_000, 2_900, "Three.", "Ann")]
    assert [each.text for each in readable(spoken, label=lambda each: f"{each.speaker}: ")] == [
        "One.",
        "Ann: Two.",
        "Three.",
    ]


def test_a_long_text_is_cut_where_sentences_and_clauses_end() -> None:
    pieces = readable([cue(1_000, 13_000, FORECAST)])
    assert [piece.text.replace("\n", " ") for piece in pieces] == [
        "Tomorrow it will rain from noon on, so take one with you.",
        "The evening stays mild, with 17 degrees, and on Thursday the sun comes back:",
        "a good day for the walk along the river that you have been planning.",
    ]
    assert (pieces[0].start_ms, pieces[-1].end_ms) == (1_000, 13_000)
    # Its time is shared out by the length of the words.
    rates = [(piece.end_ms - piece.start_ms) / len(piece.text) for piece in pieces]
    assert max(rates) < 1.1 * min(rates)


def test_lines_of_a_piece_are_of_like_length() -> None:
    (piece,) = readable([cue(0, 5_000, "It is a good day for the walk along the river.")])
    assert piece.text == "It is a good day for the\nwalk along the river."


@pytest.mark.parametrize("text", ["天气" * 60 + "。", "x" * 200, "." * 150, "e\u0301" * 90, "👩‍👩‍👧 " * 60])
def test_any_script_is_cut_to_the_width_of_the_screen(text: str) -> None:
    pieces = readable([cue(0, 60_000, text)])
    assert all(columns(line) <= 42 for piece in pieces for line in piece.text.split("\n"))
    assert "".join("".join(piece.text.split()) for piece in pieces) == "".join(text.split())


def test_who_speaks_into_another_is_shown_after_them() -> None:
    first, second = readable([cue(0, 5_000, "I was about to"), cue(3_000, 6_000, "Stop!")])
    assert (first.start_ms, first.end_ms, second.start_ms, second.end_ms) == (0, 3_000, 3_000, 6_000)


def test_what_took_no_time_can_be_read_all_the_same() -> None:
    assert [(each.start_ms, each.end_ms) for each in readable([cue(500, 500, "Hi"), cue(9_000, 9_100, "Ho")])] == [
        (500, 1_500),
        (9_000, 10_000),
    ]


SPOKEN = st.lists(
    st.builds(cue, st.integers(0, 100_000), st.integers(0, 100_000), st.text(max_size=300), st.sampled_from(["", "A"])),
    max_size=12,
)


@given(SPOKEN)
def test_whatever_is_said_can_be_followed(spoken: list[Cue]) -> None:
    shown = readable(spoken)
    assert all(1 <= len(each.text.split("\n")) <= 2 for each in shown)
    assert all(each.start_ms < each.end_ms for each in shown)
    assert all(before.end_ms <= after.start_ms for before, after in itertools.pairwise(shown))


@given(SPOKEN)
def test_a_reader_finds_every_caption(spoken: list[Cue]) -> None:
    shown = readable(spoken)
    read = webvtt.from_buffer(io.BytesIO(vtt(spoken).encode()), format="vtt")
    assert [(each.start_in_seconds, each.end_in_seconds) for each in read.captions] == [
        (each.start_ms // 1000, each.end_ms // 1000) for each in shown
    ]
    if shown:
        read = webvtt.from_buffer(io.BytesIO(srt(spoken).encode()), format="srt")
        assert len(read.captions) >= len(shown)


def test_words_are_never_taken_for_times_or_tags() -> None:
    spoken = [cue(0, 1_000, "x\n\n00:00:05.000 --> 00:00:06.000\nno cue"), cue(2_000, 4_000, HOSTILE)]
    for text, form in ((vtt(spoken), "vtt"), (srt(spoken), "srt")):
        read = webvtt.from_buffer(io.BytesIO(text.encode()), format=form)
        assert [each.start for each in read.captions] == [
            "00:00:00.000",
            *(f"00:00:0{piece.start_ms / 1000:.3f}" for piece in readable(spoken)[1:]),
        ]
    assert "<script" not in vtt(spoken)


SPEAKERS = ["", "Ann", "Bob"]
UTTERANCES = st.lists(
    st.tuples(st.integers(0, 3_000), st.integers(50, 20_000), st.text(max_size=300), st.sampled_from(SPEAKERS)),
    max_size=12,
)


@given(UTTERANCES, st.sampled_from(["srt", "vtt"]))
def test_captions_that_come_one_by_one_are_a_file_at_each_moment(
    spoken: list[tuple[int, int, str, str]], form: CaptionFormat
) -> None:
    text = CaptionText(form)
    written, start = text.begin(), 0
    for gap, length, words, speaker in spoken:
        start += gap
        written += text.add(cue(start, start + length, words, speaker))
        check_file(written, form)
    check_file(written + text.end(), form)
    assert text.end() == ""


def check_file(written: str, form: CaptionFormat) -> None:
    """A library reads it all, in order."""
    if form == "vtt":
        read = webvtt.from_string(written, strict=True)
        starts = [caption.start for caption in read.captions]
        assert len(starts) == written.count(" --> ")
        assert starts == sorted(starts)
        assert all(caption.start < caption.end for caption in read.captions)
    else:
        events = pysubs2.SSAFile.from_string(written, "srt")
        assert [event.start for event in events] == sorted(event.start for event in events)
        numbers = [int(block.partition("\n")[0]) for block in written.split("\n\n") if block]
        assert numbers == list(range(1, len(events) + 1))


def test_one_speaker_has_one_caption_at_a_time_and_several_may_speak_at_once() -> None:
    text = CaptionText("vtt")
    written = text.begin() + "".join(
        text.add(each)
        for each in (
            cue(0, 9_000, FORECAST, "Ann"),
            cue(2_000, 2_200, "Hm.", "Bob"),
            cue(9_200, 9_300, "Yes.", "Ann"),
            cue(9_400, 9_900, "Good.", "Ann"),
        )
    )
    read = webvtt.from_string(written + text.end()).captions
    assert [(each.voice, each.start) for each in read[:2]] == [("Ann", "00:00:00.000"), ("Bob", "00:00:02.000")]
    ann = [each for each in read if each.voice == "Ann"]
    assert all(first.end <= second.start for first, second in itertools.pairwise(ann))
    assert (ann[-2].start, ann[-2].end) == ("00:00:09.200", "00:00:09.800"), "the least pause behind it is not taken"
    assert ann[-1].start == "00:00:09.800", "hardly late"


def test_whose_words_go_on_behind_somebody_elses_is_said_again() -> None:
    text = CaptionText("srt")
    written = text.add(cue(0, 9_000, FORECAST, "Ann")) + text.add(cue(1_000, 1_500, "Hm.", "Bob")) + text.end()
    blocks = [block.split("\n", 2)[2] for block in written.strip().split("\n\n")]
    assert [block.split(":")[0] for block in blocks[:3]] == ["Ann", "Bob", "Ann"]
    assert not any(block.startswith(("Ann:", "Bob:")) for block in blocks[3:])


def test_a_caption_knows_its_speaker() -> None:
    caption = Caption(id="a", start_ms=1, end_ms=2, text="Hi.", final=True, channel=2)
    assert caption.cue() == cue(1, 2, "Hi.", "Channel 2")
    assert Caption(id="a", start_ms=1, end_ms=2, text="Hi.", final=True).speaker == ""
