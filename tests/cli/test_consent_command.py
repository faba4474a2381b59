"""Tools of the command: the built-in ones, and those that need to be allowed where nobody can be asked."""

import json
import shlex
import sys
from pathlib import Path

import pytest

from tests.cli.conftest import Voice
from tests.conftest import ROOT
from tests.loopback.openai_server import KEY, Call, OpenAIServer, Reply
from voicecli.cli import execute
from voicecli.cli.destinations import Destinations
from voicecli.cli.exit import ExitStatus
from voicecli.cli.options import Choices
from voicecli.cli.run import run_conversation
from voicecli.config import RealtimeConfig
from voicecli.testing import reply, scripted_provider, tool_call


def choices(tools: list[str], config: RealtimeConfig | None = None) -> Choices:
    call = tool_call("calculate", {"expression": "2 ^ 10"})
    return Choices(scripted_provider(call, reply("Well.")), config or RealtimeConfig(), tools, vad_given=False)


def test_the_built_in_tools_beside_those_of_files(
    voice: Voice, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "mine.py").write_text("def mine() -> str:\n    return 'mine'\n")
    (tmp_path / "other.py").write_text("def other() -> str:\n    return 'other'\n")
    calls = (Call(name="calculate", arguments='{"expression": "6 * 7"}'), Call(name="other"))
    replies = [Reply(text="", calls=calls), Reply(text="Done.")]
    with OpenAIServer.in_thread(replies=replies) as server:
        options = ["--tools", "mine.py", "--tools", "builtin", "--tools", "other.py", "--json"]
        result = voice("send-text", "Go", *options, OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
        offered = [tool["name"] for tool in server.received("session.update")[0]["session"]["tools"]]
    assert result.code == 0, result.stderr
    assert offered == ["mine", "current_time", "calculate", "other"]
    lines = [json.loads(line) for line in result.lines]
    assert {line["name"]: line["output"] for line in lines if line["type"] == "tool_result"} == {
        "calculate": "42",
        "other": "other",
    }
    assert not any(line["type"] == "approval_request" for line in lines), "the user chose them"


def test_of_a_server_only_what_reads_runs_unasked(voice: Voice) -> None:
    calls = (Call(name="echo", arguments='{"text": "aha"}'), Call(name="fail"))
    replies = [Reply(text="", calls=calls), Reply(text="Done.")]
    odd = f"{shlex.quote(sys.executable)} {shlex.quote(str(ROOT / 'tests' / 'mcp' / 'odd_server.py'))}"
    with OpenAIServer.in_thread(replies=replies) as server:
        result = voice("send-text", "Go", "--mcp", odd, "--json", OPENAI_API_KEY=KEY, OPENAI_BASE_URL=server.url)
    assert result.code == 0, result.stderr
    lines = [json.loads(line) for line in result.lines]
    results = {line["name"]: line for line in lines if line["type"] == "tool_result"}
    assert not results["echo"]["is_error"]
    assert "nobody can be asked" in results["fail"]["output"]
    (asked,) = [line for line in lines if line["type"] == "approval_request"]
    assert asked["name"] == "fail"
    assert asked["server"]


@pytest.mark.parametrize("as_json", [True, False])
def test_what_needs_to_be_allowed_is_refused_and_told(capsys: pytest.CaptureFixture[str], as_json: bool) -> None:
    config = RealtimeConfig(approve="always")
    run_conversation(choices(["builtin"], config), ["Go"], Destinations(as_json=as_json))
    shown = capsys.readouterr()
    told = "calculate was not allowed: nobody can be asked. --approve never lets tools run unasked."
    if not as_json:
        assert f"Note: {told}" in shown.err
        assert "Tool: calculate failed" in shown.err
        return
    lines = {line["type"]: line for line in map(json.loads, shown.out.splitlines())}
    asked = lines["approval_request"]
    assert (asked["name"], asked["arguments"], asked["server"]) == ("calculate", '{"expression": "2 ^ 10"}', "")
    assert (lines["notice"]["code"], lines["notice"]["message"]) == ("approval_refused", told)
    assert lines["approval_answered"] == lines["approval_answered"] | {
        "approval_id": asked["approval_id"],
        "outcome": "denied",
    }
    assert lines["tool_result"]["is_error"]
    assert "nobody can be asked" in lines["tool_result"]["output"]


def test_where_no_tool_asks_it_runs(capsys: pytest.CaptureFixture[str]) -> None:
    run_conversation(choices(["builtin"], RealtimeConfig(approve="never")), ["Go"], Destinations(as_json=True))
    lines = {line["type"]: line for line in map(json.loads, capsys.readouterr().out.splitlines())}
    assert lines["tool_result"]["output"] == "1024"
    assert "approval_request" not in lines


def test_tools_are_kept_in_the_settings(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VOICECLI_CONFIG", str(tmp_path / "config"))
    (tmp_path / "mine.py").write_text("def mine() -> str:\n    return 'mine'\n")
    assert execute(["config", "set", "tools", "builtin", "mine.py"]) == ExitStatus.OK
    assert execute(["config", "set", "tools", "nothing.py"]) == ExitStatus.USAGE
    capsys.readouterr()
    monkeypatch.chdir("/")
    assert execute(["list-tools", "--json"]) == ExitStatus.OK
    names = [row["name"] for row in json.loads(capsys.readouterr().out)]
    assert names == ["current_time", "calculate", "mine"]


def test_a_server_that_is_late_is_no_success(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("voicecli.mcp.source._START_S", 0.05)
    silent = f"{shlex.quote(sys.executable)} -c 'import sys; sys.stdin.read()'"
    assert execute(["list-tools", "--mcp", silent]) == ExitStatus.CONNECTION
    assert "is not there after" in capsys.readouterr().err
