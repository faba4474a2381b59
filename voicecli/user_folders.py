"""The user's folders: of settings, of what can be fetched or made again, and of what was downloaded on request."""

import contextlib
import os
from collections.abc import Callable
from pathlib import Path

from voicecli.errors import ConfigurationError

__all__ = ["cache_dir", "config_dir", "models_dir"]


def cache_dir() -> Path:
    """The directory of files that can be fetched or made again; the variable VOICECLI_CACHE names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    import platformdirs

    return _folder("VOICECLI_CACHE", lambda: platformdirs.user_cache_path("voicecli", appauthor=False))


def config_dir() -> Path:
    """The directory of settings and stored keys; the variable VOICECLI_CONFIG names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    import platformdirs

    return _folder("VOICECLI_CONFIG", lambda: platformdirs.user_config_path("voicecli", appauthor=False))


def models_dir() -> Path:
    """The directory of models and voices that the user downloads; the variable VOICECLI_MODELS names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    import platformdirs

    return _folder("VOICECLI_MODELS", lambda: platformdirs.user_data_path("voicecli", appauthor=False) / "models")


def _folder(variable: str, usual: Callable[[], Path]) -> Path:
    chosen = os.environ.get(variable)
    path = Path()
    with contextlib.suppress(RuntimeError):  # nobody knows whose home "~" is; earlier platformdirs leave it there
        path = Path(chosen).expanduser().absolute() if chosen else usual()
    if not path.is_absolute():
        raise ConfigurationError(
            f"There is no place for files of voicecli: {variable} names none, and this user has no home directory.",
            advice=f"Set HOME, or name a directory in the variable {variable}.",
        )
    return path
