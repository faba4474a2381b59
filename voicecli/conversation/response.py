"""The answer to one utterance, put together from the events that make it up."""

from dataclasses import dataclass, field
from typing import Literal

from voicecli.errors import RealtimeError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    ResponseDone,
    ResponseStatus,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)

__all__ = ["Answer", "Response"]


@dataclass(frozen=True, slots=True)
class Response:
    """The answer to one utterance.

    Attributes:
        audio: PCM16 mono at `sample_rate` Hz; b"" where the answer was text only.
        transcript: what the model said.
        user_transcript: what the user said, as the provider understood it.
        status: as in ResponseDone; "no_speech" when nothing was said that could be answered.
        usage: of all responses that made up the answer (a tool call takes two).
        metrics: how fast it came.
    """

    audio: bytes
    sample_rate: int
    transcript: str
    user_transcript: str
    status: ResponseStatus | Literal["no_speech"]
    usage: Usage
    metrics: TurnMetrics


@dataclass(slots=True)
class Answer:
    """Collects a Response while its events come."""

    audio: list[bytes] = field(default_factory=list)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    done: ResponseDone | None = None
    usage: Usage = field(default_factory=Usage)
    error: RealtimeError | None = None

    def add(self, event: Event) -> None:
        match event:
            case AudioChunk(audio):
                self.audio.append(audio)
            case TranscriptUpdate(role, item_id, text):
                self.texts[role, item_id] = text
            case ResponseDone(usage=usage):
                self.done = event
                self.usage += usage
            case ErrorOccurred(error):
                self.error = error

    def response(self, sample_rate: int) -> Response:
        if self.done is not None and self.done.status == "failed":
            raise self.error or RealtimeError(f"The model failed to answer: {self.done.reason or 'no reason given'}.")
        return Response(
            audio=b"".join(self.audio),
            sample_rate=sample_rate,
            transcript=self._text("assistant"),
            user_transcript=self._text("user"),
            status=self.done.status if self.done else "no_speech",
            usage=self.usage,
            metrics=self.done.metrics if self.done else TurnMetrics(),
        )

    def _text(self, role: str) -> str:
        return " ".join(text.strip() for (who, _), text in self.texts.items() if who == role and text.strip())
