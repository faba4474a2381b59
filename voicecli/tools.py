"""Tools that the model may call, and those made of Python functions.

A function's name, type hints and docstring become the schema the model sees; the arguments it sends are checked
against the same hints before the function runs.
"""

import asyncio
import inspect
import re
import typing
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from voicecli.commands import SendImage, ToolSchema
from voicecli.errors import ToolError
from voicecli.text import valid_text
from voicecli.threads import run_in_thread

if TYPE_CHECKING:
    from pydantic import BaseModel

__all__ = ["Tool", "ToolOutput", "ToolSchema", "make_tools", "tool_output"]

# A function's name that every provider takes.
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@dataclass(frozen=True, slots=True)
class ToolOutput:
    """A tool's result: what the model gets.

    Attributes:
        pictures: shown to a model that takes pictures.
    """

    text: str
    pictures: tuple[SendImage, ...] = ()


@dataclass(frozen=True, slots=True)
class Tool:
    """Something that the model may call.

    Attributes:
        schema: what the model sees.
        call: runs it, with arguments and a limit in seconds; raises ToolError, whose message is meant for the model.
        read_only: whether it changes nothing, as whoever wrote it says.
        trusted: whether the user chose it knowing what it does, as with a function of their own.
        server: the MCP server that has it; "" for a function.
    """

    schema: ToolSchema
    call: Callable[[Mapping[str, Any], float], Awaitable[ToolOutput]] = field(repr=False)
    read_only: bool = False
    trusted: bool = False
    server: str = ""

    @classmethod
    def from_function(cls, function: Callable[..., Any]) -> "Tool":
        """The tool that calls `function`: a coroutine function on the event loop, any other in a thread.

        Raises:
            ToolError: the model could not call it: it has no usable name, takes `*args` or `**kwargs`, or has a
                parameter of a type that JSON cannot express.
        """
        from docstring_parser import parse

        name = getattr(function, "__name__", "")
        if not _NAME.fullmatch(name):
            raise ToolError(
                f"{function!r} cannot be a tool: {name!r} is no name a model can call.",
                advice="Pass a function made by `def`, named with letters, digits and underscores.",
            )
        doc = parse(inspect.getdoc(function) or "")
        described = {param.arg_name: param.description or "" for param in doc.params}
        arguments = _arguments_model(name, function, described)
        schema = ToolSchema(name, doc.description or "", _schema(name, arguments))
        return cls(schema, _Call(name, function, arguments), trusted=True)

    async def run(self, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutput:
        """Call it. A function's result becomes text, JSON unless it is a string already.

        Raises:
            ToolError: the arguments do not fit, it failed or took too long, or JSON cannot hold what it returned. The
                message is meant for the model too.
        """
        return await self.call(arguments, timeout_s)


@dataclass(frozen=True, slots=True)
class _Call:
    """Calls a function with arguments that fit its type hints."""

    name: str
    function: Callable[..., Any]
    arguments: "type[BaseModel]"

    async def __call__(self, arguments: Mapping[str, Any], timeout_s: float) -> ToolOutput:
        values = self._check(arguments)
        deadline = asyncio.timeout(timeout_s)
        try:
            async with deadline:
                if inspect.iscoroutinefunction(self.function):
                    result = await self.function(**values)
                else:
                    result = await run_in_thread(self.function, **values)
                    if inspect.isawaitable(result):
                        result = await result
        except (Exception, SystemExit) as error:
            if deadline.expired():
                raise ToolError(f"{self.name} did not answer within {timeout_s:g} s.") from error
            raise ToolError(f"{self.name} failed: {type(error).__name__}: {error}") from error
        return tool_output(self.name, result)

    def _check(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        from pydantic import ValidationError

        try:
            checked = self.arguments.model_validate(arguments)
        except ValidationError as error:
            wrong = "; ".join(f"{'.'.join(map(str, item['loc']))}: {item['msg']}" for item in error.errors())
            raise ToolError(f"{self.name} was called with unfit arguments: {wrong}.") from error
        # Only what the model sent: the function's own defaults serve for the rest.
        return {name: getattr(checked, _field_name(name)) for name in arguments}


def make_tools(functions: Iterable[Callable[..., Any]]) -> dict[str, Tool]:
    """The functions as tools by name. Raises ToolError when one is unfit or two share a name."""
    tools: dict[str, Tool] = {}
    for function in functions:
        tool = Tool.from_function(function)
        if tool.schema.name in tools:
            raise ToolError(f"Two tools are called {tool.schema.name!r}.", advice="Rename one of them.")
        tools[tool.schema.name] = tool
    return tools


def tool_output(name: str, result: object) -> ToolOutput:
    """A tool's result as the model gets it. Raises ToolError when JSON cannot hold it."""
    from pydantic_core import PydanticSerializationError, to_json

    if isinstance(result, ToolOutput):
        return result
    if isinstance(result, str):
        return ToolOutput(valid_text(result))  # the name of a file may hold a lone surrogate
    try:
        return ToolOutput(to_json(result).decode())
    except (PydanticSerializationError, ValueError, RecursionError) as error:
        raise ToolError(f"{name} returned a {type(result).__name__} that JSON cannot hold.") from error


def _field_name(parameter: str) -> str:
    # pydantic reserves leading underscores and `model_`; an alias keeps the name the model sees.
    return f"p_{parameter}"


def _arguments_model(name: str, function: Callable[..., Any], described: Mapping[str, str]) -> "type[BaseModel]":
    from pydantic import ConfigDict, Field, create_model
    from pydantic.errors import PydanticUserError

    try:
        signature = inspect.signature(function)
        hints = typing.get_type_hints(function, include_extras=True)
    except (NameError, TypeError, ValueError) as error:
        raise ToolError(
            f"{name} cannot be a tool: its type hints cannot be read ({error}).", advice="Import the types it names."
        ) from error
    fields: dict[str, Any] = {}
    for parameter in signature.parameters.values():
        if parameter.kind not in (parameter.POSITIONAL_OR_KEYWORD, parameter.KEYWORD_ONLY):
            raise ToolError(
                f"{name} cannot be a tool: a model cannot fill {parameter}.",
                advice="Give it named parameters only.",
            )
        default = ... if parameter.default is parameter.empty else parameter.default
        info = Field(default, alias=parameter.name, description=described.get(parameter.name))
        fields[_field_name(parameter.name)] = (hints.get(parameter.name, str), info)
    try:
        return create_model(name, __config__=ConfigDict(extra="forbid"), **fields)
    except (PydanticUserError, TypeError) as error:
        raise ToolError(f"{name} cannot be a tool: {error}".split("\n")[0]) from error


def _schema(name: str, model: "type[BaseModel]") -> dict[str, Any]:
    from pydantic.errors import PydanticInvalidForJsonSchema

    try:
        schema = model.model_json_schema(by_alias=True)
        inlined = _inline(schema, schema.pop("$defs", {}), ())
    except (PydanticInvalidForJsonSchema, RecursionError) as error:
        raise ToolError(f"{name} cannot be a tool: JSON cannot express its parameters.") from error
    inlined.pop("title", None)
    inlined.setdefault("properties", {})
    # Arguments are checked here anyhow, and not every provider takes the key.
    inlined.pop("additionalProperties", None)
    return typing.cast(dict[str, Any], inlined)


def _inline(node: Any, definitions: Mapping[str, Any], within: tuple[str, ...]) -> Any:
    """The schema with each `$ref` replaced by what it names, and without pydantic's generated titles."""
    if isinstance(node, list):
        return [_inline(item, definitions, within) for item in node]
    if not isinstance(node, dict):
        return node
    if "$ref" in node:
        target = node["$ref"].rpartition("/")[2]
        if target in within:
            raise RecursionError(target)
        beside = {key: value for key, value in node.items() if key != "$ref"}
        return _inline({**definitions[target], **beside}, definitions, (*within, target))
    result: dict[str, Any] = {}
    for key, value in node.items():
        if key == "properties":
            result[key] = {name: _untitled(_inline(prop, definitions, within)) for name, prop in value.items()}
        else:
            result[key] = _inline(value, definitions, within)
    return result


def _untitled(schema: Any) -> Any:
    return {key: value for key, value in schema.items() if key != "title"} if isinstance(schema, dict) else schema
