"""The model of the screen while an interpreter works: events in, what is to be seen out. Draws nothing."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voicecli.events import (
    AssistantState,
    ErrorOccurred,
    Event,
    Notice,
    Reconnecting,
    Role,
    SessionEnded,
    SessionStarted,
    StateChanged,
    TranscriptUpdate,
    UserState,
)
from voicecli.terminal.entries import Header, Remark
from voicecli.terminal.summary import ConversationSummary
from voicecli.terminal.view_model import AudioStatus

__all__ = ["Block", "TranslationView"]

_PAUSE_S = 2.5
"""When neither side has said anything for so long, what was said until then is a block."""
_UNTRANSLATED_S = 25.0
"""Words come up to 20 s late; what has no translation by then will have none."""
_MOST_CHARACTERS = 600
"""Of long speech, so much stays in the footer."""


@dataclass(slots=True)
class Caption:
    """An utterance of one side."""

    item_id: str
    text: str
    final: bool


@dataclass(slots=True)
class Block:
    """What was said for a while, and its translation."""

    heard: list[Caption] = field(default_factory=list)
    translated: list[Caption] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.heard or self.translated)

    def text(self, role: Role) -> str:
        """The words of a side: a line for each utterance."""
        return "\n".join(each.text.strip() for each in self.side(role) if each.text.strip())

    def side(self, role: Role) -> list[Caption]:
        return self.heard if role == "user" else self.translated


class TranslationView:
    """Model of the screen; `apply` is an observer of the session's events.

    What was said long enough ago goes into the scrollback in blocks, in which the words of both sides belong together;
    the last one is shown in a footer that is drawn again and again.

    Args:
        provider: its title.
        to: the language that is translated to.
        both: whether what was said is told, too.
        lag_s: tells how much later the translation ends, in seconds, or None.
        position_s: tells how far a recording is, in seconds; None where the microphone is heard.
        clock: tells the time in seconds, monotonic.

    Attributes:
        running: the block that goes on.
        audio: the sound devices now.
        microphone_muted, speaker_muted: as the user chose.
        lost: the latest attempt to make a lost connection again, while it is lost.
    """

    def __init__(
        self,
        *,
        provider: str,
        to: str,
        both: bool = True,
        lag_s: Callable[[], float | None] = lambda: None,
        position_s: Callable[[], float | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.clock = clock
        self.to = to
        self.both = both
        self.running = Block()
        self.audio = AudioStatus()
        self.microphone_muted = self.speaker_muted = False
        self.lost: Reconnecting | None = None
        self._provider = provider
        self._lag_s = lag_s
        self._position_s = position_s
        self._header: Header | None = None
        self._entries: list[Header | Block | Remark] = []
        self._changed_at = clock()
        self._began = clock()
        self._summary = ConversationSummary(clock)
        self._user: UserState = "silent"
        self._assistant: AssistantState = "connecting"
        self._lag: float | None = None
        self._started = self._ending = self._ended = False

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        self._summary.apply(event)
        match event:
            case TranscriptUpdate():
                self._changed_at = self.clock()
                self._put(event)
            case StateChanged(user, assistant):
                self._user, self._assistant = user, assistant
            case SessionStarted():
                if self.lost is not None:
                    self._remark(Remark("note", "Connected again."))
                if not self._started:
                    self._header = Header(self._provider, event.model, "")
                self._started, self.lost = True, None
            case Reconnecting():
                self.lost = event
            case Notice(code, message):
                self._remark(Remark("warning" if code.startswith("limit") else "note", message))
            case ErrorOccurred(error):
                self._remark(Remark("error", str(error)))
            case SessionEnded():
                self.finish()

    def note(self, text: str) -> None:
        """Say something beside."""
        self._remark(Remark("help", text))

    def end_asked(self) -> None:
        """The user wants to end."""
        self._ending = True

    def finish(self) -> None:
        """Nothing more comes. Idempotent."""
        if not self._ended:
            self._ended = True
            self._summary.finish()
            self._close_block()

    # -- what is to be seen

    @property
    def ended(self) -> bool:
        return self._ended

    @property
    def state(self) -> str:
        """The state in a word or two."""
        if self._ended or self._ending:
            return "Ended" if self._ended else "Ending"
        if self.lost is not None:
            return f"Reconnecting {self.lost.attempt}"
        if self._assistant == "connecting":
            return "Connecting"
        if self._assistant == "speaking":
            return "Translating"
        if self._user == "speaking" and not self.microphone_muted:
            return "Hearing"
        return "Muted" if self.microphone_muted else "Listening"

    @property
    def has_speaker(self) -> bool:
        """Whether a device plays the translation."""
        return bool(self.audio.speaker or self.audio.speaker_bands)

    @property
    def lag_s(self) -> float | None:
        """How much later the translation ends than what was said, in seconds, as it was measured last."""
        self._lag = self._lag_s() or self._lag
        return self._lag

    @property
    def position_words(self) -> str:
        """How far the recording is; "" where there is none."""
        seconds = self._position_s()
        return "" if seconds is None else _clock_words(seconds)

    @property
    def cost_words(self) -> str:
        return self._summary.cost_words

    def summary(self) -> str:
        """The line that sums it up; "" when nothing was begun."""
        if not self._started:
            return ""
        parts = [f"{_clock_words(self.clock() - self._began)} min"]
        if self.lag_s is not None:
            parts.append(f"translated {self.lag_s:.1f} s later")
        if self.cost_words:
            parts.append(f"billed {self.cost_words}")
        return ", ".join(parts)

    def take_entries(self) -> list[Header | Block | Remark]:
        """What has been completed since the last call, in order. Each comes once."""
        if self._header is not None and (self.audio.microphone or self._ended or self.position_words):
            header, self._header = self._header, None
            named = Header(header.provider, header.model, "", self.audio.microphone, self.audio.speaker)
            self._entries.insert(0, named)
        self._cut()
        entries, self._entries = self._entries, []
        return entries

    # -- inside

    def _put(self, update: TranscriptUpdate) -> None:
        captions = self.running.side(update.role)
        caption = next((each for each in captions if each.item_id == update.item_id), None)
        if caption is None:
            captions.append(Caption(update.item_id, update.text, update.final))
        else:
            caption.text, caption.final = update.text, update.final

    def _remark(self, remark: Remark) -> None:
        self._entries.append(remark)

    def _cut(self) -> None:
        block = self.running
        quiet_s = self.clock() - self._changed_at
        is_whole = all(each.final for each in (*block.heard, *block.translated))
        has_both = bool(block.translated and (block.heard or not self.both))
        if block and is_whole and quiet_s >= (_PAUSE_S if has_both else _UNTRANSLATED_S):
            self._close_block()
            return
        for role in ("user", "assistant"):
            if len(block.text(role)) > _MOST_CHARACTERS:
                self._take_beginning()
                return

    def _take_beginning(self) -> None:
        """Of long speech, take what both sides have; where one has nothing, what the other has."""
        block = self.running
        heard, translated = (_finals(side) for side in (block.heard, block.translated))
        pairs = min(heard, translated) if self.both and heard and translated else max(heard, translated)
        done = Block(block.heard[: min(pairs, heard)], block.translated[: min(pairs, translated)])
        if done:
            self._entries.append(done)
            self.running = Block(block.heard[len(done.heard) :], block.translated[len(done.translated) :])

    def _close_block(self) -> None:
        if self.running:
            self._entries.append(self.running)
            self.running = Block()


def _clock_words(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02}"


def _finals(captions: list[Caption]) -> int:
    """How many from the first one on are over."""
    return next((place for place, each in enumerate(captions) if not each.final), len(captions))
