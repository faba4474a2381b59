"""Folders: what lies in each, how large it is, and whether it can be written. Nothing is written to find out."""

import os
import shlex
import shutil
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from voicecli.cli.cache import kept_paths, size_of
from voicecli.cli.doctor.area import Scope, short_path
from voicecli.cli.table import size_text
from voicecli.errors import ConfigurationError
from voicecli.finding import Finding
from voicecli.user_folders import cache_dir, config_dir, history_dir, models_dir, state_dir

__all__ = ["look_at_storage"]

_LEAST_FREE = 500e6  # bytes: the built-in model, and the voice that is prepared from it, take 250 MB


def look_at_storage(scope: Scope) -> Iterator[Finding]:
    """Look at each folder, and at the room beside them."""
    places: dict[int, Path] = {}
    told: set[str] = set()
    for name, find, content in _FOLDERS:
        try:
            folder = find()
        except ConfigurationError as error:  # this user has no home
            if error.message not in told:
                told.add(error.message)
                yield Finding(name, error.message, "warn", error.advice)
            continue
        finding, there = _folder(name, folder, content)
        yield finding
        if there is not None:
            places.setdefault(there.stat().st_dev, there)
    for place in places.values():
        free = shutil.disk_usage(place).free
        if free < _LEAST_FREE:
            fix = f"Make room at {place}; voice cache clear"
            yield Finding("Room", f"{size_text(free)} are free", "warn", fix, shared=f"{size_text(free)} are free")
        else:
            yield Finding("Room", f"{size_text(free)} are free")


def _folder(name: str, folder: Path, content: Callable[[Path], Iterable[Path]]) -> tuple[Finding, Path | None]:
    """The finding about a folder, and the folder itself or what it would be made in; None where that is no folder."""
    there = next((path for path in (folder, *folder.parents) if os.path.lexists(path)), folder)

    def bad(what: str, fix: str) -> Finding:
        return Finding(name, f"{there} {what}", "warn", fix, shared=what)

    if not there.is_dir():
        return bad("is no folder", f"Move it away: {there}"), None
    if not os.access(there, os.R_OK | os.X_OK):
        return bad("cannot be read", f"chmod u+rwx {shlex.quote(str(there))}"), None
    if not os.access(there, os.W_OK):
        return bad("cannot be written", f"chmod u+w {shlex.quote(str(there))}; {_ELSEWHERE[name]}"), there
    if there != folder:
        return Finding(name, f"{short_path(folder)}, which is made when it is needed", shared="not made yet"), there
    size = size_text(sum(map(size_of, content(folder))))
    return Finding(name, f"{short_path(folder)}: {size}", shared=size), there


def _all(folder: Path) -> Iterable[Path]:
    return [folder]


_FOLDERS: list[tuple[str, Callable[[], Path], Callable[[Path], Iterable[Path]]]] = [
    ("Settings", config_dir, _all),
    ("Cache", cache_dir, lambda folder: kept_paths()),
    ("Models", models_dir, _all),
    ("History", history_dir, _all),
    ("State", state_dir, _all),
]
_ELSEWHERE = {
    "Settings": "or another in VOICECLI_CONFIG",
    "Cache": "or another in VOICECLI_CACHE",
    "Models": "or another in VOICECLI_MODELS",
    "History": "or another in VOICECLI_HISTORY",
    "State": "or another in VOICECLI_STATE",
}
