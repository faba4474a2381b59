"""A WebSocket that hands its messages over as they come."""

from collections.abc import Callable
from typing import Any

from websockets.asyncio.client import ClientConnection
from websockets.exceptions import ConnectionClosed
from websockets.frames import DATA_OPCODES, Frame, Opcode
from websockets.protocol import Event, State

__all__ = ["CLOSE_TIMEOUT_S", "Socket"]

CLOSE_TIMEOUT_S = 1.0
"""The time that the other end may take to close the socket after both have said goodbye, in seconds."""


class Socket(ClientConnection):
    """A WebSocket whose messages are taken by a function, at once, instead of by a task that waits for them.

    That saves a queue and a switch of tasks for each message. Attributes and methods of websockets that this relies on
    are public and not documented, hence the upper bound in pyproject.toml.

    Attributes:
        heard_at: when any bytes came, pings and parts of messages included; in seconds of the loop's clock.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.heard_at = self.loop.time()
        self._on_message: Callable[[bytes], None] | None = None
        self._on_closed: Callable[[ConnectionClosed], None] | None = None
        self._waiting: list[bytes] = []
        self._parts: bytearray | None = None

    @property
    def is_open(self) -> bool:
        return self.protocol.state is State.OPEN

    @property
    def is_clear(self) -> bool:
        """Whether the socket is open and all that was written has left the process."""
        return self.protocol.state is State.OPEN and not self.transport.get_write_buffer_size()

    def write(self, message: bytes) -> None:
        """Send a text at once; only while the socket `is_open`. Memory is not bounded unless it `is_clear`, too.

        `send()` does no more then, but its care for all other cases costs as much as the sending.
        """
        self.protocol.send_text(message)
        self.send_data()

    def listen(self, on_message: Callable[[bytes], None], on_closed: Callable[[ConnectionClosed], None]) -> None:
        """Have each message handed over, beginning with those that came already, and then why the socket was closed.

        Neither function may raise.
        """
        self._on_message, self._on_closed = on_message, on_closed
        waiting, self._waiting = self._waiting, []
        for message in waiting:
            on_message(message)
        if self.protocol.state is State.CLOSED:
            on_closed(self.close_exc)

    # Called by asyncio and websockets.

    def data_received(self, data: bytes) -> None:
        self.heard_at = self.loop.time()
        super().data_received(data)

    def process_event(self, event: Event) -> None:
        if not isinstance(event, Frame) or event.opcode not in DATA_OPCODES:
            if isinstance(event, Frame) and event.opcode is Opcode.CLOSE:
                self.loop.call_later(CLOSE_TIMEOUT_S, self.transport.abort)
            super().process_event(event)
        elif self._parts is None and event.fin:
            self._hand_over(bytes(event.data))
        else:
            self._parts = self._parts or bytearray()
            self._parts += event.data
            if event.fin:
                message, self._parts = bytes(self._parts), None
                self._hand_over(message)

    def connection_lost(self, exc: Exception | None) -> None:
        super().connection_lost(exc)
        if self._on_closed is not None:
            self._on_closed(self.close_exc)

    def _hand_over(self, message: bytes) -> None:
        if self._on_message is None:
            self._waiting.append(message)
        else:
            self._on_message(message)
