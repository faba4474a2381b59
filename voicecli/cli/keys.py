"""`voice keys`: keys of providers, stored and removed. None is ever an argument, and none is ever shown."""

import contextlib
import getpass
import os
import re
import sys
from typing import Annotated

import typer

from voicecli.cli.command import command_group
from voicecli.cli.layers import every_provider
from voicecli.cli.lists import JsonOption
from voicecli.cli.standard_input import is_terminal
from voicecli.cli.table import show_table
from voicecli.credentials import checked_key
from voicecli.errors import ConfigurationError
from voicecli.install import missing_packages
from voicecli.ports import Provider
from voicecli.providers import find_provider
from voicecli.settings.keyring_store import NO_KEYRING
from voicecli.settings.keys import (
    how_to_protect,
    keys_path,
    protection,
    remove_key,
    store_key,
    stored_keys,
    unsafe_permissions,
)
from voicecli.text_files import decode_text

__all__ = ["ask_for_key", "clean_key", "key_variable", "keys", "told_where"]

keys = command_group("Store and remove keys of providers.")

ProviderName = Annotated[str, typer.Argument(metavar="PROVIDER", help="Whose key: openai, gemini, local ...")]
_LONGEST = 10_000  # bytes
_NAMED = re.compile(r"(?:export\s+)?[A-Z][A-Z_]*=")


@keys.command("set", context_settings={"allow_extra_args": True})
def set_(ctx: typer.Context, provider: ProviderName) -> None:
    """Store a key: you are asked for it, or it comes from standard input. One of the environment comes before it."""
    chosen = _provider(provider)
    if ctx.args:
        raise typer.BadParameter(
            "a key is no argument: others on this machine could see it, and the shell remembers it. You are asked for "
            "it, or give it on standard input",
            param_hint="KEY",
        )
    told = clean_key(ask_for_key(chosen) if is_terminal() else _key_from_input(), chosen)
    typer.echo(told_where(chosen, *store_key(chosen.name, told)), err=True)
    if variable := key_variable(chosen):
        typer.echo(f"The variable {variable} is set, too, and comes first.", err=True)


@keys.command("list")
def list_(as_json: JsonOption = False) -> None:
    """Show for which providers there is a key, and where; never the key. That of the environment comes first."""
    stored = stored_keys()
    rows = [
        {
            "provider": provider.name,
            "stored in": stored.get(provider.name, ""),
            "environment": key_variable(provider),
            "variables": ", ".join(provider.key_variables),
        }
        for provider in _takers()
    ]
    show_table(("provider", "stored in", "environment", "variables"), rows, as_json)
    if unsafe_permissions():
        typer.echo(f"voice: Others may read {keys_path()}: {how_to_protect()}", err=True)


@keys.command("remove")
def remove(provider: ProviderName) -> None:
    """Remove a stored key."""
    chosen = _provider(provider)
    place = remove_key(chosen.name)
    if place is None:
        raise typer.BadParameter(f"no key is stored for {chosen.name}", param_hint="PROVIDER")
    typer.echo(f"The key for {chosen.title} is removed.", err=True)
    if variable := key_variable(chosen):
        typer.echo(f"The variable {variable} is still set.", err=True)


@keys.command("path")
def path(provider: Annotated[str | None, typer.Argument(metavar="[PROVIDER]", help="Whose key.")] = None) -> None:
    """Write the path of the file that tells which keys there are, and holds those that no keyring took."""
    if provider is not None and stored_keys().get(_provider(provider).name) == "keyring":
        typer.echo("keyring")
    else:
        typer.echo(str(keys_path()))


def ask_for_key(provider: Provider) -> str:
    """Ask for a key without showing it. Raises typer.Abort at the end of the input."""
    try:
        return getpass.getpass(f"Key for {provider.title} (it is not shown): ", stream=sys.stderr)
    except EOFError:
        raise typer.Abort from None


def clean_key(text: str, provider: Provider) -> str:
    """The key in what was given: without quotes, `Bearer`, or the variable's name in front.

    Raises:
        ConfigurationError: there is none, or it has characters that no key has.
    """
    key = _NAMED.sub("", text.strip(), count=1).strip("\"'").removeprefix("Bearer ").strip()
    if not key:
        where = f"You get one at {provider.key_url}" if provider.key_url else ""
        raise ConfigurationError("No key was given. Nothing was changed.", advice=where)
    return checked_key(key, provider.title)


def told_where(provider: Provider, place: str, why: str) -> str:
    """A sentence about where a key is stored."""
    if place == "keyring":
        return f"The key for {provider.title} is stored in the system's keyring."
    # Without the package, or on a system without a keyring, nobody expects it there.
    expected = why not in ("", NO_KEYRING) and not missing_packages(["keyring"])
    reason = f" The system's keyring did not take it: {why}." if expected else ""
    return f"The key for {provider.title} is stored in {keys_path()}, {protection()}.{reason}"


def _key_from_input() -> str:
    given = sys.stdin.buffer.read(_LONGEST + 1)
    with contextlib.suppress(ConfigurationError):
        lines = decode_text(given, "standard input").strip().splitlines()
        if len(given) <= _LONGEST and len(lines) <= 1:
            return "".join(lines)
    raise ConfigurationError("Standard input is no key. Nothing was changed.", advice="Give one line with the key.")


def _provider(name: str) -> Provider:
    try:
        provider = find_provider(name)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="PROVIDER") from error
    if not provider.key_variables:
        raise typer.BadParameter(f"{provider.title} takes no key", param_hint="PROVIDER")
    return provider


def _takers() -> list[Provider]:
    return [provider for provider in every_provider() if provider.key_variables]


def key_variable(provider: Provider) -> str:
    """The variable from which its key comes; "" when none is set."""
    return next((name for name in provider.key_variables if os.environ.get(name)), "")
