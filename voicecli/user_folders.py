"""The user's folders: of what can be fetched or made again, of settings, of downloads, and of what was told."""

import os
from pathlib import Path

from voicecli.errors import ConfigurationError

__all__ = ["cache_dir", "config_dir", "data_dir", "expanded", "history_dir", "models_dir", "state_dir"]


def cache_dir() -> Path:
    """The directory of files that can be fetched or made again; the variable VOICECLI_CACHE names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    return _folder("VOICECLI_CACHE", "user_cache_path")


def config_dir() -> Path:
    """The directory of settings and stored keys; the variable VOICECLI_CONFIG names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    return _folder("VOICECLI_CONFIG", "user_config_path")


def models_dir() -> Path:
    """The directory of models and voices that the user downloads; the variable VOICECLI_MODELS names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    return _folder("VOICECLI_MODELS", "user_data_path", "models")


def history_dir() -> Path:
    """The directory of the conversations that are kept; the variable VOICECLI_HISTORY names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    return _folder("VOICECLI_HISTORY", "user_data_path", "history")


def data_dir() -> Path:
    """The directory of files that programs other than this one read, such as shells.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    return _folder("", "user_data_path")


def state_dir() -> Path:
    """The directory of what was told when; the variable VOICECLI_STATE names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    return _folder("VOICECLI_STATE", "user_state_path")


def expanded(name: str) -> Path:
    """A path as the user wrote it, with their home in place of "~"; as it is where nobody knows that."""
    try:
        return Path(name).expanduser()
    except RuntimeError:
        return Path(name)


def _folder(variable: str, kind: str, *below: str) -> Path:
    import platformdirs

    chosen = os.environ.get(variable)
    try:
        if chosen:
            return Path(chosen).expanduser().absolute()
        usual: Path = getattr(platformdirs, kind)("voicecli", appauthor=False)
        if usual.is_absolute():  # "~" is not, where nobody knows whose home that is
            return usual.joinpath(*below)
    except RuntimeError:  # the same, told otherwise
        pass
    raise ConfigurationError(
        "There is no place for voicecli's files: this user has no home directory.",
        advice=f"Set HOME, or name a directory in the variable {variable}." if variable else "Set HOME.",
    )
