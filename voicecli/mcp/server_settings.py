"""Settings of an MCP server: how it is reached, and what its tools may do."""

import ipaddress
import os
import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from urllib.parse import urlsplit

from voicecli.errors import ConfigurationError
from voicecli.setting_fields import Settings, check_url, setting
from voicecli.user_folders import expanded

__all__ = ["ServerSettings"]

# Parts of programs' and hosts' names that say nothing about which server it is.
_PREFIXES = re.compile(r"^(?:mcp[-_.]?server[-_.]|server[-_.]|mcp[-_.])+|[-_.](?:mcp[-_.]?server|server|mcp)$")
_LAUNCHERS = re.compile(r"(?:python|pythonw|py|node|npx|bunx|uvx|pipx|uv|deno|bun|docker|cmd)[\d.]*(?:\.exe|\.cmd)?")
_LAUNCHER_WORDS = {"run", "exec", "tool", "x", "c"}
# Options of launchers behind which the program's name may stand; behind another one stands its value, maybe a key.
_FLAGS = {"-m", "-y", "--yes", "-i", "-t", "-it", "-ti", "-d", "--rm", "-u", "-q", "--quiet", "-A", "--"}
_HEADER_NAME, _HEADER_VALUE = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+"), re.compile(r"[\t -~]*")
_ASSIGNMENT = re.compile(r"[A-Za-z_]\w*=")
# Of variables and headers, those whose values are no words of a tool's answer.
_KEY_NAME = re.compile(r"key|token|secret|passw|pwd|auth|cookie|credential", re.IGNORECASE)
_LONGEST_NAME = 32


@dataclass(frozen=True, kw_only=True)
class ServerSettings(Settings, prefix="mcp"):
    """What an MCP server is reached by, and may do; `MCPServer` says what each is."""

    command: str | tuple[str, ...] = setting((), shown=False)
    url: str = setting("", shown=False)
    name: str = ""
    env: Mapping[str, str] = setting(factory=dict, shown=False)
    cwd: str | None = None
    headers: Mapping[str, str] = setting(factory=dict, shown=False)
    tools: tuple[str, ...] | None = None
    excluded_tools: tuple[str, ...] = ()
    trust: bool = False
    always_allow: tuple[str, ...] = ()
    in_project: bool = False
    variables: Mapping[str, str] = setting(factory=dict, shown=False)

    def __post_init__(self) -> None:
        super().__post_init__()
        if isinstance(self.command, str):
            object.__setattr__(self, "command", _split(self.command))
        if bool(self.argv) == bool(self.url):
            raise ConfigurationError(
                "mcp: a server is either a command or a URL.", advice="Give command=... or url=..., one of them."
            )
        if self.argv and _ASSIGNMENT.match(self.argv[0]):
            raise ConfigurationError(
                "mcp: a command begins with its program, not with a variable.",
                advice="Write variables into env, in a file for --mcp-config.",
            )
        if any("\0" in part for part in (*self.argv, *self.env, *self.env.values())):
            raise ConfigurationError("mcp: a command cannot hold the character NUL.")
        if any(not name or "=" in name for name in self.env):
            raise ConfigurationError("mcp.env: a variable's name is not empty, and has no equals sign.")
        for name, value in self.headers.items():
            if not (_HEADER_NAME.fullmatch(name) and _HEADER_VALUE.fullmatch(value)):
                raise ConfigurationError(
                    f"mcp.headers: {name!r} has a character that no header may have.",
                    advice="Is there the end of a line in it?",
                )
        if self.url:
            _check_address(self.url)
        if self.cwd is not None:
            object.__setattr__(self, "cwd", str(expanded(self.cwd)))
        if not self.name:
            object.__setattr__(self, "name", _name_of(self.argv, self.url))

    @property
    def argv(self) -> tuple[str, ...]:
        """The program and its arguments; () for an address."""
        return () if isinstance(self.command, str) else self.command

    @property
    def is_here(self) -> bool:
        """Whether its address is on this machine."""
        return _is_loopback(urlsplit(self.url).hostname or "")

    @property
    def secrets(self) -> frozenset[str]:
        """Texts that must not be shown: values of variables and headers, and what the address holds beside the host."""
        parts = urlsplit(self.url)
        values = {*self.env.values(), *self.headers.values(), *self.variables.values()}
        values |= {parts.query, parts.username or "", parts.password or ""}
        values |= {value.partition("=")[2] for value in parts.query.split("&")}
        values |= {value.rpartition(" ")[2] for value in self.headers.values()}
        # Shorter ones are words of any sentence: "1", "true", "en".
        return frozenset(value for value in values if len(value) >= 6)

    @property
    def keys(self) -> frozenset[str]:
        """Those of the secrets that are keys by their names, and are not passed on even where a tool answers them."""
        named = {**self.variables, **self.env, **self.headers}
        values = {value for name, value in named.items() if _KEY_NAME.search(name)}
        values |= {value.rpartition(" ")[2] for value in values}
        return frozenset(value for value in values if value in self.secrets)

    def described(self) -> str:
        """The command line, or the address without what may be secret, for people."""
        if self.argv:
            words = [self._unexpanded(word) for word in self.argv]
            return " ".join(shlex.quote(word) if "${" not in word else word for word in words)
        parts = urlsplit(self.url)
        host = parts.netloc.rpartition("@")[2]
        return self._unexpanded(f"{parts.scheme}://{host}{parts.path if not parts.query else '/...'}")

    def _unexpanded(self, text: str) -> str:
        """The text with the names of variables in the place of their values."""
        for name, value in sorted(self.variables.items(), key=lambda item: len(item[1]), reverse=True):
            text = text.replace(value, f"${{{name}}}") if value else text
        return text


def _is_loopback(host: str) -> bool:
    """True for a host that is this machine."""
    if host.lower() == "localhost" or host.lower().endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _split(command: str) -> tuple[str, ...]:
    try:
        # A backslash is a separator of folders on Windows.
        parts = shlex.split(command, posix=os.name != "nt")
    except ValueError as error:
        raise ConfigurationError(f"mcp: the command cannot be read: {error}.", advice="Is a quote open?") from error
    return tuple(part.strip("\"'") for part in parts) if os.name == "nt" else tuple(parts)


def _check_address(url: str) -> None:
    if not url.lower().startswith(("http://", "https://")):
        raise ConfigurationError("mcp: a server's address begins with https:// or http://.", advice="Change it.")
    check_url("mcp", url)
    parts = urlsplit(url)
    if parts.scheme == "http" and not _is_loopback(parts.hostname or ""):
        raise ConfigurationError(
            "mcp: plain http to another machine could be read on the way.",
            advice="Write https://; http is for servers on this machine.",
        )


def _name_of(argv: tuple[str, ...], url: str) -> str:
    """A short name for the server of that command or address."""
    if url:
        labels = (urlsplit(url).hostname or "").split(".")
        if _is_loopback(".".join(labels)) or all(label.isdigit() for label in labels):
            return "local"
        named = [label for label in labels[:-1] if label not in ("mcp", "www", "api")] or labels
        return _shortened(named[-1])
    if _LAUNCHERS.fullmatch(_base(argv[0])):
        for before, word in pairwise(argv):
            is_value = before.startswith("-") and before not in _FLAGS and "=" not in before
            is_launcher = _LAUNCHERS.fullmatch(word) or word in _LAUNCHER_WORDS
            if not (is_value or is_launcher or word.startswith("-")):
                return _shortened(_base(word))
    return _shortened(_base(argv[0]))


def _base(path: str) -> str:
    return re.split(r"[/\\]", path.rstrip("/\\"))[-1] or path


def _shortened(name: str) -> str:
    name = re.sub(r"(?:@|==)[\w.^~-]*$", "", name) or name  # a version: server-everything@1.2
    name = re.sub(r"\.(?:py|js|mjs|cjs|ts|sh|exe|cmd)$", "", name)
    name = re.sub(r"[^\w.-]+", "_", name)
    return (_PREFIXES.sub("", name) or name)[:_LONGEST_NAME] or "server"
