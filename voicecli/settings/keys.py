"""Keys of providers that the user has stored: in the system's keyring where there is one, else in a file of its own.

The file, keys.json, tells which keys there are, so that nobody asks the keyring for one in vain; it holds those that no
keyring took. Only its owner may read it.
"""

import contextlib
import json
import os
import shlex
import stat
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, Literal

from voicecli.errors import ConfigurationError
from voicecli.settings import keyring_store
from voicecli.settings.folder import exclusively, find_config_dir, read_bytes, write_bytes
from voicecli.settings.keyring_store import KeyringError
from voicecli.user_folders import config_dir

__all__ = [
    "Place",
    "find_key",
    "has_key",
    "how_to_protect",
    "keys_path",
    "protection",
    "remove_key",
    "store_key",
    "stored_file_keys",
    "stored_key",
    "stored_keys",
    "unsafe_permissions",
]

Place = Literal["keyring", "file"]
_NAME = "keys.json"


def find_key(name: str, variables: Iterable[str]) -> str | None:
    """A provider's key: of the first of these variables that is set, else the stored one.

    Raises:
        ConfigurationError: as `stored_key` does.
    """
    return next((key for variable in variables if (key := os.environ.get(variable))), None) or stored_key(name)


def stored_key(name: str) -> str | None:
    """The key that is stored for a provider, or None.

    Raises:
        ConfigurationError: it cannot be had: the file is damaged, or the keyring does not answer.
    """
    folder = find_config_dir()
    kept = _read(folder / _NAME).get(name) if folder else None
    if kept is None or "key" in kept:
        return str(kept["key"]) if kept else None
    try:
        key = keyring_store.look_up(name)
    except KeyringError as error:
        raise ConfigurationError(
            f"The key for {name} is in the system's keyring, which cannot be asked: {error}.",
            advice=f"Unlock it; or store the key anew: voice keys set {name}",
        ) from None
    if key is None:
        raise ConfigurationError(
            f"The key for {name} is no longer in the system's keyring.", advice=f"Run: voice keys set {name}"
        )
    return key


def has_key(name: str) -> bool:
    """Return whether a key is stored for a provider, without asking the keyring; False where that cannot be told."""
    try:
        return name in stored_keys()
    except ConfigurationError:
        return False


def stored_keys() -> dict[str, Place]:
    """The providers for which a key is stored, and where it is.

    Raises:
        ConfigurationError: the file of keys cannot be read.
    """
    folder = find_config_dir()
    kept = _read(folder / _NAME) if folder else {}
    return {name: "file" if "key" in entry else "keyring" for name, entry in kept.items()}


def stored_file_keys() -> list[str]:
    """The keys that the file holds itself, so that they can be kept out of a text. Raises as `stored_keys` does."""
    folder = find_config_dir()
    kept = _read(folder / _NAME) if folder else {}
    return [entry["key"] for entry in kept.values() if "key" in entry]


def store_key(name: str, key: str) -> tuple[Place, str]:
    """Store a key, in place of the one before.

    Returns:
        Where it is now, and why it is not in the keyring; "" if it is.

    Raises:
        ConfigurationError: it cannot be stored, and all is as it was.
    """
    there = stored_keys().get(name)
    # Before the lock, for which others wait less long than this may last.
    why = ""
    try:
        keyring_store.keep(name, key)
    except KeyringError as error:
        why = str(error)
    try:
        with exclusively() as folder:
            path = folder / _NAME
            _write(path, _read(path) | {name: {"key": key} if why else {"keyring": True}})
    except ConfigurationError:
        if not why and there != "keyring":
            with contextlib.suppress(KeyringError):
                keyring_store.remove(name)
        raise
    return ("file" if why else "keyring"), why


def remove_key(name: str) -> Place | None:
    """Remove a stored key; where it was, or None when there was none.

    Raises:
        ConfigurationError: it cannot be removed, and is still there.
    """
    with exclusively() as folder:
        path = folder / _NAME
        kept = _read(path)
        gone = kept.pop(name, None)
        if gone is None:
            return None
        if "key" not in gone:
            try:
                keyring_store.remove(name)
            except KeyringError as error:
                raise ConfigurationError(
                    f"The key for {name} is still in the system's keyring, which cannot be asked: {error}.",
                    advice="Unlock it, and try again.",
                ) from None
        _write(path, kept)
    return "file" if "key" in gone else "keyring"


def keys_path() -> Path:
    """The path of the file, whether or not it exists. Raises ConfigurationError where the user has no home."""
    return config_dir() / _NAME


def unsafe_permissions() -> bool:
    """Return whether other users of this machine may read the file of keys, as far as can be told.

    On Windows a file has the permissions of its folder: those of a user's profile keep other users out.
    """
    folder = find_config_dir()
    if folder is None:
        return False
    try:
        status = (folder / _NAME).stat()
        if sys.platform == "win32":
            return not _in_profile(folder)
        return bool(stat.S_IMODE(status.st_mode) & 0o077)
    except OSError:
        return False


def how_to_protect() -> str:
    """What to do where `unsafe_permissions`."""
    if sys.platform == "win32":
        return "Keep it in your user profile: leave out VOICECLI_CONFIG, or name a folder there"
    return f"chmod 600 {shlex.quote(str(keys_path()))}"


def protection() -> str:
    """What keeps others from reading the file of keys, as a clause behind its name."""
    if sys.platform != "win32":
        return "which only you may read"
    if _in_profile(config_dir()):
        return "which the permissions of your user profile protect"
    return "outside of your user profile: whoever may read that folder may read the key"


def _in_profile(folder: Path) -> bool:
    try:
        return folder.resolve().is_relative_to(Path.home().resolve())
    except (OSError, RuntimeError):
        return False


def _read(path: Path) -> dict[str, dict[str, Any]]:
    content = read_bytes(path)
    if content is None:
        return {}
    try:
        kept = json.loads(content.decode("utf-8-sig"))
        if not isinstance(kept, dict) or not all(map(_is_kept, kept.values())):
            raise ValueError
    except (ValueError, RecursionError) as error:
        why = (
            f"line {error.lineno}: {error.msg}"
            if isinstance(error, json.JSONDecodeError)
            else "it holds something else"
        )
        raise ConfigurationError(  # without a cause: that holds the keys
            f"The file of stored keys is damaged, {path}: {why}.",
            advice="Mend it, or move it away and store your keys anew: voice keys set PROVIDER",
        ) from None
    return kept


def _is_kept(entry: object) -> bool:
    return isinstance(entry, Mapping) and (isinstance(entry.get("key"), str) or entry.get("keyring") is True)


def _write(path: Path, kept: Mapping[str, Any]) -> None:
    write_bytes(path, f"{json.dumps(kept, indent=2)}\n".encode(), private=True)
