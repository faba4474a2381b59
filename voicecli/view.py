"""What a live conversation looks like: events in, a model of the screen out. Draws nothing.

What is finished (`take_entries`) goes into the terminal's scrollback once and stays as it is; what goes on is shown
in a footer that is drawn again and again (`state`, `partial`, `key_hints` ...).
"""

import enum
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from voicecli.events import (
    ApprovalRequest,
    AudioChunk,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    Role,
    SessionEnded,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
    TurnMetrics,
    Usage,
)
from voicecli.line_editor import LineEditor

__all__ = ["Entry", "Remark", "Said", "Sound", "State", "ToolRun", "View"]

# After an interruption the provider says what was heard of the reply; the words wait for that so long, in seconds.
# Gemini says it when the user's turn is over.
_HEARD_WAIT_S = 3.0


class State(enum.Enum):
    """What the conversation is doing, in one word or two."""

    CONNECTING = "Connecting"
    LISTENING = "Listening"
    READY = "Ready"
    """Nobody listens until the talk key is pressed."""
    HEARING = "Hearing you"
    THINKING = "Thinking"
    SPEAKING = "Speaking"
    MUTED = "Muted"
    RECONNECTING = "Reconnecting"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Sound:
    """What the sound devices are doing at a moment.

    Attributes:
        microphone, speaker: their names; "" where there is none.
        microphone_bands, speaker_bands: how loud each band of frequencies is, low to high, 0 to 1; one is a level.
        playing: whether anything of a reply is still to be heard.
        echo: what is done against echo: "aec", "gate", "half-duplex", "off"; "" where nothing is to be said.
        underruns: silences in the middle of replies so far.
    """

    microphone: str = ""
    speaker: str = ""
    microphone_bands: tuple[float, ...] = ()
    speaker_bands: tuple[float, ...] = ()
    playing: bool = False
    echo: str = ""
    underruns: int = 0


@dataclass(slots=True)
class Said:
    """An utterance.

    Attributes:
        latency_ms: on the first reply to a turn, how long it took from the turn's end to its first sound.
    """

    role: Role
    text: str = ""
    final: bool = False
    interrupted: bool = False
    latency_ms: int | None = None


@dataclass(slots=True)
class ToolRun:
    """A call of a tool.

    Attributes:
        arguments: JSON, as the model wrote it.
        since: when it began, by the view's clock.
        outcome: "" while it runs.
    """

    name: str
    arguments: str
    since: float
    outcome: Literal["", "done", "failed", "cancelled"] = ""


@dataclass(frozen=True, slots=True)
class Remark:
    """A line beside the conversation."""

    kind: Literal["note", "warning", "error", "help"]
    text: str


Entry = Said | ToolRun | Remark


class View:
    """The model of the screen. `apply` is an observer of `converse`.

    Args:
        push_to_talk: whether a key opens and ends the user's turns (VADMode.NONE).
        clock: tells the time in seconds, monotonic.

    Attributes:
        sound: what the devices do now; set by `set_sound`.
        microphone_muted, speaker_muted: as the user chose.
        talking: whether the talk key holds the user's turn open.
        editor: the line being typed, or None.
        approvals: what the provider asks leave for, oldest first.
        usage: of the conversation so far.
    """

    def __init__(self, *, push_to_talk: bool = False, clock: Callable[[], float] = time.monotonic) -> None:
        self.push_to_talk = push_to_talk
        self.clock = clock
        self.sound = Sound()
        self.microphone_muted = False
        self.speaker_muted = False
        self.talking = False
        self.editor: LineEditor | None = None
        self.approvals: list[ApprovalRequest] = []
        self.usage = Usage()
        self._began = clock()
        self._started = False
        self._ended = False
        self._attempt = 0
        self._reconnects = 0
        self._turns = 0
        self._hearing = False
        self._replying = False  # from ResponseStarted to ResponseDone
        self._sounding = False  # something of that reply has come
        self._thinking_since: float | None = None
        self._interrupted_at: float | None = None
        self._latencies: list[int] = []
        self._latency: int | None = None  # of the turn being answered
        self._timed: Said | None = None  # what it stands beside
        self._open: dict[tuple[str, str], Said | ToolRun] = {}
        self._closed: set[tuple[str, str]] = set()
        self._remarks: list[Remark] = []
        self._latest: Said | None = None

    # -- what happens

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        now = self.clock()
        match event:
            case SessionStarted():
                # A socket that was only replaced before its time ran out is not worth a word.
                if self._attempt:
                    self._remark("note", "Connected again.")
                self._started, self._attempt = True, 0
            case SpeechStarted():
                self._hearing, self._thinking_since = True, None
            case SpeechStopped():
                self._hearing = False
                self.turn_ended()
            case Interrupted():
                self._sounding, self._interrupted_at = False, now
                self._thinking_since = None
            case ResponseStarted():
                self._finish_turns("assistant")
                self._replying, self._sounding, self._interrupted_at = True, False, None
                if self._thinking_since is None:
                    self._thinking_since = now
            case AudioChunk():
                self._sounding = self._replying
            case TranscriptUpdate():
                self._transcribe(event)
            case ResponseDone():
                self._reply_done(event, now)
            case ToolCallRequest(call_id, name, arguments):
                self._open["tool", call_id] = ToolRun(name, arguments, now)
            case ToolCallFinished(call_id, is_error=is_error):
                self._tool_done(call_id, "failed" if is_error else "done")
            case ToolCallCancelled(call_id):
                self._tool_done(call_id, "cancelled")
            case ApprovalRequest():
                self.approvals.append(event)
            case _:
                self._remarkable(event)

    def set_sound(self, sound: Sound) -> None:
        """The devices do this now; called for every picture."""
        if sound.playing and not self.sound.playing:
            self._thinking_since = None
        self.sound = sound

    def set_talking(self, talking: bool) -> None:
        """The talk key opened or ended the user's turn."""
        self.talking = talking
        if not talking:
            self.turn_ended()

    def turn_ended(self) -> None:
        """The user has finished and waits for an answer."""
        self._thinking_since = self.clock()
        self._latency = self._timed = None

    def sound_heard(self, waited_ms: int) -> None:
        """The first sound of a reply has just become audible, so long after the turn it answers."""
        if self._latency is None:
            self._set_latency(waited_ms)

    def show_help(self) -> None:
        """Explain the keys."""
        talk = "space  talk: tap to begin and tap to send, or hold\n" if self.push_to_talk else ""
        self._remark(
            "help",
            f"{talk}m  mute the microphone\ns  mute the speaker\ni or Esc  interrupt the reply\n"
            "t  type a line while voice goes on\nq or Ctrl-C  end; Ctrl-C twice ends at once",
        )

    # -- what is to be seen

    @property
    def state(self) -> State:
        if self._ended:
            return State.ENDED
        if self._attempt:
            return State.RECONNECTING
        if not self._started:
            return State.CONNECTING
        if self.talking or (self._hearing and not self.microphone_muted):
            return State.HEARING
        if self.sound.playing or self._sounding:
            return State.SPEAKING
        if self._thinking_since is not None:
            return State.THINKING
        if self.microphone_muted:
            return State.MUTED
        return State.READY if self.push_to_talk else State.LISTENING

    @property
    def state_words(self) -> str:
        """The state, with the time or the number that belongs to it."""
        state = self.state
        if state is State.THINKING and self._thinking_since is not None:
            return f"{state.value} {self.clock() - self._thinking_since:.1f} s"
        return f"{state.value} {self._attempt}" if state is State.RECONNECTING else state.value

    @property
    def partial(self) -> Said | None:
        """What is being said, as far as known."""
        latest = self._latest
        return latest if latest is not None and latest.text.strip() and self._is_open(latest) else None

    @property
    def running_tools(self) -> list[ToolRun]:
        return [entry for entry in self._open.values() if isinstance(entry, ToolRun) and not entry.outcome]

    @property
    def latency_ms(self) -> int | None:
        """Of the last answered turn: from its end to the first sound of the answer."""
        return self._latency if self._latency is not None or not self._latencies else self._latencies[-1]

    @property
    def key_hints(self) -> list[tuple[str, str]]:
        """The keys that do something now, most needed first, and what they do."""
        if self.editor is not None:
            return [("enter", "send"), ("esc", "cancel")]
        hints = [("y", "allow"), ("n", "refuse")] if self.approvals else []
        if self.push_to_talk:
            hints.append(("space", "send" if self.talking else "talk"))
        hints.append(("m", "unmute" if self.microphone_muted else "mute"))
        if self.state in {State.SPEAKING, State.THINKING}:
            hints.append(("i", "interrupt"))
        hints += [("t", "type"), ("q", "end"), ("s", "sound on" if self.speaker_muted else "silence"), ("?", "help")]
        return hints

    def take_entries(self) -> list[Entry]:
        """What has been finished since the last call, in order. Each comes once."""
        entries: list[Entry] = []
        ready = [key for key, entry in self._open.items() if self._ready(entry)]
        forced = self._forced(ready)
        for key, entry in list(self._open.items()):
            if key in ready or key in forced:
                del self._open[key]
                if key[1]:
                    self._closed.add(key)
                if isinstance(entry, ToolRun) or entry.text.strip():
                    entries.append(entry)
        entries += self._remarks
        self._remarks.clear()
        return entries

    def summary(self) -> str:
        """The conversation in one line."""
        minutes = (self.clock() - self._began) / 60
        parts = [f"{_count(self._turns, 'turn')} in {minutes:.1f} min"]
        if self._latencies:
            median, worst = statistics.median(self._latencies), max(self._latencies)
            parts.append(f"latency median {median:.0f} ms, worst {worst} ms")
        parts += [_count(self.sound.underruns, "underrun"), _count(self._reconnects, "reconnect")]
        parts.append(cost_words(self.usage) or "no cost")
        return ", ".join(parts)

    # -- inside

    def _transcribe(self, update: TranscriptUpdate) -> None:
        key = (update.role, update.item_id)
        if key in self._closed:
            return  # it stands in the scrollback, which cannot be changed
        said = self._open.get(key)
        if not isinstance(said, Said):
            said = self._open[key] = Said(update.role)
        said.text, said.final, said.interrupted = update.text, update.final, update.interrupted
        self._latest = said
        if update.role == "assistant" and update.text:
            self._sounding = self._replying

    def _reply_done(self, done: ResponseDone, now: float) -> None:
        self._replying = self._sounding = False
        self.usage += done.usage
        self._measure(done.metrics)
        self._thinking_since = now if done.awaits_tools else None
        if not done.awaits_tools:
            self._turns += 1
        if done.status in {"failed", "incomplete"}:
            self._remark("warning", f"The answer is not complete: {done.reason or 'no reason given'}")

    def _tool_done(self, call_id: str, outcome: Literal["done", "failed", "cancelled"]) -> None:
        run = self._open.get(("tool", call_id))
        if isinstance(run, ToolRun):
            run.outcome = outcome

    def _remarkable(self, event: Event) -> None:
        match event:
            case Reconnecting(attempt, reason=reason):
                if attempt == 1:
                    self._reconnects += 1
                    self._remark("warning", f"The connection was lost: {reason}")
                self._attempt, self._hearing, self._thinking_since = attempt, False, None
                self._replying = self._sounding = False
            case Notice(code, message):
                if code == "no_speech":
                    self._thinking_since = None
                self._remark("note", message)
            case ErrorOccurred(error):
                self._remark("error", f"Error: {error}")
            case SessionEnded():
                self._ended = True
                self._replying = self._sounding = self._hearing = False
                self._finish_turns()

    def _remark(self, kind: Literal["note", "warning", "error", "help"], text: str) -> None:
        self._remarks.append(Remark(kind, text))

    def _finish_turns(self, role: Role | None = None) -> None:
        """No more comes of what is being said."""
        for said in self._open.values():
            if isinstance(said, Said) and not said.final and role in (None, said.role):
                said.final = True

    def _ready(self, entry: Said | ToolRun) -> bool:
        if isinstance(entry, ToolRun):
            return bool(entry.outcome)
        if entry.role == "user" or self._ended or not entry.final:
            return entry.final
        if self._replying or self.sound.playing:
            return False  # it may still be interrupted, and then only a part of it was said
        waiting = self._interrupted_at is not None and self.clock() - self._interrupted_at < _HEARD_WAIT_S
        return entry.interrupted or not waiting

    def _forced(self, ready: list[tuple[str, str]]) -> set[tuple[str, str]]:
        """Finished words that need not wait: others, which come after them, are ready."""
        keys = list(self._open)
        last = max((keys.index(key) for key in ready), default=0)
        return {key for key in keys[:last] if isinstance(said := self._open[key], Said) and said.final}

    def _is_open(self, said: Said) -> bool:
        return any(entry is said for entry in self._open.values())

    def _measure(self, metrics: TurnMetrics) -> None:
        if metrics.first_heard_ms is not None:
            self._set_latency(metrics.first_heard_ms)
        elif self._latency is None and metrics.first_audio_ms is not None:
            self._set_latency(metrics.first_audio_ms)
        elif self._latency is not None:
            self._time_reply(self._latency)

    def _set_latency(self, milliseconds: int) -> None:
        if self._latency is None:
            self._latencies.append(milliseconds)
        else:
            self._latencies[-1] = milliseconds
        self._latency = milliseconds
        self._time_reply(milliseconds)

    def _time_reply(self, milliseconds: int) -> None:
        """Let the first words of the reply carry its latency; they may come later than its sound."""
        if self._timed is None:
            said = [entry for entry in self._open.values() if isinstance(entry, Said)]
            replies = (words for words in said if words.role == "assistant" and words.latency_ms is None)
            self._timed = next(replies, None)
        if self._timed is not None:
            self._timed.latency_ms = milliseconds


def cost_words(usage: Usage) -> str:
    """What it cost, as far as known; "" when nothing is known to cost."""
    if usage.cost_usd is None:
        return "cost unknown"
    if not usage.cost_usd:
        return ""
    return f"{'~' if usage.approximate else ''}${usage.cost_usd:.4f}"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}"
