"""The user's audio that a lost connection must not lose."""

from collections import deque

from voicecli.providers.openai.queues import WIRE_AUDIO

__all__ = ["UserAudio"]

_TURN = WIRE_AUDIO.size(60_000)
"""The most of a turn that is kept; of a longer one the end."""
_TAIL = WIRE_AUDIO.size(1_000)
"""The most that is kept before the server reports speech: it does so after the onset, and the report may be lost."""


class UserAudio:
    """Audio that was appended to the server's buffer and is not yet part of the conversation, and the committed
    turns that nothing else stands for yet: neither a transcript nor a reply.

    Args:
        continuous: whether the server finds the turns in it; otherwise all since the last commit is one turn.
    """

    def __init__(self, *, continuous: bool) -> None:
        self.kept: dict[str, bytes] = {}
        """Committed turns, by item."""
        self._continuous = continuous
        self._chunks: deque[bytes] = deque()
        # Positions in bytes on the clock of this socket's audio, which is also the server's.
        self._first = self._end = 0
        self._turn: int | None = None if continuous else 0
        self._turn_end: int | None = None

    @property
    def turn_open(self) -> bool:
        """Whether the user is in the middle of a turn, as far as known."""
        return self._turn is not None and (self._continuous or self._end > self._turn)

    @property
    def uncommitted_ms(self) -> float:
        """The audio appended since the last commit or clear, in ms; without turns by the server."""
        return WIRE_AUDIO.duration_ms(self._end - (self._turn or 0))

    def append(self, audio: bytes) -> None:
        self._chunks.append(audio)
        self._end += len(audio)
        limit = _TAIL if self._turn is None else _TURN
        while self._end - self._first - len(self._chunks[0]) >= limit:
            self._first += len(self._chunks.popleft())

    def speech_started(self, audio_start_ms: int) -> None:
        self._turn, self._turn_end = WIRE_AUDIO.size(max(audio_start_ms, 0)), None

    def speech_stopped(self, audio_end_ms: int) -> None:
        self._turn_end = WIRE_AUDIO.size(max(audio_end_ms, 0))

    def commit(self) -> bytes:
        """End the turn, and take its audio."""
        start = self._first if self._turn is None else max(self._turn, self._first)
        end = self._end if self._turn_end is None else min(self._turn_end, self._end)
        audio = b"".join(self._chunks)
        turn, rest = audio[start - self._first : end - self._first], audio[max(end - self._first, 0) :]
        self._chunks.clear()
        self._first = self._end - len(rest)
        if rest:
            self._chunks.append(rest)
        self._turn, self._turn_end = None if self._continuous else self._first, None
        return turn

    def clear(self) -> None:
        """Forget what is uncommitted."""
        self._chunks.clear()
        self._first = self._end
        self._turn, self._turn_end = None if self._continuous else self._end, None

    def restart(self) -> bytes:
        """Take what a new socket has to be sent again; positions begin at 0. A turn that was open stays open."""
        audio = b"".join(self._chunks)
        start = 0 if self._turn is None else max(self._turn - self._first, 0)
        still_open = self.turn_open
        self._chunks.clear()
        self._first = self._end = 0
        self._turn, self._turn_end = 0 if still_open or not self._continuous else None, None
        return audio[start:]

    def keep(self, item_id: str, audio: bytes) -> None:
        """Keep a committed turn until `forget`."""
        self.kept[item_id] = audio
        while sum(map(len, self.kept.values())) > _TURN and len(self.kept) > 1:
            del self.kept[next(iter(self.kept))]

    def forget(self, item_id: str) -> None:
        self.kept.pop(item_id, None)
