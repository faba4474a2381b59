"""Reading JSON that keeps no promise."""

import json

import pytest

from voicecli.errors import ProtocolError
from voicecli.providers.fields import at, brief, decoded, error_message, identifier, number, objects, parse_object, text


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
        ({"message": "No."}, "No."),
        ({"detail": "No."}, "No."),
        ({"detail": [{"loc": ["model"], "msg": "No."}, {"msg": "Not this."}]}, "No.; Not this."),
        ({"error": {"error": {"error": {"error": {"error": "deep"}}}}}, ""),
        ("No.", "No."),
        ({}, ""),
        ([], ""),
    ],
)
def test_an_error_body_says_why(body: object, message: str) -> None:
    assert error_message(json.dumps(body)) == message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (b"<html>", ""),
        (b" <!DOCTYPE html><html><head><title>502\n Bad Gateway</title></head><p>long", "502 Bad Gateway"),
        (b"error code: 1015\n", "error code: 1015"),
        (b"", ""),
        (b"no \xff\x1b[2J text", "no \ufffd [2J text"),
        (b"[" * 50_000, "[" * 297 + "..."),
    ],
)
def test_a_body_that_is_no_json_says_its_title_or_its_text(body: bytes, message: str) -> None:
    assert error_message(body) == message


@pytest.mark.parametrize(
    "secret",
    ["sk-proj-abc_DEF-123", "sk-abc***xyz", "ek_0123", "AIzaSyAbc-123_x", "Bearer abc.def-ghi", "bearer x/y+z"],
)
def test_words_of_a_server_hold_no_key(secret: str) -> None:
    said = brief(f"The key {secret} is wrong.")
    assert said.startswith("The key ")
    assert said.endswith("... is wrong.")
    assert secret not in said


@pytest.mark.parametrize(
    "data", ["+/+/AAA=", "-_-_AAA=", "-_-_AAA", "+/+/\r\nAAA=\n", " +/+/ AAA ", "data:audio/pcm;base64,+/+/AAA="]
)
def test_base64_of_any_kind(data: str) -> None:
    assert decoded(data) == b"\xfb\xff\xbf\x00\x00"


@pytest.mark.parametrize("data", ["", None, 3, [], {}, "===="])
def test_no_base64_is_empty(data: object) -> None:
    assert decoded(data) == b""


@pytest.mark.parametrize("data", ["a", "AAAA*", "ab\u00e9="])
def test_what_is_no_base64_is_a_value_error(data: str) -> None:
    with pytest.raises(ValueError, match=r"(?i)base64|ascii|padding|data"):
        decoded(data)


@pytest.mark.parametrize(
    ("value", "read"),
    [(3, 3), (3.9, 3), ("3", 3), ("3.5", 3), (True, None), ("x", None), (None, None), ([], None), (1e999, None)],
)
def test_numbers_may_be_texts(value: object, read: int | None) -> None:
    assert number({"n": value}, "n") == read


@pytest.mark.parametrize(("value", "read"), [("a", "a"), (3, "3"), (True, ""), (None, ""), ({}, "")])
def test_ids_may_be_numbers(value: object, read: str) -> None:
    assert identifier({"id": value}, "id") == read


@pytest.mark.parametrize(
    ("value", "read"), [([{"a": 1}, 3, None], [{"a": 1}]), ({"a": 1}, [{"a": 1}]), (None, []), ("x", [])]
)
def test_objects_may_stand_alone(value: object, read: list[dict[str, int]]) -> None:
    assert objects({"n": value}, "n") == read
