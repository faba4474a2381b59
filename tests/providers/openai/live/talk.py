"""A Live codec and a strict server session, wired to each other without a socket."""

import json
from collections import deque
from collections.abc import Sequence
from typing import Any, TypeVar

from tests.loopback.live_script import LiveReply, Loose, tone
from tests.loopback.live_session import LiveSession
from voicecli.commands import AppendAudio, CancelResponse, Command
from voicecli.config import RealtimeConfig
from voicecli.errors import RealtimeConnectionError
from voicecli.events import AudioChunk, Event, ResponseStarted, TranscriptUpdate
from voicecli.pcm16 import PcmFormat
from voicecli.ports import ConversationSetup, Ended, Expiring
from voicecli.providers.openai.live import LiveCodec
from voicecli.tools import ToolSchema
from voicecli.transcript import Transcript, Turn

__all__ = ["CONFIG", "MODEL", "WEATHER", "LiveTalk"]

MODEL = "gpt-live-1.1"
EXPIRES_AT = 4_102_444_800
CONFIG = RealtimeConfig(api_key="sk-test", model=MODEL)
WEATHER = ToolSchema("weather", "The weather at a place.", {"type": "object", "properties": {}})

_E = TypeVar("_E")


class LiveTalk:
    """Drives a codec as a connection would; breaking a rule of the server fails the test.

    The audio that is sent moves the clock: `run(ms)` sends silence.

    Attributes:
        events: all that the codec has told.
        sent: all frames of the codec on this socket.
        given: all frames of the server on this socket, but for sound.
        ended: the error that the codec told.
    """

    def __init__(
        self,
        config: RealtimeConfig = CONFIG,
        *,
        replies: Sequence[LiveReply] = (),
        hears: Sequence[str] = (),
        tools: Sequence[ToolSchema] = (),
        history: Sequence[Turn] = (),
        loose: Loose | None = None,
        start: bool = True,
    ) -> None:
        self.codec = LiveCodec(ConversationSetup(config, tools, history))
        self.replies, self.hears, self.loose = deque(replies), deque(hears), loose or Loose()
        self.format = PcmFormat(24_000)
        self.events: list[Event | Expiring | Ended] = []
        self.transcript = Transcript()
        self.sessions: list[LiveSession] = []
        self.ended: RealtimeConnectionError | None = None
        self.sent: list[dict[str, Any]] = []
        self.given: list[dict[str, Any]] = []
        if start:
            self.dial()

    @property
    def session(self) -> LiveSession:
        return self.sessions[-1]

    def dial(self) -> None:
        """A new socket; everything on the way over the last one is lost."""
        number = len(self.sessions) + 1
        self.sessions.append(LiveSession(replies=self.replies, hears=self.hears, loose=self.loose, number=number))
        self.session.expires_at = EXPIRES_AT
        self.sent, self.given = [], []
        self.codec.open()
        self.flush()
        if self.session.config is not None:
            self.format = self.session.format

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.codec.send(command)
            self.flush()

    def run(self, ms: int) -> list[Event | Expiring | Ended]:
        """Silence of the user's for so long; what is told meanwhile."""
        before = len(self.events)
        for _ in range(ms // 100):
            self.send(AppendAudio(self.format.silence(100)))
        return self.events[before:]

    def speak(self, ms: int) -> None:
        """The user speaks for so long."""
        for _ in range(ms // 100):
            self.send(AppendAudio(tone(100, self.format.sample_rate)))

    def until(self, kind: type[_E], limit_ms: int = 60_000) -> _E:
        """Silence until an event of that kind is told."""
        before = len(self.events)
        for _ in range(limit_ms // 100):
            found = [event for event in self.events[before:] if isinstance(event, kind)]
            if found:
                return found[0]
            self.run(100)
        raise AssertionError(f"no {kind.__name__} within {limit_ms} ms")

    def close(self) -> None:
        self.codec.close()
        self.flush()

    def flush(self) -> None:
        while data := self.codec.data_to_send():
            for message in data:
                self.sent.append(json.loads(message))
                self.give(*self.session.receive(message))
        assert not self.session.violations, self.session.violations

    def give(self, *frames: dict[str, Any]) -> list[Event | Expiring | Ended]:
        """Let the codec receive frames, real or invented."""
        told: list[Event | Expiring | Ended] = []
        for frame in frames:
            if frame["type"] != "session.output_audio.delta":
                self.given.append(frame)
            told += self.codec.receive(json.dumps(frame).encode())
        self.events += told
        for event in told:
            if isinstance(event, Ended):
                self.ended = event.error
            elif not isinstance(event, Expiring):
                self.transcript.apply(event)
        return told

    def cut(self, played_ms: int | None = None) -> CancelResponse:
        """The command that cuts the response that began last."""
        started = self.all(ResponseStarted)[-1]
        items = [chunk.item_id for chunk in self.all(AudioChunk) if chunk.response_id == started.response_id]
        return CancelResponse(started.response_id, items[-1] if items else None, played_ms)

    def sent_of(self, kind: str) -> list[dict[str, Any]]:
        return [frame for frame in self.sent if frame["type"] == kind]

    def all(self, kind: type[_E]) -> list[_E]:
        return [event for event in self.events if isinstance(event, kind)]

    def said(self, role: str) -> list[str]:
        return [turn.text for turn in self.transcript.turns if turn.role == role]

    def finals(self, role: str) -> list[TranscriptUpdate]:
        return [update for update in self.all(TranscriptUpdate) if update.final and update.role == role]
