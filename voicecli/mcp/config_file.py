"""Files in which people have written down their MCP servers, for this program or for others.

Read by shape: `mcpServers` (Claude, Cursor, Gemini CLI and many more), `servers` (VS Code), `mcp` (opencode),
`mcp_servers` (Codex, TOML).
"""

import json
import re
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from voicecli.errors import ConfigurationError
from voicecli.mcp.config import MCPServer

__all__ = ["read_servers"]

_KEYS = ("mcpServers", "servers", "mcp", "mcp_servers")
_VARIABLE = re.compile(r"\$\{(?:env:)?([A-Za-z_]\w*)(?::-([^}]*))?\}|\{env:([A-Za-z_]\w*)\}")
_INPUT = re.compile(r"\$\{(?:input|command):")
# A string, which may hold what looks like a comment; a comment; a comma before the end of a list.
_JSONC = re.compile(r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', re.DOTALL)
_TRAILING_COMMA = re.compile(r'("(?:\\.|[^"\\])*")|,(?=\s*[\]}])')


def read_servers(text: str, path: Path, environ: Mapping[str, str], *, in_project: bool) -> list[MCPServer]:
    """The servers that a file's text names, but for those that it turns off.

    Args:
        path: of the file, for errors, and for what is relative to it.
        environ: for `${VAR}` and `${VAR:-default}`.
        in_project: whether it belongs to the project: what it trusts is not trusted then.

    Raises:
        ConfigurationError: it cannot be understood, or names a variable that is not set. No value is repeated.
    """
    found = _servers(_parsed(text, path), path)
    folder = path.parent.parent if path.parent.name.startswith(".") else path.parent
    servers = []
    for name, entry in found.items():
        reader = _Entry(f"{path}: {name}", entry, environ, folder)
        if not reader.is_off:
            servers.append(reader.server(name, in_project=in_project))
    return servers


def _parsed(text: str, path: Path) -> Any:
    try:
        if path.suffix.lower() == ".toml":
            return tomllib.loads(text)
        text = _JSONC.sub(lambda found: found[1] or " ", text.removeprefix("\ufeff"))
        return json.loads(_TRAILING_COMMA.sub(lambda found: found[1] or "", text))
    except (tomllib.TOMLDecodeError, json.JSONDecodeError) as error:
        where = f"line {error.lineno}, column {error.colno}" if isinstance(error, json.JSONDecodeError) else str(error)
        kind = "JSON" if isinstance(error, json.JSONDecodeError) else "TOML"
        raise ConfigurationError(f"{path} is not {kind}: {where}.", advice="Mend it, and try again.") from None
    except RecursionError:
        raise ConfigurationError(f"{path} is nested too deeply.", advice="Is it the right file?") from None


def _servers(content: Any, path: Path) -> Mapping[str, Any]:
    for key in _KEYS:
        found = content.get(key) if isinstance(content, dict) else None
        if isinstance(found, dict):
            # VS Code's own settings have the same, one deeper.
            deeper = found.get("servers")
            return deeper if key == "mcp" and isinstance(deeper, dict) and "command" not in deeper else found
    raise ConfigurationError(
        f"{path} names no MCP servers.", advice=f"They stand under one of the keys {', '.join(_KEYS)}."
    )


class _Entry:
    """One server of a file.

    Args:
        place: the file and the server's name, for errors.
        folder: relative paths mean it.
    """

    def __init__(self, place: str, entry: Any, environ: Mapping[str, str], folder: Path) -> None:
        if not isinstance(entry, dict):
            raise ConfigurationError(f"{place} is no description of a server.", advice="Give it command or url.")
        self._place = place
        self._entry: dict[str, Any] = entry
        self._environ = environ
        self._folder = folder
        self._used: dict[str, str] = {}

    @property
    def is_off(self) -> bool:
        return self._entry.get("disabled") is True or self._entry.get("enabled") is False

    def server(self, name: str, *, in_project: bool) -> MCPServer:
        """The server. Raises ConfigurationError."""
        if "envFile" in self._entry:
            raise self._wrong("envFile", "is not read.", "Put its variables into env.")
        url = self._text("httpUrl", "url", "serverUrl")
        kind = self._text("type", "transport").lower()
        if kind == "sse" or (kind in ("ws", "websocket")):
            raise self._wrong("type", f"{kind!r} is not supported.", "Most servers have an address of the type http.")
        command = self._command()
        if not command and not url:
            raise ConfigurationError(f"{self._place} has neither command nor url.", advice="Give it one of them.")
        if command and url:
            raise ConfigurationError(f"{self._place} has both command and url.", advice="Leave one out.")
        cwd = self._text("cwd")
        allowed = () if in_project else self._texts("alwaysAllow", "autoApprove") or ()
        env, headers, tools = self._mapping("env", "environment"), self._headers(), self._tools()
        excluded = self._restriction("excludeTools", "disabled_tools", "disabledTools") or ()
        try:
            return MCPServer(
                name=name,
                command=command,
                url=url,
                env=env,
                headers=headers,
                cwd=str(self._folder / Path(cwd).expanduser()) if cwd else None,
                tools=tools,
                excluded_tools=excluded,
                trust=not in_project and self._entry.get("trust") is True,
                always_allow=allowed,
                in_project=in_project,
                variables=self._used,
            )
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{self._place}: {error.message.removeprefix('mcp: ')}", advice=error.advice
            ) from error

    def _command(self) -> tuple[str, ...]:
        value = self._entry.get("command")
        if isinstance(value, list):
            return tuple(self._several("command", value))
        program = self._text("command")
        return (program, *self._several("args", self._entry.get("args") or ())) if program else ()

    def _headers(self) -> dict[str, str]:
        headers = self._mapping("headers", "http_headers")
        for header, variable in self._mapping("env_http_headers").items():
            headers[header] = self._variable(variable)
        if variable := self._text("bearer_token_env_var"):
            headers["Authorization"] = f"Bearer {self._variable(variable)}"
        return headers

    def _tools(self) -> tuple[str, ...] | None:
        tools = self._restriction("tools", "includeTools", "enabled_tools", "allowedTools")
        return None if tools is None or "*" in tools else tools

    def _restriction(self, *keys: str) -> tuple[str, ...] | None:
        """Names of tools. One that cannot be read must not let all of them through."""
        for key in keys:
            if self._entry.get(key) is not None and not isinstance(self._entry[key], list):
                raise self._wrong(key, "is no list of tools.", 'Write ["name"].')
        return self._texts(*keys)

    def _text(self, *keys: str) -> str:
        for key in keys:
            if (value := self._entry.get(key)) is not None:
                return self._expanded(key, value)
        return ""

    def _texts(self, *keys: str) -> tuple[str, ...] | None:
        for key in keys:
            value = self._entry.get(key)
            if isinstance(value, list):
                return tuple(self._several(key, value))
        return None

    def _several(self, key: str, values: Any) -> Iterator[str]:
        if not isinstance(values, list | tuple):
            raise self._wrong(key, "is no list of texts.", "Write it in [ ].")
        for value in values:
            yield self._expanded(key, value)

    def _mapping(self, *keys: str) -> dict[str, str]:
        for key in keys:
            if (values := self._entry.get(key)) is not None:
                if not isinstance(values, dict):
                    raise self._wrong(key, "has no names with values.", 'Write {"NAME": "value"}.')
                return {name: self._expanded(f"{key}.{name}", value) for name, value in values.items()}
        return {}

    def _expanded(self, key: str, value: Any) -> str:
        if isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)  # a port, in env or args
        if not isinstance(value, str):
            raise self._wrong(key, "is no text.", "Write it in quotes.")
        if _INPUT.search(value):
            raise self._wrong(key, "asks for a value, which is not possible here.", "Write ${VAR}, and set VAR.")
        # One pass: what a variable holds is not looked through again.
        return _VARIABLE.sub(lambda found: self._variable(found[1] or found[3], found[2]), value)

    def _variable(self, name: str, default: str | None = None) -> str:
        if name in ("workspaceFolder", "workspaceRoot"):
            return str(self._folder)
        value = self._environ.get(name)
        if default is not None and not value:
            return default
        if value is None:
            raise ConfigurationError(f"{self._place}: the variable {name} is not set.", advice=f"Set {name}.")
        self._used[name] = value
        return value

    def _wrong(self, key: str, what: str, advice: str) -> ConfigurationError:
        return ConfigurationError(f"{self._place}: {key} {what}", advice=advice)
