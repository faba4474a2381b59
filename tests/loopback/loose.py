"""Servers that keep no promise: each answers well, but for one fault in one field of one kind of message."""

import json
from collections.abc import Iterator, Sequence
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, Literal, Protocol

__all__ = ["Fault", "Frame", "LooseServer", "Place", "as_json", "faults_of", "spoil"]

Frame = dict[str, Any]
Place = tuple[str | int, ...]
How = Literal["missing", "null", "empty", "wrong type", "never", "twice", "first", "late"]

_OF_FIELDS: tuple[How, ...] = ("missing", "null", "empty", "wrong type")
_OF_MESSAGES: tuple[How, ...] = ("never", "twice", "first", "late")


@dataclass(frozen=True)
class Fault:
    """What is wrong with all messages of a kind.

    Attributes:
        place: of the field; () where the fault is that of the whole message.
    """

    kind: str
    how: How
    place: Place = ()

    def __str__(self) -> str:
        return f"{self.kind}{''.join(f'.{step}' for step in self.place)} {self.how}"


class LooseServer(Protocol):
    """A server without a network.

    Attributes:
        said: all messages, as they would be without the fault.
    """

    said: list[Frame]

    def open(self) -> list[Frame]:
        """What it says when somebody has connected."""

    def take(self, message: Frame) -> list[Frame]:
        """What it says to a message."""

    def kind(self, frame: Frame) -> str:
        """Which kind of message of its own this is."""


def spoil(server: LooseServer, frames: Sequence[Frame], fault: Fault | None) -> list[Frame]:
    """What is said in place of these messages, which belong together."""
    server.said += frames
    if fault is None:
        return list(frames)
    hit = [frame for frame in frames if server.kind(frame) == fault.kind]
    others = [frame for frame in frames if server.kind(frame) != fault.kind]
    match fault.how:
        case "never":
            return others
        case "first":
            return [*hit, *others]
        case "late":
            return [*others, *hit]
        case "twice":
            return [twin for frame in frames for twin in [frame] * (1 + (server.kind(frame) == fault.kind))]
    return [_damaged(frame, fault) if server.kind(frame) == fault.kind else frame for frame in frames]


def _damaged(frame: Frame, fault: Fault) -> Frame:
    frame = deepcopy(frame)
    holder: Any = frame
    for step in fault.place[:-1]:
        try:
            holder = holder[step]
        except (KeyError, IndexError):
            return frame
    last = fault.place[-1]
    if isinstance(holder, dict) and last not in holder:
        return frame
    match fault.how:
        case "missing":
            del holder[last]
        case "null":
            holder[last] = None
        case "empty":
            holder[last] = type(holder[last])()
        case _:
            holder[last] = {"odd": [1]} if not isinstance(holder[last], dict) else "odd"
    return frame


def faults_of(server: LooseServer) -> Iterator[Fault]:
    """All faults of the messages that a server has said."""
    places: dict[str, dict[Place, None]] = {}
    for frame in server.said:
        places.setdefault(server.kind(frame), {}).update(dict.fromkeys(_places(frame)))
    for kind in places:
        yield from (Fault(kind, how) for how in _OF_MESSAGES)
        yield from (Fault(kind, how, place) for place in places[kind] for how in _OF_FIELDS)


def _places(value: object, *path: str | int) -> Iterator[Place]:
    if path:
        yield path
    if isinstance(value, dict):
        for name, inner in value.items():
            yield from _places(inner, *path, name)
    elif isinstance(value, list) and value:
        yield from _places(value[0], *path, 0)


def as_json(frame: Frame) -> bytes:
    return json.dumps(frame).encode()
