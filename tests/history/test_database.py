"""The database: made for this user alone, shared by processes, and whatever is wrong with it."""

import os
import sqlite3
import stat
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.history.conftest import ROWS, conversation, keep
from voicecli import ConfigurationError
from voicecli.history.database import HistoryError
from voicecli.history.ids import LATEST
from voicecli.history.records import TurnRecord
from voicecli.history.schema import VERSION
from voicecli.history.store import Store


@pytest.mark.skipif(os.name != "posix", reason="permissions of POSIX")
def test_nobody_else_may_read_it(path: Path) -> None:
    before = os.umask(0)
    try:
        with Store(path, create=True) as store:
            keep(store, "Hi")
            modes = {each.name: stat.S_IMODE(each.stat().st_mode) for each in path.parent.iterdir()}
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("history.db", "history.db-wal", "history.db-shm"), 0o600)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700


@pytest.mark.parametrize(
    "content", [b"not a database, but longer than its header of a hundred bytes" * 20, b"\0" * 5000]
)
def test_a_damaged_one_is_told_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)
    with pytest.raises(HistoryError, match=r"damaged.*Move it away") as caught:
        Store(path, create=True)
    assert caught.value.lasting
    assert path.read_bytes() == content


def test_damage_inside_is_told(path: Path) -> None:
    with Store(path, create=True) as store:
        for number in range(50):
            keep(store, f"Something that was said {number}" * 20)
    content = bytearray(path.read_bytes())
    content[4096:] = os.urandom(len(content) - 4096)
    path.write_bytes(content)
    with pytest.raises(HistoryError, match="is damaged"), Store(path) as store:
        list(store.conversations())


def test_a_newer_one_is_left_alone(path: Path) -> None:
    with Store(path, create=True) as store:
        keep(store, "Hi")
    with sqlite3.connect(path) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
    connection.close()
    before = path.read_bytes()
    for create in (True, False):
        with pytest.raises(HistoryError, match=r"newer voicecli, and left alone\. Update voicecli") as caught:
            Store(path, create=create)
        assert caught.value.lasting
    assert path.read_bytes() == before


def test_another_programs_database_is_left_alone(path: Path) -> None:
    path.parent.mkdir()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE theirs (x)")
    connection.close()
    before = path.read_bytes()
    with pytest.raises(HistoryError, match="another program's database"):
        Store(path, create=True)
    assert path.read_bytes() == before


def test_a_locked_one_is_waited_for_and_then_told(path: Path) -> None:
    with Store(path, create=True, patience_s=0.2) as store:
        id_ = keep(store, "Hi")
        other = sqlite3.connect(path, isolation_level=None)
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(HistoryError, match="Another process does not let go of the history") as caught:
            store.save(id_, [])
        assert not caught.value.lasting
        assert store.conversation(id_).id == id_  # who reads does not wait
        other.execute("ROLLBACK")
        other.close()
        assert store.save(id_, [])


def test_a_folder_that_cannot_be_made_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigurationError, match=r"cannot be opened: .*VOICECLI_HISTORY"):
        Store(tmp_path / "file" / "history.db", create=True)
    with pytest.raises(ConfigurationError, match="VOICECLI_HISTORY"):
        Store(tmp_path, create=True)


def test_a_full_disk_is_told_and_what_was_kept_stays(path: Path) -> None:
    with Store(path, create=True) as store:
        id_ = keep(store, "Hi")
        (pages,) = store._connection.execute("PRAGMA page_count").fetchone()
        store._connection.execute(f"PRAGMA max_page_count = {pages}")  # as SQLite answers on a full disk
        with pytest.raises(HistoryError, match=r"the disk is full\. Make room"):
            keep(store, "much" * 10_000)
        store._connection.execute("PRAGMA max_page_count = 10000")
        keep(store, "much" * 10_000)
        assert store.conversation(id_).turns[0].text == "Hi"


def test_without_fts5_it_is_written_and_the_index_made_later(path: Path) -> None:
    with Store(path, create=True, full_text=False) as store:
        first = keep(store, "The capital of France")
    with Store(path, create=True) as store:
        second = keep(store, "The capital of Italy")
    with Store(path, create=True, full_text=False) as store:
        third = keep(store, "The capital of Spain")
        store.save(second, [])
    with Store(path) as store:
        assert store.find(LATEST) in (first, second, third)
        found = store._connection.execute("SELECT rowid FROM words WHERE words MATCH 'capital'").fetchall()
        assert len(found) == 3


_WRITER = """
import sys
from collections.abc import Callable
from pathlib import Path
from tests.history.conftest import keep
from voicecli.history.store import Store
path = Path(sys.argv[1])
for number in range(25):
    with Store(path, create=True) as store:  # the first of them make it at once
        keep(store, f"{sys.argv[2]} {number}")
"""


def test_two_processes_write_at_once(path: Path) -> None:
    command = [sys.executable, "-c", _WRITER, str(path)]
    writers = [subprocess.Popen([*command, name], cwd=ROOT, stderr=subprocess.PIPE) for name in ("one", "two")]
    for writer in writers:
        _, complaint = writer.communicate(timeout=60)
        assert writer.returncode == 0, complaint.decode()
    with Store(path) as store:
        said = {store.conversation(each.id).turns[0].text for each in store.conversations()}
    assert said == {f"{name} {number}" for name in ("one", "two") for number in range(25)}


def test_a_database_on_a_disk_that_cannot_be_written_is_read(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Store(path, create=True) as store:
        id_ = keep(store, "Hi")
    assert [each.name for each in path.parent.iterdir()] == ["history.db"]
    real = sqlite3.connect

    def connect(database: object, **options: object) -> sqlite3.Connection:
        """As on such a disk: no file is made, none is changed."""
        if "uri" not in options:
            database, options["uri"] = f"{path.as_uri()}?mode=ro", True
        return real(database, **options)  # type: ignore[call-overload, no-any-return]

    monkeypatch.setattr(sqlite3, "connect", connect)
    with Store(path) as store:
        assert store.conversation(id_).turns[0].text == "Hi"
    with Store(path) as store, pytest.raises(HistoryError, match="it is read-only"):
        store.begin(conversation())


@pytest.mark.parametrize(
    "change",
    [
        "UPDATE turns SET text = CAST(x'ff41fe' AS TEXT)",
        "UPDATE conversations SET recording_times = '{'",
        "UPDATE conversations SET utc_offset_s = 1000000",
        "UPDATE conversations SET started_at = 9000000000000000",
        "UPDATE responses SET cost_usd = 'much'",
    ],
)
def test_values_that_nobody_has_written_are_told(path: Path, change: str) -> None:
    with Store(path, create=True) as store:
        id_ = store.begin(conversation(), ROWS)
        store._connection.execute(change)
        with pytest.raises(HistoryError, match="is damaged"):
            store.conversation(id_)
        if "turns" not in change:
            with pytest.raises(HistoryError, match="is damaged"):
                list(store.conversations())


def shown(store: Store) -> TurnRecord:
    return store.conversation(LATEST).turns[0]


def found(store: Store) -> TurnRecord:
    return store.search(["hi"])[0].turn


@pytest.mark.parametrize("read", [shown, found])
def test_what_is_deleted_while_it_is_read_is_whole(
    path: Path, monkeypatch: pytest.MonkeyPatch, read: Callable[[Store], TurnRecord]
) -> None:
    with Store(path, create=True) as store, Store(path) as other:
        id_ = keep(store, "Hi there")
        ask = Store._ask

        def ask_late(self: Store, question: str, *values: object) -> list[sqlite3.Row]:
            if self is store and question.startswith("SELECT * FROM"):
                other.delete([id_])
            return ask(self, question, *values)

        monkeypatch.setattr(Store, "_ask", ask_late)
        assert read(store).text == "Hi there"
        assert list(store.conversations()) == []


def test_a_folder_in_its_place_is_told(path: Path) -> None:
    path.mkdir(parents=True)
    for create in (True, False):
        with pytest.raises(HistoryError, match=r"cannot be opened\. Look at its permissions"):
            Store(path, create=create)
