import pytest

from voicecli.text import is_valid_text, valid_text


@pytest.mark.parametrize(
    ("text", "valid"),
    [
        ("", ""),
        ("plain", "plain"),
        ("caf\u00e9 \U0001f600", "caf\u00e9 \U0001f600"),
        ("\ud83d\ude00", "\U0001f600"),
        ("a\ud83d", "a\ufffd"),
        ("\ude00a", "\ufffda"),
        ("caf\udce9.txt", "caf\ufffd.txt"),
    ],
)
def test_pairs_are_joined_and_lone_surrogates_replaced(text: str, valid: str) -> None:
    assert valid_text(text) == valid
    valid.encode()
    assert is_valid_text(valid)
