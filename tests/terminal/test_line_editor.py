"""A line of text being typed."""

import pytest

from voicecli.terminal.key_decoder import Key
from voicecli.terminal.line_editor import LineEditor


def typed(*names: str) -> LineEditor:
    editor = LineEditor()
    for name in names:
        editor.press(Key(name, name if len(name) == 1 else ""))
    return editor


@pytest.mark.parametrize(
    ("names", "text", "cursor"),
    [
        ([*"one two"], "one two", 7),
        ([*"abc", "left", "left", "X"], "aXbc", 2),
        ([*"abc", "home", "delete", "end", "backspace"], "b", 1),
        ([*"one two  ", "ctrl+w", "x"], "one x", 5),
        ([*"one two", "alt+b", "ctrl+k"], "one ", 4),
        ([*"one two", "ctrl+left", "ctrl+u"], "two", 0),
        ([*"one two", "home", "ctrl+right", "!"], "one! two", 4),
        (["left", "backspace", "delete", "right"], "", 0),
        ([*"e\u0301x", "left", "backspace"], "x", 0),
        ([*"👩\u200d👧", "backspace"], "", 0),
        ([*"👩\u200d👧", "home", "right", "z"], "👩\u200d👧z", 4),
    ],
)
def test_a_line_is_edited(names: list[str], text: str, cursor: int) -> None:
    editor = typed(*names)
    assert (editor.text, editor.cursor) == (text, cursor)


def test_a_line_stays_one_line() -> None:
    editor = LineEditor()
    editor.press(Key("paste", "one\r\ntwo\nthree"))
    assert editor.text == "one two three"
    assert not editor.press(Key("up"))
