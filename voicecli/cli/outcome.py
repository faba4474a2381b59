"""Whether the turns of a conversation were answered: what the exit code says of one that did not fail."""

from voicecli.errors import NoSpeechError, RealtimeConnectionError, RealtimeError, ToolError
from voicecli.events import (
    CONNECTION_LOST,
    AudioChunk,
    ErrorOccurred,
    Event,
    Notice,
    ResponseDone,
    SpeechStarted,
    TranscriptUpdate,
)

__all__ = ["Outcome"]

_NO_SPEECH_ADVICE = "Is it the right file? Is the voice loud enough, and not only in the first moments?"


class Outcome:
    """Observer of a conversation that is not live. Sound or words are an answer; a reply without either is none.

    A turn that was not answered stays so, unless another reply follows before the user says more.
    """

    def __init__(self) -> None:
        self._inputs = 0
        self._recording: str | None = None  # the input under way, where it is one
        self._answered = False  # some turn of it was
        self._came = False  # something of the answer under way
        self._missing: RealtimeError | None = None  # the answer to the last turn
        self._failure: RealtimeError | None = None  # that of a turn before
        self._error: RealtimeError | None = None  # told last
        self._silent = False  # the model has said that it will not answer

    def begin(self, recording: str | None) -> None:
        """Know that an input begins, and the one before it is over.

        Args:
            recording: the name of a recording; None for words.
        """
        if self._inputs:
            self._failure = self._lacking()
        self._inputs += 1
        self._recording = recording
        self._answered = self._came = self._silent = False
        self._missing = None

    def __call__(self, event: Event) -> None:
        match event:
            case ErrorOccurred(error) if not isinstance(error, ToolError):
                self._error = error
            case SpeechStarted():
                self._failure, self._missing = self._failure or self._missing, None
            case Notice("waiting_for_input" | "no_answer"):
                self._silent = True
            case AudioChunk():
                self._came = True
            case TranscriptUpdate("assistant", text=text) if text.strip():
                self._came = True
            case ResponseDone(awaits_tools=False):
                self._end(event)

    def _end(self, done: ResponseDone) -> None:
        came, self._came = self._came, False
        match done:
            case ResponseDone(status="failed", reason=reason):
                why = reason or "no reason given"
                self._missing = self._error or RealtimeError(f"The model failed to answer: {why}.")
            case ResponseDone(status="incomplete", reason=reason) if reason == CONNECTION_LOST:
                self._missing = RealtimeConnectionError("The connection broke, and the answer is not complete.")
            case ResponseDone(status="cancelled"):
                self._missing = RealtimeError("The provider took its answer back.", advice="Try again.")
            case _ if came:
                self._missing, self._answered = None, True
            case _:
                self._missing = RealtimeError("The answer is empty: neither sound nor words came.", advice="Try again.")

    def check(self) -> None:
        """Raise the reason why some turn has no answer; to be called when the conversation is over.

        Raises:
            NoSpeechError: there was nothing to be answered in an input.
            RealtimeError: a turn was not answered to the end.
        """
        if (lacking := self._lacking()) is not None:
            raise lacking

    def _lacking(self) -> RealtimeError | None:
        """The first reason so far."""
        failure = self._failure or (None if self._came else self._missing)
        if failure is not None or self._answered or self._came:
            return failure
        if self._error is not None:
            return self._error
        if self._recording is not None and not self._silent:
            where = "the input" if self._inputs == 1 else self._recording
            return NoSpeechError(f"There is no speech in {where}.", advice=_NO_SPEECH_ADVICE)
        return RealtimeError("The model did not answer.", advice="Ask in other words, or choose another model.")
