"""The MCP servers that options or settings name; those of a project's file only with the user's consent."""

import hashlib
import os
import sys
from collections.abc import Sequence
from dataclasses import replace
from itertools import count
from pathlib import Path

import typer

from voicecli.cli.standard_input import is_terminal
from voicecli.errors import ConfigurationError
from voicecli.kept_files import replace_file
from voicecli.mcp.config import MCPServer, server_of_text
from voicecli.mcp.config_file import read_servers
from voicecli.terminal.printable import printable
from voicecli.text_files import read_text_file
from voicecli.user_folders import state_dir

__all__ = ["chosen_servers"]


def chosen_servers(texts: Sequence[str], files: Sequence[Path]) -> list[MCPServer]:
    """The servers of `--mcp COMMAND|URL` and `--mcp-config FILE`, in that order; two of one name get numbers.

    A file inside the working directory may be a stranger's: what it starts is shown and asked for once.

    Raises:
        ConfigurationError: one cannot be understood, or nobody can be asked.
    """
    servers = [server_of_text(text) for text in texts]
    for file in files:
        servers += _servers_of(file)
    names: list[str] = []
    for server in servers:
        numbers = (f"{server.name}_{number}" for number in count(2))
        names.append(server.name if server.name not in names else next(name for name in numbers if name not in names))
    return [replace(server, name=name) for server, name in zip(servers, names, strict=True)]


def _servers_of(file: Path) -> list[MCPServer]:
    in_project = _is_in_project(file)
    try:
        text = read_text_file(str(file))
        servers = read_servers(text, file, os.environ, in_project=in_project)
    except ConfigurationError as error:
        raise ConfigurationError(f"mcp_config: {error.message}", advice=error.advice) from error
    if not in_project or not servers or _is_allowed(file, text):
        return servers
    return servers if _ask(file, text, servers) else []


def _is_in_project(file: Path) -> bool:
    """True for a file below the working directory, unless that is the user's home or above it."""
    try:
        here, home = Path.cwd(), Path.home().resolve()
        return here in file.resolve().parents and here not in (home, *home.parents)
    except (OSError, RuntimeError):
        return True


def _ask(file: Path, text: str, servers: Sequence[MCPServer]) -> bool:
    if not (is_terminal() and sys.stderr.isatty()):
        raise ConfigurationError(
            f"mcp_config: {file} is part of this project, and nobody can be asked whether its servers may start.",
            advice=f"Run `voice list-tools --mcp-config {file}` in a terminal once, or keep the file elsewhere.",
        )
    typer.echo(f"{printable(str(file))} is part of this project. It would have these MCP servers:", err=True)
    for server in servers:
        typer.echo(f"  {printable(server.name)}: {printable(server.described())}", err=True)
        for what, names in (("variables", server.env), ("headers", server.headers)):
            if names:
                typer.echo(f"    with the {what} {printable(', '.join(names))}", err=True)
    if not typer.confirm("Start them, now and from now on?", default=False, err=True):
        return False
    try:
        replace_file(_mark(file, text), b"")
    except (OSError, ConfigurationError):
        typer.echo("This cannot be kept: you will be asked again.", err=True)
    return True


def _is_allowed(file: Path, text: str) -> bool:
    try:
        return _mark(file, text).exists()
    except (OSError, ConfigurationError):
        return False


def _mark(file: Path, text: str) -> Path:
    """The file that is there when this file, with this content, was allowed."""
    content = f"{file.resolve()}\0{text}".encode("utf-8", "surrogatepass")
    return state_dir() / "mcp-allowed" / hashlib.sha256(content).hexdigest()
