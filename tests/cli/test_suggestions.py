"""Hints for those who mean something that is called otherwise here."""

import shutil
from pathlib import Path

import pytest

from tests.conftest import DATA
from voicecli.cli import execute
from voicecli.cli.app import COMMANDS, load_command
from voicecli.cli.suggestions import _COMMANDS, _OPTIONS, _SUBCOMMANDS


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    shutil.copy(DATA / "question.wav", "q1.wav")
    Path("notes.txt").write_text("Buy milk.")
    shutil.copy("q1.wav", "recording")


@pytest.mark.parametrize(
    ("line", "hint"),
    [
        (["q1.wav"], "voice chat -i q1.wav"),
        (["missing.m4a"], "voice chat -i missing.m4a"),
        (["recording"], "voice chat -i recording"),
        (["notes.txt"], "voice send-text @notes.txt"),
        (["What is the capital?"], 'voice send-text "What is the capital?"'),
        (['it\'s "so" `here`'], "voice send-text 'it'\"'\"'s"),
        (["Really?"], 'voice send-text "Really?"'),
        (["ask"], "Did you mean voice send-text?"),
        (["devices"], "Did you mean voice list-devices?"),
        (["version"], "Did you mean voice --version?"),
        (["lst-models"], "Did you mean voice list-models?"),
        (["sing"], "`voice --help` lists the commands. To say it: voice send-text sing"),
        (["--model", "x", "chat"], "voice chat --model"),
        (["--vershun"], "Did you mean --version?"),
        (["chat", "--no-audio"], "Did you mean --text-only?"),
        (["send-text", "Hi", "--instructions", "x"], "Did you mean --system?"),
        (["chat", "--mic", "1"], "Did you mean --input-device?"),
        (["send-text", "Hi", "--mic", "1"], "voice chat --input-device"),
        (["chat", "--modle", "x"], "Did you mean --model?"),
        (["chat", "--api-key", "sk-1"], "`voice keys set` stores it"),
        (["keys", "set", "openai", "--key", "sk-1"], "`voice keys set` stores it"),
        (["models", "list", "--jsn"], "No such option: --jsn. Did you mean --json?"),
        (["send-text", "-i", "q1.wav"], "voice chat -i"),
        (["chat", "q1.wav"], "voice chat -i q1.wav"),
        (["chat", "Hello", "there"], 'voice send-text "Hello there"'),
        (["send-text", "Hello", "there"], "in quotes"),
        (["send-text", "Hello", "--continue", "k7m2q1"], "'k7m2q1' is no id for --continue: `voice logs` lists"),
        (["list-voices", "local", "e"], "takes no second argument 'e'"),
        (["chat", "--wake"], "--wake needs a value: --wake WORD"),
        (["config", "get", "speed"], "Did you mean voice config show?"),
        (["config", "shwo"], "Did you mean voice config show?"),
        (["config", "speed", "1.2"], "`voice config --help` lists its commands"),
        (["config", "show", "--profil", "x"], "Did you mean --profile?"),
        (["config", "--profile", "x", "show"], "voice config show --profile"),
        (["config", "show", "a"], "takes no argument 'a'"),
        (["keys", "add", "openai"], "Did you mean voice keys set?"),
        (["models", "download", "kristin"], "Did you mean voice models pull?"),
        (["cache", "rm"], "Did you mean voice cache clear?"),
    ],
)
def test_a_hint_leads_to_the_right_command(capsys: pytest.CaptureFixture[str], line: list[str], hint: str) -> None:
    assert execute(line) == 2
    told = capsys.readouterr()
    assert hint in told.err
    assert told.out == ""
    assert "sk-1" not in told.err


def test_what_is_suggested_is_there_and_what_is_translated_is_not() -> None:
    options = {name for command in COMMANDS for each in load_command(command).params for name in each.opts}
    options |= {name for command in COMMANDS for each in load_command(command).params for name in each.secondary_opts}
    assert set(_OPTIONS) <= options | {"--help"}
    for command in COMMANDS:
        own = {name for each in load_command(command).params for name in (*each.opts, *each.secondary_opts)}
        for option, others in _OPTIONS.items():
            assert option not in own or not set(others.split()) & own, command
    assert set(_COMMANDS) <= {*COMMANDS, "--version", "--help"}
    for others in _COMMANDS.values():
        assert not set(others.split()) & set(COMMANDS)


def test_commands_of_groups_are_suggested_where_they_are() -> None:
    groups = {name: set(load_command(name).commands) for name in COMMANDS if hasattr(load_command(name), "commands")}
    assert set(_SUBCOMMANDS) == set.union(*groups.values())


@pytest.mark.parametrize(
    ("short", "long"), [("-m", "--model"), ("-s", "--system"), ("-i", "--input"), ("-q", "--quiet")]
)
def test_short_forms(short: str, long: str) -> None:
    (found,) = [each for each in load_command("chat").params if short in each.opts]
    assert long in found.opts


def test_the_version_has_one_too(capsys: pytest.CaptureFixture[str]) -> None:
    assert execute(["-V"]) == 0
    assert capsys.readouterr().out.startswith("voicecli ")
