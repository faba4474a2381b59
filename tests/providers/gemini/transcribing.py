"""A transcription with Gemini's strict session, without a network: the test says what passes, and when."""

import json
from collections import deque
from typing import Any

from tests.loopback.gemini_transcription import RATE, GeminiTranscribing
from tests.loopback.spoken_words import pause, word
from voicecli.commands import AppendAudio, Command
from voicecli.config import RealtimeConfig
from voicecli.events import Event, TranscriptUpdate
from voicecli.ports import Ended, Expiring, TranscriberSetup
from voicecli.providers.gemini.endpoint import Endpoint
from voicecli.providers.gemini.transcription import GeminiTranscription

__all__ = ["RATE", "Transcribing"]

ENDPOINT = Endpoint("ws://x", "models/gemini-3.5-transcribe-live", "", {"x-goog-api-key": "AIza"}, secret="AIza")


class Transcribing:
    """Attributes:
    sessions: of all sockets.
    events: all that was told.
    """

    def __init__(
        self, config: RealtimeConfig | None = None, *, setup: dict[str, Any] | None = None, **options: Any
    ) -> None:
        self.codec = GeminiTranscription(TranscriberSetup(config=config or RealtimeConfig(), **(setup or {})), ENDPOINT)
        self.events: list[Event | Expiring | Ended] = []
        self.sessions: list[GeminiTranscribing] = []
        self._options = options
        self._coming: deque[dict[str, Any]] = deque()
        self.dial()

    @property
    def session(self) -> GeminiTranscribing:
        return self.sessions[-1]

    def dial(self) -> None:
        """A new socket; what was on its way to here is lost."""
        self._coming.clear()
        self.sessions.append(GeminiTranscribing(**self._options))
        self.codec.open()
        self.flush()
        self.deliver()

    def send(self, *commands: Command) -> None:
        for command in commands:
            self.codec.send(command)
            self.flush()

    def speak(self, *numbers: int, pause_ms: int = 600, ms: int = 200) -> None:
        """Words, each after the other without a pause; then one that ends the utterance."""
        audio = b"".join(word(number, RATE, ms) for number in numbers) + pause(RATE, pause_ms)
        for start in range(0, len(audio), 640):
            self.send(AppendAudio(audio[start : start + 640]))

    def flush(self) -> None:
        for data in self.codec.data_to_send():
            self._coming += self.session.receive(data.decode())
        assert not self.session.violations

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

    def all(self, kind: type[Any]) -> list[Any]:
        return [event for event in self.events if isinstance(event, kind)]

    def finals(self) -> list[TranscriptUpdate]:
        return [update for update in self.all(TranscriptUpdate) if update.final]

    def said(self) -> str:
        return " ".join(update.text for update in self.finals() if update.text)

    def times(self) -> list[tuple[int | None, int | None]]:
        return [(update.start_ms, update.end_ms) for update in self.finals()]
