"""Calls of tools, in pieces and as text, as servers and models send them."""

import itertools
import json
from typing import Any

import pytest

from voicecli.errors import ProtocolError
from voicecli.providers.local.chat_model import ToolCall
from voicecli.providers.local.tool_call_parts import ToolCallParts
from voicecli.providers.local.tool_text import ToolTextFilter

NAMES = ["weather", "clock"]
PARIS, ROME = '{"city": "Paris"}', '{"city": "Rome"}'


def piece(**fields: Any) -> dict[str, Any]:
    function = {key: fields.pop(key) for key in ("name", "arguments") if key in fields}
    return {**fields, "function": function}


def collected(*deltas: dict[str, Any]) -> list[tuple[str, str, Any]]:
    parts = ToolCallParts(NAMES)
    for delta in deltas:
        parts.add([delta])
    return [(call.call_id, call.name, json.loads(call.arguments)) for call in parts.calls()]


def in_pieces(**head: Any) -> list[dict[str, Any]]:
    """One call as most servers send it; `head` is in each piece."""
    return [
        piece(**head, name="weather", arguments=""),
        piece(**head, arguments='{"city": '),
        piece(**head, arguments='"Paris"}'),
    ]


@pytest.mark.parametrize(
    "pieces",
    [
        in_pieces(index=0),
        in_pieces(index=0, id=None),
        in_pieces(index=0, id=""),
        in_pieces(index="0"),
        in_pieces(index=None),
        in_pieces(),
        in_pieces(index=1),
        in_pieces(index=[]),
        [piece(index=0, name="weather", arguments=None), piece(index=0, name=None, arguments=PARIS)],
        [piece(index=0, name="weather", arguments={}), piece(index=0, arguments=PARIS)],
        [piece(index=0, name="weather", arguments={"city": "Paris"})],
        [piece(index=0, name="weather", arguments="{}"), piece(index=0, name="weather", arguments=PARIS)],
        [piece(index=0, name="weather", arguments='{"city"'), piece(index=0, name="weather", arguments=': "Paris"}')],
        [piece(index=0, name="wea", arguments=""), piece(index=0, name="ther", arguments=PARIS)],
        [piece(index=0, arguments='{"city": "Pa'), piece(index=0, name="weather", arguments='ris"}')],
        [piece(index=0, name="weather", arguments=PARIS), piece(index=0, name="weather", arguments=PARIS)],
        [piece(index=0, name="weather", arguments=PARIS), piece(index=0, name="", arguments="")],
        [piece(name="weather", arguments='{"city": "P'), piece(name="weather", arguments=PARIS)],
        [{"name": "weather", "arguments": {"city": "Paris"}}],
    ],
)
def test_one_call(pieces: list[dict[str, Any]]) -> None:
    assert collected(*pieces) == [("", "weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    ("pieces", "ids"),
    [
        ([*in_pieces(index=0, id="a"), piece(index=1, id="b", name="weather", arguments=ROME)], ["a", "b"]),
        ([*in_pieces(index=0, id="a"), piece(index=0, id="b", name="weather", arguments=ROME)], ["a", "b"]),
        ([*in_pieces(index=0, id=None), piece(index=0, id=None, name="weather", arguments=ROME)], ["", ""]),
        ([*in_pieces(index=0, id=""), piece(index=0, id="", name="weather", arguments=ROME)], ["", ""]),
        ([*in_pieces(), piece(name="weather", arguments=ROME)], ["", ""]),
        ([*in_pieces(), piece(name="weather", arguments=""), piece(arguments=ROME)], ["", ""]),
        ([*in_pieces(id="a"), piece(id="b", name="weather", arguments=ROME)], ["a", "b"]),
        ([piece(id=1, name="weather", arguments=PARIS), piece(id=2, name="weather", arguments=ROME)], ["1", "2"]),
    ],
)
def test_two_calls_of_one_tool(pieces: list[dict[str, Any]], ids: list[str]) -> None:
    assert collected(*pieces) == [(ids[0], "weather", {"city": "Paris"}), (ids[1], "weather", {"city": "Rome"})]


@pytest.mark.parametrize("index", [{"index": 0}, {"index": None}, {}])
@pytest.mark.parametrize("call_id", [{"id": None}, {"id": ""}, {}])
def test_two_calls_of_two_tools(index: dict[str, Any], call_id: dict[str, Any]) -> None:
    head = index | call_id
    assert collected(piece(**head, name="clock", arguments="{}"), *in_pieces(**head)) == [
        ("", "clock", {}),
        ("", "weather", {"city": "Paris"}),
    ]


def test_calls_whose_pieces_come_in_turns() -> None:
    assert collected(
        piece(index=0, id="a", name="weather"),
        piece(index=1, id="b", name="weather"),
        piece(index=0, arguments=PARIS),
        piece(index=1, arguments=ROME),
    ) == [("a", "weather", {"city": "Paris"}), ("b", "weather", {"city": "Rome"})]


def test_arguments_that_are_no_json_are_left_to_whoever_calls() -> None:
    parts = ToolCallParts(NAMES)
    parts.add([piece(index=0, id="a", name="weather", arguments='{"city": ')])
    assert parts.calls() == [ToolCall("a", "weather", '{"city": ')]


def test_a_call_without_a_name_is_none() -> None:
    parts = ToolCallParts(NAMES)
    parts.add([piece(index=0, id="a", arguments=PARIS)])
    assert parts.calls() == []
    assert parts.nameless


def filtered(text: str, size: int) -> tuple[str, list[tuple[str, Any]]]:
    """The text and the calls in `text`."""
    tools = ToolTextFilter(NAMES)
    parts = [tools.push(text[at : at + size]) for at in range(0, len(text), size)]
    parts.append(tools.flush())
    every = list(itertools.chain(*parts))
    calls = [(part.name, json.loads(part.arguments)) for part in every if isinstance(part, ToolCall)]
    return "".join(part for part in every if isinstance(part, str)), calls


CALL = f'{{"name": "weather", "arguments": {PARIS}}}'
ONE = [("weather", {"city": "Paris"})]


@pytest.mark.parametrize(
    ("text", "shown", "calls"),
    [
        (f"<tool_call>{CALL}</tool_call>", "", ONE),
        (f"<tool_call>\n{CALL}\n</tool_call>", "", ONE),
        (f"I look.\n<tool_call>{CALL}</tool_call>", "I look.\n", ONE),
        (f"<tool_call>{CALL}", "", ONE),
        (f"<tool_call>[{CALL}, {CALL}]</tool_call>", "", ONE * 2),
        (f"<tool_call>{CALL}\n{CALL}</tool_call>", "", ONE * 2),
        (f"<tool_call>{CALL}</tool_call><tool_call>{CALL}</tool_call>", "", ONE * 2),
        (f"<function_call>{CALL}</function_call>", "", ONE),
        ("<tool_call>{'name': 'weather', 'arguments': {'city': 'Paris'}}</tool_call>", "", ONE),
        (f"<function=weather>{PARIS}</function>", "", ONE),
        (
            "<tool_call>\n<function=weather>\n<parameter=city>\nParis\n</parameter>\n</function>\n</tool_call>",
            "",
            ONE,
        ),
        (f"[TOOL_CALLS][{CALL}]", "", ONE),
        (f"<|python_tag|>{CALL}", "", ONE),
        (CALL, "", ONE),
        (f"\n{CALL}\n", "", ONE),
        (f"I look.\n{CALL}", "I look.\n", ONE),
        (f"```json\n{CALL}\n```", "", ONE),
        (f"[{CALL}]", "", ONE),
        (f'{{"type": "function", "function": {CALL}}}', "", ONE),
        ('{"name": "weather", "parameters": {"city": "Paris"}}', "", ONE),
        ('{"name": "clock"}', "", [("clock", {})]),
        (json.dumps({"name": "weather", "arguments": PARIS}), "", ONE),
        # what only looks like it
        ("Hello.", "Hello.", []),
        ('{"name": "Ann", "age": 5}', '{"name": "Ann", "age": 5}', []),
        ('{"a": 1} is JSON.', '{"a": 1} is JSON.', []),
        ("[1] and {x}", "[1] and {x}", []),
        ("```python\nx = {}\n```", "```python\nx = {}\n```", []),
        ("{ a very long text in braces that goes on and on, and has nothing to do with calls }", None, []),
        ('{"name": "weather", "arg', '{"name": "weather", "arg', []),
        ("a <tool of his", "a <tool of his", []),
        (f"The answer is {CALL}", f"The answer is {CALL}", []),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 10, 1000])
def test_calls_as_text(text: str, shown: str | None, calls: list[tuple[str, Any]], size: int) -> None:
    words, found = filtered(text, size)
    assert found == calls
    assert words.strip() == (text if shown is None else shown).strip()


@pytest.mark.parametrize("size", [1, 1000])
def test_a_call_that_cannot_be_read_is_an_error(size: int) -> None:
    with pytest.raises(ProtocolError, match="call of a tool that cannot be read: 'weather in Paris'"):
        filtered("<tool_call>weather in Paris</tool_call>", size)


def test_text_is_given_out_as_it_comes() -> None:
    tools = ToolTextFilter(NAMES)
    assert tools.push("Hel") == ["Hel"]
    assert tools.push("lo.\n") == ["lo.\n"]
    assert tools.push("I") == ["I"]
