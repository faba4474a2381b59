"""A transcription with OpenAI's strict session, without a network: the test says what passes, and when."""

import json
from collections import deque
from typing import Any

from tests.loopback.openai_transcription import TranscriptionSession
from tests.loopback.spoken_words import pause, word
from voicecli.commands import AppendAudio, Command, EndTurn
from voicecli.config import RealtimeConfig
from voicecli.events import Event, TranscriptUpdate
from voicecli.ports import Ended, Expiring, TranscriberSetup
from voicecli.providers.openai.transcription import OpenAITranscription

__all__ = ["RATE", "Transcribing", "finals", "said"]

RATE = 24_000
KEYED = RealtimeConfig(api_key="sk-test")


class Transcribing:
    """Attributes:
    sessions: of all sockets.
    events: all that was told.
    """

    def __init__(self, config: RealtimeConfig = KEYED, *, setup: dict[str, Any] | None = None, **options: Any) -> None:
        self.codec = OpenAITranscription(TranscriberSetup(config=config, **(setup or {})))
        self.events: list[Event | Expiring | Ended] = []
        self.sessions: list[TranscriptionSession] = []
        self._options = options
        self._coming: deque[dict[str, Any]] = deque()
        self.dial()

    @property
    def session(self) -> TranscriptionSession:
        return self.sessions[-1]

    def dial(self) -> None:
        """A new socket; what was on its way to here is lost."""
        self._coming.clear()
        self.sessions.append(TranscriptionSession(**self._options))
        self.codec.open()
        self._coming += self.session.start()
        self.deliver()

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.codec.send(command)
            self.flush()

    def speak(self, *numbers: int, end: bool = True) -> None:
        """Words, with pauses between them, 20 ms at a time."""
        audio = b"".join(word(number, RATE) + pause(RATE) for number in numbers)
        for start in range(0, len(audio), 960):
            self.send(AppendAudio(audio[start : start + 960]))
        if end:
            self.send(EndTurn())

    def flush(self) -> None:
        for data in self.codec.data_to_send():
            self._coming += self.session.receive(data.decode())

    def deliver(self) -> None:
        """What the server has said arrives."""
        while self._coming:
            self.give(self._coming.popleft())

    def give(self, *frames: dict[str, Any]) -> list[Event | Expiring | Ended]:
        told: list[Event | Expiring | Ended] = []
        for frame in frames:
            told += self.codec.receive(json.dumps(frame).encode())
            self.flush()
        self.events += told
        return told

    def step(self) -> bool:
        """The server finishes one transcription; returns whether there was one."""
        frames = self.session.step()
        self._coming += frames
        return bool(frames)

    def settle(self) -> None:
        """Everything arrives that is to come."""
        self.deliver()
        while self.step():
            self.deliver()
        assert not [v for session in self.sessions for v in session.violations]

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def finals(self) -> list[TranscriptUpdate]:
        return finals(self.events)

    def said(self) -> str:
        return said(self.events)


def finals(events: list[Any]) -> list[TranscriptUpdate]:
    return [event for event in events if isinstance(event, TranscriptUpdate) and event.final]


def said(events: list[Any]) -> str:
    """All final words, in the order in which they were told."""
    return " ".join(update.text for update in finals(events) if update.text)
