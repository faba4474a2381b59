"""The part of a running reply that was heard: an estimate from where the loudspeaker is. Pure."""

from dataclasses import dataclass

from voicecli.events import AudioChunk, AudioDone, Event, Interrupted, ResponseDone, ResponseStarted, SessionStarted
from voicecli.pcm16 import PcmFormat
from voicecli.transcript import heard_text

__all__ = ["HeardReply"]

# While a reply is being made its words can be ahead of its sound: speech is about 15 characters a second (150 words a
# minute), so that it is taken to last at least this long for each of them.
_CHARACTER_MS = 66
# Sound that ends so long before its end was cut: pictures, which look at it, are 80 ms apart.
_CUT_MS = 500


@dataclass(slots=True)
class _Item:
    """An item of a reply.

    Attributes:
        received_ms: the length of its audio so far, in ms.
        complete: whether no more of it comes.
        heard: how many characters of its text were heard; does not shrink.
        played_ms: how much of its audio was heard when that was last asked; None before.
    """

    response_id: str
    received_ms: float = 0.0
    complete: bool = False
    heard: int = 0
    played_ms: int | None = None


class HeardReply:
    """Follows the listener through the text of the replies, as the cut of an interrupted reply does: speech is even."""

    def __init__(self) -> None:
        self._items: dict[str, _Item] = {}
        self._format = PcmFormat(24_000)
        self._cut = False

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        match event:
            case SessionStarted(output_rate=rate) if rate:
                self._format = PcmFormat(rate)
            case ResponseStarted():
                self._cut = False
            case AudioChunk(audio, response_id, item_id):
                item = self._items.setdefault(item_id, _Item(response_id))
                item.received_ms += self._format.duration_ms(len(audio))
            case AudioDone(response_id) | ResponseDone(response_id):
                for item in self._items.values():
                    item.complete = item.complete or item.response_id == response_id
            case Interrupted():
                self._cut = True

    def forget(self, item_id: str) -> None:
        """The item was printed."""
        self._items.pop(item_id, None)

    def listen(self, playing: str, played_ms: int) -> None:
        """Take into account what the loudspeaker plays now; as `heard`."""
        if (item := self._items.get(playing)) is not None:
            item.played_ms = played_ms

    @property
    def breaks_off(self) -> bool:
        """True when the sound heard last did not come to its end: if nothing plays any more, it was cut."""
        begun = [item for item in self._items.values() if item.played_ms is not None]
        return bool(begun) and begun[-1].received_ms - (begun[-1].played_ms or 0) > _CUT_MS

    def heard(self, item_id: str, text: str, playing: str, played_ms: int) -> str:
        """The beginning of the item's text that was heard.

        Args:
            playing: the item that the loudspeaker plays now; "" for none.
            played_ms: how much of that was played, in ms.
        """
        item = self._items.get(item_id)
        if item is None:
            return ""
        if item_id == playing:
            total_ms = round(item.received_ms if item.complete else max(item.received_ms, len(text) * _CHARACTER_MS))
            item.heard = max(item.heard, len(heard_text(text, played_ms, total_ms)))
        elif not self._cut and (
            self._is_before(item_id, playing) if playing else item.complete and not self.breaks_off
        ):
            item.heard = len(text)
        return text[: item.heard]

    def _is_before(self, item_id: str, playing: str) -> bool:
        order = list(self._items)
        return playing in self._items and order.index(item_id) < order.index(playing)
