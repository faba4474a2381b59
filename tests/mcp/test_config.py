"""Servers as they are given to the library or on the command line."""

import pickle
import re
from typing import Any

import pytest

from voicecli.errors import ConfigurationError
from voicecli.mcp.config import MCPServer, server_of_text


@pytest.mark.parametrize(
    ("text", "argv", "url", "name"),
    [
        ("uvx mcp-server-time", ("uvx", "mcp-server-time"), "", "time"),
        ("uvx mcp-server-time==1.2 --x", ("uvx", "mcp-server-time==1.2", "--x"), "", "time"),
        (
            "npx -y @modelcontextprotocol/server-everything@1.2",
            ("npx", "-y", "@modelcontextprotocol/server-everything@1.2"),
            "",
            "everything",
        ),
        ("python3.11 -m mcp_server_git", ("python3.11", "-m", "mcp_server_git"), "", "git"),
        ("'/opt/my tools/weather.py' --fast", ("/opt/my tools/weather.py", "--fast"), "", "weather"),
        ("docker run -i --rm mcp/fetch", ("docker", "run", "-i", "--rm", "mcp/fetch"), "", "fetch"),
        (
            "docker run -i --rm -e KEY=hush mcp/fetch",
            ("docker", "run", "-i", "--rm", "-e", "KEY=hush", "mcp/fetch"),
            "",
            "fetch",
        ),
        ("node --token hush server.js", ("node", "--token", "hush", "server.js"), "", "server"),
        ("uvx --from x==1 serve", ("uvx", "--from", "x==1", "serve"), "", "serve"),
        ("npx -- files", ("npx", "--", "files"), "", "files"),
        ("python", ("python",), "", "python"),
        ("https://mcp.example.com/mcp?key=x", (), "https://mcp.example.com/mcp?key=x", "example"),
        ("http://localhost:3000/mcp", (), "http://localhost:3000/mcp", "local"),
        ("http://[::1]:3000/mcp", (), "http://[::1]:3000/mcp", "local"),
        ("https://10.0.0.1/mcp", (), "https://10.0.0.1/mcp", "local"),
    ],
)
def test_a_server_is_a_command_or_a_url_and_has_a_name(text: str, argv: tuple[str, ...], url: str, name: str) -> None:
    server = server_of_text(f" {text} ")
    assert (server.argv, server.url, server.name) == (argv, url, name)
    assert pickle.loads(pickle.dumps(server)) == server


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "either a command or a URL"),
        ("docs=https://x.example/mcp", "LABEL=URL is what OpenAI is told.*--openai-mcp LABEL=URL"),
        ("servers.json", "this is a file.*--mcp-config"),
        ("http://example.com/mcp?key=hush-hush", "plain http to another machine"),
        ("http://127.0.0.1.example.com/", "plain http"),
        ("http://localhost.example.com/", "plain http"),
        ("ws://localhost/hush-hush", "begins with https"),
        ("https://", "not a URL"),
        ("https://[hush-hush/", "not a URL"),
        ("say 'hush-hush", "cannot be read: No closing quotation"),
        ("a\0b", "NUL"),
        ("KEY=hush-hush npx server", "begins with its program.*--mcp-config"),
        ("ftp://hush-hush/", "begins with https"),
    ],
)
def test_what_is_no_server_is_told_without_its_secrets(text: str, told: str) -> None:
    with pytest.raises(ConfigurationError) as raised:
        server_of_text(text)
    assert raised.value.message.startswith("mcp: ")
    assert re.search(told, str(raised.value))
    assert "hush-hush" not in str(raised.value)


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ({}, "either a command or a URL"),
        ({"command": "x", "url": "https://x.example"}, "either a command or a URL"),
        ({"command": ("a", 1)}, "mcp.command: this is a int"),
        ({"command": "x", "environ": {}}, "no setting 'environ'.*env"),
        ({"command": "x", "env": {"A=B": "c"}}, r"mcp\.env: a variable's name"),
        ({"url": "https://x", "headers": {"A": "hush\n"}}, r"mcp\.headers: 'A' has a character .* end of a line"),
        ({"url": "https://x", "headers": {"A B": "c"}}, r"mcp\.headers: 'A B' has a character"),
        ({"url": "https://x", "headers": {"A": "\u00e9"}}, r"mcp\.headers: 'A' has"),
    ],
)
def test_what_a_program_gives_is_checked(given: dict[str, Any], told: str) -> None:
    with pytest.raises(ConfigurationError, match=told):
        MCPServer(**given)


def test_nothing_secret_is_shown() -> None:
    secret = "hush-hush"
    url = f"https://me:{secret}@example.com/{secret}/mcp?token={secret}"
    headers = {"Authorization": f"Bearer {secret}"}
    for server in (
        MCPServer(command="run it", env={"TOKEN": secret}),
        MCPServer(command=("run", f"--key={secret}"), variables={"TOKEN": secret}),
        MCPServer(url=f"https://me:{secret}@example.com/mcp?token={secret}", headers=headers),
    ):
        assert secret not in repr(server)
        assert secret not in server.described()
        assert secret in server.secrets
    assert MCPServer(url="https://example.com/mcp").described() == "https://example.com/mcp"
    assert MCPServer(url=url).described() == "https://example.com/..."
