"""Replays a recording: today's codec gets what was recorded, and what comes of it is compared."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import zip_longest
from typing import Any

from voicecli.commands import Command
from voicecli.errors import ConfigurationError, ProtocolError, RealtimeError
from voicecli.events import AudioChunk, ErrorOccurred, Event, SessionStarted
from voicecli.ports import ClosesGracefully, Codec, Ended, Expiring, Provider, StartsUnconfirmed
from voicecli.redaction import HIDDEN, Redaction
from voicecli.replay.encoding import CLASS, decoded, digest, encoded, encoded_error
from voicecli.replay.format import INPUTS, frame, frame_bytes
from voicecli.replay.recording import SessionRecording

__all__ = ["Difference", "Replay", "replay_of"]

_UNTOLD = frozenset({Ended.__name__, Expiring.__name__})
"""What a codec says to its connection alone."""


def replay_of(recording: SessionRecording, find_provider: Callable[[str], Provider]) -> "Replay":
    """The replay of a recording, by the codec of its provider.

    Raises:
        ConfigurationError: there is no such provider here, or it understands none; or as `SessionRecording` does.
    """
    server = recording.connection().get("server")
    if server is None:
        return Replay(recording, None)
    provider = find_provider(recording.provider)
    if provider.replay is None:
        raise ConfigurationError(f"{provider.title} cannot replay a recording.", advice="Update the package it is of.")
    try:
        return Replay(recording, provider.replay(recording.setup(provider.settings), server))
    except KeyError:
        raise recording.damaged(2) from None


@dataclass(frozen=True, slots=True)
class Difference:
    """Something that comes of a recording today and did not, or the other way round.

    Attributes:
        at_ms: when, in ms since the conversation began.
        line: the number of the line that went into the codec.
        kind: "event", "raised" (an error of the codec) or "sent" (a message).
        recorded, replayed: the event, error or message, as JSON; None where there is none.
    """

    at_ms: float
    line: int
    kind: str
    recorded: Any
    replayed: Any


@dataclass
class _Step:
    """A line that goes into the codec, and what came of it: in the recording, and today."""

    line: int = 1
    at_ms: float = 0.0
    recorded: list[tuple[str, Any]] = field(default_factory=list)
    replayed: list[tuple[str, Any]] = field(default_factory=list)


class Replay:
    """A conversation, as today's codec understands its recording. Nothing is dialled, and no clock is read.

    Args:
        codec: a new one, of the same provider and settings; None where there was no wire: then the events are taken
            from the recording, and nothing is compared.

    Attributes:
        differences: those of events and errors, as far as it has been replayed.
        sent: those of messages to the server, which may be asked something in another way by now.
        events: how many there were.
        failure: what ended the conversation in the recording, if it was a failure.
    """

    def __init__(self, recording: SessionRecording, codec: Codec | None) -> None:
        self.differences: list[Difference] = []
        self.sent: list[Difference] = []
        self.events = 0
        self.failure: RealtimeError | None = None
        self._recording = recording
        self._codec = codec
        self._redaction = Redaction()
        self._step = _Step()
        self._held: list[Event] | None = None  # told on a socket before its SessionStarted; None when that has come

    @property
    def compares(self) -> bool:
        """Whether there is something to compare."""
        return self._codec is not None

    def run(self) -> Iterator[tuple[float, Event | Command]]:
        """The commands, and the events as a connection tells them; with their time in ms since the conversation began.

        Raises:
            ConfigurationError: a line is damaged.
        """
        for number, line in self._recording.lines():
            try:
                told = self._take(number, line)
            except (ValueError, TypeError, KeyError, AttributeError):
                raise self._recording.damaged(number) from None
            for each in told:
                self.events += isinstance(each, Event)
                yield line["at_ms"], each
        self._compare(whole=self._recording.finished)

    # -- inside

    def _take(self, number: int, line: dict[str, Any]) -> list[Event | Command]:
        """What there is to tell of a line."""
        kind = line["kind"]
        told: list[Event | Command] = [decoded(line["command"], Command)] if kind == "command" else []
        if kind == "told" or (self._codec is None and kind == "event" and line["event"][CLASS] not in _UNTOLD):
            told.append(decoded(line["event"], Event))
        elif kind == "ended":
            self.failure = decoded(line["error"], RealtimeError | None)
        elif self._codec is None or kind == "connection":
            pass
        elif kind in INPUTS:
            self._compare()
            self._step = _Step(number, line["at_ms"])
            told += self._ordered(kind, self._put(_call(self._codec, kind, line)))
        elif kind == "sent":
            self._step.recorded.append((kind, frame(frame_bytes(line), self._redaction)))
        else:
            self._step.recorded.append((kind, line["error" if kind == "raised" else "event"]))
        return told

    def _put(self, put: "_Call") -> Sequence[Event | Expiring | Ended]:
        """Put a line into the codec; returns the events."""
        assert self._codec is not None
        step = self._step
        try:
            happened = put.call() or []
        except Exception as error:  # a defect of the codec, too, is something that came of the line
            self._raised(error)
            happened = [ErrorOccurred(error)] if isinstance(error, ProtocolError) and put.receives else []
            if put.receives and not happened:
                return []  # the socket is given up: what is queued is never sent
        else:
            if isinstance(happened, RealtimeError):
                self._raised(happened)
                happened = []
            step.replayed += [("event", self._redaction.value(_as_recorded(each), by_name=False)) for each in happened]
        step.replayed += [("sent", frame(message, self._redaction)) for message in self._codec.data_to_send()]
        return happened

    def _raised(self, error: Exception) -> None:
        self._step.replayed.append(("raised", self._redaction.value(encoded_error(error), by_name=False)))

    def _ordered(self, kind: str, events: Sequence[Event | Expiring | Ended]) -> list[Event]:
        """The events as a connection tells them: on each socket the SessionStarted first."""
        if kind == "opened":
            self._held = []
        told = [event for event in events if not isinstance(event, Expiring | Ended)]
        if self._held is None:
            return told
        started = next((event for event in told if isinstance(event, SessionStarted)), None)
        self._held += [event for event in told if event is not started]
        if started is None:
            return []
        told, self._held = [started, *self._held], None
        return told

    def _compare(self, *, whole: bool = True) -> None:
        """Compare what came of a step.

        Args:
            whole: whether all that came of it was recorded.
        """
        step = self._step
        for found, kinds in ((self.differences, ("event", "raised")), (self.sent, ("sent",))):
            recorded = [each for each in step.recorded if each[0] in kinds]
            replayed = [each for each in step.replayed if each[0] in kinds]
            if not whole:
                replayed = replayed[: len(recorded)]
            for before, now in zip_longest(recorded, replayed):
                if before is None or now is None or not _alike(before, now):
                    kind = (now or before)[0]
                    found.append(Difference(step.at_ms, step.line, kind, before and before[1], now and now[1]))


@dataclass(frozen=True, slots=True)
class _Call:
    """A call of the codec that a line stands for; it returns events, or what a lost connection means.

    Attributes:
        receives: whether the codec is given a message.
    """

    call: Callable[[], Sequence[Event | Expiring | Ended] | RealtimeError | None]
    receives: bool = False


def _call(codec: Codec, kind: str, line: dict[str, Any]) -> _Call:
    match kind:
        case "opened":
            return _Call(codec.open)
        case "command":
            return _Call(partial(codec.send, decoded(line["command"], Command)))
        case "unconfirmed" if isinstance(codec, StartsUnconfirmed):
            return _Call(codec.start_unconfirmed)
        case "closing" if isinstance(codec, ClosesGracefully):
            return _Call(codec.close)
        case "unconfirmed" | "closing":  # it waits for its server by now, or just hangs up
            return _Call(list)
        case "closed":
            return _Call(partial(codec.closed, line["code"], line["reason"]))
        case "received":
            return _Call(partial(codec.receive, frame_bytes(line)), receives=True)
    return _Call(partial(codec.refused, line["status"], frame_bytes(line)))


def _as_recorded(event: Event | Expiring | Ended) -> Any:
    if isinstance(event, AudioChunk):
        return encoded(event) | {"audio": digest(event.audio)}
    return encoded(event)


def _alike(recorded: Any, replayed: Any) -> bool:
    """Equal, as far as nothing was hidden: a secret in several messages may be hidden in one and not in another."""
    match recorded, replayed:
        case dict(), dict():
            return recorded.keys() == replayed.keys() and all(_alike(recorded[key], replayed[key]) for key in recorded)
        case (list(), list()) | (tuple(), tuple()):
            return len(recorded) == len(replayed) and all(map(_alike, recorded, replayed))
        case str(), str():
            return recorded == replayed or HIDDEN in recorded or HIDDEN in replayed
    return bool(recorded == replayed)
