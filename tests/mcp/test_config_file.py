"""Files in which servers are written down, by the shapes that programs give them."""

import json
import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.conftest import ROOT
from voicecli.errors import ConfigurationError
from voicecli.mcp.config import MCPServer
from voicecli.mcp.config_file import read_servers

ENVIRON = {"TOKEN": "hush-hush", "NESTED": "${TOKEN}", "EMPTY": ""}
TIME = MCPServer(name="time", command=("uvx", "mcp-server-time"))


def read(content: Any, name: str = "/proj/mcp.json", *, in_project: bool = False) -> list[MCPServer]:
    text = content if isinstance(content, str) else json.dumps(content)
    return read_servers(text, Path(name), ENVIRON, in_project=in_project)


STDIO = {"command": "uvx", "args": ["mcp-server-time"]}


@pytest.mark.parametrize(
    ("content", "name"),
    [
        ({"mcpServers": {"time": STDIO}}, "claude_desktop_config.json"),
        ({"mcpServers": {"time": STDIO | {"type": "stdio", "disabled": False, "timeout": 3}}, "theme": 1}, ".mcp.json"),
        ({"servers": {"time": STDIO}, "inputs": []}, ".vscode/mcp.json"),
        ({"mcp": {"servers": {"time": STDIO}}}, "settings.json"),
        ({"mcp": {"time": {"type": "local", "command": ["uvx", "mcp-server-time"]}}}, "opencode.json"),
        ('[mcp_servers.time]\ncommand = "uvx"\nargs = ["mcp-server-time"]\n', "config.toml"),
        (
            '// mine\n{"mcpServers": {"time": {"command": "uvx", /* its // name */ "args": ["mcp-server-time",],},},}',
            "mcp.json",
        ),
        ('\ufeff{"mcpServers": {"time": {"command": "uvx", "args": ["mcp-server-time"]}}}', "mcp.json"),
    ],
)
def test_one_server_in_the_shapes_of_many_programs(content: Any, name: str) -> None:
    assert read(content, f"/proj/{name}") == [TIME]


@pytest.mark.parametrize(
    ("entry", "server"),
    [
        ({"url": "https://x.example/mcp"}, {"url": "https://x.example/mcp"}),
        ({"httpUrl": "https://x.example/mcp", "type": "http"}, {"url": "https://x.example/mcp"}),
        ({"serverUrl": "https://x.example"}, {"url": "https://x.example"}),
        (
            {"type": "remote", "url": "https://x.example", "headers": {"Authorization": "Bearer ${TOKEN}"}},
            {"url": "https://x.example", "headers": {"Authorization": "Bearer hush-hush"}},
        ),
        (
            {"url": "https://x.example", "bearer_token_env_var": "TOKEN", "env_http_headers": {"X-K": "TOKEN"}},
            {"url": "https://x.example", "headers": {"X-K": "hush-hush", "Authorization": "Bearer hush-hush"}},
        ),
        (
            {"command": "x", "env": {"PORT": 80, "K": "{env:TOKEN}"}},
            {"command": ("x",), "env": {"PORT": "80", "K": "hush-hush"}},
        ),
        (
            {"command": "x", "environment": {"K": "${env:TOKEN}", "E": "${EMPTY}"}},
            {"command": ("x",), "env": {"K": "hush-hush", "E": ""}},
        ),
        (
            {"command": "x", "args": ["${NESTED}", "$TOKEN", "${NOPE:-a b}", "${EMPTY:-c}", "${workspaceFolder}/d"]},
            {"command": ("x", "${TOKEN}", "$TOKEN", "a b", "c", "/proj/d")},
        ),
        ({"command": "x", "cwd": "sub"}, {"command": ("x",), "cwd": "/proj/sub"}),
        ({"command": "x", "cwd": "/abs"}, {"command": ("x",), "cwd": "/abs"}),
        ({"command": "x", "tools": ["*"]}, {"command": ("x",)}),
        ({"command": "x", "includeTools": ["a"]}, {"command": ("x",), "tools": ("a",)}),
        (
            {"command": "x", "enabled_tools": ["a"], "disabled_tools": ["b"]},
            {"command": ("x",), "tools": ("a",), "excluded_tools": ("b",)},
        ),
        (
            {"command": "x", "trust": True, "alwaysAllow": ["a"]},
            {"command": ("x",), "trust": True, "always_allow": ("a",)},
        ),
        ({"command": "x", "autoApprove": ["a"]}, {"command": ("x",), "always_allow": ("a",)}),
    ],
)
def test_what_an_entry_says(entry: dict[str, Any], server: dict[str, Any]) -> None:
    (found,) = read({"mcpServers": {"it": entry}})
    assert replace(found, variables={}) == MCPServer(name="it", **server)


def test_values_of_variables_are_not_shown() -> None:
    (server,) = read({"mcpServers": {"it": {"command": "${TOKEN}/run", "args": ["--key=${TOKEN}", "a b"]}}})
    assert server.argv == ("hush-hush/run", "--key=hush-hush", "a b")
    assert server.described() == "${TOKEN}/run --key=${TOKEN} 'a b'"
    assert server.secrets == {"hush-hush"}
    (server,) = read({"mcpServers": {"it": {"url": "https://${TOKEN}.example/${TOKEN}/x"}}})
    assert server.described() == "https://${TOKEN}.example/${TOKEN}/x"


def test_the_file_of_the_documentation() -> None:
    (example,) = re.findall(r"```json\n(.*?)```", (ROOT / "docs" / "tools.md").read_text(), re.DOTALL)
    time, tickets = read(example)
    assert time == TIME
    assert (tickets.headers, tickets.tools) == ({"Authorization": "Bearer none"}, ("search", "read"))


def test_a_project_s_file_cannot_vouch_for_itself() -> None:
    entry = STDIO | {"trust": True, "alwaysAllow": ["get_current_time"]}
    (server,) = read({"mcpServers": {"time": entry}}, in_project=True)
    assert (server.trust, server.always_allow, server.in_project) == (False, (), True)


def test_what_is_turned_off_is_not_looked_at() -> None:
    entries = {"a": {"command": "${NOPE}", "disabled": True}, "b": {"enabled": False, "command": 1}, "time": STDIO}
    assert read({"mcpServers": entries}) == [TIME]


@pytest.mark.parametrize(
    ("content", "told"),
    [
        ("{", "/proj/mcp.json is not JSON: line 1, column 2"),
        ("[" * 100_000, "nested too deeply|not JSON"),
        ("[]", "names no MCP servers.*mcpServers"),
        ({"mcpServers": []}, "names no MCP servers"),
        ({"mcpServers": {"it": 1}}, "/proj/mcp.json: it is no description"),
        ({"mcpServers": {"it": {}}}, "it has neither command nor url"),
        ({"mcpServers": {"it": {"command": "x", "url": "https://x.example"}}}, "it has both"),
        ({"mcpServers": {"it": {"command": True}}}, "it: command is no text"),
        ({"mcpServers": {"it": {"command": "x", "args": "hush-hush"}}}, "it: args is no list"),
        ({"mcpServers": {"it": {"command": "x", "args": [None]}}}, "it: args is no text"),
        ({"mcpServers": {"it": {"command": "x", "env": ["hush-hush"]}}}, "it: env has no names"),
        ({"mcpServers": {"it": {"command": "x", "env": {"K": {"v": "hush-hush"}}}}}, r"it: env\.K is no text"),
        (
            {"mcpServers": {"it": {"command": "x", "env": {"K": "${NOPE}"}}}},
            "it: the variable NOPE is not set. Set NOPE",
        ),
        ({"mcpServers": {"it": {"command": "x", "envFile": ".env"}}}, "envFile is not read"),
        ({"servers": {"it": {"command": "x", "env": {"K": "${input:key}"}}}}, r"env\.K asks for a value"),
        ({"mcpServers": {"it": {"url": "https://x.example", "type": "sse"}}}, "type 'sse' is not supported"),
        ({"mcpServers": {"it": {"url": "http://x.example/?k=hush-hush"}}}, "it: plain http to another machine"),
        ({"mcpServers": {"it": {"url": "http://${TOKEN}.example/"}}}, "it: plain http to another machine"),
        ({"mcpServers": {"it": {"command": "x", "tools": "read"}}}, "it: tools is no list of tools"),
        ({"mcpServers": {"it": {"command": "x", "excludeTools": {"hush-hush": 1}}}}, "it: excludeTools is no list"),
        ({"mcpServers": {"it": {"command": "x", "env": {"A": {"b": "hush-hush"}}}}}, r"it: env\.A is no text"),
        ({"mcpServers": {"it": {"url": "hush-hush"}}}, "it: a server's address begins"),
    ],
)
def test_what_is_wrong_is_named_without_values(content: Any, told: str) -> None:
    with pytest.raises(ConfigurationError, match=told) as raised:
        read(content)
    assert "hush-hush" not in str(raised.value)
    assert str(raised.value).count(": it: ") <= 1


def test_wrong_toml_is_named() -> None:
    with pytest.raises(ConfigurationError, match=r"config\.toml is not TOML"):
        read("a = [", "config.toml")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=6),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
ENTRIES = st.dictionaries(
    st.sampled_from(["command", "args", "env", "url", "headers", "type", "cwd", "tools", "trust", "disabled"]), JSON
)


@settings(max_examples=40)
@given(st.sampled_from(["mcpServers", "servers", "mcp"]), st.dictionaries(st.text(max_size=4), ENTRIES | JSON))
def test_whatever_a_file_holds_it_is_read_or_refused(key: str, entries: dict[str, Any]) -> None:
    try:
        servers = read({key: entries})
    except ConfigurationError:
        return
    assert all(bool(server.argv) != bool(server.url) for server in servers)
