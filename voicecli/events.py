"""Events of a conversation: model -> app.

One event means one thing on every provider. A recoverable error is an event (`ErrorOccurred`), a fatal one is
an exception raised by the iteration.

The order within a turn: SpeechStarted, SpeechStopped (turns by voice), the user's TranscriptUpdates,
ResponseStarted, AudioChunks with the assistant's TranscriptUpdates between them, AudioDone, ResponseDone. An
Interrupted may come at any moment after ResponseStarted; the response's ResponseDone still follows.

Where the user's words come late, the reply's words wait for them, and its ResponseDone with these; its sound and its
AudioDone do not. After two seconds they wait no longer, and the ResponseDone never beyond the next ResponseStarted.
"""

from dataclasses import dataclass, fields
from typing import Literal

from voicecli.errors import RealtimeError

__all__ = [
    "CONNECTION_LOST",
    "CONTENT_FILTER",
    "INVALID_TOOL_CALL",
    "OUTPUT_LIMIT",
    "RETRIES_EXHAUSTED",
    "ApprovalAnswered",
    "ApprovalOutcome",
    "ApprovalRequest",
    "Asleep",
    "AssistantState",
    "AudioChunk",
    "AudioDone",
    "Awake",
    "ErrorOccurred",
    "Event",
    "Interrupted",
    "Notice",
    "Reconnecting",
    "ResponseDone",
    "ResponseStarted",
    "ResponseStatus",
    "Role",
    "SessionEnded",
    "SessionStarted",
    "SpeechStarted",
    "SpeechStopped",
    "StateChanged",
    "ToolCallCancelled",
    "ToolCallFinished",
    "ToolCallRequest",
    "TranscriptUpdate",
    "TurnMetrics",
    "Usage",
    "UsageUpdated",
    "UserState",
]

Role = Literal["user", "assistant"]
UserState = Literal["silent", "speaking"]
AssistantState = Literal["connecting", "listening", "thinking", "speaking", "reconnecting"]
ResponseStatus = Literal["completed", "cancelled", "incomplete", "failed"]
ApprovalOutcome = Literal["once", "always", "denied", "expired", "withdrawn"]
# Reasons of a ResponseDone that every provider tells by the same code.
CONNECTION_LOST = "connection_lost"
"""The connection broke. What came of the reply is all of it, unless it awaits tools."""
OUTPUT_LIMIT = "max_output_tokens"
"""The limit of output tokens was reached."""
CONTENT_FILTER = "content_filter"
"""The provider withheld the reply, or the rest of it, because of what is in it or in the question."""
INVALID_TOOL_CALL = "invalid_tool_call"
"""The model called a tool in a way that cannot be understood."""
RETRIES_EXHAUSTED = "retries_exhausted"
"""The provider made the reply several times and was content with none."""


@dataclass(frozen=True, slots=True)
class Usage:
    """Tokens by modality, and what they cost. Usages add up with `+`.

    Attributes:
        input_text_tokens, input_audio_tokens, input_image_tokens: all that went in, cached ones included.
        cached_text_tokens, cached_audio_tokens, cached_image_tokens: the part of them read from the cache.
        output_text_tokens, output_audio_tokens: what came out; thinking counts as text.
        transcription_seconds: audio transcribed by a separately billed model, in seconds.
        session_seconds: how long the session has lasted so far, in seconds, where that is billed; a later figure
            replaces an earlier one. A provider tells that of its present connection, the session that of all together.
        cost_usd: what this has cost, of `session_seconds` what is more than in the usage before; by the provider's
            price table or the user's. None where a price is not known.
        approximate: whether some figure had to be guessed (the provider sent no detail).
    """

    input_text_tokens: int = 0
    input_audio_tokens: int = 0
    input_image_tokens: int = 0
    cached_text_tokens: int = 0
    cached_audio_tokens: int = 0
    cached_image_tokens: int = 0
    output_text_tokens: int = 0
    output_audio_tokens: int = 0
    transcription_seconds: float = 0.0
    session_seconds: float = 0.0
    cost_usd: float | None = 0.0
    approximate: bool = False

    def __add__(self, other: "Usage") -> "Usage":
        total: dict[str, int | float | bool | None] = {}
        for field in fields(self):
            mine, theirs = getattr(self, field.name), getattr(other, field.name)
            if field.name == "approximate":
                total[field.name] = mine or theirs
            elif field.name == "session_seconds":
                total[field.name] = theirs or mine
            else:
                total[field.name] = None if mine is None or theirs is None else mine + theirs
        return Usage(**total)  # type: ignore[arg-type]

    @property
    def input_tokens(self) -> int:
        return self.input_text_tokens + self.input_audio_tokens + self.input_image_tokens

    @property
    def output_tokens(self) -> int:
        return self.output_text_tokens + self.output_audio_tokens


@dataclass(frozen=True, slots=True)
class TurnMetrics:
    """The latency of a turn's answer, in ms from the end of the user's turn; None where it did not happen.

    Attributes:
        first_audio_ms: until the first audio of the reply arrived.
        first_text_ms: until the first word of its transcript arrived.
        first_heard_ms: until the first sound left the loudspeaker; None where no device plays.
        done_ms: until the reply was complete.
        audio_ms: the length of the reply's audio.
    """

    first_audio_ms: int | None = None
    first_text_ms: int | None = None
    first_heard_ms: int | None = None
    done_ms: int | None = None
    audio_ms: int = 0


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The provider is ready; sent again, with `resumed`, when a lost connection is back.

    Attributes:
        session_id: the provider's name for the session, or "".
        model, voice: what the provider really uses, or what was asked for.
        input_rate, output_rate: of the PCM16 mono audio each way, in Hz.
        resumed: whether this continues an interrupted conversation.
    """

    session_id: str
    model: str
    voice: str
    input_rate: int
    output_rate: int
    resumed: bool = False


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """The user began to speak."""

    item_id: str | None = None


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """The user's spoken turn ended.

    Attributes:
        is_turn: False where it proved too short for a turn: nothing will answer it.
        silence_ms: the silence that ended it, in ms, where that differs from turn to turn and is known.
    """

    item_id: str | None = None
    is_turn: bool = True
    silence_ms: int | None = None


@dataclass(frozen=True, slots=True)
class Interrupted:
    """The reply was cut off: drop what is still to be played.

    Harmless when repeated. `response_id` and `item_id` say which reply, where known.
    """

    response_id: str | None = None
    item_id: str | None = None


@dataclass(frozen=True, slots=True)
class AudioChunk:
    """Sound of the reply.

    Attributes:
        audio: PCM16 little-endian mono at the session's `output_rate`; an even number of bytes.
        item_id: what `CancelResponse` and `Playhead` refer to.
    """

    audio: bytes
    response_id: str
    item_id: str

    def __repr__(self) -> str:
        return (
            f"AudioChunk(audio=<{len(self.audio)} bytes>, response_id={self.response_id!r}, item_id={self.item_id!r})"
        )


@dataclass(frozen=True, slots=True)
class AudioDone:
    """All sound of the reply has come, though not all of its words may have. Not told of one that was cut off.

    A connection tells it where its provider does; otherwise it is told with the ResponseDone.
    """

    response_id: str


@dataclass(frozen=True, slots=True)
class TranscriptUpdate:
    """An utterance, as text.

    Attributes:
        role: who speaks.
        item_id: the utterance; updates with the same one replace each other. Unique in the conversation, over
            reconnects too.
        text: the utterance so far, or all of it when `final`. A first update with an empty text reserves the
            utterance's place in the conversation.
        final: whether this is the last update of the utterance.
        interrupted: on the final of a reply that was cut off; `text` is then what was heard, as well as known.
        start_ms, end_ms: where the utterance lies in its speaker's audio since the session began, in ms; None where
            the provider does not say.
    """

    role: Role
    item_id: str
    text: str
    final: bool
    interrupted: bool = False
    start_ms: int | None = None
    end_ms: int | None = None


@dataclass(frozen=True, slots=True)
class ToolCallRequest:
    """The model wants a function called.

    Attributes:
        call_id: to be repeated in ToolResult.
        arguments: JSON as the model wrote it, possibly "" or invalid.
        background: whether the conversation goes on before the result, which is told when it is there.
        by_provider: whether the provider makes the call itself, so that it is not to be answered.
        server: the MCP server that has the tool, where the provider makes the call; "" otherwise.
    """

    call_id: str
    name: str
    arguments: str
    background: bool = False
    by_provider: bool = False
    server: str = ""


@dataclass(frozen=True, slots=True)
class ToolCallCancelled:
    """The model does not want the result any more."""

    call_id: str


@dataclass(frozen=True, slots=True)
class ToolCallFinished:
    """A tool has answered, and its output went to the model; also one that the provider called itself."""

    call_id: str
    name: str
    output: str
    is_error: bool = False


@dataclass(frozen=True, slots=True)
class ApprovalRequest:
    """A tool runs only if the user allows it: answer with `session.approve`.

    Attributes:
        arguments: JSON as the model wrote it.
        server: the MCP server that has the tool; "" for a function.
        call_id: the call that waits for the answer; "" where the provider makes it itself.
        tool_id: names the tool as it is: one whose description or schema changes gets another. "" where these are not
            known; then it can be allowed once only.
    """

    approval_id: str
    name: str
    arguments: str
    server: str
    call_id: str = ""
    tool_id: str = ""


@dataclass(frozen=True, slots=True)
class ApprovalAnswered:
    """An ApprovalRequest is settled, and cannot be answered any more.

    Attributes:
        outcome: allowed "once", or "always": that tool for the rest of the conversation; "denied"; "expired": nobody
            answered in time, which denies it; "withdrawn": the call was taken back, or the connection lost.
    """

    approval_id: str
    outcome: ApprovalOutcome


@dataclass(frozen=True, slots=True)
class ResponseStarted:
    """The model begins to answer.

    Attributes:
        answers: the `input_id`s of the commands that it answers, as far as the provider can tell; a turn that the
            provider found by itself has none.
    """

    response_id: str
    answers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class ResponseDone:
    """A reply is complete, whatever its end; comes exactly once for each ResponseStarted.

    Attributes:
        reason: why it is not `completed`: one of the reasons above, or in the provider's words; "" otherwise.
        usage: of this response; the zero Usage where the provider told none.
        metrics: of the turn it answers.
        awaits_tools: whether it called tools, so that another response follows their results.
    """

    response_id: str
    status: ResponseStatus = "completed"
    reason: str = ""
    usage: Usage = Usage()
    metrics: TurnMetrics = TurnMetrics()
    awaits_tools: bool = False


@dataclass(frozen=True, slots=True)
class UsageUpdated:
    """Something was used that belongs to no reply, such as the time of a session that is billed by the minute.

    Attributes:
        usage: what has come since the last report, in a ResponseDone or in one of these.
    """

    usage: Usage


@dataclass(frozen=True, slots=True)
class StateChanged:
    """The state of both sides of the conversation; told whenever either changes.

    Attributes:
        user: whether the user is speaking, as far as the provider or the session can hear.
        assistant: "connecting" until the first SessionStarted, "thinking" while an answer is owed or being made and
            none of it is to be heard, "speaking" while a reply plays, "reconnecting" while the connection is lost,
            otherwise "listening".
    """

    user: UserState
    assistant: AssistantState


@dataclass(frozen=True, slots=True)
class Reconnecting:
    """The connection is lost and will be dialled again.

    Attributes:
        attempt: 1 for the first.
        delay_s: how long it waits before this attempt, in seconds.
        reason: why the connection was lost.
        attempts: how many are made at most; 0 where that is not known.
    """

    attempt: int
    delay_s: float
    reason: str
    attempts: int = 0


@dataclass(frozen=True, slots=True)
class Notice:
    """Something the user may want to know and need not act on.

    Attributes:
        code: stable and short, for programs: "transcription_failed", "audio_dropped", "model_deprecated" ...
        message: for people.
        input_id: the `EndTurn` that it is about, where it is about one.
        daily: whether a person need not be told more than once a day.
    """

    code: str
    message: str
    input_id: str = ""
    daily: bool = False


@dataclass(frozen=True, slots=True)
class ErrorOccurred:
    """Something went wrong, and the conversation goes on."""

    error: RealtimeError


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """The last event: the conversation is over.

    Attributes:
        reason: "closed" by the application, or the provider's words.
        close_code: of the WebSocket, where there is one.
    """

    reason: str
    close_code: int | None = None


@dataclass(frozen=True, slots=True)
class Asleep:
    """No conversation goes on, and none is connected: a wake word is listened for on this machine.

    Told by who listens for it, as Awake is; a session tells neither.

    Attributes:
        wake_word: the words that begin one.
    """

    wake_word: str


@dataclass(frozen=True, slots=True)
class Awake:
    """A conversation begins, or goes on: the wake word was said, or a key pressed."""

    by: Literal["word", "key"]


Event = (
    SessionStarted
    | SpeechStarted
    | SpeechStopped
    | Interrupted
    | AudioChunk
    | AudioDone
    | TranscriptUpdate
    | ToolCallRequest
    | ToolCallCancelled
    | ToolCallFinished
    | ApprovalRequest
    | ApprovalAnswered
    | ResponseStarted
    | ResponseDone
    | UsageUpdated
    | StateChanged
    | Reconnecting
    | Notice
    | ErrorOccurred
    | SessionEnded
    | Asleep
    | Awake
)
