"""Removal of conversations: their words leave the file, and the file gets smaller.

In steps of some ms each, so that no other process waits for long that writes.
"""

import sqlite3
import time
from collections.abc import Sequence

from voicecli.history.database import transaction

__all__ = ["give_back", "prunable", "remove", "used_bytes"]

_STEP_PAGES = 200  # of 4 kB
_MOST_STEPS = 100_000
_MAY_RUN_S = 86_400  # a conversation without an end in which nothing was said for so long, was killed


def remove(connection: sqlite3.Connection, numbers: Sequence[int], *, full_text: bool) -> int:
    """Remove conversations by their numbers, each in a transaction; how many were there."""
    removed = 0
    for number in numbers:
        with transaction(connection):
            if full_text:
                connection.execute(
                    "INSERT INTO words (words, rowid, text) SELECT 'delete', number, text FROM turns"
                    " WHERE conversation = ?",
                    (number,),
                )
            else:
                connection.execute("INSERT OR REPLACE INTO about VALUES ('index_stale', 1)")
            removed += connection.execute("DELETE FROM conversations WHERE number = ?", (number,)).rowcount
    return removed


def give_back(connection: sqlite3.Connection, *, full_text: bool) -> None:
    """Give the room of what was removed back to the disk, with all that was written there."""
    if full_text:
        pages = -_STEP_PAGES  # the first step says that all is to be merged, what was removed from it with the rest
        for _ in range(_MOST_STEPS):
            before = connection.total_changes
            connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
            if connection.total_changes - before < 2:  # as SQLite's manual says that there is no more to do
                break
            pages = _STEP_PAGES
    free = _of(connection, "freelist_count")
    for _ in range(free // _STEP_PAGES + 1):
        connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")  # `execute` ends with the first page
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()  # does nothing while another process reads


def used_bytes(connection: sqlite3.Connection) -> int:
    """The size of the database without what is free in it."""
    pages = _of(connection, "page_count") - _of(connection, "freelist_count")
    return pages * _of(connection, "page_size")


def prunable(connection: sqlite3.Connection, *, before_ms: int | None = None) -> list[int]:
    """The numbers of conversations that are over, the oldest first.

    Args:
        before_ms: those alone in which nothing was said since, in ms since 1970.
    """
    may_run_ms = (time.time() - _MAY_RUN_S) * 1000
    found = connection.execute(
        "SELECT number FROM conversations WHERE (ended_at IS NOT NULL OR updated_at < ?) AND updated_at < ?"
        " ORDER BY updated_at, number",
        (may_run_ms, 2**62 if before_ms is None else before_ms),
    )
    return [number for (number,) in found]


def _of(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
