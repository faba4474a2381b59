"""The answer to one utterance, put together from the events that make it up."""

import os
import wave
from dataclasses import dataclass, field
from typing import Literal

from voicecli.errors import AudioFormatError, ConfigurationError, RealtimeError
from voicecli.events import (
    AudioChunk,
    ErrorOccurred,
    Event,
    ResponseDone,
    ResponseStarted,
    ResponseStatus,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.pcm16 import PcmFormat

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

    def __repr__(self) -> str:
        seconds = PcmFormat(self.sample_rate).duration_ms(len(self.audio)) / 1000
        return (
            f"Response(audio=<{len(self.audio)} bytes, {seconds:.2f} s>, sample_rate={self.sample_rate}, "
            f"transcript={self.transcript!r}, user_transcript={self.user_transcript!r}, status={self.status!r}, "
            f"usage={self.usage!r}, metrics={self.metrics!r})"
        )

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the sound to a WAV file, PCM16 mono at `sample_rate` Hz; what is there already is replaced.

        Raises:
            AudioFormatError: there is no sound, or the file cannot be written.
            ConfigurationError: the name is that of another format.
        """
        name = os.fspath(path)
        if os.path.splitext(name)[1].lower() not in ("", ".wav", ".wave"):
            raise ConfigurationError(f"{name!r} would be a WAV file.", advice="Give it a name that ends in .wav.")
        if not self.audio:
            why = "nothing was said to be answered" if self.status == "no_speech" else "the answer has no sound"
            raise AudioFormatError(
                f"There is nothing to save in {name!r}: {why}.",
                advice="Look at `status` and `transcript` first; a config with output='text' asks for no sound.",
            )
        try:
            with open(name, "wb") as file, wave.open(file, "wb") as sound:
                sound.setparams((1, 2, self.sample_rate, 0, "NONE", "not compressed"))
                sound.writeframes(self.audio)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the path
            reason = (error.strerror if isinstance(error, OSError) else None) or str(error)
            raise AudioFormatError(f"Cannot write {name!r}: {reason}.", advice="Choose another file.") from error


@dataclass(slots=True)
class Answer:
    """Collects a Response while its events come.

    Attributes:
        inputs: the ids of what was said for it. A response that answers other inputs only, as one that was waited for
            in vain before, is no part of it.
        others: the items of such responses.
    """

    inputs: set[str] = field(default_factory=set)
    others: set[str] = field(default_factory=set)
    audio: list[bytes] = field(default_factory=list)
    texts: dict[tuple[str, str], str] = field(default_factory=dict)
    done: ResponseDone | None = None
    usage: Usage = field(default_factory=Usage)
    error: RealtimeError | None = None
    _begun: set[str] = field(default_factory=set)  # the responses that make it up
    _is_foreign: bool = True  # the response under way is another; before one has begun, it is that of an earlier input

    def add(self, event: Event) -> None:
        match event:
            case ResponseStarted(response_id, answers):
                self._is_foreign = bool(answers) and self.inputs.isdisjoint(answers)
                if not self._is_foreign:
                    self._begun.add(response_id)
            case AudioChunk(audio, response_id) if response_id in self._begun:
                self.audio.append(audio)
            case TranscriptUpdate(role, item_id, text):
                if self._is_foreign and role == "assistant" and (role, item_id) not in self.texts:
                    self.others.add(item_id)
                if item_id not in self.others:
                    self.texts[role, item_id] = text
            case ResponseDone(response_id, usage=usage) if response_id in self._begun:
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
