"""The user's folders: of what can be fetched or made again, and of what was downloaded on request."""

import os
from pathlib import Path

from voicecli.errors import ConfigurationError

__all__ = ["cache_dir", "models_dir"]


def cache_dir() -> Path:
    """The directory of files that can be fetched or made again; the variable VOICECLI_CACHE names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    import platformdirs

    return _folder("VOICECLI_CACHE", platformdirs.user_cache_path("voicecli", appauthor=False))


def models_dir() -> Path:
    """The directory of models and voices that the user downloads; the variable VOICECLI_MODELS names another one.

    Raises:
        ConfigurationError: the user has no home directory to have it in.
    """
    import platformdirs

    return _folder("VOICECLI_MODELS", platformdirs.user_data_path("voicecli", appauthor=False) / "models")


def _folder(variable: str, usual: Path) -> Path:
    chosen = os.environ.get(variable)
    try:
        path = Path(chosen).expanduser().absolute() if chosen else usual
    except RuntimeError:  # "~" of nobody
        path = usual
    if not path.is_absolute():  # "~", where nobody knows whose home that is
        raise ConfigurationError(
            f"There is no place for files of voicecli: {variable} is not set, and this user has no home directory.",
            advice=f"Set HOME, or name a directory in the variable {variable}.",
        )
    return path
