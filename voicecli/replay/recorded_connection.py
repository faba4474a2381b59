"""A connection without a wire whose commands and events are recorded."""

from collections.abc import AsyncIterator, Callable
from typing import Protocol

from voicecli.commands import Command
from voicecli.errors import RealtimeError
from voicecli.events import Event
from voicecli.ports import Capabilities, Connection, Finishing

__all__ = ["ConnectionNotes", "recorded_connection"]


class ConnectionNotes(Protocol):
    """The part of a `SessionRecorder` that a connection needs."""

    def begin(self, capabilities: Capabilities, tell: Callable[[Event], None]) -> None: ...
    def command(self, command: Command) -> None: ...
    def event(self, event: Event) -> None: ...
    def ended(self, error: Exception | None) -> None: ...
    def close(self) -> None: ...


def recorded_connection(connection: Connection, notes: ConnectionNotes) -> Connection:
    """The connection, recorded."""
    kind = _RecordedFinishing if isinstance(connection, Finishing) else _RecordedConnection
    return kind(connection, notes)


class _RecordedConnection:
    """A `Connection`; the events are recorded with their sound, as nothing can make them again."""

    def __init__(self, connection: Connection, notes: ConnectionNotes) -> None:
        self._connection = connection
        self._notes = notes
        self._untold: list[Event] = []
        self._is_read = False
        notes.begin(connection.capabilities, self._untold.append)

    @property
    def capabilities(self) -> Capabilities:
        return self._connection.capabilities

    async def send(self, command: Command) -> None:
        self._notes.command(command)
        await self._connection.send(command)

    async def drain(self) -> None:
        await self._connection.drain()

    async def __aiter__(self) -> AsyncIterator[Event]:
        self._is_read = True
        try:
            async for event in self._connection:
                self._notes.event(event)
                while self._untold:
                    yield self._untold.pop(0)
                yield event
            self._notes.ended(None)
        except RealtimeError as error:
            self._notes.ended(error)
            raise
        finally:
            self._notes.close()

    async def aclose(self) -> None:
        await self._connection.aclose()
        if not self._is_read:  # otherwise its last events are still to come
            self._notes.close()


class _RecordedFinishing(_RecordedConnection):
    """Of a connection that is a `Finishing`, too."""

    _connection: Finishing

    async def finish(self) -> None:
        await self._connection.finish()
