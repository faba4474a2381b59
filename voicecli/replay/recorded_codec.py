"""A codec whose calls are recorded, each with what came of it."""

from collections.abc import Mapping, Sequence
from typing import Protocol

from voicecli.commands import Command
from voicecli.errors import RealtimeConnectionError
from voicecli.events import Event
from voicecli.ports import ClosesGracefully, Codec, Ended, Expiring, StartsUnconfirmed

__all__ = ["Notes", "recorded_codec"]


class Notes(Protocol):
    """The part of a `SessionRecorder` that a codec needs."""

    def note(self, kind: str, **details: int | str) -> None: ...
    def message(self, kind: str, message: bytes, **details: int | str) -> None: ...
    def command(self, command: Command) -> None: ...
    def event(self, event: Event | Expiring | Ended, *, made_again: bool = False) -> None: ...
    def raised(self, error: Exception) -> None: ...


def recorded_codec(codec: Codec, notes: Notes, *, made_again: bool) -> Codec:
    """The codec, recorded.

    Args:
        made_again: whether a replay makes its events again, so that their sound need not be kept twice.
    """
    kind = _KINDS[isinstance(codec, StartsUnconfirmed), isinstance(codec, ClosesGracefully)]
    return kind(codec, notes, made_again=made_again)


class _RecordedCodec:
    def __init__(self, codec: Codec, notes: Notes, *, made_again: bool) -> None:
        self._codec = codec
        self._notes = notes
        self._made_again = made_again

    @property
    def url(self) -> str:
        return self._codec.url

    @property
    def headers(self) -> Mapping[str, str]:
        return self._codec.headers

    @property
    def awaiting_reply(self) -> bool:
        return self._codec.awaiting_reply

    @property
    def busy(self) -> bool:
        return self._codec.busy

    def open(self) -> None:
        self._notes.note("opened")
        self._codec.open()

    def send(self, command: Command) -> None:
        self._notes.command(command)
        try:
            self._codec.send(command)
        except Exception as error:
            self._notes.raised(error)
            raise

    def receive(self, message: bytes) -> Sequence[Event | Expiring | Ended]:
        self._notes.message("received", message)
        try:
            events = self._codec.receive(message)
        except Exception as error:
            self._notes.raised(error)
            raise
        return self._noted(events)

    def data_to_send(self) -> list[bytes]:
        data = self._codec.data_to_send()
        for message in data:
            self._notes.message("sent", message)
        return data

    def refused(self, status: int, body: bytes) -> RealtimeConnectionError:
        self._notes.message("refused", body, status=status)
        error = self._codec.refused(status, body)
        self._notes.raised(error)
        return error

    def closed(self, code: int, reason: str) -> RealtimeConnectionError:
        self._notes.note("closed", code=code, reason=reason)
        error = self._codec.closed(code, reason)
        self._notes.raised(error)
        return error

    def _noted(self, events: Sequence[Event | Expiring | Ended]) -> Sequence[Event | Expiring | Ended]:
        for event in events:
            self._notes.event(event, made_again=self._made_again)
        return events


class _RecordedUnconfirmed(_RecordedCodec):
    """Of a codec that is a `StartsUnconfirmed`, too."""

    @property
    def confirmed_within_s(self) -> float:
        assert isinstance(self._codec, StartsUnconfirmed)
        return self._codec.confirmed_within_s

    def start_unconfirmed(self) -> Sequence[Event | Expiring | Ended]:
        assert isinstance(self._codec, StartsUnconfirmed)
        self._notes.note("unconfirmed")
        return self._noted(self._codec.start_unconfirmed())


class _RecordedClosing(_RecordedCodec):
    """Of a codec that is a `ClosesGracefully`, too."""

    @property
    def quiet_s(self) -> float:
        assert isinstance(self._codec, ClosesGracefully)
        return self._codec.quiet_s

    def close(self) -> None:
        assert isinstance(self._codec, ClosesGracefully)
        self._notes.note("closing")
        self._codec.close()


class _RecordedUnconfirmedClosing(_RecordedUnconfirmed, _RecordedClosing):
    """Of a codec that is both."""


_KINDS = {
    (False, False): _RecordedCodec,
    (True, False): _RecordedUnconfirmed,
    (False, True): _RecordedClosing,
    (True, True): _RecordedUnconfirmedClosing,
}
"""Whether the codec is a `StartsUnconfirmed`, and a `ClosesGracefully` -> what records it."""
