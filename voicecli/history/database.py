"""The database file: opened, made, brought to the present version; and what is wrong with it, in words."""

import contextlib
import os
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

from voicecli.errors import ConfigurationError
from voicecli.history.schema import APPLICATION_ID, VERSION, has_full_text, make_index, migrate

__all__ = ["HistoryError", "NoConversationError", "intact", "open_database", "snapshot", "told_plainly", "transaction"]

_T = TypeVar("_T")

_POLL_S = 0.02


class HistoryError(ConfigurationError):
    """The history cannot be read or written.

    Attributes:
        lasting: whether it is no use to try again.
    """

    def __init__(self, message: str, *, advice: str = "", lasting: bool = False) -> None:
        super().__init__(message, advice=advice)
        self.lasting = lasting


class NoConversationError(HistoryError):
    """An id names no conversation, or several."""


def open_database(
    path: Path, *, create: bool, patience_s: float, full_text: bool | None = None
) -> tuple[sqlite3.Connection, bool]:
    """A connection to the database, and whether it has an index of the words.

    Args:
        create: make the file where there is none, as one that is to be written; otherwise an empty database in memory
            takes its place, and one that cannot be written is read.
        patience_s: how long another process that writes is waited for, in seconds.
        full_text: whether to use FTS5; None for whether there is FTS5.

    Raises:
        HistoryError: it cannot be used; a file that was there is as it was.
    """
    with told_plainly(path):
        if create:
            _make_file(path)
        there = create or path.exists()
        connection = sqlite3.connect(path if there else ":memory:", timeout=patience_s, isolation_level=None)
        try:
            writable = not there or _is_readable(connection, patience_s, must_be=create)
            if not writable:
                connection.close()
                connection = _read_only(path)
            _check(connection, path, writable=writable)
            # What was written outlives the process; with NORMAL the last of it may be lost when the machine fails.
            for setting in ("foreign_keys = ON", "synchronous = NORMAL", "secure_delete = ON"):
                connection.execute(f"PRAGMA {setting}")
            full_text = has_full_text(connection) if full_text is None else full_text
            if writable:
                _bring_up_to_date(connection, patience_s, full_text=full_text)
            elif full_text:
                full_text = _has_index(connection)
        except BaseException:
            connection.close()
            raise
    return connection, full_text


@contextlib.contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """Write all of it or nothing; no other process writes meanwhile. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):  # SQLite may have taken it back already
            connection.execute("ROLLBACK")
        raise


@contextlib.contextmanager
def snapshot(connection: sqlite3.Connection) -> Iterator[None]:
    """Read the database as it is now, whatever other processes write meanwhile. Raises sqlite3.Error."""
    connection.execute("BEGIN")
    try:
        yield
    finally:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")


@contextlib.contextmanager
def told_plainly(path: Path) -> Iterator[None]:
    """Raise what SQLite and the system say as a HistoryError."""
    try:
        yield
    except sqlite3.Error as error:
        raise _translated(path, error) from error
    except OSError as error:
        raise HistoryError(
            f"The history {path} cannot be opened: {error.strerror or error}.", advice=_ADVICE_PLACE
        ) from error


@contextlib.contextmanager
def intact(path: Path) -> Iterator[None]:
    """Raise a HistoryError for values that no version has written, to be used where they are turned into records.

    SQLite notices damage to its own structures alone.
    """
    try:
        yield
    except (TypeError, ValueError, OverflowError) as error:
        raise _damaged(path, str(error)) from error


_ADVICE_PLACE = "Look at its permissions, or name another directory in the variable VOICECLI_HISTORY."


def _make_file(path: Path) -> None:
    """Make the folder and the file, for this user alone: SQLite gives the files beside it the same permissions."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    if not path.exists():
        os.close(os.open(path, os.O_RDWR | os.O_CREAT | getattr(os, "O_BINARY", 0), 0o600))


def _is_readable(connection: sqlite3.Connection, patience_s: float, *, must_be: bool) -> bool:
    """Return whether the database can be read as usual, which takes files beside it; raise why, where it must be."""
    try:
        _patiently(lambda: _of(connection, "user_version"), patience_s)
    except sqlite3.OperationalError as error:
        if _is_read_only(error) and not must_be:
            return False
        raise
    return True


def _read_only(path: Path) -> sqlite3.Connection:
    """A connection to a database on a disk that cannot be written."""
    for options in ("mode=ro", "mode=ro&immutable=1"):  # the latter where the files beside it are not there
        connection = sqlite3.connect(f"{path.absolute().as_uri()}?{options}", uri=True, isolation_level=None)
        try:
            _of(connection, "user_version")
        except sqlite3.OperationalError as error:
            connection.close()
            if "immutable" in options or not _is_read_only(error):
                raise
        else:
            break
    return connection


def _check(connection: sqlite3.Connection, path: Path, *, writable: bool) -> None:
    """Check that the database is ours, and of this version or can be brought to it. Raises HistoryError."""
    version = _of(connection, "user_version")
    if version > VERSION:
        raise HistoryError(
            f"The history {path} is of a newer voicecli, and left alone.",
            advice="Update voicecli, or name another directory in the variable VOICECLI_HISTORY.",
            lasting=True,
        )
    if _of(connection, "application_id") != APPLICATION_ID and (version or _tables(connection)):
        raise HistoryError(
            f"{path} is another program's database.",
            advice="Move it away, or name another directory in the variable VOICECLI_HISTORY.",
            lasting=True,
        )
    if version < VERSION and not writable:
        raise HistoryError(
            f"The history {path} is of an older voicecli, and on a disk that cannot be written.",
            advice="Copy it to a directory, and name that in the variable VOICECLI_HISTORY.",
        )


def _bring_up_to_date(connection: sqlite3.Connection, patience_s: float, *, full_text: bool) -> None:
    version = _of(connection, "user_version")
    if version == VERSION and (not full_text or (_has_index(connection) and not _is_stale(connection))):
        return
    if not version:
        connection.execute("PRAGMA auto_vacuum = INCREMENTAL")  # before there is anything
        # Two that turn it on at once do not wait for each other by themselves.
        _patiently(lambda: connection.execute("PRAGMA journal_mode = WAL"), patience_s)
    with transaction(connection):
        version = _of(connection, "user_version")  # another process may have been faster
        if version < VERSION:
            migrate(connection, version)
        if full_text:
            make_index(connection)


def _is_stale(connection: sqlite3.Connection) -> bool:
    """Return whether a SQLite without FTS5 has changed turns since the index was made."""
    return bool(connection.execute("SELECT 1 FROM about WHERE name = 'index_stale'").fetchone())


def _patiently(call: Callable[[], _T], patience_s: float) -> _T:
    """The result of a call, which is repeated while another process is in its way."""
    until = time.monotonic() + patience_s
    while True:
        try:
            return call()
        except sqlite3.OperationalError as error:
            if _code(error) not in _BUSY or time.monotonic() > until:
                raise
        time.sleep(_POLL_S)


def _of(connection: sqlite3.Connection, pragma: str) -> int:
    return int(connection.execute(f"PRAGMA {pragma}").fetchone()[0])


def _tables(connection: sqlite3.Connection) -> int:
    return int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])


def _has_index(connection: sqlite3.Connection) -> bool:
    return bool(connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone())


_BUSY = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
_DAMAGED = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)


def _code(error: sqlite3.Error) -> int:
    """What is wrong, by SQLite's primary result codes; 0 where Python's module itself says so."""
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _is_read_only(error: sqlite3.Error) -> bool:
    """Return whether the file cannot be written, or those beside it cannot be made, as on a full disk."""
    return _code(error) in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_IOERR)


def _damaged(path: Path, why: str) -> HistoryError:
    return HistoryError(
        f"The history {path} is damaged: {why}.", advice="Move it away; a new one is made.", lasting=True
    )


def _translated(path: Path, error: sqlite3.Error) -> HistoryError:
    code = _code(error)
    if code in _DAMAGED:
        return _damaged(path, str(error))
    if not code and "UTF-8" in str(error):  # and then the text
        return _damaged(path, "there is text that is no UTF-8")
    if code == sqlite3.SQLITE_FULL:
        return HistoryError(f"The history {path} cannot be written: the disk is full.", advice="Make room.")
    if code in _BUSY:
        return HistoryError(f"Another process does not let go of the history {path}.", advice="Try again later.")
    if code == sqlite3.SQLITE_CANTOPEN and not path.is_file():
        return HistoryError(f"The history {path} cannot be opened.", advice=_ADVICE_PLACE)
    if code == sqlite3.SQLITE_IOERR:
        return HistoryError(
            f"The history {path} cannot be used: {error}.", advice="If the disk is full, make room; else it may fail."
        )
    if code in (sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN):  # or the files beside it cannot be made
        return HistoryError(
            f"The history {path} cannot be written: it is read-only, or its disk is full.", advice=_ADVICE_PLACE
        )
    return HistoryError(f"The history {path} cannot be used: {error}.", advice=_ADVICE_PLACE)
