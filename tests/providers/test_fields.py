"""Reading JSON that keeps no promise."""

import json

import pytest

from voicecli.errors import ProtocolError
from voicecli.providers.fields import at, error_message, parse_object, text


@pytest.mark.parametrize("message", [b"", b"{", b"\xff\xfe", b"\xfe\xff\x00{\x00}", "nothing", "[" * 100_000])
def test_what_is_no_json_is_a_protocol_error(message: bytes | str) -> None:
    with pytest.raises(ProtocolError, match="Some Server sent what is no JSON"):
        parse_object(message, "Some Server")


@pytest.mark.parametrize("message", [b"[]", b"1", b"null", '"x"'])
def test_what_is_no_object_is_a_protocol_error(message: bytes | str) -> None:
    with pytest.raises(ProtocolError, match="Some Server sent JSON that is no object"):
        parse_object(message, "Some Server")


def test_an_object_is_parsed_from_bytes_and_text() -> None:
    assert parse_object('{"a": "\u00e9"}'.encode(), "") == parse_object('{"a": "\u00e9"}', "") == {"a": "\u00e9"}


@pytest.mark.parametrize(
    ("holder", "found"),
    [({"a": {"b": {"c": 1}}}, {"c": 1}), ({"a": {"b": 3}}, {}), ({"a": []}, {}), ({}, {}), (None, {}), ("ab", {})],
)
def test_at_follows_names_as_far_as_there_are_objects(holder: object, found: dict[str, int]) -> None:
    assert at(holder, "a", "b") == found


def test_text_is_empty_where_there_is_none_and_can_always_be_encoded() -> None:
    assert text({"a": 1}, "a") == text({}, "a") == ""
    assert text({"a": "x\ud83d"}, "a") == "x\ufffd"


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ({"error": {"message": "No.", "code": 4}}, "No."),
        ({"error": "No."}, "No."),
        ({"error": {"message": 4}}, ""),
        ({"error": None}, ""),
        ({}, ""),
        ([], ""),
    ],
)
def test_an_error_body_says_why(body: object, message: str) -> None:
    assert error_message(json.dumps(body)) == message


def test_an_error_body_of_another_kind_says_nothing() -> None:
    assert error_message(b"<html>") == ""
