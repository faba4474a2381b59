"""Where each setting comes from: the profile that was chosen, the environment, the file; the first that has it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from voicecli.settings.entries import Entry
from voicecli.settings.environment import read_variable
from voicecli.settings.file import SettingsFile

__all__ = ["Chosen", "chosen_values"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """A value that was chosen for an entry.

    Attributes:
        source: whose it is.
    """

    entry: Entry
    value: Any = field(repr=False)  # it may be a secret
    source: Literal["profile", "environment", "file"]
    file: SettingsFile
    profile: str = ""

    @property
    def place(self) -> str:
        """The variable; or the file, the line and the entry."""
        if self.source == "environment":
            return self.entry.variable
        return self.file.place(self.profile, self.entry.name)

    @property
    def short_place(self) -> str:
        """The variable; or the profile or the file, and the line."""
        if self.source == "environment":
            return self.entry.variable
        line = self.file.line(self.profile, self.entry.name)
        where = f"--profile {self.profile}" if self.profile else self.file.path.name if self.file.path else ""
        return f"{where}, line {line}" if line else where


def chosen_values(
    entries: Sequence[Entry], file: SettingsFile, environ: Mapping[str, str], profile: str | None = None
) -> dict[str, Chosen]:
    """The values that profile, environment and file have for these entries, by name.

    What stands on a command line comes before them.

    Raises:
        ConfigurationError: there is no such profile, or a value is not possible.
    """
    if profile:
        file.of_profile(profile)
    found = {}
    for entry in entries:
        if profile and (value := file.value(entry, profile)) is not None:
            found[entry.name] = Chosen(entry, value, "profile", file, profile)
        elif (value := read_variable(entry, environ)) is not None:
            found[entry.name] = Chosen(entry, value, "environment", file)
        elif (value := file.value(entry)) is not None:
            found[entry.name] = Chosen(entry, value, "file", file)
    return found
