import pytest

from voicecli.credentials import check_headers, checked_key, is_header_text
from voicecli.errors import ConfigurationError

SECRET = "sk-abcdef"


def test_a_key_loses_the_blanks_around_it() -> None:
    assert checked_key(f" {SECRET}\n", "OpenAI") == SECRET


@pytest.mark.parametrize(
    "key", ["", "  ", f"{SECRET} {SECRET}", f"{SECRET}\n{SECRET}", f"\u201c{SECRET}\u201d", f"{SECRET}\x7f"]
)
def test_what_no_header_can_hold_is_no_key_and_is_not_repeated(key: str) -> None:
    with pytest.raises(ConfigurationError, match="The key for OpenAI has characters that no key has") as caught:
        checked_key(key, "OpenAI")
    assert SECRET not in str(caught.value)
    assert caught.value.advice


@pytest.mark.parametrize("headers", [{}, {"X-Key": SECRET}, {"X-Empty": ""}, {"a": "b c", "d": "e:f"}])
def test_headers_that_http_allows_pass(headers: dict[str, str]) -> None:
    check_headers(headers)


@pytest.mark.parametrize(
    "headers",
    [{"X-Key": f"{SECRET}\r\nX-Other: 1"}, {"X-Key": f"{SECRET}\xe9"}, {"": SECRET}, {"X\n": SECRET}, {"X Y": SECRET}],
)
def test_a_header_that_http_does_not_allow_is_named_without_its_value(headers: dict[str, str]) -> None:
    with pytest.raises(ConfigurationError, match="HTTP does not allow") as caught:
        check_headers(headers)
    assert SECRET not in str(caught.value)


def test_a_header_that_is_no_text_is_named_without_its_value() -> None:
    with pytest.raises(ConfigurationError, match="'X-Key' is no text") as caught:
        check_headers({"X-Key": SECRET.encode()})  # type: ignore[dict-item]
    assert SECRET not in str(caught.value)


def test_blanks_are_header_text_and_line_breaks_are_not() -> None:
    assert is_header_text("Bearer x")
    assert not is_header_text("Bearer\nx")
