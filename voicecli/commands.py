"""Commands of the application to the model: app -> model.

A command means the same on every provider; how it is said on the wire is the codec's business.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

__all__ = [
    "AnswerApproval",
    "AppendAudio",
    "CancelResponse",
    "CancelScope",
    "ClearAudio",
    "Command",
    "EndTurn",
    "OfferTools",
    "PauseAudio",
    "RequestReply",
    "SendImage",
    "SendText",
    "StartTurn",
    "ToolResult",
    "ToolSchema",
]

CancelScope = Literal["reply", "playback"]


@dataclass(frozen=True, slots=True)
class StartTurn:
    """The user starts to speak; only with VADMode.CLIENT and VADMode.NONE."""


@dataclass(frozen=True, slots=True)
class AppendAudio:
    """More of the user's speech.

    Attributes:
        audio: PCM16 little-endian mono at the provider's `Capabilities.input_rate`; an even number of bytes.
        realtime: whether it is sent as it is spoken, rather than of a recording.
        late_ms: how long it was held back, in ms: so long before it is sent its last sample was taken.
    """

    audio: bytes
    realtime: bool = False
    late_ms: float = 0.0

    def __repr__(self) -> str:
        return f"AppendAudio(audio=<{len(self.audio)} bytes>)"


@dataclass(frozen=True, slots=True)
class EndTurn:
    """The user has finished; the model shall answer.

    With VADMode.SERVER no more audio follows for now, and the provider's own turn detection ends the turn: a codec says
    what hastens that; the silence that it needs to hear is sent by the connection (`connection.silence`).

    Attributes:
        input_id: names this input in `ResponseStarted.answers`; "" when nobody asks.
    """

    input_id: str = ""


@dataclass(frozen=True, slots=True)
class ClearAudio:
    """Forget the audio appended since the turn began: it was no speech."""


@dataclass(frozen=True, slots=True)
class PauseAudio:
    """No audio will come for a while (the microphone is muted)."""


@dataclass(frozen=True, slots=True)
class SendText:
    """A whole turn of the user as text; the model shall answer.

    Attributes:
        text: what the user says.
        item_id: the name under which this turn appears in the transcript.
        input_id: as in EndTurn.
    """

    text: str
    item_id: str = ""
    input_id: str = ""


@dataclass(frozen=True, slots=True)
class SendImage:
    """A picture for the model to look at; the next turn speaks of it.

    Attributes:
        data: the file's bytes.
        mime_type: "image/png" or "image/jpeg".
    """

    data: bytes
    mime_type: str

    def __repr__(self) -> str:
        return f"SendImage(data=<{len(self.data)} bytes>, mime_type={self.mime_type!r})"


@dataclass(frozen=True, slots=True)
class CancelResponse:
    """Stop a reply: this one and nothing else, whatever is being made by now.

    Attributes:
        response_id: the response; None stands for the answers that are owed and have not begun.
        item_id: the item being played when it was stopped, or None when none was. It may be of an earlier response:
            then all from it up to `response_id` was not heard.
        played_ms: how much of that item was heard, in ms; None when nothing unheard was dropped, so that
            the model's memory of it needs no cut.
        scope: "reply" when it was being made; "playback" when it had come whole and only what is still to be heard
            of it is cut: then nothing that is being made is cancelled.
    """

    response_id: str | None = None
    item_id: str | None = None
    played_ms: int | None = None
    scope: CancelScope = "reply"


@dataclass(frozen=True, slots=True)
class RequestReply:
    """The model shall answer what it has heard so far: the reply to it was taken back. Only some providers can."""


@dataclass(frozen=True, slots=True)
class ToolResult:
    """The answer of a tool.

    Attributes:
        call_id: from the ToolCallRequest.
        output: text for the model; JSON where the tool returned structure.
        is_error: whether `output` tells of a failure.
        input_id: as in EndTurn.
    """

    call_id: str
    output: str
    is_error: bool = False
    input_id: str = ""


@dataclass(frozen=True, slots=True)
class AnswerApproval:
    """The user's answer to an ApprovalRequest (a tool that the provider itself would run)."""

    approval_id: str
    approve: bool


@dataclass(frozen=True, slots=True)
class ToolSchema:
    """A function as it is offered to the model; `parameters` is a JSON schema of an object, without `$ref`."""

    name: str
    description: str
    parameters: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class OfferTools:
    """These are the tools now, all of them. A provider with `Capabilities.changes_tools` False offers them from its
    next connection on."""

    tools: tuple[ToolSchema, ...]


Command = (
    StartTurn
    | AppendAudio
    | EndTurn
    | ClearAudio
    | PauseAudio
    | SendText
    | SendImage
    | CancelResponse
    | RequestReply
    | ToolResult
    | AnswerApproval
    | OfferTools
)
