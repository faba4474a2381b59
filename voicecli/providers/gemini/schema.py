"""JSON schemas as Gemini takes them: a subset of OpenAPI's, with types in upper case.

What the subset lacks is left out, as the arguments are checked here anyhow, or put into the description.
"""

from collections.abc import Mapping
from typing import Any

__all__ = ["gemini_schema"]

_KEPT = ("description", "minimum", "maximum", "minItems", "maxItems", "minLength", "maxLength", "pattern")
# Others are refused.
_FORMATS = {
    "STRING": {"date-time", "enum"},
    "NUMBER": {"float", "double"},
    "INTEGER": {"int32", "int64"},
}


def gemini_schema(schema: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON schema without `$ref` as Gemini's Schema."""
    result = {key: schema[key] for key in _KEPT if key in schema}
    nullable, options, types = _alternatives(schema)
    if nullable:
        result["nullable"] = True
    if len(options) == 1:
        return {**gemini_schema(options[0]), **result}
    if options:
        return {**result, "anyOf": [gemini_schema(option) for option in options]}
    if len(types) > 1:
        return {**result, "anyOf": [gemini_schema({"type": kind}) for kind in types]}
    kind = types[0].upper() if types else _implied_type(schema)
    result["type"] = kind
    _add_enum(result, schema)
    if schema.get("format") in _FORMATS.get(result["type"], ()):
        result["format"] = schema["format"]
    if kind == "ARRAY":
        result["items"] = gemini_schema(_items(schema))
    properties = schema.get("properties")
    if kind == "OBJECT" and properties:
        result["properties"] = {name: gemini_schema(value) for name, value in properties.items()}
        if required := [name for name in schema.get("required", ()) if name in properties]:
            result["required"] = required
    return result


def _alternatives(schema: Mapping[str, Any]) -> tuple[bool, list[Mapping[str, Any]], list[str]]:
    """Three things: whether null is allowed, the schemas to choose from, and the types to choose from."""
    declared = schema.get("type", [])
    types = [declared] if isinstance(declared, str) else list(declared)
    options = [*schema.get("anyOf", ()), *schema.get("oneOf", ()), *schema.get("allOf", ())]
    nullable = "null" in types or any(option.get("type") == "null" for option in options)
    options = [option for option in options if option.get("type") != "null"]
    return nullable, options, [kind for kind in types if kind != "null"]


def _implied_type(schema: Mapping[str, Any]) -> str:
    if "properties" in schema:
        return "OBJECT"
    if "items" in schema or "prefixItems" in schema:
        return "ARRAY"
    return "STRING"  # Gemini insists on a type, and a string can say anything


def _items(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    items = schema.get("items")
    if isinstance(items, Mapping):
        return items
    # Gemini knows no tuples: a list of what may be at some place.
    places = schema.get("prefixItems") or []
    return {"anyOf": places} if len(places) > 1 else places[0] if places else {}


def _add_enum(result: dict[str, Any], schema: Mapping[str, Any]) -> None:
    values = [schema["const"]] if "const" in schema else list(schema.get("enum", ()))
    values = [value for value in values if value is not None]
    if not values:
        return
    if all(isinstance(value, str) for value in values):
        result["type"] = "STRING"
        result["enum"] = values
        return
    # Gemini's enum holds strings only.
    allowed = f"One of: {', '.join(map(repr, values))}."
    result["description"] = f"{result['description']} {allowed}" if result.get("description") else allowed
    if "type" not in schema:
        result["type"] = "INTEGER" if all(isinstance(value, int) for value in values) else "STRING"
