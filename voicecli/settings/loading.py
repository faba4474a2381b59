"""The settings of the user as a RealtimeConfig, for programs that ask for them."""

import dataclasses
import os
from collections.abc import Callable, Iterator, Mapping, Sequence

from voicecli.config import RealtimeConfig
from voicecli.errors import ConfigurationError
from voicecli.ports import Provider
from voicecli.settings.entries import COMMAND_ENTRIES, Entry, entries_of
from voicecli.settings.environment import PROFILE_VARIABLE
from voicecli.settings.file import SettingsFile
from voicecli.settings.layers import Chosen, chosen_values
from voicecli.settings.options import Option, make_config, setting_options

__all__ = ["PROVIDER", "TAKEN", "check_file", "load_config", "problems_of"]

PROVIDER = Entry("provider", str)
TAKEN = frozenset(name.replace("-", "_") for name in (*COMMAND_ENTRIES, "profile", "help"))
"""Names of parameters that settings of providers do not get, as the command has them."""


def load_config(
    providers: Sequence[Provider],
    find: Callable[[str], Provider],
    choose: Callable[[], Provider],
    everybody: Callable[[], Sequence[Provider]],
    *,
    provider: Provider | str | None,
    profile: str | None,
) -> RealtimeConfig:
    """The settings of a profile, the environment and the file, with the provider that they choose.

    Args:
        providers: those that are built in.
        find, choose: the provider of a name, and the one that is taken where none is named.
        everybody: the providers that packages bring, too.
        provider, profile: as for `RealtimeConfig.from_settings`.

    Raises:
        ConfigurationError: something there is wrong; it says where.
    """
    file = SettingsFile.read()
    profile = profile or os.environ.get(PROFILE_VARIABLE)
    named = provider or _value(chosen_values([PROVIDER], file, os.environ, profile))
    chosen = find(named) if isinstance(named, str) else named or choose()
    options = setting_options([*(each for each in providers if each.name != chosen.name), chosen], TAKEN)
    entries = entries_of(options)
    check_file(file, entries, lambda: entries_of(setting_options(everybody(), TAKEN)))
    values = chosen_values(entries, file, os.environ, profile)
    given = {entry.name.replace("-", "_"): found.value for entry in entries if (found := values.get(entry.name))}
    try:
        config = make_config(options, given, chosen)
    except ConfigurationError as error:
        raise _placed(error, options, values) from error
    return dataclasses.replace(config, provider=chosen.name, prices=file.prices)


def check_file(file: SettingsFile, entries: Sequence[Entry], everybody: Callable[[], Sequence[Entry]]) -> None:
    """Check all that is in the file.

    Args:
        everybody: the entries that providers of packages have, too: asked for where others are not all.

    Raises:
        ConfigurationError: an entry that there is not, or a value that is not possible; with the line.
    """
    for _, problem in problems_of(file, entries, everybody):
        raise problem


def problems_of(
    file: SettingsFile, entries: Sequence[Entry], everybody: Callable[[], Sequence[Entry]]
) -> Iterator[tuple[int, ConfigurationError]]:
    """All that `check_file` would complain about, each with its line, or 0 where that cannot be told."""
    known = {entry.name for entry in entries}
    others = COMMAND_ENTRIES - known
    if any(name not in known | others for table in file.tables.values() for name in table):
        others |= {entry.name for entry in everybody()} - known
    yield from file.problems(entries, others)


def _placed(error: ConfigurationError, options: Sequence[Option], values: Mapping[str, Chosen]) -> ConfigurationError:
    """The error by the place of the value that is wrong."""
    setting, _, wrong = error.message.partition(": ")
    for option in options:
        chosen = values.get(option.entry)
        if chosen and setting in {path for target in option.targets for path in (target.path, option.name)}:
            return ConfigurationError(f"{chosen.place}: {wrong}", advice=error.advice)
    return error


def _value(values: Mapping[str, Chosen]) -> str | None:
    chosen = values.get(PROVIDER.name)
    return str(chosen.value) if chosen else None
