"""Schemas of strangers' tools, as each provider takes them."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.errors import ToolError
from voicecli.mcp.schemas import MAX_DESCRIPTION, clean_description, clean_schema
from voicecli.providers.gemini.schema import gemini_schema

NOTHING = {"type": "object", "properties": {}}
TEXT = {"type": "string"}


def of(prop: Any, **definitions: Any) -> dict[str, Any]:
    return {"type": "object", "properties": {"x": prop}, "$defs": definitions}


@pytest.mark.parametrize(
    ("schema", "cleaned"),
    [
        (None, NOTHING),
        (True, NOTHING),
        ({}, NOTHING),
        ({"type": "string"}, NOTHING),
        ({"type": "object", "additionalProperties": {}}, NOTHING),
        ({"$schema": "http://json-schema.org/draft-07/schema#", "$id": "x", "title": "X", "enum": [{}]}, NOTHING),
        (
            {"properties": {"title": TEXT | {"title": "Title"}}, "required": ["title", "nope", 1]},
            {"type": "object", "properties": {"title": TEXT}, "required": ["title"]},
        ),
        # Alternatives at the top.
        (
            {"anyOf": [{"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": TEXT}}]},
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}},
        ),
        (
            {
                "oneOf": [
                    {"properties": {"a": TEXT, "c": TEXT}, "required": ["a", "c"]},
                    {"properties": {"c": TEXT}, "required": ["c"]},
                ]
            },
            {"type": "object", "properties": {"a": TEXT, "c": TEXT}, "required": ["c"]},
        ),
        (
            {"allOf": [{"properties": {"a": TEXT}, "required": ["a"]}, {"properties": {"b": TEXT}, "required": ["b"]}]},
            {"type": "object", "properties": {"a": TEXT, "b": TEXT}, "required": ["a", "b"]},
        ),
        (
            {"$ref": "#/$defs/P", "$defs": {"P": {"properties": {"a": TEXT}}}},
            {"type": "object", "properties": {"a": TEXT}},
        ),
    ],
)
def test_a_schema_is_always_an_object_with_properties(schema: Any, cleaned: dict[str, Any]) -> None:
    assert clean_schema(schema) == cleaned


@pytest.mark.parametrize(
    ("prop", "cleaned"),
    [
        (True, {}),
        ({"$ref": "#/$defs/Unit"}, {"enum": ["c", "f"]}),
        ({"$ref": "#/$defs/Unit", "description": "It."}, {"enum": ["c", "f"], "description": "It."}),
        ({"$ref": "#/properties/x/not%20there"}, ToolError),
        ({"$ref": "https://x.example/schema"}, ToolError),
        ({"$ref": "#/$defs/Tree"}, ToolError),
        ({"const": 3}, {"enum": [3]}),
        ({"type": ["string", "null"]}, {"type": ["string", "null"]}),
        ({"type": ["string"]}, TEXT),
        ({"type": "date"}, {}),
        ({"type": "array"}, {"type": "array", "items": {}}),
        ({"type": "array", "items": [TEXT]}, {"type": "array", "items": TEXT}),
        (
            {"type": "array", "prefixItems": [TEXT, {}], "items": False},
            {"type": "array", "items": {"anyOf": [TEXT, {}]}},
        ),
        ({"type": "integer", "minimum": 1, "maximum": "9", "default": [1]}, {"type": "integer", "minimum": 1}),
        ({"oneOf": [TEXT, {"type": "null"}]}, {"anyOf": [TEXT, {"type": "null"}]}),
        (
            TEXT | {"description": "a\x1b[31m\x00b\nc", "pattern": "^a$", "minLength": 1, "maxLength": -1},
            TEXT | {"description": "a[31mb\nc", "pattern": "^a$", "minLength": 1},
        ),
        ({"type": "object", "properties": "nonsense", "required": "x"}, {"type": "object"}),
    ],
)
def test_what_a_property_may_say(prop: Any, cleaned: Any) -> None:
    tree = {"properties": {"left": {"$ref": "#/$defs/Tree"}}}
    schema = of(prop, Unit={"enum": ["c", "f"]}, Tree=tree)
    if cleaned is ToolError:
        with pytest.raises(ToolError, match="its schema refers to"):
            clean_schema(schema)
    else:
        assert clean_schema(schema)["properties"]["x"] == cleaned


def test_a_schema_that_grows_without_end_is_refused() -> None:
    doubled = {f"D{n}": {"properties": {side: {"$ref": f"#/$defs/D{n + 1}"} for side in "ab"}} for n in range(20)}
    with pytest.raises(ToolError, match="too large"):
        clean_schema(of({"$ref": "#/$defs/D0"}, **doubled, D20={}))


def test_a_description_is_cut() -> None:
    assert clean_description("  Tell.\x07\n") == "Tell."
    assert clean_description("\ud800") == "\ufffd"
    assert len(clean_description("x" * 5_000)) == MAX_DESCRIPTION


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 99) | st.text(max_size=4) | st.sampled_from(["object", "array", "#"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [*("type", "properties", "items", "anyOf", "allOf", "required", "enum", "const", "$ref", "description")]
            )
            | st.text(max_size=3),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JSON)
def test_whatever_a_server_says_gemini_and_json_can_hold_it(schema: Any) -> None:
    try:
        cleaned = clean_schema({"properties": {"x": schema}})
    except ToolError:
        return
    assert set(cleaned) <= {"type", "properties", "required", "description"}
    json.dumps(cleaned, allow_nan=False)
    assert gemini_schema(cleaned)["type"] == "OBJECT"
    assert clean_schema(cleaned) == cleaned
