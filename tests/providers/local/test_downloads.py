"""Models and voices from a hub on loopback: broken off and gone on with, checked, kept, removed."""

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.loopback.hub_server import COMMIT, HubServer, content_of
from tests.support.full_disk import files_of_at_most
from voicecli.errors import ConfigurationError, RealtimeConnectionError, RealtimeError
from voicecli.providers.local.downloads.catalogue import DOWNLOADS, find, known, names
from voicecli.providers.local.downloads.hub import pull
from voicecli.providers.local.downloads.store import checked_path, partial_bytes, read_record, remove, unchanged

SIZE = 3_000_000
MODEL, VOICE = find("qwen3-1.7b"), find("kristin")
CONTENT = content_of(MODEL.files[0])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("VOICECLI_MODELS", str(tmp_path / "models"))
    return tmp_path / "models"


@pytest.fixture
def hub(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[HubServer]:
    with HubServer.of(MODEL, VOICE).running() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        yield hub


def kept(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.rglob("*") if path.is_file() and not path.name.endswith(".lock"))


def no_pause(seconds: float) -> None:
    return


def test_a_model_is_downloaded_once_and_recorded(hub: HubServer, folder: Path) -> None:
    told: list[tuple[int, int]] = []
    path = pull(MODEL, lambda done, total: told.append((done, total)))
    assert path == folder / "qwen3-1.7b" / "Qwen3-1.7B-Q4_K_M.gguf"
    assert path.read_bytes() == CONTENT
    assert told[0] == (0, SIZE)
    assert told[-1] == (SIZE, SIZE)
    record = read_record(MODEL)
    assert record is not None
    assert (record.repo, record.commit) == ("ggml-org/Qwen3-1.7B-GGUF", COMMIT)
    assert kept(folder) == ["Qwen3-1.7B-Q4_K_M.gguf", "record.json"]
    requests = len(hub.seen)
    assert pull(MODEL) == checked_path(MODEL) == path
    assert len(hub.seen) == requests
    assert unchanged(MODEL)


def test_a_voice_is_its_model_its_description_and_its_card(hub: HubServer, folder: Path) -> None:
    path = pull(VOICE)
    assert kept(path.parent) == [
        "MODEL_CARD",
        "en_US-kristin-medium.onnx",
        "en_US-kristin-medium.onnx.json",
        "record.json",
    ]
    assert (path.parent / f"{path.name}.json").read_bytes() == content_of(VOICE.files[1])


def test_no_token_and_nothing_of_this_machine_is_sent(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_TOKEN", "hf_secret0123456789")
    monkeypatch.setenv("AI_AGENT", "parrot")
    constants = pytest.importorskip("huggingface_hub.constants")
    monkeypatch.setattr(constants, "HF_HUB_DISABLE_TELEMETRY", False)  # as a program of one's own may have loaded it
    pull(MODEL)
    assert hub.seen
    for seen in hub.seen:
        assert "hf_secret" not in str(seen)
        assert "authorization" not in {name.lower() for name in seen.headers}
        assert seen.headers["User-Agent"].count(";") == 2  # voicecli, hf_hub, python
        assert seen.headers["User-Agent"].startswith("voicecli/")


def test_a_connection_that_breaks_is_made_again_where_it_broke(hub: HubServer) -> None:
    hub.cuts = [1_000_000, 2_500_000]
    assert pull(MODEL, pause=no_pause).read_bytes() == CONTENT
    first, second, third = hub.fetched
    assert first == "all"
    assert 0 < int(second[6:-1]) <= 1_000_000 < int(third[6:-1]) <= 2_500_000


def test_what_came_is_gone_on_with_the_next_time(hub: HubServer, folder: Path) -> None:
    hub.cuts = [2_000_000, 2_000_000, 0, 0, 0, 0]  # nothing more comes after the first
    paused: list[float] = []
    with pytest.raises(RealtimeConnectionError, match=r"broke off at 2 of 3 MB\. What came is kept"):
        pull(MODEL, pause=paused.append)
    assert len(paused) == 3
    assert partial_bytes(MODEL) > 1_000_000
    with pytest.raises(ConfigurationError, match="not downloaded yet"):
        checked_path(MODEL)
    hub.cuts, hub.seen = [], []
    assert pull(MODEL).read_bytes() == CONTENT
    assert len(hub.fetched) == 1
    assert int(hub.fetched[0][6:-1]) > 1_000_000
    assert partial_bytes(MODEL) == 0


def test_a_server_that_sends_all_of_it_again_is_understood(hub: HubServer) -> None:
    hub.cuts, hub.ignores_range = [1_000_000], True
    assert pull(MODEL, pause=no_pause).read_bytes() == CONTENT


def test_another_revision_is_not_mixed_with_what_came_of_the_last(hub: HubServer) -> None:
    hub.cuts = [2_000_000, 0, 0, 0, 0]
    with pytest.raises(RealtimeConnectionError):
        pull(MODEL, pause=no_pause)
    hub.cuts, hub.files[f"{MODEL.repo}/{MODEL.files[0]}"] = [], CONTENT[::-1]
    assert pull(MODEL).read_bytes() == CONTENT[::-1]


def test_what_has_another_checksum_is_refused_and_removed(hub: HubServer, folder: Path) -> None:
    hub.wrong = True
    with pytest.raises(
        RealtimeConnectionError, match=r"Qwen3-1\.7B-Q4_K_M\.gguf is not that file: its checksum differs"
    ):
        pull(MODEL)
    assert kept(folder) == []


def test_a_damaged_file_is_found_and_fetched_anew(hub: HubServer) -> None:
    path = pull(MODEL)
    path.write_bytes(CONTENT[:-1] + b"!")
    with pytest.raises(ConfigurationError, match=r"is damaged\. Fetch it anew: voice models pull qwen3-1\.7b"):
        checked_path(MODEL)
    assert pull(MODEL).read_bytes() == CONTENT
    path.unlink()
    with pytest.raises(ConfigurationError, match="cannot be read"):
        checked_path(MODEL)
    assert pull(MODEL).read_bytes() == CONTENT


def test_what_is_fetched_anew_must_be_what_it_was(hub: HubServer) -> None:
    pull(MODEL).unlink()
    hub.files[f"{MODEL.repo}/{MODEL.files[0]}"] = CONTENT[::-1]
    with pytest.raises(RealtimeConnectionError, match="its checksum differs"):
        pull(MODEL)


def test_a_file_that_was_only_touched_is_read_once(hub: HubServer) -> None:
    path = pull(MODEL)
    os.utime(path, (1, 1))
    assert not unchanged(MODEL)
    assert checked_path(MODEL) == path
    pull(MODEL)
    assert unchanged(MODEL)


@pytest.mark.parametrize("record", ["", "[]", "{}", '{"repo": "x", "commit": "y", "files": {"a": 3}}', "\udcff"])
def test_a_broken_record_counts_as_none(hub: HubServer, record: str) -> None:
    path = pull(MODEL)
    (path.parent / "record.json").write_bytes(record.encode(errors="surrogateescape"))
    with pytest.raises(ConfigurationError, match="not downloaded yet"):
        checked_path(MODEL)
    assert pull(MODEL).read_bytes() == CONTENT


def test_no_hub_and_a_hub_without_the_file(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.gone = True
    with pytest.raises(RealtimeConnectionError, match=r"127\.0\.0\.1:\d+ answered with HTTP status 404 for Qwen3"):
        pull(MODEL)
    monkeypatch.setenv("HF_ENDPOINT", "http://user:hunter2@127.0.0.1:9")
    with pytest.raises(RealtimeConnectionError, match=r"127\.0\.0\.1:9 cannot be reached") as caught:
        pull(MODEL)
    assert "hunter2" not in str(caught.value)
    for wrong in ("hub.example", "http://", "ftp://hub.example"):
        monkeypatch.setenv("HF_ENDPOINT", wrong)
        with pytest.raises(ConfigurationError, match="HF_ENDPOINT: this is no URL"):
            pull(MODEL)


def test_a_folder_that_cannot_be_written(hub: HubServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").touch()
    monkeypatch.setenv("VOICECLI_MODELS", str(tmp_path / "file" / "models"))
    with pytest.raises(ConfigurationError, match=r"cannot be changed: Not a directory\. Make room .*VOICECLI_MODELS"):
        pull(MODEL)


@pytest.mark.skipif(sys.platform == "win32", reason="needs a limit on files")
def test_a_full_disk(hub: HubServer) -> None:
    with files_of_at_most(1_000_000), pytest.raises(RealtimeError, match="cannot be changed: File too large"):
        pull(MODEL)
    assert pull(MODEL).read_bytes() == CONTENT


def test_a_disk_without_room_is_told_before_it_is_filled(hub: HubServer, monkeypatch: pytest.MonkeyPatch) -> None:
    class Usage:
        free = 50_000_000

    monkeypatch.setattr("shutil.disk_usage", lambda path: Usage)
    with pytest.raises(ConfigurationError, match=r"needs 3 MB more; .* has 50 MB left"):
        pull(MODEL)
    assert hub.fetched == []


def test_removing(hub: HubServer, folder: Path) -> None:
    pull(MODEL)
    assert remove(MODEL) > SIZE
    assert kept(folder) == []
    assert remove(MODEL) == 0
    hub.cuts = [2_000_000, 0, 0, 0, 0]
    with pytest.raises(RealtimeConnectionError):
        pull(MODEL, pause=no_pause)
    assert remove(MODEL) > 1_000_000


def test_two_at_once(hub: HubServer) -> None:
    """One downloads, the other waits and then finds everything; and what is being downloaded is not removed."""
    hub.hold.clear()
    first = subprocess.Popen(
        [sys.executable, "-m", "voicecli", "models", "pull", MODEL.name], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    try:
        while not hub.fetched:
            assert first.poll() is None
            threading.Event().wait(0.01)
        with pytest.raises(ConfigurationError, match=r"Another process is downloading qwen3-1\.7b"):
            remove(MODEL)
        waited: list[bool] = []

        def waiting() -> None:
            waited.append(True)
            hub.hold.set()

        assert pull(MODEL, waiting=waiting).read_bytes() == CONTENT
        assert waited == [True]
        assert len(hub.fetched) == 1
        out, err = first.communicate(timeout=60)
        assert (first.returncode, out) == (0, b""), err
        assert b"voice chat -p local --llm qwen3-1.7b" in err
    finally:
        first.kill()
        first.wait()


@pytest.mark.skipif(os.name != "posix", reason="needs SIGKILL")
def test_one_that_was_killed_leaves_what_came(hub: HubServer) -> None:
    hub.hold.clear()
    process = subprocess.Popen([sys.executable, "-m", "voicecli", "models", "pull", MODEL.name])
    try:
        while partial_bytes(MODEL) < 1_000_000:
            assert process.poll() is None
            threading.Event().wait(0.01)
    finally:
        process.kill()
        process.wait()
    hub.hold.set()
    assert pull(MODEL).read_bytes() == CONTENT
    assert int(hub.fetched[-1][6:-1]) >= 1_000_000


def test_without_the_hubs_library(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "huggingface_hub", None)
    with pytest.raises(ConfigurationError, match=r'Run: pip install "voicecli\[hub\]"'):
        pull(MODEL)


def test_names() -> None:
    assert known("Qwen3-1.7B") is known("qwen3-1.7b-q4_k_m") is MODEL
    assert known("en_US-kristin-medium") is VOICE
    assert known("kristin", "language model") is known("joe") is None
    assert names() == [download.name for download in DOWNLOADS]
    assert len(set(names())) == len(DOWNLOADS)
    for wrong, hint in (("qwen", "Did you mean qwen3-1.7b or qwen3-4b"), ("kirstin", "Did you mean kristin")):
        with pytest.raises(ConfigurationError, match=hint):
            find(wrong)
    with pytest.raises(ConfigurationError, match=r"download\. All of them: voice models list"):
        find("")


def test_the_record_is_json_for_people(hub: HubServer) -> None:
    path = pull(MODEL)
    entry = json.loads((path.parent / "record.json").read_text())["files"][path.name]
    assert entry["size"] == SIZE
    assert len(entry["sha256"]) == 64
