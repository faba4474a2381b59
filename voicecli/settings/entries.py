"""Entries: what the settings file may hold, and the environment as VOICE_<NAME>; one for each option of the command."""

import dataclasses
import typing
from collections.abc import Iterable
from dataclasses import dataclass, replace
from itertools import takewhile
from pathlib import Path, PurePath
from typing import Any
from urllib.parse import urlsplit

from voicecli.errors import ConfigurationError
from voicecli.ports import Provider
from voicecli.setting_fields import Setting, alternatives
from voicecli.settings.options import Option, variable_of
from voicecli.text import is_valid_text
from voicecli.user_folders import expanded

__all__ = ["COMMAND_ENTRIES", "Entry", "entries_of", "secret_variables", "spelled"]

COMMAND_ENTRIES = frozenset(
    {
        *("auto-gain-control", "echo", "input", "input-device", "input-rate", "json", "log", "logs-keep-days"),
        *("logs-max-mb", "mcp", "mcp-config", "output", "output-device", "play", "provider", "quiet", "record"),
        *("sleep-after", "system-file", "tools", "wake"),
    }
)
"""Entries for the options of `voice chat` that no setting is made of; what they may be, the command knows."""


_TRUE, _FALSE = ("1", "true", "yes", "on"), ("0", "false", "no", "off")


@dataclass(frozen=True, slots=True)
class Entry:
    """A setting as it can be written down.

    Attributes:
        name: of the option, without the dashes in front: "silence-ms".
        kind: bool, int, float or str: of the value, or of each of several.
        several: whether it is a list.
        choices: the only texts that are possible; () for any.
        between: the least and the greatest number.
        number_too: whether a text may as well be written as a number.
        is_file: whether it names a file; where the settings file does so, it means one beside itself.
        no_files: words that are meant as they are where all other texts name files.
        may_be_file: whether it may name a file in place of something else; it does, if that is there.
        is_at_file: whether `@FILE` in its place names one.
        shown: whether its value can be shown; it may hold a secret otherwise.
        default: as it would be written; None where there is none to tell.
    """

    name: str
    kind: type
    several: bool = False
    choices: tuple[str, ...] = ()
    between: tuple[float, float] | None = None
    number_too: bool = False
    is_file: bool = False
    may_be_file: bool = False
    no_files: tuple[str, ...] = ()
    is_at_file: bool = False
    shown: bool = True
    default: Any = None

    @property
    def variable(self) -> str:
        """The variable of the environment."""
        return variable_of(self.name)

    @property
    def wanted(self) -> str:
        """What is accepted, as a phrase."""
        if self.several:
            return "a list of texts"
        if self.choices:
            return f"one of {', '.join(map(repr, self.choices))}"
        if self.kind is bool:
            return "true or false"
        if self.kind is str:
            return "a text"
        limits = f" from {self.between[0]} to {self.between[1]}" if self.between else ""
        return f"a {'whole number' if self.kind is int else 'number'}{limits}"

    def checked(self, value: object, folder: Path | None = None) -> Any:
        """A value of the file as the option takes it.

        Args:
            folder: that of the file.

        Raises:
            ConfigurationError: it is of another type, or not one of the choices.
        """
        if self.several:
            items = [value] if isinstance(value, str) else value
            if isinstance(items, list) and all(isinstance(item, str) for item in items):
                return [self.located(item, folder) for item in items]
            raise self.wrong(value)
        if self.kind is str and self.number_too and isinstance(value, int | float) and not isinstance(value, bool):
            value = str(value)
        if isinstance(value, str) and self.kind is not str:
            raise self._in_quotes(value)
        if isinstance(value, bool) is not (self.kind is bool):
            raise self.wrong(value)
        if self.kind is int and isinstance(value, float) and value.is_integer():
            value = int(value)
        if not isinstance(value, int | float if self.kind is float else self.kind):
            raise self.wrong(value)
        if isinstance(value, int | float) and self.between and not self.between[0] <= value <= self.between[1]:
            raise self.wrong(value)
        if self.choices and value not in self.choices:
            raise self.wrong(value)
        return self.located(value, folder) if isinstance(value, str) else value

    def read(self, text: str) -> Any:
        """A value of the environment, or of a command line, as the option takes it; several stand between commas.

        Raises:
            ConfigurationError: it is none, or not possible.
        """
        if not self.is_file and not is_valid_text(text):
            raise ConfigurationError("this is not UTF-8 text.", advice="Set it anew.")
        if self.several:
            return [part.strip() for part in text.split(",") if part.strip()]
        if self.kind is bool:
            word = text.strip().lower()
            if word not in _TRUE + _FALSE:
                raise self.wrong(text)
            return word in _TRUE
        try:
            value = text if self.kind is str else self.kind(text.strip())
        except ValueError:
            raise self.wrong(text) from None
        return self.checked(value)

    def located(self, name: str, folder: Path | None) -> str:
        """The name of a file as it is meant in this folder; any other text as it is."""
        if self.is_at_file and name[:1] == "@" and name[:2] != "@@":
            return f"@{replace(self, is_at_file=False, is_file=True).located(name[1:], folder)}"
        if not (self.is_file or self.may_be_file) or name in ("-", *self.no_files):
            return name
        path = expanded(name)
        if self.may_be_file and not (path.suffix and folder is not None and (folder / path).is_file()):
            return name
        return str(path if folder is None else folder / path)

    def wrong(self, value: object) -> ConfigurationError:
        """The error for a value that is not possible; it is repeated only where it may be shown."""
        said = self.presented(value) if isinstance(value, bool) else repr(value)
        said = "this" if not self.shown or len(said) > 60 else said
        return ConfigurationError(f"{said} is not possible.", advice=f"Give {self.wanted}.")

    def _in_quotes(self, text: str) -> ConfigurationError:
        try:
            value = self.read(text)
        except ConfigurationError:
            return self.wrong(text)
        return ConfigurationError(f"{text!r} is a text.", advice=f"Leave out the quotes: {self.presented(value)}")

    def presented(self, value: object) -> str:
        """The value for people: of an address that may hold a key only the host, of a header only the name, of a
        command no options."""
        if isinstance(value, list):
            return ", ".join(self.presented(item) for item in value)
        if isinstance(value, bool):
            return "true" if value else "false"
        return str(value) if self.shown else _without_secrets(str(value))


def entries_of(options: Iterable[Option]) -> list[Entry]:
    """The entries for the options that make settings."""
    return [_entry_of(option) for option in options]


def secret_variables(providers: Iterable[Provider]) -> list[str]:
    """The variables that hold secrets of these providers; no option does."""
    fields = [field for provider in providers for field in dataclasses.fields(provider.settings)]
    secret = [field.name for field in fields if (described := Setting.of(field)) and described.secret]
    return [variable_of(name) for name in secret]


def spelled(name: str) -> str:
    """The name of an entry, however it is written: `silence_ms` is `silence-ms`, `logs.keep_days` `logs-keep-days`."""
    return name.strip().lower().replace("_", "-").replace(".", "-")


def _entry_of(option: Option) -> Entry:
    kinds, described = alternatives(option.hint), option.described
    kind = next((each for each in (bool, int, float) if option.type is each), str)
    metavar = described.metavar or ""
    return Entry(
        option.entry,
        kind,
        several=option.repeated is not None,
        choices=() if option.switches or described.parse is not None else tuple(option.choices),
        between=described.between,
        number_too=described.parse is not None and str not in kinds and option.repeated is None,
        is_at_file="@FILE" in described.help,
        may_be_file="|FILE" in metavar,
        is_file=metavar.startswith("FILE") or PurePath in {base for each in kinds for base in _bases(each)},
        shown=option.shown,
        default=_written_default(option),
    )


def _bases(kind: Any) -> tuple[type, ...]:
    return kind.__mro__ if isinstance(kind, type) and not typing.get_origin(kind) else ()


def _written_default(option: Option) -> Any:
    default = option.default
    if option.described.value is not None:
        return False
    if default in ((), {}) or default is None:
        return None
    return getattr(default, "value", default)


def _without_secrets(text: str) -> str:
    before, colon, after = text.partition(":")
    if not colon or " " in before:
        # A command, of which options may hold a key.
        words = text.split(" ")
        shown = list(takewhile(lambda word: not word.startswith("-") and not {"=", ":"} & {*word}, words))
        return " ".join([*shown, *(["..."] if len(shown) < len(words) else [])])
    if after.startswith("//"):
        scheme = before.rpartition("=")[2]
        try:
            parts = urlsplit(f"{scheme}:{after}")
            host, port = parts.hostname or "", parts.port
        except ValueError:
            return "..."
        rest = "/..." if parts.path.strip("/") or parts.query or parts.fragment else ""
        return f"{before}://{host}{f':{port}' if port else ''}{rest}"
    return f"{before}: ..."
