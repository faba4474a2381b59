"""The folder of downloaded models and voices, and the record of what each file must be."""

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from voicecli.errors import ConfigurationError
from voicecli.kept_files import locked as hold
from voicecli.kept_files import replace_file, sha256_of
from voicecli.providers.local.downloads.catalogue import Download
from voicecli.user_folders import models_dir

__all__ = [
    "PARTIAL",
    "FileRecord",
    "Record",
    "checked_path",
    "folder_of",
    "in_the_way",
    "locked",
    "partial_bytes",
    "read_record",
    "remove",
    "unchanged",
    "write_record",
]

_RECORD = "record.json"
PARTIAL = ".partial"


@dataclass(frozen=True, slots=True)
class FileRecord:
    """A file as it was downloaded.

    Attributes:
        size: in bytes.
        sha256: in hexadecimal; the hub said so when the file was downloaded.
        modified_ns: the time of its last change, by which a check knows that it is still what was checked.
    """

    size: int
    sha256: str
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Record:
    """Record of a download: the revision of the repository, and its files by their names."""

    repo: str
    commit: str
    files: dict[str, FileRecord]


def folder_of(download: Download) -> Path:
    """The folder of one download."""
    return models_dir() / download.name


def read_record(download: Download) -> Record | None:
    """The record of a download; None if there is none, or it cannot be read."""
    try:
        value = json.loads((folder_of(download) / _RECORD).read_text(encoding="utf-8"))
        files = {name: FileRecord(**entry) for name, entry in value["files"].items()}
        return Record(value["repo"], value["commit"], files)
    except (OSError, ValueError, LookupError, TypeError, AttributeError):
        return None


def write_record(download: Download, record: Record) -> None:
    """Write the record, whole or not at all. Raises OSError."""
    content = json.dumps(asdict(record), indent=2).encode()
    replace_file(folder_of(download) / _RECORD, content, mode=0o644)


def unchanged(download: Download) -> bool:
    """True when all files are there as they were checked; only their sizes and times are looked at."""
    record = read_record(download)
    return record is not None and all(_is_as_checked(folder_of(download) / name, record) for name in _names(download))


def checked_path(download: Download) -> Path:
    """The path of a download's model, whose files are what they must be. What has changed since is read for that.

    Raises:
        ConfigurationError: it is not there, or damaged.
    """
    record, folder = read_record(download), folder_of(download)
    pull = f"voice models pull {download.name}"
    if record is None:
        raise ConfigurationError(f"{download.name} is not downloaded yet.", advice=f"Run: {pull}")
    for name in _names(download):
        path = folder / name
        try:
            if not _is_as_checked(path, record) and sha256_of(path) != record.files[name].sha256:
                raise ConfigurationError(f"{path} is damaged.", advice=f"Fetch it anew: {pull}")
        except (OSError, KeyError) as error:
            raise ConfigurationError(f"{path} cannot be read.", advice=f"Fetch it anew: {pull}") from error
    return folder / _names(download)[0]


def partial_bytes(download: Download) -> int:
    """The number of bytes of an unfinished download that are there."""
    return sum(path.stat().st_size for path in folder_of(download).glob(f"*{PARTIAL}"))


def remove(download: Download) -> int:
    """Remove a download, also an unfinished one; the number of bytes that it took, 0 if there was none.

    Raises:
        ConfigurationError: it cannot be removed, or is being downloaded.
    """
    folder = folder_of(download)
    if not folder.exists():
        return 0
    with in_the_way(folder), locked(download, wait=False):
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        shutil.rmtree(folder)
    return size


@contextmanager
def locked(download: Download, *, wait: bool = True, waiting: Callable[[], None] | None = None) -> Iterator[None]:
    """Keep other processes from changing this download; called in the folder's parent, which must exist.

    Args:
        wait: whether to wait for another process that does; if not, that is an error.
        waiting: is called once when there is something to wait for.

    Raises:
        ConfigurationError: another process holds it.
    """
    told = False

    def tell() -> None:
        nonlocal told
        if not wait:
            raise ConfigurationError(
                f"Another process is downloading {download.name}.", advice="Wait for it, or end it."
            )
        if waiting is not None and not told:
            waiting()
        told = True

    with hold(models_dir() / f".{download.name}.lock", tell):
        yield


@contextmanager
def in_the_way(folder: Path) -> Iterator[None]:
    """Tell what keeps files from being written or removed.

    Raises:
        ConfigurationError: the disk is full, or it is forbidden.
    """
    try:
        yield
    except (OSError, NotImplementedError) as error:  # the latter where a file system knows no locks
        raise ConfigurationError(
            f"{folder} cannot be changed: {getattr(error, 'strerror', '') or error}.",
            advice="Make room there, or name another directory in the variable VOICECLI_MODELS.",
        ) from error


def _names(download: Download) -> list[str]:
    return [path.rpartition("/")[2] for path in download.files]


def _is_as_checked(path: Path, record: Record) -> bool:
    expected = record.files.get(path.name)
    try:
        state = path.stat()
    except OSError:
        return False
    return expected is not None and (state.st_size, state.st_mtime_ns) == (expected.size, expected.modified_ns)
