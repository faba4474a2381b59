"""The model's responses, their items, and how much of an item was heard."""

from dataclasses import dataclass, field

from voicecli.events import Usage
from voicecli.pcm16 import SampleAligner
from voicecli.providers.heard import heard_words
from voicecli.providers.openai.queues import WIRE_AUDIO
from voicecli.text import valid_text

__all__ = ["ResponseItem", "WireResponse"]


@dataclass(slots=True, eq=False)
class WireResponse:
    """A response under way.

    Attributes:
        id: the server's name for it.
        public_id: the name in events; that of the first attempt when the server failed and was asked again.
        number: which response of the conversation it is.
        named: whether `id` is the server's; one that names none gets a name here, until it does.
        message_id: the last message that was announced, to which deltas without an item belong.
        told_calls: what was told of its tool calls before they were complete, by item.
        known_calls: all its tool calls.
        open_calls: those that wait for their output.
        open_mcp_calls: items of calls that the server itself is making.
        calls_tools: whether results of calls are to be answered by another response.
        calls_aside: whether calls were made whose results are not waited for.
        asks_approval: whether a call of the server's waits for the user's approval.
        interrupted: whether it was cut off; what still arrives of it is dropped.
        cut_told: whether the session has said how much of it was heard; it does so for each that was cut off.
        done: whether its response.done has arrived, or the socket it came by is gone.
        covers_queue: whether all that was sent before it is part of what it answers.
        usage: of earlier attempts.
    """

    id: str
    public_id: str
    number: int = 0
    named: bool = True
    items: list["ResponseItem"] = field(default_factory=list)
    message_id: str = ""
    told_calls: dict[str, dict[str, str]] = field(default_factory=dict)
    known_calls: set[str] = field(default_factory=set)
    open_calls: set[str] = field(default_factory=set)
    open_mcp_calls: set[str] = field(default_factory=set)
    calls_tools: bool = False
    calls_aside: bool = False
    asks_approval: bool = False
    interrupted: bool = False
    cut_told: bool = False
    done: bool = False
    covers_queue: bool = False
    usage: Usage = field(default_factory=Usage)

    @property
    def awaits_tools(self) -> bool:
        """Whether another response follows results of its calls, now or later."""
        return self.calls_tools or self.calls_aside or self.asks_approval

    @property
    def has_content(self) -> bool:
        """Whether anything has come that the user saw or heard, or that was acted on."""
        return self.calls_tools or self.calls_aside or any(item.received or item.texts for item in self.items)


@dataclass(slots=True, eq=False)
class ResponseItem:
    """A message of the assistant.

    Attributes:
        named: whether `id` is the server's, which then can be told to cut it.
        texts: what is said, by content part.
        complete: the parts whose text is final, whatever of it comes late.
        spoken: whether that is the transcript of audio.
        received: bytes of its audio.
        aligner: cuts its audio at whole samples.
        dropped: whether audio of it came too late and was thrown away.
        content_index: of its audio.
        cut_ms: how much of it was heard, once it is cut.
        told: the text and `interrupted` of the last final update.
        written: after a lost connection, the name of what tells the new session of it in writing; "" when nothing does.
    """

    id: str
    response: WireResponse
    named: bool = True
    texts: dict[int, str] = field(default_factory=dict)
    complete: set[int] = field(default_factory=set)
    spoken: bool = False
    received: int = 0
    aligner: SampleAligner = field(default_factory=SampleAligner)
    dropped: bool = False
    content_index: int = 0
    cut_ms: int | None = None
    told: tuple[str, bool] | None = None
    written: str | None = None

    @property
    def text(self) -> str:
        return valid_text("".join(self.texts.values()))

    @property
    def received_ms(self) -> int:
        return int(WIRE_AUDIO.duration_ms(self.received))

    @property
    def heard(self) -> str:
        """Its text, cut to what was heard where that is known."""
        if self.cut_ms is None:
            return self.text
        return heard_words([(self.text, self.received_ms)], self.cut_ms)
