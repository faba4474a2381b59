"""Events on their way to those who listen: a reply's words behind the words it answers, but not for ever."""

from voicecli.events import Event, ResponseDone, ResponseStarted, TranscriptUpdate

__all__ = ["TRANSCRIPT_WAIT_S", "TranscriptOrder"]

TRANSCRIPT_WAIT_S = 2.0
"""The longest that the reply's words wait for the user's. Transcriptions arrive within about a second of the turn's
end; later than this is rare, and a reader should not wait longer."""


class TranscriptOrder:
    """Holds a reply's words back until the user's words that it answers are known. Pure; times are in seconds.

    Providers transcribe the user apart from answering, so the text of a question often arrives after the first
    words of its answer. The reply's end waits with its words, unless another reply begins first. Sound is never held.

    Args:
        holds: whether it does so at all.

    Attributes:
        deadline: when what is held is to be released at the latest; None while nothing is.
    """

    def __init__(self, *, holds: bool = True) -> None:
        self.deadline: float | None = None
        self._holds_words = holds
        self._open: set[str] = set()
        self._held: list[Event] = []

    @property
    def holding(self) -> bool:
        """Whether some events wait."""
        return bool(self._held)

    def push(self, event: Event, now: float) -> list[Event]:
        """The events that can be delivered now that this one has arrived, in order."""
        match event:
            case _ if not self._holds_words:
                return [event]
            case TranscriptUpdate("user", item_id, final=final):
                (self._open.discard if final else self._open.add)(item_id)
                return [event, *self.release()] if not self._open else [event]
            case _ if not self._open and not self._held:
                return [event]
            case TranscriptUpdate("assistant", item_id, interrupted=True) if not self._holds(item_id):
                return [event]  # the user's open words are those that cut it
            case TranscriptUpdate("assistant") | ResponseDone():
                self._held.append(event)
                self.deadline = self.deadline or now + TRANSCRIPT_WAIT_S
                return []
            case ResponseStarted():  # one reply at a time
                ends = [held for held in self._held if isinstance(held, ResponseDone)]
                self._held = [held for held in self._held if not isinstance(held, ResponseDone)]
                self.deadline = self.deadline if self._held else None
                return [*ends, event]
        return [event]

    def tick(self, now: float) -> list[Event]:
        """The events that have waited long enough."""
        return self.release() if self.deadline is not None and now >= self.deadline else []

    def release(self) -> list[Event]:
        """All that was held; and no more waiting for the user's words that are open now."""
        self._open.clear()
        self.deadline = None
        held, self._held = self._held, []
        return held

    def _holds(self, item_id: str) -> bool:
        return any(isinstance(event, TranscriptUpdate) and event.item_id == item_id for event in self._held)
