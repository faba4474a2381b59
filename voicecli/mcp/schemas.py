"""JSON schemas of strangers' tools, as every provider takes them.

Kept is what is known and well-formed, without `$ref`; what is not is left out, as the server checks the arguments.
"""

from collections.abc import Callable, Mapping
from typing import Any

from voicecli.errors import ToolError
from voicecli.text import valid_text

__all__ = ["MAX_DESCRIPTION", "clean_description", "clean_schema"]

MAX_DESCRIPTION = 1_024
"""Characters of a description, each of which costs in every turn; OpenAI takes no more of a function."""

_TYPES = frozenset({"string", "number", "integer", "boolean", "array", "object", "null"})
_MAX_DEPTH = 24
_MAX_NODES = 2_000


def clean_description(text: str) -> str:
    """A description as it is told to the model: on few lines, without control characters, cut where it is too long."""
    text = "".join(char for char in valid_text(text) if char == "\n" or char.isprintable()).strip()
    return text if len(text) <= MAX_DESCRIPTION else f"{text[: MAX_DESCRIPTION - 4]} ..."


def clean_schema(schema: Any) -> dict[str, Any]:
    """The schema of a tool's arguments, always an object with properties.

    Raises:
        ToolError: it refers to itself, or is too large to be told.
    """
    if not isinstance(schema, Mapping):
        return {"type": "object", "properties": {}}
    try:
        cleaned = _Cleaner(schema).clean(schema, 0, ())
    except RecursionError:
        raise ToolError("its schema is nested too deeply") from None
    return _as_object(cleaned)


def _as_object(schema: dict[str, Any]) -> dict[str, Any]:
    """The schema without alternatives at its top, which OpenAI refuses: all their properties, required where all do."""
    properties = dict(schema.get("properties", {}))
    required = list(schema.get("required", ()))
    for key in ("allOf", "anyOf"):
        options = [option for option in schema.get(key, ()) if isinstance(option, dict)]
        for option in options:
            for name, value in option.get("properties", {}).items():
                properties.setdefault(name, value)
        wanted = [set(option.get("required", ())) for option in options]
        if wanted:
            shared = set.union(*wanted) if key == "allOf" else set.intersection(*wanted)
            required += [name for name in properties if name in shared and name not in required]
    result: dict[str, Any] = {"type": "object", "properties": properties}
    if required := [name for name in required if name in properties]:
        result["required"] = required
    if description := schema.get("description"):
        result["description"] = description
    return result


class _Cleaner:
    """Cleans a schema and what is in it.

    Args:
        root: what `$ref` points into.
    """

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._nodes = 0

    def clean(self, node: Any, depth: int, within: tuple[str, ...]) -> dict[str, Any]:
        """The node without what is not known; anything where it is none. Raises ToolError."""
        self._nodes += 1
        if self._nodes > _MAX_NODES or depth > _MAX_DEPTH:
            raise ToolError("its schema is too large")
        if not isinstance(node, Mapping):
            return {}  # `true`, or nonsense
        if isinstance(reference := node.get("$ref"), str):
            if reference in within:
                raise ToolError("its schema refers to itself")
            beside = {key: value for key, value in node.items() if key != "$ref"}
            return self.clean({**self._target(reference), **beside}, depth + 1, (*within, reference))
        result = {key: node[key] for key, fits in _PLAIN.items() if key in node and fits(node[key])}
        if isinstance(description := result.get("description"), str):
            result["description"] = clean_description(description)
        if kinds := _types(node.get("type")):
            result["type"] = kinds
        self._add_values(result, node)
        self._add_children(result, node, depth, within)
        return result

    def _add_values(self, result: dict[str, Any], node: Mapping[str, Any]) -> None:
        values = [node["const"]] if "const" in node else node.get("enum")
        if isinstance(values, list) and values and all(isinstance(value, _SCALARS) for value in values):
            result["enum"] = values

    def _add_children(
        self, result: dict[str, Any], node: Mapping[str, Any], depth: int, within: tuple[str, ...]
    ) -> None:
        if isinstance(properties := node.get("properties"), Mapping):
            result["properties"] = {
                str(name): self.clean(value, depth + 1, within) for name, value in properties.items()
            }
            required = node.get("required")
            if isinstance(required, list) and (named := [name for name in required if name in result["properties"]]):
                result["required"] = named
        items, places = node.get("items"), node.get("prefixItems")
        if isinstance(items, list):  # a tuple, as it was written before 2020
            items, places = None, items
        if isinstance(items, Mapping):
            result["items"] = self.clean(items, depth + 1, within)
        elif isinstance(places, list) and places:
            # No provider knows tuples: a list of what may be at some place.
            cleaned = [self.clean(place, depth + 1, within) for place in places]
            result["items"] = cleaned[0] if len(cleaned) == 1 else {"anyOf": cleaned}
        elif result.get("type") == "array":
            result["items"] = {}
        for key, kept in (("anyOf", "anyOf"), ("oneOf", "anyOf"), ("allOf", "allOf")):
            if isinstance(options := node.get(key), list) and options:
                cleaned = [self.clean(option, depth + 1, within) for option in options]
                result[kept] = [*result.get(kept, ()), *cleaned]

    def _target(self, reference: str) -> Mapping[str, Any]:
        """What a reference names, inside this schema: "#/$defs/Place". Raises ToolError."""
        node: Any = self._root
        head, _, path = reference.partition("#")
        for part in filter(None, path.split("/")):
            part = part.replace("~1", "/").replace("~0", "~")
            if isinstance(node, list) and part.isdecimal() and int(part) < len(node):
                node = node[int(part)]
            else:
                node = node.get(part) if isinstance(node, Mapping) else None
        if head or not isinstance(node, Mapping):
            raise ToolError("its schema refers to what is not in it")
        return node


_SCALARS = (str, int, float, bool, type(None))


def _types(value: Any) -> str | list[str] | None:
    if isinstance(value, str):
        return value if value in _TYPES else None
    if isinstance(value, list):
        known = [kind for kind in value if isinstance(kind, str) and kind in _TYPES]
        return known[0] if len(known) == 1 else known or None
    return None


def _is_text(value: Any) -> bool:
    return isinstance(value, str)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_count(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


_PLAIN: Mapping[str, Callable[[Any], bool]] = {
    "description": _is_text,
    "format": _is_text,
    "pattern": _is_text,
    "default": lambda value: isinstance(value, _SCALARS),
    **dict.fromkeys(("minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf"), _is_number),
    **dict.fromkeys(("minItems", "maxItems", "minLength", "maxLength"), _is_count),
}
"""Keywords whose values are taken as they are, and what those must be."""
