"""A codec and a strict server session, wired to each other without a socket."""

import json
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from tests.loopback.openai_script import Reply
from tests.loopback.openai_session import OpenAISession
from voicecli.commands import CancelResponse, Command
from voicecli.config import RealtimeConfig
from voicecli.events import AudioChunk, Event, ResponseStarted, TranscriptUpdate
from voicecli.ports import ConversationSetup, Expiring
from voicecli.providers.openai import OpenAICodec
from voicecli.tools import ToolSchema
from voicecli.transcript import Transcript, Turn

__all__ = ["WEATHER", "Conversation"]

WEATHER = ToolSchema("weather", "The weather at a place.", {"type": "object", "properties": {}})

_E = TypeVar("_E")


class Conversation:
    """Drives a codec as a connection would; breaking a rule of the server fails the test.

    What the server says piles up in `inbox` until it is delivered.

    Attributes:
        events: all that the codec has told.
        sent: all frames of the codec on this socket.
    """

    def __init__(
        self,
        config: RealtimeConfig | None = None,
        *,
        replies: Sequence[Reply] = (),
        hears: Sequence[str] = (),
        tools: Sequence[ToolSchema] = (),
        history: Sequence[Turn] = (),
        start: bool = True,
        **options: Any,
    ) -> None:
        self.codec = OpenAICodec(ConversationSetup(config or RealtimeConfig(), tools, history))
        self.replies, self.hears, self.options = deque(replies), deque(hears), options
        self.model = self.codec.url.split("model=")[1]
        self.events: list[Event | Expiring] = []
        self.transcript = Transcript()
        self.sessions: list[OpenAISession] = []
        self.dial(deliver=start)

    @property
    def session(self) -> OpenAISession:
        return self.sessions[-1]

    def dial(self, *, deliver: bool = True) -> None:
        """A new socket; everything on the way over the last one is lost."""
        self.sessions.append(OpenAISession(model=self.model, replies=self.replies, hears=self.hears, **self.options))
        self.inbox: deque[dict[str, Any]] = deque()
        self.sent: list[dict[str, Any]] = []
        self.known_active: set[str] = set()
        self.codec.open()
        self.flush()
        self.inbox.extend(self.session.start())
        if deliver:
            self.settle()

    def send(self, *commands: Command) -> None:
        """Hand the sent messages to the server at once; its answers wait to be read."""
        for command in commands:
            self.codec.send(command)
            self.flush()

    def flush(self) -> None:
        for data in self.codec.data_to_send():
            self.sent.append(json.loads(data))
            if self.sent[-1]["type"] == "response.create":
                assert not self.known_active, "a response is under way"
            self.inbox.extend(self.session.receive(data.decode()))
        assert not self.session.violations

    def give(self, *frames: dict[str, Any]) -> list[Event | Expiring]:
        """Let the codec receive frames, real or invented."""
        told: list[Event | Expiring] = []
        for frame in frames:
            if frame["type"] == "response.created":
                self.known_active.add(frame["response"]["id"])
            elif frame["type"] == "response.done":
                self.known_active.discard(frame["response"].get("id"))
            told += self.codec.receive(json.dumps(frame).encode())
            self.flush()
        self.events += told
        for event in told:
            if not isinstance(event, Expiring):
                self.transcript.apply(event)
        return told

    def deliver(self) -> list[Event | Expiring]:
        """Deliver what the server has answered so far."""
        told: list[Event | Expiring] = []
        while self.inbox:
            told += self.give(self.inbox.popleft())
        return told

    def step(self, until: str = "") -> list[Event | Expiring]:
        """Let the model go on, to the first frame of that type, or by one step."""
        told = self.deliver()
        while frames := self.session.step():
            self.inbox.extend(frames)
            told += self.deliver()
            if not until or any(frame["type"] == until for frame in frames):
                break
        return told

    def settle(self) -> list[Event | Expiring]:
        """Let both go on until nothing happens any more."""
        told: list[Event | Expiring] = []
        while True:
            told += self.deliver()
            self.inbox.extend(self.session.step())
            if not self.inbox:
                return told

    def cut(self, item_id: str | None = None, played_ms: int | None = None) -> CancelResponse:
        """The command that cuts the response of the item; without an item, the last that began."""
        spoken = {chunk.item_id: chunk.response_id for chunk in self.all(AudioChunk)}
        response_id = spoken.get(item_id) if item_id else self.all(ResponseStarted)[-1].response_id
        return CancelResponse(response_id, item_id, played_ms)

    def sent_of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.sent if frame["type"] == kind]

    def all(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def audio(self) -> bytes:
        return b"".join(chunk.audio for chunk in self.all(AudioChunk))

    def said(self, role: str) -> list[str]:
        return [turn.text for turn in self.transcript.turns if turn.role == role]

    def finals(self, role: str) -> list[TranscriptUpdate]:
        return [update for update in self.all(TranscriptUpdate) if update.final and update.role == role]
