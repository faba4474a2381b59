"""Questions whether tools may run: what is shown, and which keys answer them."""

import json

import pytest

from tests.terminal.stage import Stage, user
from tests.terminal.test_key_bindings import Hands
from voicecli.events import ApprovalAnswered, ApprovalRequest, ToolCallCancelled, ToolCallFinished, ToolCallRequest
from voicecli.terminal.entries import ApprovalQuestion
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.render_footer import draw_footer

WRITE = ToolCallRequest("c1", "write", '{"path": "notes.txt"}')


def question(number: int = 1, arguments: str = "{}", *, tool_id: str = "t") -> ApprovalRequest:
    return ApprovalRequest(f"c{number}", "write", arguments, "files", f"c{number}", tool_id)


def asked(*requests: ApprovalRequest) -> Hands:
    """Hands before a screen on which these questions are."""
    hands = Hands()
    for request in requests:
        hands.view.apply(request)
    hands.view.take_entries()
    return hands


@pytest.mark.parametrize(
    ("key", "answer"), [("y", "approve c1 True"), ("n", "approve c1 False"), ("a", "approve c1 True always")]
)
def test_a_question_is_answered_by_a_key(key: str, answer: str) -> None:
    hands = asked(question())
    hands.now += 0.5
    assert hands.press(key) == [answer]
    assert hands.press("yna") == [], "nothing is asked any more"


def test_a_key_from_before_the_question_was_seen_does_not_count() -> None:
    hands = Hands()
    hands.view.apply(question())
    assert hands.press("y") == [], "it is not on the screen"
    hands.now += 5
    assert hands.press("y") == []
    hands.view.take_entries()
    hands.now += 0.39
    assert hands.press("y") == []
    hands.now += 0.5
    assert hands.view.editor is None
    assert hands.press("y") == ["approve c1 True"]


def test_a_key_that_is_held_answers_nothing() -> None:
    hands = asked(question())
    for _ in range(100):
        assert hands.press("y") == []
        hands.now += 0.03
    hands.now += 0.5
    assert hands.press("n") == ["approve c1 False"]


def test_questions_are_shown_and_answered_one_after_the_other() -> None:
    stage = Stage(question(1, '{"path": "a"}'), question(2, '{"path": "b"}'))
    assert stage.scrolled() == ["● Allow write on files?", "  path=a"]
    assert stage.said() == ["Allow write on files? (1 of 2)", "  path=a"]
    stage.now += 1
    assert stage.view.answer_question("once") == question(1, '{"path": "a"}')
    assert stage.view.answer_question("once") is None, "the second one is not shown yet"
    assert stage.scrolled() == ["Allowed: write on files", "● Allow write on files?", "  path=b"]
    assert stage.view.answer_question("once") is None, "nor has there been time to read it"
    stage.now += 1
    assert stage.view.answer_question("denied") == question(2, '{"path": "b"}')


@pytest.mark.parametrize(
    ("outcome", "note"),
    [
        ("withdrawn", "Asked no more: write on files"),
        ("expired", "Refused, as nobody answered: write on files"),
        ("once", "Allowed: write on files"),
    ],
)
def test_a_question_that_is_settled_elsewhere_disappears(outcome: str, note: str) -> None:
    stage = Stage(WRITE, question())
    stage.scrolled()
    assert stage.said() == ["Allow write on files?"]
    stage.happen(ApprovalAnswered("c1", outcome))  # type: ignore[arg-type]
    stage.now += 1
    assert stage.view.answer_question("once") is None
    assert stage.scrolled() == [note]
    assert not any("Allow" in line for line in stage.footer())


def test_what_cannot_be_allowed_for_good_offers_no_key_for_it() -> None:
    hands = asked(question(tool_id=""))
    hands.now += 1
    assert hands.press("a") == []
    assert hands.press("y") == ["approve c1 True"]
    stage = Stage(question(tool_id=""))
    assert "always" not in stage.hints()
    stage = Stage(question())
    assert stage.hints().startswith("y allow  n refuse  a always allow  ")


def test_letters_of_a_line_that_is_typed_answer_nothing() -> None:
    hands = asked(question())
    hands.now += 1
    assert hands.press("tany\r") == ["say any"]
    assert hands.press("y") == ["approve c1 True"]
    hands = asked(question())
    hands.now += 1
    hands.view.editor = LineEditor()
    assert hands.press("y") == []
    assert hands.view.editor.text == "y"


def test_a_call_runs_only_when_it_is_allowed() -> None:
    stage = Stage(WRITE, question())
    assert not stage.view.running_tools
    stage.scrolled()
    stage.now = 8.0
    stage.view.answer_question("once")
    stage.happen(ApprovalAnswered("c1", "once"))
    assert stage.said() == ["● write path=notes.txt 0 s"]
    stage.now = 9.0
    stage.happen(ToolCallFinished("c1", "write", "{}"))
    stage.now += 3
    assert stage.scrolled() == ["● write path=notes.txt ✓", "Allowed: write on files"]


def test_a_call_that_is_taken_back_while_it_is_asked_about() -> None:
    stage = Stage(WRITE, question())
    stage.scrolled()
    stage.happen(ApprovalAnswered("c1", "withdrawn"), ToolCallCancelled("c1"))
    stage.now += 3
    assert stage.scrolled() == ["● write path=notes.txt cancelled", "Asked no more: write on files"]


@pytest.mark.parametrize("width", [24, 60, 100, 200])
def test_the_end_of_long_arguments_is_seen(width: int) -> None:
    command = "echo " + "word " * 400 + "&& rm -rf /tmp/x"
    stage = Stage(ApprovalRequest("c1", "shell", json.dumps({"command": command}), "", "c1", "t"))
    printed = stage.scrolled(width)
    assert printed[0] == "● Allow shell?"
    assert "".join("".join(printed[1:]).split()) == "".join(f"command={command}".split()), (
        "all of it, in the scrollback"
    )
    shown = stage.said(width)
    assert shown[0] == "Allow shell?"
    assert shown[-1].endswith("/tmp/x"), "and the end of it as long as it is asked"
    assert any(line.startswith("  … ") for line in shown)
    assert all(len(line) <= width for line in shown)


def test_a_question_is_repeated_below_what_is_said_after_it() -> None:
    stage = Stage(question(1, '{"path": "a"}'), question(2))
    (printed,) = (entry for entry in stage.view.take_entries() if isinstance(entry, ApprovalQuestion))
    assert draw_footer(stage.view, 80, 24, after=printed)[0].plain == "(1 of 2)"
    stage.happen(user("Why?"))
    (said,) = stage.view.take_entries()
    below = [line.plain for line in draw_footer(stage.view, 80, 24, after=said)]
    assert below[:2] == ["Allow write on files? (1 of 2)", "  path=a"]


def test_a_question_that_fills_the_screen_is_named_below_it() -> None:
    """Its first line has left the screen, and what is left of it is the tool's to choose."""
    fake = {"path": "x " * 2_000, "Allow read on files?": "path=a"}
    stage = Stage(question(1, json.dumps(fake)))
    (printed,) = (entry for entry in stage.view.take_entries() if isinstance(entry, ApprovalQuestion))
    assert draw_footer(stage.view, 80, 24, after=printed)[0].plain == "Allow write on files?"


def test_what_cannot_be_seen_is_shown_by_its_code() -> None:
    hidden = {"path": "a\u202etxt.exe", "text": "one\ntwo\x1b[8m", "blank": " x ", "empty": ""}
    stage = Stage(question(1, json.dumps(hidden)))
    assert stage.scrolled()[1:] == [
        '  path="a\\u202etxt.exe"',
        '  text="one\\ntwo\\u001b[8m"',
        '  blank=" x "',
        '  empty=""',
    ]


def test_a_call_of_the_providers_shows_its_server_and_what_came_of_it() -> None:
    call = ToolCallRequest("m1", "search", '{"q": "dots"}', by_provider=True, server="docs")
    stage = Stage(call)
    assert stage.said() == ["● search on docs: q=dots 0 s"]
    stage.happen(ToolCallFinished("m1", "search", "3 dots\nand \x1b more"))
    stage.happen(ToolCallRequest("m2", "count", "{}", by_provider=True, server="docs"))
    stage.happen(ToolCallFinished("m2", "count", "http_error 503: Busy.", is_error=True))
    stage.now += 3
    assert stage.scrolled() == [
        "● search on docs: q=dots ✓",
        "  3 dots and \\x1b more",
        "● count on docs: ✗",
        "  http_error 503: Busy.",
    ]
