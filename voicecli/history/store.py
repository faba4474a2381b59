"""The store: conversations in the database, written and read."""

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any, Self

from voicecli.events import TurnMetrics, Usage
from voicecli.history.database import NoConversationError, intact, open_database, snapshot, told_plainly, transaction
from voicecli.history.folding import Row
from voicecli.history.ids import LATEST, id_of
from voicecli.history.records import (
    ConversationRecord,
    FoundTurn,
    ResponseRecord,
    ToolCallRecord,
    TurnRecord,
    UsageRecord,
)
from voicecli.history.removal import prunable, removal, too_much
from voicecli.history.search import excerpt, found_turns, words_of
from voicecli.text import valid_text
from voicecli.transcript import Turn
from voicecli.user_folders import history_dir

__all__ = ["NoConversationError", "Store", "history_path"]

_USAGE = tuple(field.name for field in fields(Usage))
_TURN = ("role", "item_id", "text", "started_ms", "ended_ms", "final", "interrupted")
_CALL = ("call_id", "name", "arguments", "started_ms", "output", "ended_ms", "is_error", "cancelled")
_RESPONSE = ("response_id", "started_ms", "done_ms", "status", "reason")
_METRICS = {field.name: "turn_done_ms" if field.name == "done_ms" else field.name for field in fields(TurnMetrics)}
_FLAGS = {"final", "interrupted", "is_error", "cancelled", "approximate"}


def history_path() -> Path:
    """The path of the database, whether or not it exists. Raises ConfigurationError where the user has no home."""
    return history_dir() / "history.db"


class Store:
    """Conversations that were held, in a database of SQLite that several processes may use at once.

    To be used on the thread that opened it. Each method raises HistoryError when the database cannot be used.

    Args:
        path: of the database; None for the user's.
        create: make it where there is none; otherwise the store is an empty one. Who is going to write asks for it: a
            database that cannot be written is only read without.
        patience_s: how long another process that writes is waited for, in seconds; it takes some ms.
        full_text: whether to use FTS5; None for whether this SQLite has it.
    """

    def __init__(
        self,
        path: Path | None = None,
        *,
        create: bool = False,
        patience_s: float = 2.0,
        full_text: bool | None = None,
    ) -> None:
        self.path = path or history_path()
        self._connection, self._full_text = open_database(
            self.path, create=create, patience_s=patience_s, full_text=full_text
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def close(self) -> None:
        """Close the database; idempotent."""
        self._connection.close()

    # -- reading

    def find(self, id_: str) -> str:
        """The whole id for a beginning of one, in any case of letters, or for LATEST.

        Raises:
            NoConversationError: there is no such conversation, or more than one.
        """
        wanted = valid_text(id_).strip().casefold()
        if wanted == LATEST:
            found = self._ask("SELECT id FROM conversations ORDER BY started_at DESC, number DESC LIMIT 1")
            if not found:
                raise NoConversationError("No conversation is kept yet.", advice="`voice chat` holds one.")
            return str(found[0]["id"])
        found = self._ask("SELECT id FROM conversations WHERE id = ?", wanted)
        if not found and wanted.isalnum():
            found = self._ask("SELECT id FROM conversations WHERE id GLOB ? ORDER BY id LIMIT 6", f"{wanted}*")
        if len(found) == 1:
            return str(found[0]["id"])
        if found:
            raise NoConversationError(
                f"Several conversations begin with {id_!r}: {', '.join(row['id'] for row in found)}.",
                advice="Give more of its id.",
            )
        raise NoConversationError(f"There is no conversation {id_!r}.", advice="`voice logs` lists them.")

    def conversation(self, id_: str) -> ConversationRecord:
        """A conversation with all that is known of it, by its id, a beginning of that, or LATEST.

        Raises:
            NoConversationError: there is no such conversation, or more than one.
        """
        with told_plainly(self.path), snapshot(self._connection):
            (row,) = self._ask("SELECT * FROM conversations WHERE id = ?", self.find(id_))
            number = row["number"]
            with intact(self.path):
                return _conversation(
                    row,
                    turns=tuple(_turn(each) for each in self._rows("turns", number)),
                    tool_calls=tuple(_call(each) for each in self._rows("tool_calls", number)),
                    used=[_used(each) for each in self._rows("responses", number)],
                )

    def conversations(
        self, *, since: datetime | None = None, until: datetime | None = None, limit: int | None = None
    ) -> Iterator[ConversationRecord]:
        """The conversations, the last one first, with their responses and usage, without turns and calls of tools.

        Args:
            since, until: those that began then or later, and before then; with a time zone.
            limit: no more than so many.
        """
        found = self._ask(
            "SELECT * FROM conversations WHERE started_at >= ? AND started_at < ?"
            " ORDER BY started_at DESC, number DESC LIMIT ?",
            _ms(since) if since else -(2**62),
            _ms(until) if until else 2**62,
            -1 if limit is None else limit,
        )
        for row in found:
            with intact(self.path):
                used = [_used(each) for each in self._rows("responses", row["number"])]
                conversation = _conversation(row, used=used)
            yield conversation

    def opening(self, id_: str) -> tuple[int, str]:
        """How many turns a conversation has, and the first words of it: the user's, if they said any."""
        where = "FROM turns JOIN conversations ON conversations.number = conversation WHERE id = ?"
        (count,) = self._ask(f"SELECT count(*) AS turns {where}", id_)
        first = self._ask(f"SELECT text {where} ORDER BY role = 'user' DESC, position LIMIT 1", id_)
        return count["turns"], first[0]["text"] if first else ""

    def search(self, texts: Sequence[str], *, limit: int = 50) -> list[FoundTurn]:
        """The turns that have all words of these texts, in any order, those of the last conversation first.

        Args:
            limit: no more than so many.
        """
        words = words_of(texts)
        if not words:
            return []
        with told_plainly(self.path), snapshot(self._connection):
            numbers = found_turns(self._connection, words, limit, full_text=self._full_text)
            with intact(self.path):
                return [self._found(number, words) for number in numbers]

    def turns_before(self, id_: str) -> list[Turn]:
        """What a new conversation is to know that continues this one: its turns, after those that it continued.

        Raises:
            NoConversationError: there is no such conversation, or more than one.
        """
        wanted, chain = self.find(id_), list[str]()
        while wanted and wanted not in chain:
            chain.insert(0, wanted)
            found = self._ask("SELECT continues FROM conversations WHERE id = ?", wanted)
            wanted = str(found[0]["continues"]) if found else ""
        return [turn for each in chain for turn in self._turns(each)]

    def _turns(self, id_: str) -> list[Turn]:
        """The turns and finished calls of tools of one conversation; names are unique in all that are put together."""
        placed: list[tuple[int, Turn]] = []
        for row in self._ask("SELECT number FROM conversations WHERE id = ?", id_):
            for each in self._rows("turns", row["number"]):
                if each["text"].strip():
                    name = f"{id_}_{each['item_id']}"
                    turn = Turn(each["role"], name, each["text"], True, bool(each["interrupted"]))
                    placed.append((each["position"], turn))
            for each in self._rows("tool_calls", row["number"]):
                if each["output"] is not None and not each["cancelled"]:
                    called = {"name": each["name"], "arguments": each["arguments"]}
                    placed.append(
                        (each["position"], Turn("tool", f"{id_}_{each['call_id']}", each["output"], True, **called))
                    )
        return [turn for _, turn in sorted(placed, key=lambda pair: pair[0])]

    # -- writing

    def begin(self, conversation: ConversationRecord, rows: Iterable[Row] = ()) -> str:
        """Keep a new conversation; the id that it gets.

        Args:
            conversation: without turns, calls of tools, responses and id.
            rows: the first of them.
        """
        began = conversation.started_at
        values = _values(conversation, ("provider", "model", "voice", "continues")) | {
            "id": "",  # until its number is known
            "started_at": _ms(began),
            "utc_offset_s": int((began.utcoffset() or timedelta()).total_seconds()),
            "updated_at": _now_ms(),
        }
        with told_plainly(self.path), transaction(self._connection):
            number = self._connection.execute(
                f"INSERT INTO conversations ({', '.join(values)}) VALUES ({', '.join('?' * len(values))})",
                tuple(values.values()),
            ).lastrowid
            assert number is not None
            (id_offset,) = self._connection.execute("SELECT value FROM about WHERE name = 'id_offset'").fetchone()
            id_ = id_of(number, id_offset)
            self._connection.execute("UPDATE conversations SET id = ? WHERE number = ?", (id_, number))
            self._save_rows(number, rows)
        return id_

    def save(self, id_: str, rows: Iterable[Row], *, ended_at: datetime | None = None, end: str = "") -> bool:
        """Keep records of a conversation, in place of those that have their places; in one transaction.

        Args:
            ended_at: when the conversation ended; None while it goes on.

        Returns:
            Whether the conversation is there; it may have been deleted meanwhile, and nothing is kept then.
        """
        with told_plainly(self.path), transaction(self._connection):
            found = self._connection.execute("SELECT number FROM conversations WHERE id = ?", (id_,)).fetchone()
            if found is None:
                return False
            (number,) = found
            self._connection.execute("UPDATE conversations SET updated_at = ? WHERE number = ?", (_now_ms(), number))
            if ended_at is not None:
                self._connection.execute(
                    "UPDATE conversations SET ended_at = ?, end_reason = ? WHERE number = ?",
                    (_ms(ended_at), valid_text(end), number),
                )
            self._save_rows(number, rows)
        return True

    def set_recording(self, id_: str, path: Path, times: Sequence[tuple[int, int]] = ()) -> None:
        """Say where the recording of a conversation is.

        Args:
            times: as `ConversationRecord.recording_times`.
        """
        with told_plainly(self.path), transaction(self._connection):
            self._connection.execute(
                "UPDATE conversations SET recording = ?, recording_times = ? WHERE id = ?",
                (str(path), json.dumps(times), id_),
            )

    # -- removing

    def delete(self, ids: Iterable[str]) -> int:
        """Remove conversations, their words with them; how many were there."""
        with told_plainly(self.path):
            rows = [self._connection.execute("SELECT number FROM conversations WHERE id = ?", (id_,)) for id_ in ids]
            return sum(self._removal([number for row in rows for (number,) in row]))

    def delete_all(self) -> int:
        """Remove all conversations; how many there were."""
        with told_plainly(self.path):
            rows = self._connection.execute("SELECT number FROM conversations").fetchall()
            return sum(self._removal([number for (number,) in rows]))

    def prune(self, *, keep_days: int = 0, max_mb: int = 0) -> int:
        """Remove what is too old, and the oldest where there is too much; how many that were.

        Args:
            keep_days, max_mb: as for `pruning`.
        """
        return sum(self.pruning(keep_days=keep_days, max_mb=max_mb))

    def pruning(self, *, keep_days: int = 0, max_mb: int = 0) -> Iterator[int]:
        """Do as `prune` does in steps of some ms; each yields how many it has removed.

        A conversation that may still be going on stays.

        Args:
            keep_days: conversations in which nothing was said for longer are removed; 0 keeps them.
            max_mb: in millions of bytes; when there is more, a tenth of it is made free. 0 for any size.
        """
        with told_plainly(self.path):
            if keep_days:
                old = prunable(self._connection, before_ms=_now_ms() - keep_days * 86_400_000)
                yield from self._removal(old)
            if max_mb:
                yield from self._removal(too_much(self._connection, max_mb * 1_000_000))

    @property
    def size(self) -> int:
        """The bytes that it takes on the disk."""
        files = (self.path.with_name(self.path.name + ending) for ending in ("", "-wal"))
        return sum(file.stat().st_size for file in files if file.exists())

    # -- inside

    def _found(self, number: int, words: Sequence[str]) -> FoundTurn:
        (turn,) = self._ask("SELECT * FROM turns WHERE number = ?", number)
        (conversation,) = self._ask("SELECT * FROM conversations WHERE number = ?", turn["conversation"])
        return FoundTurn(
            conversation=_conversation(conversation, used=()),
            turn=_turn(turn),
            excerpt=excerpt(turn["text"], words),
        )

    def _removal(self, numbers: Sequence[int]) -> Iterator[int]:
        return removal(self._connection, numbers, full_text=self._full_text) if numbers else iter(())

    def _save_rows(self, number: int, rows: Iterable[Row]) -> None:
        for position, record in rows:
            match record:
                case TurnRecord():
                    self._save_turn(number, position, record)
                case ToolCallRecord():
                    self._put("tool_calls", number, position, _values(record, _CALL))
                case ResponseRecord():
                    self._put("responses", number, position, _response_values(record))
                case UsageRecord():
                    self._put("responses", number, position, _usage_values(record))

    def _save_turn(self, number: int, position: int, turn: TurnRecord) -> None:
        where = "WHERE conversation = ? AND position = ?"
        before = self._connection.execute(f"SELECT number, text FROM turns {where}", (number, position)).fetchone()
        self._put("turns", number, position, _values(turn, _TURN))
        if before is not None and before[1] == valid_text(turn.text):
            return
        if not self._full_text:
            self._index_is_stale()
            return
        if before is not None:
            self._connection.execute("INSERT INTO words (words, rowid, text) VALUES ('delete', ?, ?)", before)
        self._connection.execute(
            f"INSERT INTO words (rowid, text) SELECT number, text FROM turns {where}", (number, position)
        )

    def _index_is_stale(self) -> None:
        self._connection.execute("INSERT OR REPLACE INTO about VALUES ('index_stale', 1)")

    def _put(self, table: str, number: int, position: int, values: dict[str, Any]) -> None:
        names = ("conversation", "position", *values)
        changes = ", ".join(f"{name} = excluded.{name}" for name in values)
        self._connection.execute(
            f"INSERT INTO {table} ({', '.join(names)}) VALUES ({', '.join('?' * len(names))})"
            f" ON CONFLICT (conversation, position) DO UPDATE SET {changes}",
            (number, position, *values.values()),
        )

    def _rows(self, table: str, number: int) -> list[sqlite3.Row]:
        return self._ask(f"SELECT * FROM {table} WHERE conversation = ? ORDER BY position", number)

    def _ask(self, question: str, *values: object) -> list[sqlite3.Row]:
        with told_plainly(self.path):
            cursor = self._connection.cursor()
            cursor.row_factory = sqlite3.Row
            return cursor.execute(question, values).fetchall()


def _values(record: object, names: Sequence[str]) -> dict[str, Any]:
    values = {name: getattr(record, name) for name in names}
    # A model may write half of a pair of surrogates, which is no text for SQLite.
    return {name: valid_text(value) if isinstance(value, str) else value for name, value in values.items()}


def _response_values(response: ResponseRecord) -> dict[str, Any]:
    metrics = {column: getattr(response.metrics, name) for name, column in _METRICS.items()}
    return _values(response, _RESPONSE) | _values(response.usage, _USAGE) | metrics


def _usage_values(record: UsageRecord) -> dict[str, Any]:
    """A row of the responses for what none of them used."""
    between = ResponseRecord(response_id="", started_ms=record.started_ms, done_ms=record.at_ms, usage=record.usage)
    return _response_values(between)


def _read(row: sqlite3.Row, names: Iterable[str]) -> dict[str, Any]:
    return {name: bool(row[name]) if name in _FLAGS else row[name] for name in names}


def _turn(row: sqlite3.Row) -> TurnRecord:
    return TurnRecord(**_read(row, _TURN))


def _call(row: sqlite3.Row) -> ToolCallRecord:
    return ToolCallRecord(**_read(row, _CALL))


def _used(row: sqlite3.Row) -> ResponseRecord | UsageRecord:
    if not row["response_id"]:
        usage = Usage(**_read(row, _USAGE))
        return UsageRecord(started_ms=row["started_ms"], at_ms=row["done_ms"], usage=usage)
    metrics = TurnMetrics(**{name: row[column] for name, column in _METRICS.items()})
    return ResponseRecord(**_read(row, _RESPONSE), usage=Usage(**_read(row, _USAGE)), metrics=metrics)


def _conversation(
    row: sqlite3.Row,
    *,
    used: Sequence[ResponseRecord | UsageRecord],
    turns: tuple[TurnRecord, ...] = (),
    tool_calls: tuple[ToolCallRecord, ...] = (),
) -> ConversationRecord:
    zone = timezone(timedelta(seconds=row["utc_offset_s"]))
    return ConversationRecord(
        id=row["id"],
        started_at=_time(row["started_at"], zone),
        ended_at=None if row["ended_at"] is None else _time(row["ended_at"], zone),
        provider=row["provider"],
        model=row["model"],
        voice=row["voice"],
        end=row["end_reason"],
        continues=row["continues"],
        recording=None if row["recording"] is None else Path(row["recording"]),
        recording_times=tuple((at, there) for at, there in json.loads(row["recording_times"])),
        usage=sum((each.usage for each in used), Usage()),
        turns=turns,
        tool_calls=tool_calls,
        responses=tuple(each for each in used if isinstance(each, ResponseRecord)),
        usages=tuple(each for each in used if isinstance(each, UsageRecord)),
    )


def _time(ms: int, zone: timezone) -> datetime:
    return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=ms)).astimezone(zone)


def _ms(moment: datetime) -> int:
    return round(moment.timestamp() * 1000)


def _now_ms() -> int:
    return round(time.time() * 1000)
