"""`voice logs`: what was said is listed, shown, found and deleted."""

import io
import json
import os
import re
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from tests.cli.conftest import ROOT
from tests.cli.screen import screen_of
from tests.history.conftest import ANSWER, NOON, QUESTION, RESPONSE, ROWS, conversation, days, keep, said
from voicecli.cli import ExitStatus, execute
from voicecli.cli.completion import candidates
from voicecli.cli.log_view import draw_conversation, draw_found
from voicecli.history.store import Store, history_path
from voicecli.settings.file import SettingsFile, settings_path

Output = pytest.CaptureFixture[str]


@pytest.fixture
def ids() -> list[str]:
    """Ids of three conversations, the last one first."""
    with Store(create=True) as store:
        first = store.begin(conversation(NOON))
        store.save(first, ROWS, ended_at=NOON + timedelta(seconds=75), end="closed")
        second = keep(store, "Guten Tag,\nFrau Müller.", began=NOON + days(1), continues=first)
        third = keep(store, "x" * 200 + "\x1b[2J", began=NOON + days(2))
    return [third, second, first]


def run(capsys: Output, *arguments: str, status: int = 0) -> str:
    assert execute(["logs", *arguments]) == status
    return capsys.readouterr().out


def told(capsys: Output, *arguments: str, status: int = 0) -> str:
    """What goes to standard error."""
    assert execute(["logs", *arguments]) == status
    return " ".join(capsys.readouterr().err.split())


@pytest.mark.parametrize("command", [["list"], ["search", "x"]])
def test_no_number_is_a_defect(ids: list[str], capsys: Output, command: list[str]) -> None:
    assert "--count" in told(capsys, *command, "-n", str(2**70), status=ExitStatus.USAGE)


def test_an_id_that_is_no_text_is_named_as_the_help_names_it(ids: list[str], capsys: Output) -> None:
    assert "Invalid value for ID: this is not UTF-8 text" in told(capsys, "show", "\udcff", status=ExitStatus.USAGE)


@pytest.mark.parametrize("command", [[], ["list"]])
def test_the_list_in_a_pipe(ids: list[str], capsys: Output, command: list[str]) -> None:
    rows = [line.split("\t") for line in run(capsys, *command).splitlines()]
    assert [row[0] for row in rows] == ids
    assert rows[2] == [
        *(ids[2], "2026-05-04 12:00", "1:15", "2", "openai", "gpt-realtime", "$0.2500"),
        "What is the capital of France?",
    ]
    assert rows[1][3:] == ["1", "openai", "gpt-realtime", "-", "Guten Tag, Frau Müller."]
    assert rows[0][-1] == "x" * 23 + "…"
    assert [line.split("\t")[0] for line in run(capsys, *command, "-n", "1").splitlines()] == ids[:1]
    assert len(run(capsys, *command, "--count", "0").splitlines()) == 3


def test_the_list_for_programs(ids: list[str], capsys: Output) -> None:
    rows = json.loads(run(capsys, "--json"))
    assert [row["id"] for row in rows] == ids
    first = rows[2]
    assert (first["turns"], first["first_words"], first["end"]) == (2, "What is the capital of France?", "closed")
    assert (first["started_at"], first["ended_at"]) == ("2026-05-04T12:00:00+00:00", "2026-05-04T12:01:15+00:00")
    assert first["usage"]["cost_usd"] == 0.25
    assert rows[1]["continues"] == ids[2]
    assert "responses" not in first


def test_the_list_on_a_terminal(ids: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    screen = screen_of(monkeypatch, "stdout", 80)
    assert execute(["logs"]) == 0
    (line,) = (line for line in screen.lines if line.lstrip().startswith(ids[2]))
    assert re.split(r"  +", line.strip()) == [
        *(ids[2], "04 May 12:00" if NOON.year == datetime.now().year else "04 May 2026", "1:15", "openai", "$0.2500"),
        "What is the capital of",
    ]


def test_nothing_is_kept_yet(capsys: Output) -> None:
    assert told(capsys) == "No conversation is kept yet."
    assert run(capsys, "--json") == "[]\n"
    assert "No conversation is kept yet" in told(capsys, "show", status=ExitStatus.USAGE)
    assert told(capsys, "search", "x") == "Nobody said that."
    assert told(capsys, "delete", "--all") == "0 conversations deleted."
    assert not history_path().exists()


def test_a_conversation_in_a_pipe_is_its_words(ids: list[str], capsys: Output) -> None:
    assert run(capsys, "show", ids[2][:5].upper()).splitlines() == [
        "You: What is the capital of France?",
        'Tool: look_up {"of": "France"}',
        "Tool: look_up answered: Paris",
        "Assistant: It is Paris.",
    ]
    assert run(capsys, "show") == f"You: {'x' * 200}\\x1b[2J\n"  # which does nothing to a terminal any more
    assert run(capsys, "show", ids[1]).splitlines() == ["You: Guten Tag,", "Frau Müller."]


def test_a_conversation_for_programs(ids: list[str], capsys: Output) -> None:
    shown = json.loads(run(capsys, "show", ids[2], "--json"))
    assert [turn["text"] for turn in shown["turns"]] == [QUESTION.text, ANSWER.text]
    assert shown["tool_calls"][0]["output"] == "Paris"
    assert shown["responses"][0]["metrics"]["first_audio_ms"] == 500
    assert shown["usage"]["output_audio_tokens"] == 30


def test_an_id_that_is_none_is_told(ids: list[str], capsys: Output) -> None:
    for command in ("show", "delete"):
        complaint = told(capsys, command, "nothing", status=ExitStatus.USAGE)
        assert "There is no conversation 'nothing'. `voice logs` lists them." in complaint
    assert len(run(capsys).splitlines()) == 3


def drawn(width: int = 80) -> list[str]:
    """A conversation, and what was found in it, as a terminal shows them."""
    with Store(create=True) as store:
        id_ = store.begin(conversation(continues="b2c3d4"))
        cut = replace(ANSWER, item_id="b", text="Of Italy it", started_ms=8_000, interrupted=True)
        failed = replace(RESPONSE, response_id="s", started_ms=7_500, done_ms=9_000, status="incomplete", reason="x_y")
        store.save(id_, [*ROWS, (3, said("And of Italy?", "p", at_ms=65_000)), (4, cut), (1, failed)])
        console = Console(file=io.StringIO(), width=width, force_terminal=True, highlight=False, color_system=None)
        draw_conversation(store.conversation(id_), console)
        draw_found(store.search(["italy"]), console)
    assert isinstance(console.file, io.StringIO)
    return [line.replace(id_, "ID").rstrip() for line in console.file.getvalue().splitlines()]


def test_a_conversation_on_a_terminal() -> None:
    assert drawn() == [
        "ID  2026-05-04 12:00  openai  gpt-realtime  voice cedar  continues b2c3d4",
        "",
        "0:00  ● You",
        "        What is the capital of France?",
        "0:02  ● look_up of=France ✓",
        "        Paris",
        "0:02  ● Assistant  500 ms",
        "        It is Paris.",
        "",
        "1:05  ● You",
        "        And of Italy?",
        "0:08  ● Assistant  500 ms",
        "        Of Italy it …",
        "        The answer is not complete: x y",
        "",
        "2 turns in 1:05, latency median 500 ms, cost $0.5000, not ended",
        "ID  2026-05-04 12:00  openai  gpt-realtime  voice cedar  continues b2c3d4",
        "1:05  You: And of Italy?",
        "0:08  Assistant: Of Italy it",
    ]
    assert max(map(len, drawn(40))) <= 40


def test_search(ids: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    (line,) = run(capsys, "search", "CAPITAL", "fran").splitlines()
    assert line.split("\t") == [ids[2], "2026-05-04 12:00", "user", "What is the capital of France?"]
    (found,) = json.loads(run(capsys, "search", "muller", "--json"))
    assert (found["id"], found["role"], found["excerpt"]) == (ids[1], "user", "Guten Tag, Frau Müller.")
    assert json.loads(run(capsys, "search", "nowhere", "--json")) == []
    assert len(run(capsys, "search", "is", "-n", "1").splitlines()) == 1
    screen = screen_of(monkeypatch, "stdout", 80)
    assert execute(["logs", "search", "capital"]) == 0
    assert screen.lines[0].startswith(f"{ids[2]}  2026-05-04 12:00")
    assert screen.lines[1] == "0:00  You: What is the capital of France?"


def test_some_are_deleted(ids: list[str], capsys: Output) -> None:
    assert told(capsys, "delete", ids[0], ids[2][:5], ids[0]) == "2 conversations deleted."
    assert [row["id"] for row in json.loads(run(capsys, "--json"))] == [ids[1]]
    complaint = told(capsys, "delete", status=ExitStatus.USAGE)
    assert "give ids, or --all for every conversation" in complaint
    assert "--all" in told(capsys, "delete", ids[1], "--all", status=ExitStatus.USAGE)
    assert told(capsys, "delete", "latest") == "1 conversation deleted."
    assert run(capsys) == ""


@pytest.mark.parametrize(("answer", "status", "left"), [("n", ExitStatus.INTERRUPTED, 3), ("y", ExitStatus.OK, 0)])
def test_before_all_are_deleted_it_asks(
    ids: list[str], capsys: Output, monkeypatch: pytest.MonkeyPatch, answer: str, status: int, left: int
) -> None:
    typed = io.StringIO(f"{answer}\n")
    typed.isatty = lambda: True  # type: ignore[method-assign]
    monkeypatch.setattr("sys.stdin", typed)
    assert "Delete all 3 conversations for good?" in told(capsys, "delete", "--all", status=status)
    assert len(json.loads(run(capsys, "--json"))) == left


def test_where_nobody_can_be_asked_all_are_deleted_only_when_it_is_sure(ids: list[str], capsys: Output) -> None:
    assert "add --yes" in told(capsys, "delete", "--all", status=ExitStatus.USAGE)
    assert len(run(capsys).splitlines()) == 3
    assert told(capsys, "delete", "--all", "--yes") == "3 conversations deleted."
    assert run(capsys) == ""


def test_path(ids: list[str], capsys: Output) -> None:
    assert execute(["logs", "path"]) == 0
    shown = capsys.readouterr()
    assert shown.out == f"{history_path()}\n"
    assert re.fullmatch(r"\d+ kB in 3 conversations\.\n", shown.err)


def test_on_and_off(capsys: Output, monkeypatch: pytest.MonkeyPatch) -> None:
    assert "not kept from now on" in told(capsys, "off")
    assert SettingsFile.read().tables[""] == {"log": False}
    monkeypatch.setenv("VOICE_LOG", "no")
    assert "Conversations are kept from now on" in (on := told(capsys, "on"))
    assert "VOICE_LOG is set, too" in on
    assert SettingsFile.read().tables[""] == {"log": True}


def test_a_history_that_cannot_be_read_is_told(capsys: Output) -> None:
    history_path().write_bytes(b"no database " * 1_000)
    assert "is damaged" in told(capsys, status=ExitStatus.CONFIGURATION)
    assert "Move it away" in told(capsys, "search", "x", status=ExitStatus.CONFIGURATION)


@pytest.mark.parametrize(
    "words", [["logs", "show", ""], ["logs", "delete", "b2", ""], ["chat", "--continue", ""], ["chat", "--continue="]]
)
def test_ids_are_completed_with_what_was_said(ids: list[str], words: list[str]) -> None:
    found = candidates(words)
    assert found is not None
    prefix = "--continue=" if words[-1] else ""
    assert [candidate.word for candidate in found] == [prefix + id_ for id_ in ids]
    assert found[1].help == "05 May 12:00 Guten Tag, Frau Müller"


def test_after_continue_options_are_completed_too(ids: list[str]) -> None:
    found = candidates(["chat", "--continue", "--no-lo"])
    assert found is not None
    assert [candidate.word for candidate in found] == ["--no-log"]
    assert os.listdir(history_path().parent).count("history.db") == 1


def test_completion_makes_no_history(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_HISTORY", str(tmp_path / "none"))
    assert candidates(["logs", "show", ""]) == []
    assert not (tmp_path / "none").exists()


def test_what_the_page_on_logs_shows_works(ids: list[str], capsys: Output) -> None:
    page = (ROOT / "docs" / "logs.md").read_text()
    commands = re.findall(r"^voice (logs .*?) *(?:#.*)?$", page, re.MULTILINE)
    assert len(commands) > 4
    for command in commands:
        arguments = command.replace("k7m2q9", ids[2]).replace("--all", "--all --yes").split()
        assert execute(arguments) == 0, command
    for command in re.findall(r"`voice config (set logs\..*?)`", page):
        assert execute(["config", *command.split()]) == 0
    (table,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    settings_path().write_text(table)
    assert SettingsFile.read().tables[""] == {"log": True, "logs-keep-days": 30, "logs-max-mb": 100}
