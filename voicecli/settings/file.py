"""The settings file, config.toml: reads it, and says in which line an entry is."""

import tomllib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from voicecli.errors import ConfigurationError
from voicecli.pricing import Prices
from voicecli.settings.entries import Entry, spelled
from voicecli.settings.folder import find_config_dir, read_bytes
from voicecli.settings.prices import PRICES, read_prices
from voicecli.text import nearest
from voicecli.user_folders import config_dir

__all__ = ["GROUPS", "PROFILES", "PROFILE_ADVICE", "SettingsFile", "UnreadableFileError", "settings_path"]

PROFILES = "profiles"
PROFILE_ADVICE = f"A profile is a table, [{PROFILES}.NAME]; --profile NAME or VOICE_PROFILE chooses it."
GROUPS = ("logs",)
"""Groups of entries, such as "logs-keep-days", that may stand in a table of their own: [logs], and then keep-days."""

_NAME = "config.toml"
_MOST_LINES = 2_000  # of a file whose lines are told
_KEY_WORDS = ("key", "token", "secret", "password")


class UnreadableFileError(ConfigurationError):
    """The file cannot be read, or is not TOML: what was set in it is not known."""


def settings_path() -> Path:
    """The path of the file, whether or not it exists. Raises ConfigurationError where the user has no home."""
    return config_dir() / _NAME


@dataclass(frozen=True, slots=True)
class SettingsFile:
    """The settings file, as it is written: nothing of it is checked yet.

    Attributes:
        path: None where the user has no home.
        tables: the entries by their names, of the file itself (under "") and of each profile.
        prices: of models, by their names; these are checked.
    """

    path: Path | None = None
    text: str = field(default="", repr=False)
    tables: Mapping[str, Mapping[str, Any]] = field(default_factory=lambda: {"": {}}, repr=False)
    prices: Mapping[str, Prices] = field(default_factory=dict, repr=False)

    @classmethod
    def read(cls) -> "SettingsFile":
        """The user's file; an empty one where there is none.

        Raises:
            UnreadableFileError: it cannot be read, or is not TOML.
            ConfigurationError: the profiles are no tables, an entry is there twice, or a price is none.
        """
        folder = find_config_dir()
        if folder is None:
            return cls()
        path = folder / _NAME
        try:
            content = read_bytes(path)
        except ConfigurationError as error:
            raise UnreadableFileError(error.message, advice=error.advice) from error
        return cls.of(path, content or b"")

    @classmethod
    def of(cls, path: Path, content: bytes) -> "SettingsFile":
        """The file with this content. Raises as `read` does."""
        try:
            text = content.decode("utf-8-sig")
            parsed = tomllib.loads(f"{text}\n")  # with its last line ended, each error has a line
        except (UnicodeDecodeError, tomllib.TOMLDecodeError, RecursionError) as error:
            why = "it is not UTF-8 text" if isinstance(error, UnicodeDecodeError) else str(error)
            raise UnreadableFileError(
                f"{path} is not TOML: {why}.", advice=f"Mend it (`voice config edit`), or move it away: {path}"
            ) from None  # tomllib's error holds the file's text
        profiles = parsed.pop(PROFILES, {})
        whole = cls(path, text)
        if not isinstance(profiles, dict) or not all(isinstance(table, dict) for table in profiles.values()):
            wrong = f"{whole.place('', PROFILES)}: this is no table."
            raise ConfigurationError(wrong, advice=f"Write [{PROFILES}.NAME], and the entries in the lines after it.")
        prices = read_prices(parsed.pop(PRICES, {}), whole.place_of)
        tables = {"": parsed, **profiles}
        return cls(path, text, {name: whole._by_name(name, table) for name, table in tables.items()}, prices)

    @property
    def profiles(self) -> list[str]:
        return [name for name in self.tables if name]

    def problems(
        self, entries: Sequence[Entry], others: Iterable[str] = ()
    ) -> Iterator[tuple[int, ConfigurationError]]:
        """Entries that there are not, and values that are not possible, also in profiles that are not chosen.

        Args:
            others: names of entries that are known and not checked.

        Yields:
            The line of each, or 0 where that cannot be told, and the error, which names the place.
        """
        by_name = {entry.name: entry for entry in entries}
        known = [*by_name, *others]
        for profile, table in self.tables.items():
            for name in table:
                if name not in known:
                    yield self.line(profile, name), self._unknown(profile, name, known)
                elif name in by_name:
                    try:
                        self.value(by_name[name], profile)
                    except ConfigurationError as error:
                        yield self.line(profile, name), error

    def value(self, entry: Entry, profile: str = "") -> Any:
        """The value of an entry of the file, or of a profile; None where it is not there.

        Raises:
            ConfigurationError: it is not possible; the message begins with the place.
        """
        given = self.tables.get(profile, {}).get(entry.name)
        if given is None:
            return None
        try:
            return entry.checked(given, self.path.parent if self.path else None)
        except ConfigurationError as error:
            raise ConfigurationError(
                f"{self.place(profile, entry.name)}: {error.message}", advice=error.advice
            ) from None

    def place(self, profile: str, name: str) -> str:
        """The place of an entry, for people: the path, the line, and the name."""
        line = self.line(profile, name)
        return f"{self.path}{f', line {line}' if line else ''}: {name}"

    def place_of(self, keys: Sequence[str]) -> str:
        """The place of a key within tables, for people: the path, the line, and the last of the keys."""
        line = self.line_of(keys)
        return f"{self.path}{f', line {line}' if line else ''}: {keys[-1]}"

    def line(self, profile: str, name: str) -> int:
        """The line in which an entry begins, from 1 on; 0 where that cannot be told."""
        tables = (PROFILES, profile) if profile else ()
        if line := self.line_of((*tables, name)):
            return line
        group, _, rest = name.partition("-")
        return self.line_of((*tables, group, rest)) if group in GROUPS else 0

    def line_of(self, wanted: Sequence[str]) -> int:
        """The line in which a key within tables begins, from 1 on; 0 where that cannot be told."""
        lines = self.text.replace("\r\n", "\n").split("\n")[:_MOST_LINES]
        table, begin = "", 0
        # A statement ends with the first line up to which it is TOML, however it is written.
        for end in range(1, len(lines) + 1):
            statement = "\n".join(lines[begin:end])
            try:
                parsed = tomllib.loads(f"{table}\n{statement}")
            except tomllib.TOMLDecodeError:
                continue
            if _holds(parsed, wanted):
                return begin + 1
            if statement.lstrip().startswith("["):
                table = statement
            begin = end
        return 0

    def of_profile(self, profile: str) -> Mapping[str, Any]:
        """The entries of a profile, as they are written. Raises ConfigurationError when there is no such profile."""
        if profile in self.profiles:
            return self.tables[profile]
        near = nearest(profile, self.profiles)
        there = f"There are {', '.join(self.profiles)}." if self.profiles else f"Write [{PROFILES}.{profile}] there."
        there += f" `voice config set NAME VALUE --profile {profile}` makes it."
        raise ConfigurationError(
            f"profile: there is no profile {profile!r} in {self.path}.",
            advice=f"Did you mean {near}?" if near else there,
        )

    def _by_name(self, profile: str, table: Mapping[str, Any]) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, value in _ungrouped(table):
            if spelled(name) in found:
                raise ConfigurationError(
                    f"{self.place(profile, spelled(name))}: this is there twice.", advice="Remove one."
                )
            found[spelled(name)] = value
        return found

    def _unknown(self, profile: str, name: str, known: Sequence[str]) -> ConfigurationError:
        near = nearest(name, known)
        advice = f"Did you mean {near}?" if near else "`voice config show --all` lists what there is."
        if any(word in name.split("-") for word in _KEY_WORDS):
            advice = "Keys of providers do not belong here: remove it, and run `voice keys set PROVIDER`."
        elif name == "profile":
            advice = PROFILE_ADVICE
        elif name == PRICES:
            advice = f"Prices stand in no profile: [{PRICES}.MODEL]."
        return ConfigurationError(f"{self.place(profile, name)}: there is no such setting.", advice=advice)


def _ungrouped(table: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    """The entries of a table, those too that stand in a table for their group, by their whole names."""
    for name, value in table.items():
        if spelled(name) in GROUPS and isinstance(value, Mapping):
            yield from ((f"{name}-{rest}", each) for rest, each in value.items())
        else:
            yield name, value


def _holds(parsed: Any, wanted: Sequence[str]) -> bool:
    *tables, name = wanted
    for table in tables:
        parsed = parsed.get(table) if isinstance(parsed, dict) else None
    return isinstance(parsed, dict) and spelled(name) in map(spelled, parsed)
