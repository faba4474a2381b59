"""Spoken output of the last replies, and how much of it the user heard."""

from voicecli.commands import CancelResponse
from voicecli.pcm16 import PcmFormat
from voicecli.providers.heard import heard_by_item, heard_words

__all__ = ["Spoken", "SpokenReplies"]

# Of the last sentence only a beginning may be made: at 1.5 times its speed the voice says 24 characters a second.
_LEAST_MS_PER_CHAR = 40
# Replies that may still be playing when they are cut.
_REMEMBERED = 8


class Spoken:
    """Spoken output of a reply, and how long each piece of it sounds.

    Args:
        rate: of its sound, in Hz.

    Attributes:
        response_id: of the response that it belongs to.
    """

    def __init__(self, rate: int, response_id: str = "") -> None:
        self.response_id = response_id
        self._text = ""
        self._format = PcmFormat(rate)
        self._pieces: list[tuple[str, int]] = []
        self._finished = False

    @property
    def text(self) -> str:
        """All that was said, without space around it."""
        return self._text.strip()

    def add(self, text: str, audio: bytes) -> None:
        """Add a piece of the text with the beginning of its PCM16 sound, or with "" what follows of that."""
        duration_ms = int(self._format.duration_ms(len(audio)))
        if not text and self._pieces:
            text, before_ms = self._pieces.pop()
            self._pieces.append((text, before_ms + duration_ms))
            return
        self._text += text
        self._pieces.append((text, duration_ms))

    def finish(self) -> None:
        """No more sound follows."""
        self._finished = True

    def heard(self, played_ms: int) -> str:
        """The words that `played_ms` of the sound hold, cut at the last whole one."""
        pieces = self._pieces
        if pieces and not self._finished:
            text, duration_ms = pieces[-1]
            pieces = [*pieces[:-1], (text, max(duration_ms, len(text) * _LEAST_MS_PER_CHAR))]
        return heard_words(pieces, played_ms).strip()


class SpokenReplies:
    """The last replies that began, by item. Pure."""

    def __init__(self) -> None:
        self._spoken: dict[str, Spoken] = {}

    def add(self, item_id: str, spoken: Spoken) -> None:
        """Remember a reply that begins; the oldest is forgotten."""
        self._spoken[item_id] = spoken
        while len(self._spoken) > _REMEMBERED:
            del self._spoken[next(iter(self._spoken))]

    def text(self, item_id: str) -> str:
        """All that was said of the reply."""
        return self._spoken[item_id].text

    def heard(self, command: CancelResponse) -> dict[str, str]:
        """Words heard of the replies that the command cuts, by item; empty when it does not say."""
        heard_ms = heard_by_item(self._items_until(command), command.item_id, command.played_ms)
        return {item: self._spoken[item].heard(ms) for item, ms in heard_ms.items()}

    def _items_until(self, command: CancelResponse) -> list[str]:
        """The items that may be cut: those after the reply that is named belong to another response."""
        items = list(self._spoken)
        named = [item for item in items if self._spoken[item].response_id == command.response_id]
        last = named[-1] if named else command.item_id
        return items[: items.index(last) + 1] if last in self._spoken else items
