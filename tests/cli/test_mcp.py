"""The command with MCP servers: on every provider, with one that dies in mid call."""

import contextlib
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.cli.conftest import Result, Voice, clean_environment
from tests.loopback import gemini_server, openai_server
from tests.loopback.gemini_server import GeminiServer
from tests.loopback.openai_server import OpenAIServer
from tests.providers.local.loose_endpoint import Endpoint, Reply, sse

ODD = str(Path(__file__).parent.parent / "mcp" / "odd_server.py")
TIME = {"command": sys.executable, "args": ["-m", "mcp_server_time", "--local-timezone", "${ZONE}"]}
CALLS: list[tuple[str, dict[str, Any]]] = [("get_current_time", {"timezone": "Asia/Tokyo"}), ("die", {})]


@contextlib.contextmanager
def openai() -> Iterator[tuple[list[str], dict[str, str], Callable[[], Any]]]:
    """A model that calls the tools: options, variables, and what it was offered in the end."""
    calls = tuple(openai_server.Call(name=name, arguments=json.dumps(arguments)) for name, arguments in CALLS)
    replies = [openai_server.Reply(text="", calls=calls), openai_server.Reply(text="Done.")]
    with OpenAIServer.in_thread(replies=replies) as server:
        variables = {"OPENAI_API_KEY": openai_server.KEY, "OPENAI_BASE_URL": server.url}
        yield ["-p", "openai"], variables, lambda: server.received("session.update")[-1]["session"]["tools"]
        assert server.violations == []


@contextlib.contextmanager
def gemini() -> Iterator[tuple[list[str], dict[str, str], Callable[[], Any]]]:
    calls = tuple(gemini_server.Call(name=name, args=arguments) for name, arguments in CALLS)
    with GeminiServer.in_thread(replies=[gemini_server.Reply(text="", calls=calls, after="Done.")]) as server:
        variables = {"GEMINI_API_KEY": gemini_server.KEY, "GOOGLE_GEMINI_BASE_URL": server.url}
        yield ["-p", "gemini"], variables, lambda: server.received("setup")[-1]["tools"][0]["functionDeclarations"]
        assert server.violations == []


@contextlib.contextmanager
def local() -> Iterator[tuple[list[str], dict[str, str], Callable[[], Any]]]:
    calls = [
        {"index": at, "id": name, "function": {"name": name, "arguments": json.dumps(arguments)}}
        for at, (name, arguments) in enumerate(CALLS)
    ]

    def answer(request: dict[str, Any]) -> Reply:
        answered = any(message["role"] == "tool" for message in request["messages"])
        delta = {"content": "Done."} if answered else {"tool_calls": calls}
        finish = "stop" if answered else "tool_calls"
        return Reply(sse([{"choices": [{"index": 0, "delta": delta, "finish_reason": finish}]}]))

    with Endpoint.running() as endpoint:
        endpoint.reply = answer
        options = ["-p", "local", "--text-only", "--llm", endpoint.url, "--llm-model", "m"]
        yield options, {}, lambda: [each["function"] for each in endpoint.requests[0]["tools"]]


@pytest.fixture
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file of the user's own, which is outside of the project."""
    path = tmp_path_factory.mktemp("home") / "mcp.json"
    path.write_text(json.dumps({"mcpServers": {"time": TIME}}))
    return path


def lines(result: Result) -> list[dict[str, Any]]:
    return [json.loads(line) for line in result.lines]


@pytest.mark.parametrize("provider", [openai, gemini, local])
def test_a_server_dies_in_mid_call_and_the_conversation_goes_on(voice: Voice, own_file: Path, provider: Any) -> None:
    with provider() as (options, variables, offered):
        servers = ["--mcp-config", str(own_file), "--mcp", f"{sys.executable} {ODD}", "--mcp", "no-such-program"]
        options = ["--json", "--approve", "never", *options, *servers]
        result = voice("send-text", "What time is it?", *options, **variables, ZONE="Europe/Rome")
        names = [tool["name"] for tool in offered()]
    assert result.code == 0, result.stderr + result.stdout.decode()
    assert names[0] == "echo"
    assert names[-2:] == ["get_current_time", "convert_time"]
    told = lines(result)
    results = {line["name"]: (line["output"], line["is_error"]) for line in told if line["type"] == "tool_result"}
    assert "Asia/Tokyo" in results["get_current_time"][0]
    assert "the server odd has ended" in results["die"][0]
    assert [results[name][1] for name, _ in CALLS] == [False, True]
    notices = {line["code"]: line["message"] for line in told if line["type"] == "notice"}
    assert "there is no program 'no-such-program'" in notices["mcp_server_failed"]
    # Why it ended is known a moment later: by then the answer may have been told.
    assert "a fuse has blown" in notices.get("mcp_server_ended", "a fuse has blown")
    texts = [line["text"] for line in told if line["type"] == "transcript" and line["final"]]
    assert texts[-1] == "Done."


def in_a_terminal(folder: Path, answer: bytes, *args: str) -> str:
    """What `voice` shows when it is asked a question, if it is."""
    if sys.platform == "win32":
        pytest.skip("Windows has no pseudo-terminals")
    import pty

    ours, theirs = pty.openpty()
    environment = clean_environment(VOICECLI_STATE=str(folder / "state"))
    command = [sys.executable, "-m", "voicecli", *args]
    process = subprocess.Popen(command, cwd=folder, stdin=theirs, stdout=theirs, stderr=theirs, env=environment)
    os.close(theirs)
    shown = b""
    with contextlib.suppress(OSError):  # it has ended
        while data := os.read(ours, 4_096):
            shown += data
            if b"[y/N]" in data:
                os.write(ours, answer)
    os.close(ours)
    process.wait(60)
    return shown.decode()


def test_a_file_of_the_project_is_shown_and_asked_for_once(tmp_path: Path) -> None:
    entry = {"command": "no-such-program", "args": ["\x1b[31m"], "env": {"KEY": "hush-hush"}}
    file = tmp_path / "mcp.json"
    file.write_text(json.dumps({"mcpServers": {"it": entry}}))
    command = "list-tools", "--mcp-config", "mcp.json"
    first, second = (in_a_terminal(tmp_path, b"y\n", *command) for _ in range(2))
    assert "it: no-such-program '\\x1b[31m'" in first
    assert "with the variables KEY" in first
    assert "hush-hush" not in first
    assert "cannot be started" in first
    assert "[y/N]" not in second
    assert "cannot be started" in second
    file.write_text(file.read_text() + "\n")
    third = in_a_terminal(tmp_path, b"n\n", *command)
    assert "[y/N]" in third
    assert "cannot be started" not in third


def test_list_tools_shows_what_settings_and_options_offer(voice: Voice, own_file: Path, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text('def dice() -> int:\n    """Throw a dice.\n\n    Fair."""\n    return 4\n')
    own_file.with_name("config.toml").write_text('mcp-config = ["mcp.json"]\n')
    settings = {"VOICECLI_CONFIG": str(own_file.parent), "ZONE": "Europe/Rome"}
    result = voice("list-tools", "--tools", "tools.py", "--json", **settings)
    assert result.code == 0, result.stderr
    rows = {row["name"]: row for row in json.loads(result.stdout)}
    assert list(rows) == ["dice", "get_current_time", "convert_time"]
    dice, now = rows["dice"], rows["get_current_time"]
    assert (dice["server"], dice["read_only"], dice["trusted"], dice["seconds"]) == ("", False, True, None)
    assert (now["server"], now["read_only"], now["trusted"]) == ("time", True, False)
    assert (dice["note"], now["note"]) == ("Throw a dice.", "Get current time in a specific timezone")
    assert now["seconds"] > 0
    assert now["parameters"]["required"] == ["timezone"]


def test_list_tools_in_lines_for_grep(voice: Voice, tmp_path: Path) -> None:
    (tmp_path / "tools.py").write_text('def dice() -> int:\n    """Throw."""\n    return 4\n')
    result = voice("list-tools", "--tools", "tools.py")
    assert (result.code, result.lines) == (0, ["dice\t-\t-\ttrusted\t-\tThrow."])


def test_list_tools_tells_what_fails(voice: Voice, own_file: Path) -> None:
    result = voice("list-tools", "--mcp", "no-such-program --key", "--mcp-config", str(own_file))
    assert result.code == 2
    assert "--mcp-config" in result.stderr
    assert "the variable ZONE is not set" in result.stderr
    result = voice("list-tools", "--mcp", "no-such-program --key")
    assert (result.code, result.stdout) == (4, b"")
    assert "The MCP server no-such-program cannot be started" in result.stderr


def test_a_file_of_the_project_starts_nothing_unasked(voice: Voice, tmp_path: Path) -> None:
    """It may be a stranger's, and it names programs."""
    entry = {"command": sys.executable, "args": ["-c", "open('started', 'w')"], "env": {"KEY": "hush-hush"}}
    (tmp_path / ".mcp.json").write_text(json.dumps({"mcpServers": {"evil": entry}}))
    for command in (["list-tools"], ["send-text", "Hi", "-p", "openai"]):
        result = voice(*command, "--mcp-config", ".mcp.json", OPENAI_API_KEY="x")
        assert result.code in (2, 3)
        assert "is part of this project" in result.stderr
        assert "voice list-tools --mcp-config .mcp.json" in result.stderr
        assert "hush-hush" not in result.stderr
    assert not (tmp_path / "started").exists()
