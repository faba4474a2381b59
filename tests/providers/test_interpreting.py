"""What the codecs of interpreters share, without a wire."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback.gemini_session import tone
from voicecli.events import TranscriptUpdate
from voicecli.pricing import Prices
from voicecli.providers.interpreting import Pieces, Progress, RunningText


def said(*deltas: str, every_ms: float = 100) -> list[TranscriptUpdate]:
    """The updates of words that come one after the other."""
    caption = RunningText("assistant")
    return [update for at, delta in enumerate(deltas) for update in caption.add(delta, at * every_ms)]


def finals(updates: list[TranscriptUpdate]) -> list[str]:
    return [update.text for update in updates if update.final]


@pytest.mark.parametrize(
    ("deltas", "sentences"),
    [
        (["Hola", ".", " ¿Qué", " tal?", " Bien"], ["Hola.", "¿Qué tal?"]),
        (["It costs 3", ".", "50 dollars. Yes"], ["It costs 3.50 dollars."]),
        (['"No!" he said. "Why?"', " I"], ['"No!"', "he said.", '"Why?"']),
        (["今日は晴れ。明日は雨"], ["今日は晴れ。"]),
        (["हाँ। ", "नहीं"], ["हाँ।"]),
        (["one two"], []),
        (["\ud83d", "\ude00! Next"], ["\U0001f600!"]),
    ],
)
def test_a_sentence_is_an_utterance(deltas: list[str], sentences: list[str]) -> None:
    assert finals(said(*deltas)) == sentences


def test_updates_of_an_utterance_grow_and_each_utterance_has_a_name_of_its_own() -> None:
    updates = said("Hola", " a todos.", " Bien")
    assert [(update.item_id, update.text, update.final) for update in updates] == [
        ("translated_1", "Hola", False),
        ("translated_1", "Hola a todos.", False),
        ("translated_1", "Hola a todos.", True),
        ("translated_2", "Bien", False),
    ]


def test_a_pause_of_a_second_ends_an_utterance() -> None:
    assert finals(said("one", " two", every_ms=900)) == []
    assert finals(said("one", "two", every_ms=1_000)) == ["one"]


def test_words_without_marks_do_not_grow_for_ever() -> None:
    updates = said(*["สวัสดีครับ "] * 100)
    assert max(len(update.text) for update in updates) <= 330
    assert len(finals(updates)) >= 3


@given(st.lists(st.text(alphabet="ab .!?\n。", max_size=12), max_size=20))
def test_no_word_is_lost_or_doubled(deltas: list[str]) -> None:
    caption = RunningText("user")
    updates = [update for delta in deltas for update in caption.add(delta, 0)] + caption.finish()
    assert "".join("".join(finals(updates)).split()) == "".join("".join(deltas).split())


@pytest.mark.parametrize("sizes", [[320, 320], [100] * 30, [3_200, 3_300, 50], [64_000], [1, 2, 3]])
def test_pieces_are_of_the_length_that_is_wanted(sizes: list[int]) -> None:
    pieces, sent = Pieces(16_000, 20, 100), list[bytes]()
    audio = bytes(range(256)) * 300
    at = 0
    for size in sizes:
        sent += pieces.add(audio[at : at + size])
        at += size
    assert all(640 <= len(piece) <= 3_200 for piece in sent)
    rest = pieces.flush()
    assert len(rest) in {0, 640}
    assert (b"".join(sent) + rest)[:at] == audio[:at]


def test_it_is_a_bad_moment_until_the_translation_has_come_and_ended() -> None:
    progress = Progress(16_000, None)
    progress.sent(bytes(32_000))
    assert not progress.busy
    progress.sent(tone(500, rate=16_000))
    progress.sent(bytes(32_000 * 5))
    assert progress.busy  # nothing of it came
    assert progress.owes
    progress.output()
    assert progress.busy
    assert not progress.owes
    progress.sent(bytes(32_000 * 2))
    assert not progress.busy


def test_noise_is_not_waited_for_longer_than_words_can_be_late() -> None:
    progress = Progress(16_000, None)
    progress.sent(tone(500, rate=16_000))
    progress.sent(bytes(32_000 * 21))
    assert not progress.busy


def test_seconds_of_audio_are_what_is_billed() -> None:
    progress = Progress(24_000, Prices(session_minute=0.06))
    progress.sent(bytes(48_000 // 2))
    assert progress.take_usage() is None
    progress.sent(bytes(48_000))
    usage = progress.take_usage()
    assert usage is not None
    assert (usage.session_seconds, round(usage.cost_usd or 0, 6)) == (1.5, 0.0015)
    progress.sent(bytes(48_000))
    usage = progress.take_usage()
    assert usage is not None
    assert (usage.session_seconds, round(usage.cost_usd or 0, 6)) == (2.5, 0.001)  # each second is paid for once
