"""What profile, environment and settings file say about the command's options."""

import contextlib
import inspect
import os
import typing
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from voicecli.errors import ConfigurationError
from voicecli.ports import Provider
from voicecli.pricing import Prices
from voicecli.providers import all_providers
from voicecli.providers.plugins import plugin_names
from voicecli.setting_fields import alternatives, choices_of
from voicecli.settings.entries import COMMAND_ENTRIES, Entry, entries_of, secret_variables
from voicecli.settings.environment import PROFILE_VARIABLE, unknown_variables
from voicecli.settings.file import SettingsFile, UnreadableFileError
from voicecli.settings.layers import Chosen, chosen_values
from voicecli.settings.loading import PROVIDER, TAKEN, check_file
from voicecli.settings.options import setting_options, variable_of

__all__ = [
    "Layers",
    "check_settings",
    "declared_names",
    "device_of_settings",
    "every_provider",
    "json_lines_of_settings",
    "own_entries",
    "provider_of_settings",
    "unknown_settings",
]


class Layers:
    """The values that profile, environment and file have for a command's options.

    Args:
        entries: those of the command, by the names of its parameters.
        providers: whose options are among them.

    Attributes:
        notes: what was left out, and why.
        prices: of models, that the settings file gives.
    """

    def __init__(self, entries: Mapping[str, Entry], providers: Sequence[Provider]) -> None:
        self._entries = entries
        self._providers = providers
        self.notes: list[str] = []
        self.prices: Mapping[str, Prices] = {}

    def values(self, profile: str | None, *, provider_given: bool) -> dict[str, Chosen]:
        """The chosen values, by the names of parameters.

        Args:
            provider_given: whether the command line names the provider.

        Raises:
            ConfigurationError: something is wrong; it says where.
        """
        profile = profile or os.environ.get(PROFILE_VARIABLE)
        entries = list(self._entries.values())
        try:
            file = SettingsFile.read()
        except UnreadableFileError as error:
            # Never does a damaged file change who hears the user.
            if profile or not (provider_given or os.environ.get(PROVIDER.variable)):
                raise
            self.notes.append(f"The settings file has no effect: {error}")
            file = SettingsFile()
        check_settings(file, entries)
        self.prices = file.prices
        self.notes += unknown_settings(entries, self._providers)
        chosen = chosen_values(entries, file, os.environ, profile)
        return {name: chosen[entry.name] for name, entry in self._entries.items() if entry.name in chosen}


def check_settings(file: SettingsFile, entries: Sequence[Entry]) -> None:
    """Check all that is in the file; what only providers of packages have, may be there, too.

    Raises:
        ConfigurationError: something is wrong; it says where.
    """
    check_file(file, entries, _of_all)


def unknown_settings(entries: Sequence[Entry], providers: Sequence[Provider]) -> list[str]:
    """A sentence for each variable of the environment that looks like a setting and is none."""
    known = set(map(variable_of, COMMAND_ENTRIES))
    unknown = unknown_variables(entries, os.environ, known | set(secret_variables(providers)))
    if unknown and plugin_names():
        known |= {entry.variable for entry in _of_all()} | set(secret_variables(every_provider()))
        unknown = unknown_variables(entries, os.environ, known)
    return unknown


def own_entries(parameters: Mapping[str, inspect.Parameter]) -> dict[str, Entry]:
    """Entries for options that no setting is made of.

    Args:
        parameters: of the command; those that are no options, and `profile`, have none.
    """
    entries = {name: _own_entry(name, parameter) for name, parameter in parameters.items()}
    return {name: entry for name, entry in entries.items() if entry.name in COMMAND_ENTRIES}


def device_of_settings(name: str) -> str | None:
    """The device that profile, environment or file choose; None where they choose none.

    Args:
        name: "input-device" or "output-device".

    Raises:
        ConfigurationError: they cannot be read, or have something else there.
    """
    entry = Entry(name, str, number_too=True)
    chosen = chosen_values([entry], SettingsFile.read(), os.environ, os.environ.get(PROFILE_VARIABLE))
    return chosen[name].value if name in chosen else None


def json_lines_of_settings() -> bool:
    """Return whether profile, environment or file ask for JSON lines, as far as they can be read."""
    entry = Entry("json", bool)
    for read in (SettingsFile.read, SettingsFile):
        with contextlib.suppress(ConfigurationError):
            chosen = chosen_values([entry], read(), os.environ, os.environ.get(PROFILE_VARIABLE))
            return entry.name in chosen and bool(chosen[entry.name].value)
    return False


def provider_of_settings(profile: str | None) -> str | None:
    """The provider that profile, environment or file name, if they can be read."""
    try:
        chosen = chosen_values([PROVIDER], SettingsFile.read(), os.environ, profile or os.environ.get(PROFILE_VARIABLE))
    except ConfigurationError:  # told when the command runs
        return os.environ.get(PROVIDER.variable)
    return chosen[PROVIDER.name].value if PROVIDER.name in chosen else None


def declared_names(option: Any) -> list[str]:
    """The names that a typer option or argument declares: "--play/--no-play" are two."""
    # In an annotation the first name stands where a default would.
    declared = (getattr(option, "default", None), *(getattr(option, "param_decls", None) or ()))
    return [name for text in declared if isinstance(text, str) for name in text.split("/")]


def _own_entry(name: str, parameter: inspect.Parameter) -> Entry:
    hint, option, *_ = (*typing.get_args(parameter.annotation), None, None)
    names = [text for text in declared_names(option) if text.startswith("--")]
    kinds = alternatives(hint)
    metavar = getattr(option, "metavar", None) or ""
    default = parameter.default
    words = tuple(part for part in metavar.split("|") if part.islower())  # "builtin|FILE.py"
    return Entry(
        (names[0][2:] if names else name.replace("_", "-")),
        next((kind for kind in (bool, int, float) if kind in kinds), str),
        several=any(typing.get_origin(kind) in (list, tuple) for kind in kinds),
        choices=tuple(map(str, choices_of(hint))),
        between=_between(option),
        number_too="NUMBER" in metavar,
        is_file=metavar.startswith("FILE") or "|FILE" in metavar or Path in kinds or list[Path] in kinds,
        no_files=words if "FILE" in metavar else (),
        shown="URL" not in metavar,  # which may hold a key
        default=default if isinstance(default, str | int | float) else None,
    )


def _between(option: Any) -> tuple[float, float] | None:
    """The least and the greatest number that an option takes; None where it does not say both."""
    least, greatest = getattr(option, "min", None), getattr(option, "max", None)
    return None if least is None or greatest is None else (least, greatest)


def every_provider() -> list[Provider]:
    """All providers; those of packages that cannot be used are left out without a word, which listings say."""
    return all_providers(lambda message: None)


def _of_all() -> list[Entry]:
    return entries_of(setting_options(every_provider(), TAKEN))
