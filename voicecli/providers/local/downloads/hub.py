"""Downloads from the Hugging Face hub: resumed where they broke off, and checked against the hub's own checksum.

`hf_hub_download` would begin anew after each break, as it removes what came; so files are read here, with the hub's
client, addresses and metadata. No token is sent, and nothing about this machine but the versions of hub and Python.
"""

import hashlib
import os
import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from voicecli._version import __version__
from voicecli.errors import ConfigurationError, RealtimeConnectionError
from voicecli.install import install_command
from voicecli.kept_files import move_file, remove_path, sha256_of
from voicecli.package_file import Progress
from voicecli.providers.local.downloads.catalogue import Download
from voicecli.providers.local.downloads.store import (
    PARTIAL,
    FileRecord,
    Record,
    folder_of,
    in_the_way,
    locked,
    read_record,
    write_record,
)
from voicecli.telemetry import without_telemetry
from voicecli.user_folders import models_dir

__all__ = ["pull"]

_HUB = "https://huggingface.co"
_CONNECT_S, _READ_S = 10.0, 30.0
_PAUSES_S = (0.5, 2.0, 8.0)  # before each further attempt, while nothing comes
_SPARE = 64 << 20  # bytes that a download leaves free
_SHA256 = re.compile(r"[0-9a-f]{64}")
_GIT_SHA1 = re.compile(r"[0-9a-f]{40}")


@dataclass(frozen=True, slots=True)
class _Remote:
    """A file on the hub: its size in bytes, and its checksum, as the hub tells it."""

    name: str
    url: str
    size: int
    checksum: str


def pull(
    download: Download,
    progress: Progress | None = None,
    *,
    waiting: Callable[[], None] | None = None,
    pause: Callable[[float], None] = time.sleep,
) -> Path:
    """Download what is not there yet, or damaged; the model's path. Blocks meanwhile.

    Only one process downloads; others wait for it. What has come stays when this is ended or fails, and is gone on
    with the next time.

    Args:
        progress: is told the bytes so far, and the bytes in all; not called when everything is there.
        waiting: is called once when another process is downloading.
        pause: waits, in seconds, between attempts.

    Raises:
        RealtimeConnectionError: the hub cannot be reached, or what came is not what it promised.
        ConfigurationError: it cannot be kept here, or huggingface_hub is missing.
    """
    folder = folder_of(download)
    with in_the_way(models_dir()):
        folder.parent.mkdir(parents=True, exist_ok=True)
        with locked(download, waiting=waiting):
            if not _is_whole(download):
                folder.mkdir(exist_ok=True)
                _fetch(download, folder, progress, pause)
    return folder / download.files[0].rpartition("/")[2]


def _is_whole(download: Download) -> bool:
    """True when each file has the recorded checksum. A new time of change is recorded, so that it is not read again."""
    record, folder = read_record(download), folder_of(download)
    if record is None:
        return False
    names = [path.rpartition("/")[2] for path in download.files]
    try:
        if any(sha256_of(folder / name) != record.files[name].sha256 for name in names):
            return False
        files = {name: _recorded(folder / name, record.files[name].sha256) for name in names}
    except (OSError, KeyError):
        return False
    if files != record.files:
        write_record(download, Record(record.repo, record.commit, files))
    return True


def _fetch(download: Download, folder: Path, progress: Progress | None, pause: Callable[[float], None]) -> None:
    record = read_record(download)
    hub = _Hub()
    commit, remotes = hub.look_up(download, record.commit if record is not None else None)
    total = sum(remote.size for remote in remotes)
    partials = {remote.name: folder / f"{remote.name}.{remote.checksum[:16]}{PARTIAL}" for remote in remotes}
    for path in folder.glob(f"*{PARTIAL}"):
        if path not in partials.values():
            remove_path(path)
    there = sum(path.stat().st_size for path in partials.values() if path.exists())
    if (free := shutil.disk_usage(folder).free) < total - there + _SPARE:
        raise ConfigurationError(
            f"{download.name} needs {(total - there) / 1e6:.0f} MB more; {folder.parent} has {free / 1e6:.0f} MB left.",
            advice="Make room there, or name another directory in the variable VOICECLI_MODELS.",
        )
    done, files = 0, {}
    for remote in remotes:
        partial = partials[remote.name]

        def tell(size: int, before: int = done) -> None:
            if progress is not None:
                progress(before + size, total)

        hub.read(remote, partial, tell, pause)
        sha256 = sha256_of(partial)
        promised = record.files[remote.name].sha256 if record is not None and remote.name in record.files else sha256
        if _checksum(partial, sha256, remote.checksum) != remote.checksum or sha256 != promised:
            remove_path(partial)
            raise RealtimeConnectionError(
                f"What came as {remote.name} is not that file: its checksum differs.",
                advice="Try again; if it happens again, something between here and the hub changes it.",
            )
        move_file(partial, folder / remote.name)
        files[remote.name] = _recorded(folder / remote.name, sha256)
        done += remote.size
    write_record(download, Record(download.repo, commit, files))


def _recorded(path: Path, sha256: str) -> FileRecord:
    state = path.stat()
    return FileRecord(state.st_size, sha256, state.st_mtime_ns)


def _checksum(path: Path, sha256: str, like: str) -> str:
    """The file's checksum of the kind that the hub tells: git's for small files."""
    if _SHA256.fullmatch(like):
        return sha256
    content = path.read_bytes()
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


class _Hub:
    """The hub, through huggingface_hub.

    Raises:
        ConfigurationError: that is not installed, or too old.
    """

    def __init__(self) -> None:
        try:
            with without_telemetry():
                import httpx2
                import huggingface_hub
                from huggingface_hub import utils
                from huggingface_hub.errors import HfHubHTTPError, OfflineModeIsEnabled
        except ImportError as error:
            raise ConfigurationError(
                "Downloads need the package huggingface_hub.", advice=f"Run: {install_command('hub')}"
            ) from error
        self._library: Any = huggingface_hub
        self._tools: Any = utils
        self._session = self._tools.get_session()
        self._timeout = httpx2.Timeout(_READ_S, connect=_CONNECT_S)
        self._headers = self._tools.build_hf_headers(token=False, library_name="voicecli", library_version=__version__)
        self._headers["Accept-Encoding"] = "identity"
        self._refused, self._offline, self._lost = HfHubHTTPError, OfflineModeIsEnabled, httpx2.HTTPError

    def look_up(self, download: Download, commit: str | None) -> tuple[str, list[_Remote]]:
        """The revision, and all files as they are in it.

        Args:
            commit: the revision that is wanted; the newest if None.
        """
        remotes = []
        for path in download.files:
            url = self._url(download, path, commit or "main")
            with self._errors_translated(url):
                found = self._library.get_hf_file_metadata(
                    url, token=False, timeout=_CONNECT_S, library_name="voicecli", library_version=__version__
                )
            checksum = str(found.etag or "")
            known_kind = _SHA256.fullmatch(checksum) or _GIT_SHA1.fullmatch(checksum)
            if not found.commit_hash or not isinstance(found.size, int) or not known_kind:
                raise RealtimeConnectionError(
                    f"{_host(url)} does not tell the size and the checksum of {path}.", advice="Is it a hub of models?"
                )
            commit = commit or str(found.commit_hash)
            url = self._url(download, path, commit)
            remotes.append(_Remote(path.rpartition("/")[2], url, found.size, checksum))
        return commit or "", remotes

    def _url(self, download: Download, path: str, revision: str) -> str:
        # The library looks at the variable only once, and takes what it holds for a URL.
        endpoint = os.environ.get("HF_ENDPOINT", "").rstrip("/") or _HUB
        if not endpoint.startswith(("http://", "https://")) or not _host(endpoint):
            raise ConfigurationError("HF_ENDPOINT: this is no URL.", advice=f"Give one such as {_HUB}, or unset it.")
        return str(self._library.hf_hub_url(download.repo, path, revision=revision, endpoint=endpoint))

    def read(
        self, remote: _Remote, partial: Path, progress: Callable[[int], None], pause: Callable[[float], None]
    ) -> None:
        """Read the rest of a file, with some patience; `progress` is told how much of it is there."""
        failures = 0
        while (size := partial.stat().st_size if partial.exists() else 0) != remote.size:
            if size > remote.size:
                remove_path(partial)
                continue
            progress(size)
            try:
                self._read_on(remote, partial, size, progress)
            except self._lost as error:
                if isinstance(error, self._refused) and error.response.status_code < 500:
                    raise self._no_access(remote.url, error) from error
                came = partial.stat().st_size if partial.exists() else 0
                failures = 0 if came > size else failures + 1
                if failures > len(_PAUSES_S):
                    raise RealtimeConnectionError(
                        f"The download of {remote.name} broke off at {came / 1e6:.0f} of {remote.size / 1e6:.0f} MB.",
                        advice="What came is kept: the same command goes on with it.",
                        retryable=True,
                    ) from error
                if failures:
                    pause(_PAUSES_S[failures - 1])
        progress(remote.size)

    def _read_on(self, remote: _Remote, partial: Path, size: int, progress: Callable[[int], None]) -> None:
        headers = self._headers | ({"Range": f"bytes={size}-"} if size else {})
        with self._session.stream("GET", remote.url, headers=headers, timeout=self._timeout) as response:
            if response.status_code == 416:  # there is no more, though there should be
                remove_path(partial)
                return
            self._tools.hf_raise_for_status(response)
            if response.status_code != 206:
                size = 0  # it sends all of it
            with partial.open("ab" if size else "wb") as file:
                for block in response.iter_bytes():
                    file.write(block)
                    size += len(block)
                    progress(min(size, remote.size))
                file.flush()
                os.fsync(file.fileno())
        if size < remote.size:
            raise self._lost("it ended too soon")

    @contextmanager
    def _errors_translated(self, url: str) -> Iterator[None]:
        try:
            yield
        except self._offline as error:
            raise ConfigurationError(
                "HF_HUB_OFFLINE forbids downloads.", advice="Unset it, or copy the files by other means."
            ) from error
        except self._lost as error:
            raise self._no_access(url, error) from error

    def _no_access(self, url: str, error: Any) -> RealtimeConnectionError:
        host = _host(url)
        if isinstance(error, self._refused):
            status = error.response.status_code
            return RealtimeConnectionError(
                f"{host} answered with HTTP status {status} for {url.rpartition('/')[2]}.",
                advice="Has it been moved? A newer voicecli may know." if status < 500 else "Try again later.",
                code=str(status),
                retryable=status >= 500,
            )
        return RealtimeConnectionError(
            f"{host} cannot be reached: {str(error).strip() or type(error).__name__}.",
            advice="A download needs the network; HF_ENDPOINT names another hub.",
            retryable=True,
        )


def _host(url: str) -> str:
    """The host of a URL, without what may be secret in it."""
    return url.partition("://")[2].partition("/")[0].rpartition("@")[2]
