"""Results of strangers' tools, as the model gets them."""

import base64
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.commands import SendImage
from voicecli.mcp.results import MAX_TEXT, tool_output

PNG = b"\x89PNG\r\n\x1a\n..."
JPEG = b"\xff\xd8\xff..."


def text(said: str) -> dict[str, Any]:
    return {"type": "text", "text": said}


def image(data: bytes, kind: str = "image/png") -> dict[str, Any]:
    return {"type": "image", "data": base64.b64encode(data).decode(), "mimeType": kind}


@pytest.mark.parametrize(
    ("blocks", "structured", "told"),
    [
        ([], None, "Done, without output."),
        ([text("")], None, "Done, without output."),
        ([text("Sunny."), text("22 degrees.")], None, "Sunny.\n22 degrees."),
        ([text('{"a": 1}')], {"a": 1}, '{"a": 1}'),
        ([], {"a": "ä"}, '{"a": "ä"}'),
        ([text("a\x1b[31m\x00\x7f\r\n\tb\ud800")], None, "a[31m\n\tb\ufffd"),
        ([{"type": "resource_link", "uri": "file:///x", "name": "x"}], None, "x: file:///x"),
        ([{"type": "resource", "resource": {"uri": "file:///x", "text": "Hello."}}], None, "Hello."),
        (
            [{"type": "resource", "resource": {"uri": "file:///x", "blob": "AAAA"}}],
            None,
            "[file:///x is no text, and left out.]",
        ),
        ([{"type": "audio", "data": "AAAA", "mimeType": "audio/wav"}], None, "[A sound (audio/wav) is left out.]"),
        ([image(b"RIFF", "image/webp")], None, "[A picture (image/webp) is left out.]"),
        ([image(PNG) | {"data": "no base64"}], None, "[A picture (image/png) is left out.]"),
        ([image(PNG) | {"data": 7, "mimeType": "\x1b"}], None, "[A picture (of an unknown kind) is left out.]"),
        ([{"type": "hologram", "text": "?"}, {"text": "?"}, text("Yes.")], None, "Yes."),
        ([text("x" * (MAX_TEXT + 7))], None, "x" * MAX_TEXT + "\n[7 more characters are left out.]"),
    ],
)
def test_a_result_becomes_text(blocks: list[dict[str, Any]], structured: Any, told: str) -> None:
    assert tool_output(blocks, structured).text == told


def test_pictures_are_known_by_their_bytes_and_four_at_most() -> None:
    output = tool_output([image(JPEG, "image/png"), text("A map."), *[image(PNG)] * 4])
    assert output.pictures == (SendImage(JPEG, "image/jpeg"), *[SendImage(PNG, "image/png")] * 3)
    assert output.text == "A map.\n[Another picture is left out.]"
    assert tool_output([image(PNG)] * 30).text == "[26 more pictures are left out.]"
    assert tool_output([image(PNG)]).text == ""
    assert tool_output([image(PNG + bytes(5 * 2**20))]).pictures == ()


VALUES = st.none() | st.integers() | st.text(max_size=9) | st.dictionaries(st.text(max_size=3), st.text(max_size=3))
KEYS = st.sampled_from(["type", "text", "data", "mimeType", "uri", "resource", "name"])
KINDS = st.sampled_from(["text", "image", "audio", "resource", "resource_link"])


@given(st.lists(st.dictionaries(KEYS, KINDS | VALUES)), VALUES)
def test_whatever_comes_is_text(blocks: list[dict[str, Any]], structured: Any) -> None:
    output = tool_output(blocks, structured)
    assert len(output.text.encode()) <= 4 * MAX_TEXT + 100
    assert output.text or output.pictures
