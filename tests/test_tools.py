import asyncio
import enum
import json
import threading
from dataclasses import dataclass
from typing import Any, Literal

import pytest
from pydantic import BaseModel

from voicecli.errors import ToolError
from voicecli.tools import Tool, make_tools


class Unit(enum.Enum):
    CELSIUS = "c"
    FAHRENHEIT = "f"


class Place(BaseModel):
    city: str
    unit: Unit = Unit.CELSIUS


class Node(BaseModel):
    children: "list[Node]" = []


def weather(place: Place, days: int = 3, mood: Literal["dry", "wet"] = "dry") -> dict[str, Any]:
    """Tell the weather.

    It looks out of the window.

    Args:
        place: Where to look.
        days: How far ahead.
    """
    return {"city": place.city, "unit": place.unit, "days": days, "mood": mood}


async def run(function: Any, timeout_s: float = 5.0, /, **arguments: Any) -> str:
    return (await Tool.from_function(function).run(arguments, timeout_s)).text


def test_schema_comes_from_hints_and_docstring_without_references() -> None:
    schema = Tool.from_function(weather).schema
    assert schema.name == "weather"
    assert schema.description == "Tell the weather.\n\nIt looks out of the window."
    assert schema.parameters["required"] == ["place"]
    properties = schema.parameters["properties"]
    assert properties["place"]["description"] == "Where to look."
    assert properties["place"]["properties"]["unit"]["enum"] == ["c", "f"]
    assert properties["days"] == {"type": "integer", "default": 3, "description": "How far ahead."}
    assert properties["mood"]["enum"] == ["dry", "wet"]
    assert "$" not in json.dumps(schema.parameters)


async def test_arguments_are_converted_and_defaults_kept() -> None:
    result = await run(weather, place={"city": "Rome", "unit": "f"}, days="5")
    assert json.loads(result) == {"city": "Rome", "unit": "f", "days": 5, "mood": "dry"}


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({}, "place"),
        ({"place": {"city": "Rome"}, "days": "many"}, "days"),
        ({"place": {"city": "Rome"}, "mood": "odd"}, "mood"),
        ({"place": {"city": "Rome"}, "planet": "Mars"}, "planet"),
        ({"place": {}}, "place.city"),
    ],
)
async def test_unfit_arguments_are_named(arguments: dict[str, Any], named: str) -> None:
    with pytest.raises(ToolError, match=rf"weather was called with unfit arguments: {named}"):
        await run(weather, **arguments)


async def test_sync_tools_run_in_a_thread_and_async_ones_on_the_loop() -> None:
    def here() -> str:
        return threading.current_thread().name

    async def there() -> str:
        return threading.current_thread().name

    assert "here" in await run(here)
    assert await run(there) == threading.current_thread().name


@pytest.mark.parametrize(
    ("value", "text"),
    [("plain", "plain"), (None, "null"), (3, "3"), ([1, "ü"], '[1,"ü"]'), (Place(city="x"), '{"city":"x","unit":"c"}')],
)
async def test_results_become_text(value: Any, text: str) -> None:
    def give() -> Any:
        return value

    assert await run(give) == text


async def test_dataclasses_and_cycles() -> None:
    @dataclass
    class Point:
        x: int

    def point() -> Point:
        return Point(1)

    def loop() -> list[Any]:
        endless: list[Any] = []
        endless.append(endless)
        return endless

    def thing() -> object:
        return object()

    assert await run(point) == '{"x":1}'
    with pytest.raises(ToolError, match="loop returned a list that JSON cannot hold"):
        await run(loop)
    with pytest.raises(ToolError, match="thing returned a object that JSON cannot hold"):
        await run(thing)


async def test_a_tool_that_hangs_is_left() -> None:
    release = threading.Event()

    def hang() -> None:
        release.wait(30)

    async def hang_too() -> None:
        await asyncio.Event().wait()

    try:
        for tool in (hang, hang_too):
            with pytest.raises(ToolError, match=r"did not answer within 0\.05 s"):
                await run(tool, 0.05)
    finally:
        release.set()


async def test_a_timeout_of_the_tool_itself_is_its_failure() -> None:
    def slow() -> None:
        raise TimeoutError("the printer sleeps")

    with pytest.raises(ToolError, match="slow failed: TimeoutError: the printer sleeps"):
        await run(slow)


@pytest.mark.parametrize(
    "error", [ValueError("bad"), SystemExit("bad"), StopIteration("bad"), KeyboardInterrupt("bad")]
)
async def test_what_a_tool_raises_is_its_failure(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(ToolError, match=r"fail failed: .*bad"):
        await run(fail)


async def test_a_name_that_is_no_unicode_can_be_sent_all_the_same() -> None:
    def name() -> str:
        return "caf\udce9"  # as os.listdir() gives it

    assert await run(name) == "caf\ufffd"


def _takes_anything(*args: int) -> None: ...
def _takes_keywords(**kwargs: int) -> None: ...
def _takes_a_socket(connection: threading.Lock) -> None: ...
def _takes_a_tree(tree: Node) -> None: ...
def _unknown(thing: "Missing") -> None: ...  # type: ignore[name-defined]  # noqa: F821


@pytest.mark.parametrize(
    ("function", "reason"),
    [
        (lambda: None, "no name a model can call"),
        (_takes_anything, "cannot fill"),
        (_takes_keywords, "cannot fill"),
        (_takes_a_socket, "cannot be a tool"),
        (_takes_a_tree, "JSON cannot express"),
        (_unknown, "type hints cannot be read"),
    ],
)
def test_unfit_functions_are_refused(function: Any, reason: str) -> None:
    with pytest.raises(ToolError, match=reason):
        Tool.from_function(function)


def test_two_tools_of_one_name_are_refused() -> None:
    with pytest.raises(ToolError, match="Two tools are called 'weather'"):
        make_tools([weather, weather])
