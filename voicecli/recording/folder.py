"""The directory of recordings, and the names in it."""

import os
from pathlib import Path

from voicecli.errors import ConfigurationError

__all__ = ["check_folder", "free_path"]


def check_folder(folder: Path) -> Path:
    """The folder for recordings, as it is once it has been made sure that a file can be written there.

    Raises:
        ConfigurationError: it is none, or nothing can be written there.
    """
    path = folder.expanduser().absolute()
    try:
        path.mkdir(parents=True, exist_ok=True, mode=0o700)
        probe = path / f".voicecli-{os.getpid()}"
        os.close(os.open(probe, os.O_WRONLY | os.O_CREAT, 0o600))
        probe.unlink()
    except (OSError, ValueError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise ConfigurationError(
            f"record: nothing can be written in {str(folder)!r}: {reason}.",
            advice="Name a directory that you may write in; it is made if it is not there.",
        ) from error
    return path


def free_path(folder: Path, name: str) -> Path:
    """The path of NAME.wav in the folder, or with a number behind the name, where there is one already."""
    path = folder / f"{name}.wav"
    number = 2
    while path.exists() or path.is_symlink():
        path = folder / f"{name}-{number}.wav"
        number += 1
    return path
