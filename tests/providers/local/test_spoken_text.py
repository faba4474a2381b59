"""The spoken part of a reply's text."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.providers.local.sentences import SentenceSplitter
from voicecli.providers.local.spoken_text import SpokenText


def spoken(text: str, size: int = 10_000) -> str:
    """All that is said of a reply that comes `size` characters at a time."""
    splitter, out = SentenceSplitter(), SpokenText()
    pieces = [piece for at in range(0, len(text), size) for piece in splitter.push(text[at : at + size])]
    words = [out.push(piece) for piece in [*pieces, splitter.flush()]]
    return " ".join(part for part in [*words, out.end()] if part)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        # marks
        ("**Paris** is _nice_.", "Paris is nice."),
        ("# Title", "Title"),
        ("> quoted", "quoted"),
        ("- one\n- two", "one two"),
        ("- [x] done", "done"),
        ("1. Wash it.", "1. Wash it."),
        ("~~old~~ new", "old new"),
        ("`foo_bar` is a name", "foo_bar is a name"),
        ("snake_case stays", "snake_case stays"),
        ("a | b", "a b"),
        ("<b>bold</b> and<br>line", "bold and line"),
        ("Tom &amp; Jerry", "Tom and Jerry"),
        ("Great 🎉!", "Great!"),
        ("1️⃣ first", "1 first"),
        ("...", ""),
        ("🎉", ""),
        ("---", ""),
        # addresses
        ("See [the page](http://example.org/a_b).", "See the page."),
        ("See [the page](http://example.org 'Its title').", "See the page."),
        ("See https://www.example.com/a/very/long?path=1&x=2, please.", "See example.com, please."),
        ("See www.example.com/a.", "See example.com."),
        ("<https://example.com/x>", "example.com"),
        ("[https://example.com/a](https://example.com/a)", "example.com"),
        ("[the docs, version 2,](http://x.org/a) help", "the docs, version 2, help"),
        ("![a cat](cat.png)", "a cat"),
        ("Write to me@example.org.", "Write to me@example.org."),
        ("It is so[1], says one.[^2] Or two【4†source】.", "It is so, says one. Or two."),
        ("[^1]: The source.", ""),
        # signs
        ("5 > 3", "5 is greater than 3"),
        ("5<3", "5 is less than 3"),
        ("5 &gt; 3", "5 is greater than 3"),
        ("x <= y and y ≥ z", "x is at most y and y is at least z"),
        ("a != b", "a is not b"),
        ("2 + 2 = 4", "2 + 2 equals 4"),
        ("2 * 3 * 4", "2 times 3 times 4"),
        ("2*3*4", "2 times 3 times 4"),
        ("6 / 2", "6 divided by 2"),
        ("10 \u2212 3", "10 minus 3"),
        ("5 - 3", "5 minus 3"),
        ("x^2 and 2^10", "x squared and 2 to the power of 10"),
        ("~5 km, ≈ 3 mi", "about 5 km, about 3 mi"),
        ("x -> y", "x to y"),
        ("pages 3\u20134", "pages 3 to 4"),
        ("the #1 choice", "the number 1 choice"),
        ("Tom & Jerry", "Tom and Jerry"),
        ("C++ and C#", "C++ and C sharp"),
        (r"\(x^2 = \frac{1}{2}\)", "x squared equals 1 over 2"),
        (r"$\sqrt{2} \times 3$", "the root of 2 times 3"),
        # what the voice reads well by itself
        ("It's 5-6 km, isn't it?", "It's 5-6 km, isn't it?"),
        ("$5.99, 50%, 20°C, 3.14, 1,000", "$5.99, 50%, 20°C, 3.14, 1,000"),
        ("It costs $5 or $6.", "It costs $5 or $6."),
        ("On 2026-11-28 at 10:30 a.m.", "On 2026-11-28 at 10:30 a.m."),
        ("AT&T and/or e.g. this", "AT&T and/or e.g. this"),
    ],
)
def test_what_is_said(text: str, words: str) -> None:
    assert SpokenText().push(text) == words


CODE = "Do this:\n\n```python\nprint(a, b)  # first, then\n```\n\nThat is all."
LONG_CODE = "Do this:\n~~~~\n```\nnot the end\n~~~~\nThat is all."
TABLE = "Two:\n\n| Name | Age |\n|:---|---:|\n| Ann, the first | 5 |\n\nThat is all."
BARE_TABLE = "Two:\n\nThat is all.\n\n--|--\n1 | 2\n3 | 4\n"


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (CODE, "Do this: That is all."),
        (LONG_CODE, "Do this: That is all."),
        (TABLE, "Two: That is all."),
        (BARE_TABLE, "Two: That is all."),
        ("```\nx = 1\n```", "The answer is on the screen."),
        ("| a | b |\n| 1 | 2 |", "The answer is on the screen."),
        ("```\nx = 1", "The answer is on the screen."),
        ("Say ```x``` now.", "Say x now."),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 7, 10_000])
def test_code_and_tables_are_shown_and_not_said(text: str, words: str, size: int) -> None:
    assert spoken(text, size) == words


@given(st.text(alphabet="ab 1.,\n`|-*_[]()<>#$\\~=>:/", max_size=200), st.integers(1, 20))
def test_no_text_is_too_odd(text: str, size: int) -> None:
    assert not set(spoken(text, size)) & set("`|<>*[]{}")
