"""The log that keeps a conversation in the history, while it is held."""

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from voicecli.commands import Command
from voicecli.events import AudioChunk, Event, SessionEnded, SessionStarted
from voicecli.history.folding import Fold, Row
from voicecli.history.records import ConversationRecord
from voicecli.history.writer import HistoryWriter, Recording
from voicecli.threads import Worker

__all__ = ["HistoryLog"]

_log = logging.getLogger(__name__)

_CLOSE_S = 4.0  # longer than another process is waited for


class HistoryLog:
    """Keeps one conversation in the history: `voice.connect(logs=[HistoryLog(voice.provider)])`.

    Everything final is written at once, on a thread of its own. Whatever is wrong with the history, the conversation
    goes on, and it is told once; what could not be written is tried again with what comes next, unless it is no use.

    Args:
        provider: its name, as the history is to tell it.
        path: of the database; None for the user's.
        continues: the id of the conversation that this one continues, or "".
        keep_days: conversations in which nothing was said for longer are removed when this one begins; 0 keeps them.
        max_mb: the oldest are removed when the database is larger than this, in millions of bytes; 0 for any size.
        on_notice: called on the event loop with a code and a message for people, when the history cannot be written;
            None writes them to the log of the program.
        on_kept: called on the event loop with the path of the database, when the conversation can be kept.
    """

    def __init__(
        self,
        provider: str,
        *,
        path: Path | None = None,
        continues: str = "",
        keep_days: int = 0,
        max_mb: int = 0,
        on_notice: Callable[[str, str], None] | None = None,
        on_kept: Callable[[Path], None] | None = None,
    ) -> None:
        self._provider = provider
        self._continues = continues
        self._on_notice = on_notice or _warn
        self._on_kept = on_kept or (lambda path: None)
        self._fold = Fold()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._began = datetime.now().astimezone()
        self._conversation: ConversationRecord | None = None
        self._ended_at: datetime | None = None
        self._end = ""
        self._rows: deque[Row] = deque()  # on their way to the thread
        self._recording: Recording | None = None
        self._scheduled = False
        self._worker = Worker("history")
        self._writer = HistoryWriter(
            path,
            keep_days=keep_days,
            max_mb=max_mb,
            on_failure=lambda message: self._call(self._on_notice, "history_failed", message),
            on_kept=lambda kept: self._call(self._on_kept, kept),
        )

    @property
    def id(self) -> str:
        """The conversation's id; "" until something of it is kept."""
        return self._writer.id

    def event(self, event: Event, at_ms: float) -> None:
        """Keep what becomes final by an event."""
        if isinstance(event, AudioChunk):  # nothing does by these
            self._fold.event(event, at_ms)
            return
        if self._loop is None:
            self._loop = asyncio.get_running_loop()
            self._began = datetime.now().astimezone() - timedelta(milliseconds=at_ms)
            self._worker.submit(self._writer.open)
            self._worker.submit(self._prune)
        match event:
            case SessionStarted(model=model, voice=voice) if self._conversation is None:
                self._conversation = ConversationRecord(
                    id="",
                    started_at=self._began,
                    provider=self._provider,
                    model=model,
                    voice=voice,
                    continues=self._continues,
                )
            case SessionEnded(reason):
                self._end = reason
                self._ended_at = self._began + timedelta(milliseconds=at_ms)
        self._fold.event(event, at_ms)
        self._hand_over()

    def command(self, command: Command, at_ms: float) -> None:
        """Keep what becomes final by a command."""
        self._fold.command(command, at_ms)
        self._hand_over()

    def recorded(self, path: Path, times: Sequence[tuple[int, int]]) -> None:
        """Keep where the conversation's recording is; `times` as `ConversationRecord.recording_times`."""
        self._recording = (path, tuple(times))
        self._schedule()

    async def aclose(self) -> None:
        """Finish writing; idempotent. A database that cannot be written by now is waited for no longer than 4 s."""
        await self._worker.aclose(self._writer.close, timeout=_CLOSE_S)

    def _hand_over(self) -> None:
        self._rows.extend(self._fold.take())
        if self._rows or self._ended_at is not None:
            self._schedule()

    def _schedule(self) -> None:
        if not self._scheduled:
            self._scheduled = True
            self._worker.submit(self._write)

    def _write(self) -> None:
        """Write all that has come by now; on the thread."""
        self._scheduled = False  # what comes from now on is for the next time
        rows = [self._rows.popleft() for _ in range(len(self._rows))]
        recording, self._recording = self._recording, None
        self._writer.write(self._conversation, rows, ended_at=self._ended_at, end=self._end, recording=recording)

    def _prune(self) -> None:
        """Make a step of pruning, and have what is to be written come before the next; on the thread."""
        if self._writer.prune():
            with contextlib.suppress(RuntimeError):  # the conversation is over
                self._worker.submit(self._prune)

    def _call(self, function: Callable[..., None], *values: object) -> None:
        """Call a function on the event loop, from the thread."""
        if self._loop is not None:
            with contextlib.suppress(RuntimeError):  # the loop is closed: there is nobody left to be told
                self._loop.call_soon_threadsafe(function, *values)


def _warn(code: str, message: str) -> None:
    _log.warning("%s", message)
