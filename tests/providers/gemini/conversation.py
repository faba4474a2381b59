"""A codec and the loopback session, joined without a network: one drives the other, message by message."""

import base64
import json
from collections.abc import Sequence
from typing import Any, TypeVar

from tests.loopback.gemini_session import GeminiSession, Google, Reply
from tests.support.settings import config_of
from voicecli.commands import CancelResponse, Command, SendText
from voicecli.events import AudioChunk, Event, ResponseStarted, SessionStarted, TranscriptUpdate
from voicecli.ports import ConversationSetup, Expiring
from voicecli.providers.gemini.codec import GeminiCodec
from voicecli.providers.gemini.endpoint import find_endpoint
from voicecli.providers.gemini.settings import GeminiSettings
from voicecli.tools import ToolSchema
from voicecli.transcript import Transcript, Turn

__all__ = ["KEY", "Conversation", "make_codec", "said", "sound", "weather"]

KEY = "AIza-test-0123456789abcdef"
E = TypeVar("E")

weather = ToolSchema(
    "get_weather",
    "Tell the weather.",
    {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]},
)


def make_codec(
    tools: Sequence[ToolSchema] = (),
    history: Sequence[Turn] = (),
    environ: dict[str, str] | None = None,
    **settings: Any,
) -> GeminiCodec:
    config = config_of(GeminiSettings, **{"api_key": KEY, **settings})
    return GeminiCodec(ConversationSetup(config, tools, history), find_endpoint(config, environ or {}))


def said(text: str, **flags: Any) -> dict[str, Any]:
    """A message in which the model says something."""
    return {"serverContent": {"outputTranscription": {"text": text}, **flags}}


def sound(audio: bytes, rate: str = ";rate=24000", **flags: Any) -> dict[str, Any]:
    blob = {"mimeType": f"audio/pcm{rate}", "data": base64.b64encode(audio).decode()}
    return {"serverContent": {"modelTurn": {"role": "model", "parts": [{"inlineData": blob}]}, **flags}}


class Conversation:
    """Attributes:
    events: all that came out of the codec since they were last taken.
    transcript: what they and the commands make of the conversation.
    session: of the present socket.
    """

    def __init__(
        self,
        *replies: Reply,
        hears: Sequence[str] = (),
        google: Google | None = None,
        tools: Sequence[ToolSchema] = (),
        history: Sequence[Turn] = (),
        **settings: Any,
    ) -> None:
        self.google = google or Google()
        self.google.replies.extend(replies)
        self.google.hears.extend(hears)
        self.codec = make_codec(tools, history, **settings)
        self.events: list[Event | Expiring] = []
        self.transcript = Transcript(history)
        self.sessions: list[GeminiSession] = []
        self.connect()

    @property
    def session(self) -> GeminiSession:
        return self.sessions[-1]

    def connect(self) -> None:
        """A new socket, up to its SessionStarted."""
        self.sessions.append(GeminiSession(self.google))
        self.codec.open()
        (setup,) = self.codec.data_to_send()
        self._receive(self.session.receive(setup))
        assert self.session.close is None, self.session.close
        assert self.take(SessionStarted)

    def send(self, *commands: Command) -> None:
        for command in commands:
            if isinstance(command, SendText):
                self.transcript.apply(command)
            self.codec.send(command)
            self.flush()

    def cut(self, item_id: str | None = None, played_ms: int | None = None) -> CancelResponse:
        """The command that cuts the response of the item; without an item, the last that began."""
        response_id = item_id.rpartition(".")[0] if item_id else self.of(ResponseStarted)[-1].response_id
        return CancelResponse(response_id, item_id, played_ms)

    def run(self, steps: int = 1_000) -> None:
        """Let the model go on."""
        self.flush()
        for _ in range(steps):
            frames = self.session.step()
            if not frames:
                return
            self._receive(frames)
            self.flush()

    def flush(self) -> None:
        """Let the server have what the codec wants sent."""
        while data := self.codec.data_to_send():
            for message in data:
                answers = self.session.receive(message)
                assert self.session.close is None, self.session.close
                self._receive(answers)

    def tell(self, *frames: dict[str, Any]) -> list[Event | Expiring]:
        """Let the server say these frames; what they mean."""
        before = len(self.events)
        self._receive(frames)
        return self.events[before:]

    def take(self, kind: type[E]) -> list[E]:
        """The events of a kind, which are then forgotten."""
        taken = self.of(kind)
        self.events = [event for event in self.events if not isinstance(event, kind)]
        return taken

    def of(self, kind: type[E]) -> list[E]:
        return [event for event in self.events if isinstance(event, kind)]

    @property
    def audio(self) -> bytes:
        return b"".join(chunk.audio for chunk in self.of(AudioChunk))

    @property
    def lines(self) -> list[tuple[str, str]]:
        """The transcript as a reader sees it."""
        return [(turn.role, turn.text) for turn in self.transcript.turns if turn.text]

    def check(self) -> None:
        """The client has broken no rule."""
        violations = [violation for session in self.sessions for violation in session.violations]
        assert not violations, violations

    def finals(self, role: str) -> list[TranscriptUpdate]:
        return [update for update in self.of(TranscriptUpdate) if update.role == role and update.final]

    def _receive(self, frames: Sequence[dict[str, Any]]) -> None:
        for frame in frames:
            for event in self.codec.receive(json.dumps(frame).encode()):
                self.events.append(event)
                if not isinstance(event, Expiring):
                    self.transcript.apply(event)
