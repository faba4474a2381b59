"""Changes of the settings file that leave its comments and its order alone."""

from collections.abc import Mapping
from typing import Any

import tomlkit
from tomlkit.items import Table

from voicecli.settings.entries import spelled
from voicecli.settings.file import GROUPS, PROFILES, SettingsFile, settings_path
from voicecli.settings.folder import exclusively, read_bytes, write_bytes

__all__ = ["change_entries"]


def change_entries(changes: Mapping[str, Any], profile: str = "") -> list[str]:
    """Set entries of the file, or of a profile; None removes one.

    Args:
        changes: values by the names of entries, as the file holds them.

    Returns:
        The names of those that were to be removed and were not there.

    Raises:
        ConfigurationError: the file cannot be read or written, or is not TOML; it is as it was.
    """
    with exclusively():
        path = settings_path()
        content = read_bytes(path) or b""
        SettingsFile.of(path, content)  # its errors say more
        document = tomlkit.parse(content.decode("utf-8-sig"))
        table = _table(document, profile, make=any(value is not None for value in changes.values()))
        missing = [name for name, value in changes.items() if not _change(table, name, value)]
        if profile and table is not None and not table:
            del document[PROFILES][profile]
        changed = tomlkit.dumps(document).encode()
        SettingsFile.of(path, changed)  # nothing is written that could not be read again
        if changed != content:
            write_bytes(path, changed)
    return missing


def _table(document: tomlkit.TOMLDocument, profile: str, *, make: bool) -> Any:
    if not profile:
        return document
    profiles: Any = document.get(PROFILES)
    if profiles is None:
        if not make:
            return None
        profiles = document[PROFILES] = tomlkit.table(is_super_table=True)
    if profile not in profiles:
        if not make:
            return None
        is_table = isinstance(profiles, Table)
        profiles[profile] = tomlkit.table() if is_table else tomlkit.inline_table()
    return profiles[profile]


def _change(table: Any, name: str, value: Any) -> bool:
    """Return whether there was something to change."""
    group, _, rest = name.partition("-")
    grouped = next((key for key in table or () if spelled(key) == group and group in GROUPS), None)
    if grouped is not None and any(spelled(key) == rest for key in table[grouped]):
        table, name = table[grouped], rest
    there = next((key for key in table or () if spelled(key) == name), None)
    if value is not None:
        table[there or name] = value
    elif there is not None:
        del table[there]
    return value is not None or there is not None
