"""`voice config`: what is set, where it comes from, and changing it."""

import json
import os
import re
import shlex
import stat
from pathlib import Path

import pytest

from tests.cli.conftest import ROOT, Voice
from tests.cli.screen import screen_of
from tests.loopback.openai_server import KEY, OpenAIServer
from voicecli.cli import ExitStatus, execute
from voicecli.config import RealtimeConfig

PROFILE = "[profiles.work]\n"


def path() -> Path:
    return Path(os.environ["VOICECLI_CONFIG"], "config.toml")


def write(text: str) -> None:
    path().parent.mkdir(parents=True, exist_ok=True)
    path().write_text(text)


def test_show_tells_where_each_value_comes_from(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    write(f"# mine\nspeed = 1.0\nvoice = 'a'\nheader = ['A: sk-secret']\nprovider = 'openai'\n{PROFILE}speed = 1.2\n")
    monkeypatch.setenv("VOICE_VOICE", "b")
    monkeypatch.setenv("VOICE_MODLE", "c")
    assert execute(["config", "show", "--profile", "work", "--json"]) == 0
    shown = capsys.readouterr()
    assert shown.err == "voice: The variable VOICE_MODLE is no setting: did you mean VOICE_MODEL?\n"
    assert {row.pop("name"): row for row in json.loads(shown.out)} == {
        "provider": {"value": "openai", "from": "config.toml, line 5", "source": "file"},
        "voice": {"value": "b", "from": "VOICE_VOICE", "source": "environment"},
        "speed": {"value": "1.2", "from": "--profile work, line 7", "source": "profile"},
        "header": {"value": "A: ...", "from": "config.toml, line 4", "source": "file"},
    }
    assert execute(["config", "show", "--all", "--json"]) == 0
    rows = {row["name"]: row for row in json.loads(capsys.readouterr().out)}
    assert rows["speed"]["source"] == "file"
    assert (rows["silence-ms"]["value"], rows["silence-ms"]["from"]) == ("500", "default")
    assert len(rows) > 40


def test_a_file_is_meant_as_it_is_seen_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Also in place of a name; a conversation begins elsewhere. One that is read must be there."""
    monkeypatch.chdir(tmp_path)
    for name in ("small.gguf", "anna.onnx", "marin"):
        Path(name).touch()
    for setting, value in {"llm": "small.gguf", "voice": "anna.onnx"}.items():
        assert execute(["config", "set", setting, value]) == 0
        assert f'{setting} = "{tmp_path / value}"' in path().read_text()
    for setting, value in {"llm": "qwen3-1.7b", "voice": "marin"}.items():
        assert execute(["config", "set", setting, value]) == 0
        assert f'{setting} = "{value}"' in path().read_text()
    capsys.readouterr()
    for setting in ("tools", "system-file", "input"):
        assert execute(["config", "set", setting, "none.py"]) == 2
        assert f"{setting}: there is no file {tmp_path / 'none.py'}" in " ".join(capsys.readouterr().err.split())
    assert execute(["config", "set", "output", "new.wav"]) == 0


def test_show_says_so_when_nothing_is_set(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    screen = screen_of(monkeypatch, "stdout", 80)
    assert execute(["config", "show"]) == 0
    assert screen.getvalue() == ""
    assert "Nothing is set." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["speed", "1.2"], "speed = 1.2"),
        (["SILENCE_MS", "700"], "silence-ms = 700"),
        (["interrupt", "no"], "interrupt = false"),
        (["vad", "client"], 'vad = "client"'),
        (["provider", "google"], 'provider = "gemini"'),
        (["header", "A: b", "C: d"], 'header = ["A: b", "C: d"]'),
        (["tools", "tests/conftest.py"], f'tools = ["{Path.cwd() / "tests/conftest.py"}"]'),
        (["system", "@LICENSE"], f'system = "@{Path.cwd() / "LICENSE"}"'),
        (["input-device", "3"], 'input-device = "3"'),
        (["truncation", "0.8"], 'truncation = "0.8"'),
    ],
)
def test_set_writes_what_can_be_read_again(arguments: list[str], line: str) -> None:
    assert execute(["config", "set", *arguments]) == 0
    assert path().read_text() == f"{line}\n"
    assert execute(["config", "show"]) == 0
    assert execute(["config", "unset", arguments[0]]) == 0
    assert path().read_text() == ""


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["speed", "9"], "Invalid value for speed: 9.0 is not possible. Give a number from 0.25 to 1.5."),
        (["speed", "fast"], "'fast' is not possible."),
        (["speed", "1", "2"], "speed takes one value"),
        (["base-url", "nowhere"], "Invalid value for base-url: not a URL."),
        (["header", "secret"], "Invalid value for header: write NAME:VALUE."),
        (["openai-mcp", "x"], "has no http(s) URL. Write LABEL=URL."),
        (["model", ""], "an empty name."),
        (["provider", "alexa"], "There is no provider 'alexa'."),
        (["modle", "x"], "there is no setting 'modle': did you mean model?"),
        (["openai-api-key", "sk-secret"], "keys are stored by `voice keys set PROVIDER`"),
        (["prices.my-model.text-in", "4"], "prices are a table for each model"),
        (["profile", "work"], "there is no setting 'profile'. A profile is a table, [profiles.NAME];"),
        (["system", "caf\udce9"], "this is not UTF-8 text"),
    ],
)
def test_set_checks_first(capsys: pytest.CaptureFixture[str], arguments: list[str], told: str) -> None:
    assert execute(["config", "set", *arguments]) == ExitStatus.USAGE
    error = capsys.readouterr().err
    assert told in error
    assert "secret" not in error
    assert not path().exists()


def test_a_group_of_entries_may_be_a_table() -> None:
    assert execute(["config", "set", "logs.keep_days", "30"]) == 0
    assert path().read_text() == "logs-keep-days = 30\n"
    write("# mine\n[logs]\nkeep_days = 30  # a month\n")
    assert execute(["config", "set", "logs-keep-days", "60"]) == 0
    assert execute(["config", "set", "logs.max-mb", "100"]) == 0
    assert path().read_text() == "# mine\nlogs-max-mb = 100\n\n[logs]\nkeep_days = 60  # a month\n"
    assert execute(["config", "unset", "logs.keep_days"]) == 0
    assert execute(["config", "set", "logs.keep-days", "a month"]) == ExitStatus.USAGE
    assert "60" not in path().read_text()


def test_unset_tells_what_was_not_set(capsys: pytest.CaptureFixture[str]) -> None:
    write("speed = 1.0\n")
    assert execute(["config", "unset", "speed", "--profile", "work"]) == ExitStatus.USAGE
    assert f"speed is not set in {path()}, profile work" in capsys.readouterr().err
    assert execute(["config", "show", "--profile", "work"]) == ExitStatus.USAGE
    assert "Invalid value for --profile: there is no profile 'work'" in capsys.readouterr().err


def test_edit_in_a_script_starts_no_editor_that_needs_a_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", "vi")
    assert execute(["config", "edit"]) == ExitStatus.CONFIGURATION
    assert "The editor 'vi' needs a terminal." in capsys.readouterr().err
    assert not path().exists()


def test_edit_opens_the_editor_and_checks_afterwards(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    editor = tmp_path / "my editor"
    editor.write_text("#!/bin/sh\necho 'sped = 1' >> \"$2\"\n")
    editor.chmod(editor.stat().st_mode | stat.S_IXUSR)
    monkeypatch.delenv("VISUAL", raising=False)
    monkeypatch.setenv("EDITOR", f"'{editor}' --wait")
    assert execute(["config", "edit"]) == ExitStatus.CONFIGURATION
    assert "sped: there is no such setting.\n  Did you mean speed?" in capsys.readouterr().err
    assert path().read_text().startswith("# Settings of voicecli")
    assert path().read_text().endswith("\nsped = 1\n")
    for command, told in (
        ("false", "ended with 1"),
        ("/none/such", "cannot be started: No such file"),
        ("'vi", "cannot be started"),
    ):
        monkeypatch.setenv("EDITOR", command)
        assert execute(["config", "edit"]) == ExitStatus.CONFIGURATION
        assert told in capsys.readouterr().err


def test_a_new_user_sets_what_the_next_conversation_takes(voice: Voice, tmp_path: Path) -> None:
    """The real command, in a clean home."""
    home = {"HOME": str(tmp_path), "VOICECLI_CONFIG": "", "XDG_CONFIG_HOME": ""}
    for arguments in (["provider", "openai"], ["model", "gpt-a"], ["model", "gpt-b", "--profile", "work"]):
        assert voice("config", "set", *arguments, **home).code == 0
    place = voice("config", "path", **home).stdout.decode().strip()
    assert Path(place).is_file()
    assert Path(place).is_relative_to(tmp_path)
    with OpenAIServer.in_thread() as server:
        for options, model in (([], "gpt-a"), (["--profile", "work"], "gpt-b")):
            server_and_key = {"OPENAI_API_KEY": KEY, "OPENAI_BASE_URL": server.url}
            said = voice("send-text", "Hi", "--json", *options, **server_and_key, **home)
            assert said.code == 0, said.stderr
            assert [line["model"] for line in map(json.loads, said.lines) if "model" in line] == [model]


def test_what_the_page_on_settings_shows_works(monkeypatch: pytest.MonkeyPatch) -> None:
    page = (ROOT / "docs" / "settings.md").read_text()
    (example,) = re.findall(r"^```toml\n(.*?)^```$", page, re.DOTALL | re.MULTILINE)
    write(example)
    monkeypatch.setenv("EDITOR", "true")
    commands = re.findall(r"^voice (config .*)$", page, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        assert execute(shlex.split(command)) == 0, command
    assert RealtimeConfig.from_settings(provider="openai", profile="work").voice == "cedar"
