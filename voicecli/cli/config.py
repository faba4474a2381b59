"""`voice config`: what is set, to what, and where."""

import os
import shlex
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from voicecli.cli.chat import chat
from voicecli.cli.command import command_group
from voicecli.cli.layers import check_settings, every_provider, own_entries, unknown_settings
from voicecli.cli.lists import JsonOption
from voicecli.cli.options import conversation_parameters
from voicecli.cli.table import show_table
from voicecli.errors import ConfigurationError
from voicecli.ports import Provider
from voicecli.pricing import Prices
from voicecli.providers import PROVIDERS, find_provider
from voicecli.settings.edit import change_entries
from voicecli.settings.entries import Entry, entries_of, spelled
from voicecli.settings.environment import PROFILE_VARIABLE
from voicecli.settings.file import PROFILE_ADVICE, SettingsFile, settings_path
from voicecli.settings.folder import exclusively, write_bytes
from voicecli.settings.layers import Chosen, chosen_values
from voicecli.settings.loading import PROVIDER, TAKEN
from voicecli.settings.options import make_config, setting_options
from voicecli.settings.prices import PRICES, price_entries
from voicecli.terminal.printable import printable
from voicecli.text import is_valid_text, nearest

__all__ = ["chat_entries", "config", "missing_files"]

config = command_group("Show and change the settings.")

Profile = Annotated[str | None, typer.Option("--profile", metavar="NAME", help="That of [profiles.NAME].")]
Name = Annotated[str, typer.Argument(metavar="NAME", help="An option of chat, without the dashes in front.")]

_READ = ("input", "mcp-config", "system-file", "tools")
"""Settings that name files which must be there."""

_NEW = """\
# Settings of voicecli: any option of `voice chat`, without the dashes in front.
# What there is: voice config show --all
#
# provider = "openai"
# system = "Be brief."
#
# [profiles.work]          # taken by --profile work
# voice = "cedar"
"""


@config.command("show")
def show(
    profile: Profile = None,
    everything: Annotated[bool, typer.Option("--all", help="Also what has its default.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Show the settings, and where each comes from: profile, environment, or file."""
    entries = chat_entries(every_provider())
    file = SettingsFile.read()
    check_settings(file, entries)
    profile = profile or os.environ.get(PROFILE_VARIABLE)
    if profile:
        _check_profile(file, profile)
    chosen = chosen_values(entries, file, os.environ, profile)
    for note in unknown_settings(entries, every_provider()):
        typer.echo(f"voice: {printable(note)}", err=True)
    rows = [_row(entry, chosen.get(entry.name)) for entry in entries if everything or entry.name in chosen]
    rows += [_price_row(file, model, prices) for model, prices in file.prices.items()]
    show_table(("name", "value", "from"), rows, as_json)
    if not rows and not as_json:
        typer.echo("Nothing is set. `voice config set NAME VALUE` does it, and `voice setup` asks.", err=True)


@config.command("set")
def set_(
    name: Name,
    values: Annotated[list[str], typer.Argument(metavar="VALUE...", help="The value; several where it is a list.")],
    profile: Profile = None,
) -> None:
    """Set an option of chat for good: voice config set speed 1.2"""
    entry = _entry(name)
    value = _value(entry, values)
    change_entries({entry.name: value}, profile or "")
    typer.echo(f"{entry.name} = {entry.presented(value)}  ({settings_path()}{_in(profile)})", err=True)


@config.command("unset")
def unset(name: Name, profile: Profile = None) -> None:
    """Let an option have its default again."""
    if change_entries({spelled(name): None}, profile or ""):
        raise typer.BadParameter(f"{spelled(name)} is not set in {settings_path()}{_in(profile)}", param_hint="NAME")


@config.command("path")
def path() -> None:
    """Write the path of the settings file, whether or not it is there."""
    typer.echo(str(settings_path()))


@config.command("edit")
def edit() -> None:
    """Open the settings file in the editor that VISUAL or EDITOR names, and check it afterwards."""
    file = settings_path()
    editor = os.environ.get("VISUAL") or os.environ.get("EDITOR") or ("notepad" if os.name == "nt" else "vi")
    if editor == "vi" and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise ConfigurationError(
            f"The editor {editor!r} needs a terminal.",
            advice=f"In scripts: `voice config set NAME VALUE`. The file is {file}",
        )
    if not file.exists():
        with exclusively():
            write_bytes(file, _NEW.encode())
    try:
        status = subprocess.run([*_words(editor), str(file)]).returncode
    except (OSError, ValueError) as error:  # the latter for quotation marks without an end
        raise ConfigurationError(
            f"The editor {editor!r} cannot be started: {getattr(error, 'strerror', None) or error}.",
            advice=f"Name one in the variable EDITOR, or edit the file yourself: {file}",
        ) from error
    if status:
        raise ConfigurationError(f"The editor {editor!r} ended with {status}.", advice=f"The file is {file}")
    check_settings(SettingsFile.read(), chat_entries(every_provider()))


def _check_profile(file: SettingsFile, profile: str) -> None:
    try:
        file.of_profile(profile)
    except ConfigurationError as error:
        wrong = error.message.partition(": ")[2]
        raise typer.BadParameter(f"{wrong} {error.advice}", param_hint="--profile") from error


def _row(entry: Entry, chosen: Chosen | None) -> dict[str, Any]:
    if chosen is None:
        value, place, source = entry.default, "default", "default"
    else:
        value, place, source = chosen.value, chosen.short_place, chosen.source
    shown = "" if value is None else printable(entry.presented(value))
    return {"name": entry.name, "value": shown, "from": place, "source": source}


def _price_row(file: SettingsFile, model: str, prices: Prices) -> dict[str, Any]:
    shown = ", ".join(f"{name} {price:g}" for name, price in price_entries(prices).items())
    line = file.line_of((PRICES, model))
    place = f"{file.path.name if file.path else ''}{f', line {line}' if line else ''}"
    return {"name": printable(f"{PRICES}.{model}"), "value": shown, "from": place, "source": "file"}


def _entry(name: str) -> Entry:
    entries = {entry.name: entry for entry in chat_entries(every_provider())}
    found = entries.get(spelled(name))
    if found is not None:
        return found
    near = nearest(spelled(name), entries)
    advice = f"did you mean {near}?" if near else "`voice config show --all` lists what there is"
    if "key" in spelled(name).split("-"):
        advice = "keys are stored by `voice keys set PROVIDER`"
    elif spelled(name).partition("-")[0] == PRICES:
        advice = f'prices are a table for each model, [{PRICES}."NAME"]: `voice config edit`'
    elif spelled(name) == "profile":
        raise typer.BadParameter(f"there is no setting {name!r}. {PROFILE_ADVICE}", param_hint="NAME")
    raise typer.BadParameter(f"there is no setting {name!r}: {advice}", param_hint="NAME")


def _value(entry: Entry, values: Sequence[str]) -> Any:
    """The value as the file is to hold it; checked as a conversation would."""
    try:
        if not all(map(is_valid_text, values)) and not entry.is_file:
            raise typer.BadParameter("this is not UTF-8 text", param_hint="VALUE")
        if entry.several:
            value: Any = entry.checked(list(values))
        elif len(values) == 1:
            value = entry.read(values[0])
        else:
            raise typer.BadParameter(f"{entry.name} takes one value", param_hint="VALUE")
        if entry.name == PROVIDER.name:
            value = find_provider(value).name
        for option in setting_options(every_provider(), TAKEN):
            if option.entry == entry.name:
                for provider in option.owners or PROVIDERS[:1]:
                    make_config([option], {option.name: value}, provider)
    except ConfigurationError as error:
        _, colon, wrong = error.message.partition(": ")
        raise typer.BadParameter(
            f"{wrong if colon else error.message} {error.advice}".strip(), param_hint=entry.name
        ) from error
    # A file is looked for where the user is now, but for the settings file beside that.
    located = [entry.located(item, Path.cwd()) if isinstance(item, str) else item for item in _items(value)]
    for path in missing_files(entry, located):
        raise typer.BadParameter(f"there is no file {path}", param_hint=entry.name)
    return located if isinstance(value, list) else located[0]


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def missing_files(entry: Entry, value: Any) -> list[str]:
    """The files that a setting names, which must be there, and are not."""
    if entry.name not in _READ:
        return []
    names = [item for item in _items(value) if isinstance(item, str) and item not in ("-", *entry.no_files)]
    return [name for name in names if not Path(name).exists()]


def chat_entries(providers: Sequence[Provider]) -> list[Entry]:
    """The entries for all options of `voice chat`, those of these providers included."""
    own = own_entries(conversation_parameters(chat)).values()
    return [*own, *entries_of(setting_options(providers, TAKEN))]


def _in(profile: str | None) -> str:
    return f", profile {profile}" if profile else ""


def _words(command: str) -> list[str]:
    return [command] if os.name == "nt" else shlex.split(command)
