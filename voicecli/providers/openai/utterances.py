"""Utterances of a transcription: their audio until their words are known, and the order in which these are told."""

from collections import deque
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from voicecli.events import TranscriptUpdate
from voicecli.pcm16 import peak
from voicecli.providers.openai.queues import WIRE_AUDIO
from voicecli.text import valid_text

__all__ = ["Utterance", "Utterances"]

_MIN_COMMIT = WIRE_AUDIO.size(100)
"""The server refuses to commit less."""
_LONGEST = WIRE_AUDIO.size(60_000)
"""The most audio that is kept of an utterance, of which nobody says where it ends."""
_MOST_UNANSWERED = WIRE_AUDIO.size(60_000)
_MOST_OVERTAKING = 16
"""So many later utterances have their words when those of one are given up."""
_PIECE = WIRE_AUDIO.size(1_000)
"""Audio sent again goes out in pieces of a second: an event may hold 15 MiB at most."""
_AUDIBLE = 104
"""Peak of a sample at -50 dB of full scale. Speech is far above it, also in a quiet recording."""
_LOUD = 500
"""Peak of a sample of what may well be speech into a microphone: 1.5% of full scale."""
_BEGINNING = WIRE_AUDIO.size(2_000)
_PAUSE = WIRE_AUDIO.size(500)


@dataclass(slots=True)
class Utterance:
    """Audio that is transcribed as one.

    Attributes:
        item_id: its name in the transcript.
        start: where it begins in all audio since the first byte, in bytes.
        size: of its audio, in bytes.
        chunks: its audio, as long as it may have to be sent again.
        audible: whether something is to be heard in it.
        loud: whether that may well be speech.
        event_id: of the commit, on the present socket.
        name: the server's for it, on the present socket; "" while that is not known.
        said: its words so far.
        done: whether they are all of them.
    """

    item_id: str
    start: int
    size: int = 0
    chunks: list[bytes] = field(default_factory=list)
    audible: bool = False
    loud: bool = False
    event_id: str = ""
    name: str = ""
    said: str = ""
    done: bool = False

    @property
    def start_ms(self) -> int:
        return int(WIRE_AUDIO.duration_ms(self.start))

    @property
    def end_ms(self) -> int:
        return int(WIRE_AUDIO.duration_ms(self.start + self.size))

    @property
    def is_long_enough(self) -> bool:
        """Whether the server would take its commit."""
        return self.size >= _MIN_COMMIT

    @property
    def is_too_long(self) -> bool:
        return self.size >= _LONGEST

    def pieces(self) -> Iterator[bytes]:
        """Its audio, in pieces that can be sent."""
        audio = b"".join(self.chunks)
        for start in range(0, len(audio), _PIECE):
            yield audio[start : start + _PIECE]

    def update(self, *, final: bool) -> TranscriptUpdate:
        said = valid_text(self.said)
        said = said.strip() if final else said
        return TranscriptUpdate("user", self.item_id, said, final, start_ms=self.start_ms, end_ms=self.end_ms)


class Utterances:
    """The utterance that is being said, and those that were committed and whose words are awaited.

    Their audio lies end to end. The words are told in the order of the audio: those that overtake others wait.

    Args:
        new_id: names an utterance.

    Attributes:
        current: what was appended since the last commit.
        waiting: those that were committed and are not told of yet, in order.
    """

    def __init__(self, new_id: Callable[[], str]) -> None:
        self._new_id = new_id
        self.current = Utterance(new_id(), 0)
        self.waiting: deque[Utterance] = deque()
        self._over: set[str] = set()  # names of utterances of this socket that were told
        self._early: dict[str, str] = {}  # names whose place is behind one that is not known yet, by that
        self._quiet = 0  # bytes since something loud

    @property
    def unanswered(self) -> bool:
        """Whether words are awaited."""
        return any(not utterance.done for utterance in self.waiting)

    @property
    def full(self) -> bool:
        """Whether so much audio waits for its words that there should be no more."""
        return sum(utterance.size for utterance in self.waiting if not utterance.done) >= _MOST_UNANSWERED

    @property
    def speaking(self) -> bool:
        """Whether somebody may be in the middle of a word."""
        return bool(self.current.size) and self._quiet < _PAUSE

    def append(self, audio: bytes) -> None:
        loudness = peak(audio)
        self._quiet = 0 if loudness > _LOUD else self._quiet + len(audio)
        self.current.audible = self.current.audible or loudness >= _AUDIBLE
        self.current.loud = self.current.loud or loudness > _LOUD
        self.current.chunks.append(audio)
        self.current.size += len(audio)

    def commit(self) -> Utterance:
        """End the current utterance; its words are awaited from now on."""
        ended = self.drop()
        self.waiting.append(ended)
        return ended

    def skip(self) -> Utterance:
        """Forget all of the current utterance but the last two seconds, in which somebody may have begun to speak.

        Returns:
            What is left of it.
        """
        before = self.drop()
        chunks = before.chunks
        kept: list[bytes] = []
        while chunks and self.current.size < _BEGINNING:
            kept.append(chunks.pop())
            self.current.size += len(kept[-1])
        self.current.start -= self.current.size
        self.current.chunks = kept[::-1]
        self.current.audible = before.audible
        return self.current

    def drop(self) -> Utterance:
        """End the current utterance; no words of it are awaited."""
        ended = self.current
        self.current = Utterance(self._new_id(), ended.start + ended.size)
        self._quiet = 0
        return ended

    def named(self, name: str, previous: str) -> None:
        """The server has made an item of a commit.

        Args:
            previous: the name of the one before it; "" where there is none, or that is not known.
        """
        committed = [utterance for utterance in self.waiting if utterance.event_id]
        names = [utterance.name for utterance in committed]
        if not name or name in self._over or name in names or name == self.current.name:
            return
        if previous and previous in names:
            place = names.index(previous) + 1
        elif previous and previous not in self._over:
            self._early[previous] = name  # it was overtaken
            return
        else:
            place = names.index("") if "" in names else len(names)
        if place < len(names) and not names[place]:
            committed[place].name = name
            if (follows := self._early.pop(name, "")) and follows != name:
                self.named(follows, name)

    def find(self, name: str) -> Utterance | None:
        """The utterance of that name, or the one that it must be where words come before the server has named it, or
        without a name."""
        if name in self._over:
            return None
        if found := next((utterance for utterance in self._known() if name and utterance.name == name), None):
            return found
        unnamed = (each for each in self._known() if not each.done and (not name or not each.name))
        if (found := next(unnamed, None)) is not None:
            found.name = found.name or name
        return found

    def committed_by(self, event_id: str) -> Utterance | None:
        """The utterance that was committed by this event."""
        return next((each for each in self.waiting if each.event_id == event_id and not each.done), None)

    def finish(self, utterance: Utterance) -> list[TranscriptUpdate]:
        """Its words are all there; returns what may be told now."""
        utterance.done = True
        utterance.chunks.clear()
        told: list[TranscriptUpdate] = []
        while self.waiting and self.waiting[0].done:
            first = self.waiting.popleft()
            if first.name:
                self._over.add(first.name)
            told.append(first.update(final=True))
        return told

    def overdue(self) -> Utterance | None:
        """An utterance whose words will not come any more, to judge by how many have overtaken it."""
        overtaking = sum(utterance.done for utterance in self.waiting)
        return self.waiting[0] if overtaking >= _MOST_OVERTAKING else None

    def restart(self) -> None:
        """The next socket knows nothing of these, and gives them other names."""
        self._over.clear()
        self._early.clear()
        for utterance in self._known():
            utterance.name = utterance.event_id = ""
            if not utterance.done:
                utterance.said = ""

    def _known(self) -> Iterator[Utterance]:
        yield from self.waiting
        yield self.current
