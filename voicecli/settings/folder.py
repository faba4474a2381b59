"""The user's configuration directory: how its files are read, and written so that none is ever half there."""

import contextlib
import stat
import time
from collections.abc import Iterator
from pathlib import Path

from voicecli.errors import ConfigurationError
from voicecli.kept_files import UNFINISHED, locked, replace_file
from voicecli.user_folders import config_dir

__all__ = ["exclusively", "find_config_dir", "read_bytes", "write_bytes"]

_LARGEST = 1_000_000  # bytes; a file of settings has some hundred
_LOCK_S = 5.0  # another process writes for some ms


def find_config_dir() -> Path | None:
    """The user's configuration directory, whether or not it exists; None where the user has no home."""
    try:
        return config_dir()
    except ConfigurationError:
        return None


def read_bytes(path: Path) -> bytes | None:
    """The content of a file, or None where there is none.

    Raises:
        ConfigurationError: it cannot be read, or is none of ours.
    """
    try:
        if not stat.S_ISREG(path.stat().st_mode):  # a pipe would never end, a device neither
            raise ConfigurationError(f"{path} is no file.", advice="Move it away.")
        with path.open("rb") as file:
            content = file.read(_LARGEST + 1)
    except (FileNotFoundError, NotADirectoryError):
        return None
    except OSError as error:
        raise ConfigurationError(
            f"{path} cannot be read: {error.strerror or error}.", advice="Are its permissions, and its folders', right?"
        ) from error
    if len(content) > _LARGEST:
        raise ConfigurationError(f"{path} has more than {_LARGEST} bytes.", advice="Move it away.")
    return content


def write_bytes(path: Path, content: bytes, *, private: bool = False) -> None:
    """Put a file in place of another, or of none: all of it or nothing, also when the disk is full or Ctrl-C comes.

    A symbolic link stays, and what it leads to is written. Folders that are not there are made, for this user alone.

    Args:
        private: only this user may read it; otherwise it keeps the permissions that it has.

    Raises:
        ConfigurationError: it cannot be written, and is as it was.
    """
    try:
        replace_file(path, content, mode=0o600 if private else None)
    except (OSError, RuntimeError) as error:  # the latter for links in a circle
        raise _unwritable(path, error) from error


@contextlib.contextmanager
def exclusively() -> Iterator[Path]:
    """Keep other processes from changing what is in the directory meanwhile; its path.

    Raises:
        ConfigurationError: it cannot be written, or another process does not let go of it.
    """
    folder, begun = config_dir(), time.monotonic()

    def give_up() -> None:
        if time.monotonic() - begun > _LOCK_S:
            raise ConfigurationError(
                f"Another process has been writing to {folder} for {_LOCK_S:.0f} seconds.", advice="Try again later."
            )

    with contextlib.ExitStack() as held:
        try:
            folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            held.enter_context(locked(folder / ".lock", give_up))
        except NotImplementedError:  # each file is still replaced as a whole
            pass
        except OSError as error:
            raise _unwritable(folder, error) from error
        else:
            for leftover in folder.glob(f"{UNFINISHED}*"):  # of a process that was killed
                with contextlib.suppress(OSError):
                    leftover.unlink()
        yield folder


def _unwritable(path: Path, error: Exception) -> ConfigurationError:
    why = getattr(error, "strerror", None) or error
    return ConfigurationError(
        f"{path} cannot be written: {why}. Nothing was changed.",
        advice="Make room and check its permissions, or name another directory in the variable VOICECLI_CONFIG.",
    )
