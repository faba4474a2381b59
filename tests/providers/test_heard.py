"""The part of items that was heard before they were cut off."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.providers.heard import heard_by_item, heard_words

ITEMS = ["a", "b", "c", "d"]


@pytest.mark.parametrize(
    ("item_id", "played_ms", "heard"),
    [
        ("b", 400, {"b": 400, "c": 0, "d": 0}),
        ("d", 400, {"d": 400}),
        ("a", 0, {"a": 0, "b": 0, "c": 0, "d": 0}),
        ("c", -20, {"c": 0, "d": 0}),
        ("unknown", 400, {}),
        (None, 400, {}),
        ("b", None, {}),
    ],
)
def test_of_later_items_nothing_was_heard(item_id: str | None, played_ms: int | None, heard: dict[str, int]) -> None:
    result = heard_by_item(ITEMS, item_id, played_ms)
    assert result == heard
    assert list(result) == list(heard)


@pytest.mark.parametrize(
    ("heard_ms", "words"),
    [
        (-1, ""),
        (0, ""),
        (500, "One"),
        (1000, "One two. "),
        (1500, "One two. Three"),
        (2000, "One two. Three four."),
        (9000, "One two. Three four."),
    ],
)
def test_words_are_cut_within_the_piece_that_was_playing(heard_ms: int, words: str) -> None:
    assert heard_words([("One two. ", 1000), ("Three four.", 1000)], heard_ms) == words


def test_a_piece_without_sound_counts_with_what_was_heard_before_it() -> None:
    pieces = [("One. ", 1000), ("* ", 0), ("Two.", 1000)]
    assert heard_words(pieces, 1000) == "One. * "
    assert heard_words([("One", 0)], 0) == ""


@given(st.lists(st.tuples(st.text(), st.integers(0, 5_000))), st.integers(-10, 50_000), st.integers(0, 5_000))
def test_words_heard_are_the_beginning_of_the_text_and_grow(
    pieces: list[tuple[str, int]], heard_ms: int, more_ms: int
) -> None:
    first, then = heard_words(pieces, heard_ms), heard_words(pieces, heard_ms + more_ms)
    assert "".join(text for text, _ in pieces).startswith(then)
    assert then.startswith(first)
