"""`voice cache`: what can be fetched or made again."""

import fnmatch
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import typer

from voicecli.cli.command import command_group
from voicecli.cli.table import size_text
from voicecli.errors import ConfigurationError
from voicecli.kept_files import remove_path
from voicecli.user_folders import cache_dir

__all__ = ["cache", "kept_paths", "size_of"]

cache = command_group("Show or clear the files that can be fetched or made again.")

# Only what voicecli keeps there: the directory may be one that the user named, with other files in it.
_OURS = (
    "SmolLM2-135M-Instruct.*",
    "smart-turn-*.onnx",
    "smart-turn-*.lock",
    "*-onnxruntime-*.onnx",
    "unfinished-*",
    "*.unfinished",
)


@cache.command("path")
def show_path() -> None:
    """Show the directory, and on standard error what is in it."""
    typer.echo(cache_dir())
    total = 0
    for path in kept_paths():
        total += (size := size_of(path))
        if size:  # a lock has none
            typer.echo(f"{size_text(size):>9}  {path.name}", err=True)
    typer.echo(f"{size_text(total):>9}  in all", err=True)


@cache.command("clear")
def clear() -> None:
    """Remove these files. Downloads stay: they are removed by `voice models remove`."""
    total = 0
    for path in list(kept_paths()):
        size = size_of(path)
        try:
            remove_path(path)
        except OSError as error:
            raise ConfigurationError(
                f"{path} cannot be removed: {error.strerror or error}.",
                advice="End the programs that use it, and look at its permissions.",
            ) from error
        total += size
        if size:  # a lock has none
            typer.echo(f"{size_text(size):>9}  {path.name}", err=True)
    typer.echo(f"{size_text(total):>9}  removed from {cache_dir()}", err=True)


def kept_paths() -> Iterator[Path]:
    """What voicecli keeps in the cache. Raises ConfigurationError."""
    folder = cache_dir()
    try:
        paths = sorted(folder.iterdir())
    except FileNotFoundError:
        return
    except OSError as error:
        raise ConfigurationError(
            f"{folder} cannot be read: {error.strerror or error}.",
            advice="Look at its permissions, or at VOICECLI_CACHE.",
        ) from error
    for path in paths:
        if any(fnmatch.fnmatchcase(path.name, pattern) for pattern in _OURS):
            yield path


def size_of(path: Path) -> int:
    """The bytes of a file, or of all that is in a folder; 0 for what cannot be read."""
    with suppress(OSError):
        if not path.is_dir():
            return path.stat().st_size
        return sum(inside.stat().st_size for inside in path.rglob("*") if inside.is_file())
    return 0
