"""The tables of the history, and how a database of an earlier version becomes one of this version."""

import secrets
import sqlite3

from voicecli.history.ids import POSSIBLE

__all__ = ["APPLICATION_ID", "VERSION", "has_full_text", "make_index", "migrate"]

APPLICATION_ID = 0x766F6963
""""voic": marks the file as one of ours."""

_FIRST = """
CREATE TABLE about (name TEXT PRIMARY KEY, value) WITHOUT ROWID;
CREATE TABLE conversations (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    started_at INTEGER NOT NULL,      -- ms since 1970, UTC
    utc_offset_s INTEGER NOT NULL,    -- of the user's clock then
    ended_at INTEGER,                 -- as started_at, NULL while it goes on and where it was killed
    updated_at INTEGER NOT NULL,      -- when something of it was last written
    end_reason TEXT NOT NULL DEFAULT '',
    provider TEXT NOT NULL,
    model TEXT NOT NULL,
    voice TEXT NOT NULL DEFAULT '',
    continues TEXT NOT NULL DEFAULT '',
    recording TEXT,
    recording_times TEXT NOT NULL DEFAULT '[]'  -- pairs of ms, as JSON
);
CREATE INDEX conversations_by_time ON conversations (started_at);
CREATE TABLE turns (
    number INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,        -- of turns and calls of tools together
    role TEXT NOT NULL,
    item_id TEXT NOT NULL,
    text TEXT NOT NULL,
    started_ms INTEGER NOT NULL,      -- since the conversation began
    ended_ms INTEGER,
    final INTEGER NOT NULL,
    interrupted INTEGER NOT NULL,
    UNIQUE (conversation, position)
);
CREATE TABLE tool_calls (
    number INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,
    call_id TEXT NOT NULL,
    name TEXT NOT NULL,
    arguments TEXT NOT NULL,
    started_ms INTEGER NOT NULL,
    output TEXT,
    ended_ms INTEGER,
    is_error INTEGER NOT NULL,
    cancelled INTEGER NOT NULL,
    UNIQUE (conversation, position)
);
CREATE TABLE responses (
    number INTEGER PRIMARY KEY,
    conversation INTEGER NOT NULL REFERENCES conversations (number) ON DELETE CASCADE,
    position INTEGER NOT NULL,        -- of responses alone
    response_id TEXT NOT NULL,        -- '' where it is what was used between two responses
    started_ms INTEGER NOT NULL,
    done_ms INTEGER NOT NULL,
    status TEXT NOT NULL,
    reason TEXT NOT NULL,
    input_text_tokens INTEGER NOT NULL,
    input_audio_tokens INTEGER NOT NULL,
    input_image_tokens INTEGER NOT NULL,
    cached_text_tokens INTEGER NOT NULL,
    cached_audio_tokens INTEGER NOT NULL,
    cached_image_tokens INTEGER NOT NULL,
    output_text_tokens INTEGER NOT NULL,
    output_audio_tokens INTEGER NOT NULL,
    transcription_seconds REAL NOT NULL,
    session_seconds REAL NOT NULL,    -- since the session began, not of this response
    cost_usd REAL,                    -- NULL where the price is not known
    approximate INTEGER NOT NULL,
    first_audio_ms INTEGER,           -- from here on: since the end of the user's turn
    first_text_ms INTEGER,
    first_heard_ms INTEGER,
    turn_done_ms INTEGER,
    audio_ms INTEGER NOT NULL,        -- the length of the reply's sound
    UNIQUE (conversation, position)
);
"""

_MIGRATIONS = (_FIRST,)
"""What leads from each version to the next: statements, with no semicolon but after each. A published one stays."""

VERSION = len(_MIGRATIONS)
"""The version of the tables that this module makes; a database has its own in `user_version`."""


def migrate(connection: sqlite3.Connection, version: int) -> None:
    """Bring the tables from a version to the present one, within a transaction of the caller's."""
    for step in _MIGRATIONS[version:]:
        for statement in step.split(";"):
            connection.execute(statement)
    if version == 0:
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute("INSERT INTO about VALUES ('id_offset', ?)", (secrets.randbelow(POSSIBLE),))
    connection.execute(f"PRAGMA user_version = {VERSION}")


def has_full_text(connection: sqlite3.Connection) -> bool:
    """Return whether this SQLite can find words by an index (FTS5)."""
    return bool(connection.execute("SELECT 1 FROM pragma_module_list WHERE name = 'fts5'").fetchone())


def make_index(connection: sqlite3.Connection) -> None:
    """Make the index of the words, or make it anew where a SQLite without FTS5 has changed turns meanwhile.

    Within a transaction of the caller's.
    """
    there = connection.execute("SELECT 1 FROM sqlite_master WHERE name = 'words'").fetchone()
    stale = connection.execute("SELECT 1 FROM about WHERE name = 'index_stale'").fetchone()
    if not there:
        connection.execute(
            "CREATE VIRTUAL TABLE words USING fts5 ("
            "text, content = 'turns', content_rowid = 'number', tokenize = 'unicode61 remove_diacritics 2')"
        )
    if not there or stale:
        connection.execute("INSERT INTO words (words) VALUES ('rebuild')")
        connection.execute("DELETE FROM about WHERE name = 'index_stale'")
