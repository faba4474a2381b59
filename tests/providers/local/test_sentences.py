import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.providers.local.sentences import SentenceSplitter


def split(text: str, size: int = 1) -> list[str]:
    """The pieces, without the spaces between them, when the text comes `size` characters at a time."""
    splitter = SentenceSplitter()
    pieces = [piece for start in range(0, len(text), size) for piece in splitter.push(text[start : start + size])]
    return [piece.strip() for piece in [*pieces, splitter.flush()] if piece.strip()]


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("Hello there. How are you?", ["Hello there.", "How are you?"]),
        ("Stop! Really?! Yes… no.", ["Stop!", "Really?!", "Yes…", "no."]),
        ('He said "go." Then he left.', ['He said "go."', "Then he left."]),
        ("Mr. Smith met Dr. Jones. They spoke.", ["Mr. Smith met Dr. Jones.", "They spoke."]),
        ("J. K. Rowling wrote it. It sold.", ["J. K. Rowling wrote it.", "It sold."]),
        ("So did I. We agreed.", ["So did I.", "We agreed."]),
        ("Pi is 3.14 or so. See e.g. here.", ["Pi is 3.14 or so.", "See e.g. here."]),
        ("1. Wash it. 2. Dry it.", ["1. Wash it.", "2. Dry it."]),
        ("First line\nsecond line", ["First line", "second line"]),
        ("日本です。はい。", ["日本です。", "はい。"]),
        ("no end", ["no end"]),
        ("", []),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 1000])
def test_sentences_end_where_a_reader_would_end_them(text: str, pieces: list[str], size: int) -> None:
    assert split(text, size) == pieces


def test_the_first_piece_may_be_a_clause_so_that_speech_begins_early() -> None:
    assert split("Well, as far as I know, Paris is in France, and Rome, too, is not.") == [
        "Well, as far as I know,",
        "Paris is in France, and Rome, too, is not.",
    ]


def test_a_long_first_sentence_without_commas_begins_at_a_conjunction() -> None:
    assert split("Bees are social insects of a kind that live in colonies and that make honey.") == [
        "Bees are social insects of a kind",
        "that live in colonies and that make honey.",
    ]


def test_a_comma_ends_a_piece_that_is_long() -> None:
    long = "the river flows through a wide valley with many old villages on both of its green banks"
    assert split(f"Yes. First {long}, and later {long}, it ends.") == [
        "Yes.",
        f"First {long},",
        f"and later {long},",
        "it ends.",
    ]


def test_endless_text_is_cut_between_words() -> None:
    pieces = split("word " * 200)
    assert len(pieces) > 3
    assert all(set(piece.split()) == {"word"} and len(piece) <= 240 for piece in pieces)


def test_a_sentence_is_given_out_as_soon_as_it_is_complete() -> None:
    splitter = SentenceSplitter()
    assert splitter.push("It rains.") == []  # it could go on: "It rains.com"
    assert splitter.push(" The") == ["It rains."]
    assert splitter.flush() == " The"


@given(st.text(alphabet="ab .,!?\n'\"Mr1。-", max_size=400), st.integers(1, 50))
def test_the_pieces_are_the_text_whatever_size_it_comes_in(text: str, size: int) -> None:
    splitter = SentenceSplitter()
    pieces = [piece for start in range(0, len(text), size) for piece in splitter.push(text[start : start + size])]
    assert "".join(pieces) + splitter.flush() == text
