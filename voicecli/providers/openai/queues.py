"""Queues of messages for the server and of events for the application, and the record of the conversation."""

import json
from binascii import b2a_base64
from itertools import count

from voicecli.events import Event, Role, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import Expiring
from voicecli.providers.openai.errors import OPENAI_ITSELF, Server
from voicecli.providers.openai.fields import Frame
from voicecli.transcript import Transcript

__all__ = ["WIRE_AUDIO", "Wire"]

WIRE_AUDIO = PcmFormat(24_000)
"""The only format that the API takes."""
_APPEND = b'{"type":"input_audio_buffer.append","audio":"'
_MAX_ITEM_ID = 32


class Wire:
    """Two queues, which the parts of the codec share.

    Attributes:
        server: who answers, for errors.
        out: messages for the server.
        events: for the application.
        transcript: the conversation so far; it outlives sockets.
        unconfirmed: items sent that the server has not confirmed, in order: a reply that begins now knows nothing of
            them.
        open_commits: commits of audio of which the same is true, by the ids of their events.
        optional: events whose refusal means nothing, as what they cancel or cut may just be over.
        asked: ids of the inputs that no response has answered yet, each with the item it became; "" when that is known
            to be part of the conversation.
    """

    def __init__(self, transcript: Transcript, server: Server = OPENAI_ITSELF) -> None:
        self.server = server
        self.transcript = transcript
        self.out: list[bytes] = []
        self.events: list[Event | Expiring] = []
        self.unconfirmed: dict[str, None] = {}
        self.open_commits: set[str] = set()
        self.optional: set[str] = set()
        self.asked: dict[str, str] = {}
        self.sockets = 0
        self._ids = count(1)

    def restart(self) -> None:
        """A new socket: nothing of the last one is on its way any more."""
        self.sockets += 1
        self.out.clear()
        self.unconfirmed.clear()
        self.open_commits.clear()
        self.optional.clear()

    def id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._ids)}"

    def queue(self, kind: str, **fields: object) -> str:
        """Queue an event; returns its id, which comes back in an error about it."""
        event_id = self.id("evt")
        self.out.append(json.dumps({"type": kind, "event_id": event_id, **fields}, separators=(",", ":")).encode())
        return event_id

    def queue_optional(self, kind: str, **fields: object) -> None:
        self.optional.add(self.queue(kind, **fields))

    def queue_commit(self) -> str:
        """Queue the end of a turn; returns the event's id, in `open_commits` until it is confirmed or refused."""
        event_id = self.queue("input_audio_buffer.commit")
        self.optional.add(event_id)
        self.open_commits.add(event_id)
        return event_id

    def append_audio(self, audio: bytes) -> None:
        # By far the most frequent event: a template costs a fraction of json.dumps.
        self.out.append(b'%b%b"}' % (_APPEND, b2a_base64(audio, newline=False)))

    def create_item(self, item: Frame, item_id: str = "", input_id: str = "") -> None:
        """Add an item to the conversation; `input_id` is the input that it is and that asks for an answer."""
        if not 0 < len(item_id) <= _MAX_ITEM_ID:
            item_id = self.id(f"vc{self.sockets}")
        self.unconfirmed[item_id] = None
        if input_id:
            self.asked[input_id] = item_id
        self.queue("conversation.item.create", item={"id": item_id, **item})

    def confirm(self, item_id: str, *, sent: bool) -> None:
        """The server has an item; `sent` says that it may be one of those sent, under a name of the server's own."""
        if item_id in self.unconfirmed:
            del self.unconfirmed[item_id]
        elif sent and self.unconfirmed:
            del self.unconfirmed[next(iter(self.unconfirmed))]

    def take_answered(self) -> tuple[str, ...]:
        """The inputs that a response answers which begins now: those that the server has."""
        answered = tuple(input_id for input_id, item_id in self.asked.items() if item_id not in self.unconfirmed)
        for input_id in answered:
            del self.asked[input_id]
        return answered

    def tell(self, role: Role, item_id: str, text: str, *, final: bool, interrupted: bool = False) -> None:
        """Report what somebody says, and remember it."""
        update = TranscriptUpdate(role, item_id, text, final, interrupted)
        self.transcript.apply(update)
        self.events.append(update)
