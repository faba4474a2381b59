"""Names that every provider takes."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from voicecli.tool_names import callable_name, callable_names, free_name

FITS = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}")


@pytest.mark.parametrize(
    ("name", "callable_"),
    [
        ("get_time", "get_time"),
        ("get-time", "get-time"),
        ("a.b/c d", "a_b_c_d"),
        ("7up", "_7up"),
        ("-x", "_-x"),
        ("", "_"),
        ("für", "f_r"),
        ("x" * 64, "x" * 64),
        ("x" * 65, "x" * 59 + "_9537"),
    ],
)
def test_a_name_becomes_one_that_can_be_called(name: str, callable_: str) -> None:
    assert callable_name(name) == callable_


@pytest.mark.parametrize(
    ("taken", "name"),
    [
        (set(), "search"),
        ({"find"}, "search"),
        ({"search"}, "docs_search"),
        ({"search", "docs_search"}, "docs_search_"),
    ],
)
def test_a_name_that_is_taken_gets_the_server_s_in_front_or_a_hash(taken: set[str], name: str) -> None:
    found = free_name("docs", "search", taken)
    assert found.startswith(name)
    assert found not in taken


@given(st.lists(st.tuples(st.text(max_size=70), st.sampled_from(["a", "a.", "a" * 70]) | st.text()), max_size=12))
def test_all_names_can_be_called_and_are_different(tools: list[tuple[str, str]]) -> None:
    taken: list[str] = []
    for server, name in tools:
        taken.append(free_name(server, name, taken))
    assert len(set(taken)) == len(tools)
    assert all(map(FITS.fullmatch, taken))


def test_names_that_would_be_alike_stay_apart() -> None:
    names = callable_names(["a b", "a.b", "a_b", "tool", "\N{GRINNING FACE}", ""])
    assert names["a_b"] == "a_b", "its own"
    assert names["tool"] == "tool"
    assert len(set(names.values())) == 6
    assert callable_names(["a.b", "x", "a b"]) == {name: names.get(name, name) for name in ("a.b", "x", "a b")}
