"""Removal of conversations: their words leave the file, and the file gets smaller.

In steps of some ms each, so that nobody who writes meanwhile waits for long, this process or another.
"""

import sqlite3
import time
from collections.abc import Iterator, Sequence

from voicecli.history.database import transaction

__all__ = ["prunable", "removal", "too_much"]

_PAUSE_S = 0.002  # between two steps: whoever waits for the lock looks for it again every few ms
_STEP_PAGES = 100  # of 4 kB
_MOST_STEPS = 1_000_000
_MAY_RUN_S = 86_400  # a conversation without an end in which nothing was said for so long, was killed
_LOCKED_MS = 100
_ROW_BYTES = 150  # what a turn takes besides its words
_ROOM = 0.9  # of what is allowed is left, so that it need not be done for each conversation


def removal(connection: sqlite3.Connection, numbers: Sequence[int], *, full_text: bool) -> Iterator[int]:
    """Remove conversations by their numbers, step by step; each step yields how many it has removed."""
    for number in numbers:
        yield _remove(connection, number, full_text=full_text)
    if full_text:
        pages = -_STEP_PAGES  # the first step says that all is to be merged, and so what was removed leaves it
        for _ in range(_MOST_STEPS):
            before = connection.total_changes
            connection.execute("INSERT INTO words (words, rank) VALUES ('merge', ?)", (pages,))
            if connection.total_changes - before < 2:  # as SQLite's manual says that there is no more to do
                break
            pages = _STEP_PAGES
            yield _pause()
    for _ in range(_of(connection, "freelist_count") // _STEP_PAGES + 1):
        connection.executescript(f"PRAGMA incremental_vacuum({_STEP_PAGES})")  # `execute` ends with the first page
        yield _pause()
    patience_ms = _of(connection, "busy_timeout")
    connection.execute(f"PRAGMA busy_timeout = {_LOCKED_MS}")  # it keeps others from writing while it waits for readers
    connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    connection.execute(f"PRAGMA busy_timeout = {patience_ms}")


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


def too_much(connection: sqlite3.Connection, most_bytes: int) -> list[int]:
    """The numbers of the oldest conversations whose removal leaves no more than a part of what is allowed.

    [] where there is no more than that. What each takes is told from the length of its words.
    """
    pages = _of(connection, "page_count") - _of(connection, "freelist_count")
    used = pages * _of(connection, "page_size")
    if used <= most_bytes:
        return []
    lengths: dict[int, int] = {}
    for words in (
        "SELECT conversation, length(text) FROM turns",
        "SELECT conversation, length(arguments) + coalesce(length(output), 0) FROM tool_calls",
        "SELECT conversation, 0 FROM responses",
    ):
        for number, length in connection.execute(words):
            lengths[number] = lengths.get(number, 0) + length + _ROW_BYTES
    surplus = (1 - _ROOM * most_bytes / used) * sum(lengths.values())
    chosen: list[int] = []
    for number in prunable(connection):
        if surplus <= 0:
            break
        chosen.append(number)
        surplus -= lengths.get(number, 0)
    return chosen


def _remove(connection: sqlite3.Connection, number: int, *, full_text: bool) -> int:
    with transaction(connection):
        if full_text:
            connection.execute(
                "INSERT INTO words (words, rowid, text)"
                " SELECT 'delete', number, text FROM turns WHERE conversation = ?",
                (number,),
            )
        else:
            connection.execute("INSERT OR REPLACE INTO about VALUES ('index_stale', 1)")
        removed = connection.execute("DELETE FROM conversations WHERE number = ?", (number,)).rowcount
    _pause()
    return removed


def _pause() -> int:
    time.sleep(_PAUSE_S)
    return 0


def _of(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])
