"""A codec and a session, joined without a network: the test says which messages come in one read."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any

from voicecli.commands import Command
from voicecli.connection.event_queue import EventQueue
from voicecli.events import Event, SessionEnded
from voicecli.ports import Capabilities, Codec, Ended, Expiring

__all__ = ["CodecConnection"]


class CodecConnection:
    """A `Connection` that drives a codec as the WebSocket connection does.

    Attributes:
        commands: all that the session sent.
        frames: all that the codec sent, without audio.
    """

    def __init__(self, codec: Codec, capabilities: Capabilities) -> None:
        self.codec = codec
        self.commands: list[Command] = []
        self.frames: list[dict[str, Any]] = []
        self._capabilities = capabilities
        self._inbox = EventQueue()

    @property
    def capabilities(self) -> Capabilities:
        return self._capabilities

    def open(self) -> list[dict[str, Any]]:
        """A new socket: returns the frames with which the codec opens it."""
        self.codec.open()
        return self.flush()

    def read(self, messages: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
        """These messages come in one read: the session sees nothing before the codec has seen all of them."""
        before = len(self.frames)
        for message in messages:
            events = self.codec.receive(json.dumps(message).encode())
            self.flush()
            self._inbox.put([event for event in events if not isinstance(event, Expiring | Ended)])
        return self.frames[before:]

    def tell(self, *events: Event) -> None:
        """Tell an event of the connection itself."""
        self._inbox.put(list(events))

    def flush(self) -> list[dict[str, Any]]:
        sent = [json.loads(data) for data in self.codec.data_to_send()]
        self.frames += sent
        return sent

    async def send(self, command: Command) -> None:
        self.commands.append(command)
        self.codec.send(command)
        self.flush()

    async def drain(self) -> None:
        return

    def __aiter__(self) -> AsyncIterator[Event]:
        return aiter(self._inbox)

    async def aclose(self) -> None:
        self._inbox.put([SessionEnded("closed")])
        self._inbox.close()
