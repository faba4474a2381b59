"""Deleting and pruning: the words leave the disk, the files get smaller, and nothing that goes on is touched."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from tests.history.conftest import ROWS, conversation, days, keep
from voicecli.history.store import Store

NOW = datetime.now(UTC)
SECRET = "Rumpelstilzchen"


@pytest.fixture(params=[True, False], ids=["fts5", "without"])
def store(request: pytest.FixtureRequest, path: Path) -> Iterator[Store]:
    with Store(path, create=True, full_text=request.param) as opened:
        yield opened


def left(path: Path, word: str) -> bool:
    return any(word.lower().encode() in file.read_bytes().lower() for file in path.parent.iterdir())


def age(store: Store, id_: str, *, by_days: float, ended: bool = True) -> None:
    """Have a conversation be so many days old."""
    then = round((time.time() - by_days * 86_400) * 1000)
    store._connection.execute(
        "UPDATE conversations SET started_at = ?, updated_at = ?, ended_at = ? WHERE id = ?",
        (then, then, then if ended else None, id_),
    )


def ids(store: Store) -> set[str]:
    return {each.id for each in store.conversations()}


def test_what_is_deleted_is_gone_from_the_disk(store: Store, path: Path) -> None:
    first, kept = keep(store, f"I am called {SECRET}."), keep(store, "Good day.")
    store.save(first, ROWS)
    assert left(path, SECRET)
    assert store.delete([first, "b2b2b2"]) == 1
    assert ids(store) == {kept}
    assert not left(path, SECRET)
    assert not left(path, "look_up")
    assert store.search([SECRET]) == []
    assert [each.conversation.id for each in store.search(["good"])] == [kept]
    assert keep(store, "Again") not in (first, kept)


def test_all_are_deleted_and_no_id_comes_again(store: Store, path: Path) -> None:
    before = {keep(store, f"{SECRET} {number}") for number in range(30)}
    assert store.delete_all() == 30
    assert ids(store) == set()
    assert not left(path, SECRET)
    assert not before & {keep(store, "Hi") for _ in range(30)}


def test_one_that_is_deleted_while_it_goes_on_stays_deleted(store: Store) -> None:
    id_ = keep(store, "Hi")
    store.delete([id_])
    assert not store.save(id_, ROWS)
    assert store.search(["capital"]) == []


def test_the_old_ones_go(store: Store, path: Path) -> None:
    old, young, killed, running = (keep(store, f"{SECRET} {number}") for number in range(4))
    age(store, old, by_days=31)
    age(store, young, by_days=29)
    age(store, killed, by_days=31, ended=False)
    assert store.prune(keep_days=30) == 2
    assert ids(store) == {young, running}
    assert store.prune(keep_days=30) == 0
    assert store.prune() == 0


def test_the_oldest_go_where_there_is_too_much(store: Store) -> None:
    words = "What was said, again and again. " * 3_000  # 96 kB
    many = [keep(store, f"{number} {words}") for number in range(40)]
    for number, id_ in enumerate(many[:-1]):
        age(store, id_, by_days=50 - number)
    before = store.size
    assert before > 4_000_000
    removed = store.prune(max_mb=2)
    assert ids(store) == set(many[removed:])
    assert 20 < removed < 35  # no more than it takes, and a tenth
    assert store.size < 2_000_000
    assert store.prune(max_mb=2) == 0


def test_what_may_be_going_on_is_never_too_much(store: Store) -> None:
    words = "What was said, again and again. " * 3_000
    running = {keep(store, words) for _ in range(15)}
    assert store.size > 1_000_000
    assert store.prune(max_mb=1, keep_days=1) == 0
    assert ids(store) == running


def test_it_may_be_pruned_while_another_reads_and_writes(store: Store, path: Path) -> None:
    words = "What was said, again and again. " * 3_000
    for _ in range(15):
        age(store, keep(store, words), by_days=5)
    with Store(path) as other:
        reading = other.conversations()
        next(reading)
        running = other.begin(conversation())
        assert store.prune(keep_days=3) == 15
        assert other.save(running, ROWS)
        assert ids(store) == {running}
    assert store.prune(keep_days=days(3).days) == 0
