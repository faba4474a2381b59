"""Writes one conversation into the store, on a thread that may wait."""

import logging
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from voicecli.errors import ConfigurationError
from voicecli.history.folding import Row
from voicecli.history.records import ConversationRecord

if TYPE_CHECKING:
    from voicecli.history.store import Store

__all__ = ["HistoryWriter", "Recording"]

Recording = tuple[Path, Sequence[tuple[int, int]]]
"""The path of a recording, and its times as `ConversationRecord.recording_times`."""

_log = logging.getLogger(__name__)

_FINISH_S = 2.0


class HistoryWriter:
    """Writes one conversation. What fails is told once, and tried again with what comes next, unless that is no use.

    Args:
        path: of the database; None for the user's.
        keep_days, max_mb: as for `Store.prune`.
        on_failure: called with a message for people.
        on_kept: called when the database can be written.

    Attributes:
        id: of the conversation; "" until something of it is kept.
    """

    def __init__(
        self,
        path: Path | None,
        *,
        keep_days: int,
        max_mb: int,
        on_failure: Callable[[str], None],
        on_kept: Callable[[Path], None],
    ) -> None:
        self.id = ""
        self._path = path
        self._store: Store | None = None
        self._pruning: Iterator[int] = iter(())
        self._limits = {"keep_days": keep_days, "max_mb": max_mb}
        self._on_failure = on_failure
        self._on_kept = on_kept
        self._waiting: dict[tuple[type, int], Row] = {}
        self._recording: Recording | None = None
        self._given_up = False
        self._told = False

    def open(self) -> None:
        """Open the store."""
        self._attempt(self._opened)

    def prune(self) -> bool:
        """Make a step of removing what is too old or too much; whether there is more to do."""
        try:
            return not self._given_up and next(self._pruning, None) is not None
        except ConfigurationError as error:  # another conversation will do it
            _log.info("The history was not pruned: %s", error)
        except Exception:
            _log.exception("A defect in voicecli keeps the history from being pruned")
        return False

    def write(
        self,
        conversation: ConversationRecord | None,
        rows: Iterable[Row],
        *,
        ended_at: datetime | None = None,
        end: str = "",
        recording: Recording | None = None,
    ) -> None:
        """Write what is new, and what could not be written before.

        Args:
            conversation: as it began; None where it never did.
            ended_at, end: as for `Store.save`.
            recording: of the conversation, where there is news of it.
        """
        if self._given_up:
            return
        self._recording = recording or self._recording
        self._waiting |= {(type(record), place): (place, record) for place, record in rows}
        if conversation is None or not (self._waiting or self.id):  # one in which nothing was said is none
            return

        def write() -> None:
            store = self._opened()
            if not self.id:
                self.id = store.begin(conversation, self._waiting.values())
                self._waiting.clear()
            if self._waiting or ended_at is not None:
                self._given_up = not store.save(self.id, self._waiting.values(), ended_at=ended_at, end=end)
                self._waiting.clear()  # where it is not there any more, the user has deleted it
            if self._recording is not None:
                store.set_recording(self.id, *self._recording)
                self._recording = None

        self._attempt(write)

    def close(self) -> None:
        """Finish removing, if that takes no longer than 2 s, and close the store; idempotent.

        What was removed is in the file until that is done, and short conversations would never get to it.
        """
        until = time.monotonic() + _FINISH_S
        while time.monotonic() < until and self.prune():
            pass
        self._given_up = True
        if self._store is not None:
            self._store.close()

    def _opened(self) -> "Store":
        if self._store is None:
            from voicecli.history.store import Store  # with SQLite: while the provider is dialled, on this thread

            self._store = Store(self._path, create=True)
            self._on_kept(self._store.path)
            self._pruning = self._store.pruning(**self._limits)
        return self._store

    def _attempt(self, call: Callable[[], object]) -> None:
        try:
            call()
        except ConfigurationError as error:
            self._given_up = getattr(error, "lasting", False)
            self._tell(f"This conversation is not kept. {error.message} {error.advice}".rstrip())
        except Exception:
            _log.exception("A defect in voicecli keeps the conversation out of the history")
            self._given_up = True
            self._tell("This conversation is not kept, because of a defect in voicecli.")

    def _tell(self, message: str) -> None:
        if not self._told:
            self._told = True
            self._on_failure(message)
