"""Logs of a conversation: told of all that passes, by its clock."""

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterable, Iterator

from voicecli.commands import Command
from voicecli.events import Event
from voicecli.ports import Capabilities, ClosingLog, Connection, ConversationLog

__all__ = ["LoggedConnection", "Logs"]

_log = logging.getLogger(__name__)


class Logs:
    """Tells the logs of one conversation. One that fails is left out; the conversation goes on without it.

    Args:
        logs: whom to tell.
    """

    def __init__(self, logs: Iterable[ConversationLog] = ()) -> None:
        self._logs = list(logs)
        self._to_close = [log for log in self._logs if isinstance(log, ClosingLog)]
        self._closing: asyncio.Task[None] | None = None
        self._loop = asyncio.get_running_loop()
        self._began = self._loop.time()

    def __bool__(self) -> bool:
        return bool(self._logs)

    def event(self, event: Event) -> None:
        """Tell them of an event, as the program is told of it."""
        for log in tuple(self._logs):
            with self._left_out_if_it_fails(log):
                log.event(event, self._now_ms)

    def command(self, command: Command) -> None:
        """Tell them of a command, as it goes to the provider."""
        for log in tuple(self._logs):
            with self._left_out_if_it_fails(log):
                log.command(command, self._now_ms)

    async def aclose(self) -> None:
        """Let them finish, those too that were left out, and tell them nothing more.

        Idempotent; whoever calls it waits until they have finished.
        """
        if self._closing is None:
            self._logs.clear()  # what is said too late goes nowhere
            self._closing = asyncio.create_task(self._close(), name="voicecli-logs")
        await asyncio.shield(self._closing)

    async def _close(self) -> None:
        for failed in await asyncio.gather(*(log.aclose() for log in self._to_close), return_exceptions=True):
            if isinstance(failed, Exception):
                _log.error("A log of the conversation could not be finished", exc_info=failed)

    @property
    def _now_ms(self) -> float:
        return (self._loop.time() - self._began) * 1000

    @contextlib.contextmanager
    def _left_out_if_it_fails(self, log: ConversationLog) -> Iterator[None]:
        try:
            yield
        except Exception:
            _log.exception("A log of the conversation failed, and is left out")
            self._logs.remove(log)


class LoggedConnection:
    """A connection whose commands are logged."""

    def __init__(self, connection: Connection, logs: Logs) -> None:
        self._connection = connection
        self._logs = logs

    @property
    def capabilities(self) -> Capabilities:
        return self._connection.capabilities

    async def send(self, command: Command) -> None:
        self._logs.command(command)
        await self._connection.send(command)

    async def drain(self) -> None:
        await self._connection.drain()

    def __aiter__(self) -> AsyncIterator[Event]:
        return self._connection.__aiter__()

    async def aclose(self) -> None:
        await self._connection.aclose()
