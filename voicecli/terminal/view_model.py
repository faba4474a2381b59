"""What a live conversation looks like: events in, a model of the screen out. Draws nothing.

What is finished (`take_entries`) goes into the terminal's scrollback once and stays as it is; what goes on is shown
in a footer that is drawn again and again (`state`, `partial`, `key_hints` ...).
"""

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from voicecli.events import (
    CONNECTION_LOST,
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
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.scrollback import Asked, Entry, OpenEntries, Remark, RemarkKind, Said, ToolRun
from voicecli.terminal.summary import Tally

__all__ = ["Sound", "State", "View", "flaw_words"]

# After an interruption the provider says what was heard of the reply; the words wait for that so long, in seconds.
# Gemini says it when the user's turn is over.
_HEARD_WAIT_S = 3.0
# A key that is held comes again after half a second, then many times a second.
_HELD_KEY_S = 1.0
# What providers call it when a reply is not complete; other codes are read as words.
_FLAWS = {
    CONNECTION_LOST: "the connection was lost",
    "max_output_tokens": "the limit of output tokens was reached",
    "content_filter": "the provider's content filter stopped it",
    "RESPONSE_REJECTED": "the provider withheld it",
    "MALFORMED_FUNCTION_CALL": "the model called a tool wrongly",
    "MAX_REGENERATION_REACHED": "the provider gave up after several attempts",
}


class State(enum.Enum):
    """What the conversation is doing, in one word or two."""

    CONNECTING = "Connecting"
    LISTENING = "Listening"
    READY = "Ready"
    """Nobody listens until the talk key is pressed."""
    HEARING = "Hearing you"
    THINKING = "Thinking"
    SPEAKING = "Speaking"
    ASKING = "Asking"
    """Until the user has answered an ApprovalRequest."""
    MUTED = "Muted"
    RECONNECTING = "Reconnecting"
    ENDING = "Ending"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Sound:
    """What the sound devices are doing at a moment.

    Attributes:
        microphone, speaker: their names; "" where there is none.
        microphone_bands, speaker_bands: how loud each band of frequencies is, low to high, 0 to 1; one is a level.
        playing: whether anything of a reply is still to be heard.
        echo: what is done against echo: "aec", "gate", "half-duplex", "off", "none" where there is none; "" where
            nothing is to be said.
        underruns: silences in the middle of replies so far.
    """

    microphone: str = ""
    speaker: str = ""
    microphone_bands: tuple[float, ...] = ()
    speaker_bands: tuple[float, ...] = ()
    playing: bool = False
    echo: str = ""
    underruns: int = 0


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
        self._began = clock()
        self._started = False
        self._ending = False
        self._ended = False
        self._attempt = 0
        self._tally = Tally()
        self._hearing = False
        self._replying = False  # from ResponseStarted to ResponseDone
        self._sounding = False  # something of that reply has come
        self._awaits_tools = False  # another response follows the last one
        self._unheard = False  # the end was asked for in the middle of a reply
        self._unwanted = False  # the user gave up the answer that was waited for
        self._thinking_since: float | None = None
        self._interrupted_at: float | None = None  # the latest reply, by the user
        self._latency: int | None = None  # of the turn being answered
        self._timed: Said | None = None  # what it stands beside
        self._entries = OpenEntries()
        self._latest: Said | None = None
        self._reply: Said | None = None  # the latest words of the latest reply
        self._help_at: float | None = None

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
                self._hearing = True
            case SpeechStopped(is_turn=is_turn):
                self._hearing = False
                if is_turn:
                    self.turn_ended()
            case Interrupted():
                self._sounding, self._interrupted_at = False, now
                self._thinking_since = None
                if self._reply is not None:
                    self._reply.flaw = ""  # the user did not want all of it
            case ResponseStarted():
                self._finish_words("assistant")
                self._replying, self._sounding, self._interrupted_at = True, False, None
                self._reply, self._awaits_tools = None, False
                if self._thinking_since is None and not self._unwanted:
                    self._thinking_since = now
            case AudioChunk():
                self._sounding = self._replying
            case TranscriptUpdate():
                self._transcribe(event)
            case ResponseDone():
                self._reply_done(event, now)
            case ToolCallRequest(call_id, name, arguments):
                self._entries.begin_tool(call_id, ToolRun(name, arguments, now))
            case ToolCallFinished(call_id, is_error=is_error):
                if (run := self._entries.tool(call_id)) is not None:
                    run.outcome = "failed" if is_error else "done"
            case ToolCallCancelled(call_id):
                if (run := self._entries.tool(call_id)) is not None:
                    run.outcome = "cancelled"
            case ApprovalRequest(_, name, arguments, server):
                self.approvals.append(event)
                self._entries.add(Asked(name, arguments, server), now, at_once=True)
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
        self._thinking_since, self._unwanted = self.clock(), False
        self._latency = self._timed = None

    def answer_given_up(self) -> None:
        """The user asked for the reply to be stopped. One that was only waited for is not waited for any more."""
        if self.state is State.THINKING:
            self._thinking_since, self._unwanted = None, True
            tools = self.running_tools
            self.note(f"The answer is given up; {tools[-1].name} still runs." if tools else "The answer is given up.")

    def answer_approval(self, allowed: bool) -> ApprovalRequest:
        """The user allowed or refused the oldest of `approvals`: it is taken off and returned."""
        request = self.approvals.pop(0)
        self.note(f"{'Allowed' if allowed else 'Refused'}: {request.name} on {request.server}")
        if self._thinking_since is not None:
            self._thinking_since = self.clock()  # until now it was the user who was waited for
        return request

    def end_asked(self) -> None:
        """The user wants to end: what was not heard yet will not be."""
        if not self._ending:
            self._ending, self._unheard = True, self._replying or self.sound.playing

    def finish(self) -> None:
        """Nothing more comes: what is open is finished as it is. Idempotent."""
        if self._ended:
            return
        self._tally.broken_off = self._replying or self._awaits_tools
        self._tally.turns += self._tally.broken_off
        for run in self.running_tools:
            run.outcome = "cancelled"
        self._finish_words()
        replies = [said for said in self._entries.utterances if said.role == "assistant"]
        if replies and (self._unheard or self._replying or self.sound.playing):
            replies[-1].interrupted = True
        self._ended = True
        self._replying = self._sounding = self._hearing = False
        self.approvals.clear()

    def sound_heard(self, waited_ms: int) -> None:
        """The first sound of a reply has just become audible, so long after the turn it answers."""
        if self._latency is None:
            self._set_latency(waited_ms)

    def note(self, text: str) -> None:
        """Say at once what came of a key."""
        self._entries.add(Remark("note", text), self.clock(), at_once=True)

    def show_help(self) -> None:
        """Explain the keys; once, while the key for it is held."""
        now, before = self.clock(), self._help_at
        self._help_at = now
        if before is not None and now - before < _HELD_KEY_S:
            return
        lines = ["y  allow what is asked\nn  refuse it"] if self.approvals else []
        if self.push_to_talk:
            lines.append("space  talk: tap to begin and tap to send, or hold; unmutes the microphone")
        lines.append("m  mute the microphone")
        if self.has_speaker:
            lines.append("s  mute the speaker")
        lines += ["i or Esc  interrupt the reply", "t  type a line while voice goes on: Enter sends it, Esc drops it"]
        lines.append("q or Ctrl-C  end; Ctrl-C twice ends at once")
        self._entries.add(Remark("help", "\n".join(lines)), now, at_once=True)

    # -- what is to be seen

    @property
    def state(self) -> State:
        if self._ended or self._ending:
            return State.ENDED if self._ended else State.ENDING
        if self._attempt:
            return State.RECONNECTING
        if not self._started:
            return State.CONNECTING
        if (self.talking or self._hearing) and not self.microphone_muted:
            return State.HEARING
        if self.sound.playing or self._sounding:
            return State.SPEAKING
        if self.approvals:
            return State.ASKING
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
            seconds = self.clock() - self._thinking_since
            return f"{state.value} {seconds:.{0 if seconds >= 9.9 else 1}f} s"
        return f"{state.value} {self._attempt}" if state is State.RECONNECTING else state.value

    @property
    def partial(self) -> Said | None:
        """What is being said, as far as known."""
        latest = self._latest
        return latest if latest is not None and latest.text.strip() and self._is_open(latest) else None

    @property
    def running_tools(self) -> list[ToolRun]:
        return self._entries.running_tools

    @property
    def usage(self) -> Usage:
        """Of the conversation so far."""
        return self._tally.usage

    @property
    def has_speaker(self) -> bool:
        """Whether replies are played by a device."""
        return bool(self.sound.speaker or self.sound.speaker_bands)

    @property
    def latency_ms(self) -> int | None:
        """Of the last answered turn: from its end to the first sound of the answer."""
        return self._latency if self._latency is not None or not self._tally.latencies else self._tally.latencies[-1]

    @property
    def key_hints(self) -> list[tuple[str, str]]:
        """The keys that do something now, most needed first, and what they do."""
        state = self.state
        if state in {State.ENDING, State.ENDED}:
            return []
        if self.editor is not None:
            return [("enter", "send"), ("esc", "cancel")]
        hints = [("y", "allow"), ("n", "refuse")] if self.approvals else []
        if self.push_to_talk:
            hints.append(("space", "send" if self.talking else "talk"))
        hints.append(("m", "unmute" if self.microphone_muted else "mute"))
        if state in {State.SPEAKING, State.THINKING}:
            hints.append(("i", "interrupt"))
        hints += [("t", "type"), ("q", "end")]
        if self.has_speaker:
            hints.append(("s", "sound on" if self.speaker_muted else "silence"))
        return [*hints, ("?", "help")]

    def take_entries(self) -> list[Entry]:
        """What has been finished since the last call, in order. Each comes once."""
        return self._entries.take(self._ready, self.clock())

    def summary(self) -> str:
        """The conversation in one line; "" when none began."""
        if not self._started:
            return ""
        return self._tally.summary(self.clock() - self._began, self.sound.underruns)

    # -- inside

    def _transcribe(self, update: TranscriptUpdate) -> None:
        said = self._entries.said(update.role, update.item_id)
        if said is None:
            return
        said.text, said.final, said.interrupted = update.text, update.final, update.interrupted
        self._latest = said
        if update.role == "assistant":
            self._reply = said
            if update.text:
                self._sounding = self._replying

    def _reply_done(self, done: ResponseDone, now: float) -> None:
        self._replying = self._sounding = False
        self._awaits_tools = done.awaits_tools
        self._tally.usage += done.usage
        self._measure(done.metrics)
        self._thinking_since = now if done.awaits_tools and not self._unwanted else None
        if not done.awaits_tools:
            self._tally.turns += 1
            self._unwanted = False
        # What the user cut short is not complete because he wanted it so.
        if done.status in {"failed", "incomplete"} and self._interrupted_at is None:
            self._mark_incomplete(done)

    def _mark_incomplete(self, done: ResponseDone) -> None:
        words = self._reply if self._is_open(self._reply) else None
        if words is None:
            self._remark("warning", f"The answer is not complete: {flaw_words(done.reason)}")
        elif done.reason == CONNECTION_LOST:
            words.interrupted = True  # that the connection was lost is told by itself
        else:
            words.flaw = flaw_words(done.reason)

    def _remarkable(self, event: Event) -> None:
        match event:
            case Reconnecting(attempt, reason=reason):
                if attempt == 1:
                    self._tally.reconnects += 1
                    self._remark("warning", f"The connection was lost: {reason}")
                    if self.approvals:
                        self.approvals.clear()
                        self._remark("note", "What was asked cannot be answered any more.")
                # An answer that is owed still is: the state says so again when the connection is back.
                self._attempt, self._hearing, self._sounding = attempt, False, False
            case Notice(code, message):
                if code == "no_speech":
                    self._thinking_since = None
                self._remark("note", message)
            case ErrorOccurred(error):
                self._remark("error", f"Error: {error}")
            case SessionEnded():
                self.finish()

    def _remark(self, kind: RemarkKind, text: str) -> None:
        self._entries.add(Remark(kind, text), self.clock())

    def _finish_words(self, role: Role | None = None) -> None:
        """No more comes of what is being said."""
        for said in self._entries.utterances:
            if role in (None, said.role):
                said.final = True

    def _ready(self, said: Said) -> bool:
        if said.role == "user" or self._ended or not said.final:
            return said.final
        if self._replying or self._unheard or (self.sound.playing and not said.interrupted):
            return False  # it may still be interrupted, and then only a part of it was said
        waiting = self._interrupted_at is not None and self.clock() - self._interrupted_at < _HEARD_WAIT_S
        return said.interrupted or not waiting

    def _is_open(self, words: Said | None) -> bool:
        return any(said is words for said in self._entries.utterances)

    def _measure(self, metrics: TurnMetrics) -> None:
        if metrics.first_heard_ms is not None:
            self._set_latency(metrics.first_heard_ms)
        elif self._latency is None and metrics.first_audio_ms is not None:
            self._set_latency(metrics.first_audio_ms)
        elif self._latency is not None:
            self._time_reply(self._latency)

    def _set_latency(self, milliseconds: int) -> None:
        if self._latency is None:
            self._tally.latencies.append(milliseconds)
        else:
            self._tally.latencies[-1] = milliseconds
        self._latency = milliseconds
        self._time_reply(milliseconds)

    def _time_reply(self, milliseconds: int) -> None:
        """Let the first words of the reply carry its latency; they may come later than its sound."""
        if self._timed is None:
            said = self._entries.utterances
            replies = (words for words in said if words.role == "assistant" and words.latency_ms is None)
            self._timed = next(replies, None)
        if self._timed is not None:
            self._timed.latency_ms = milliseconds


def flaw_words(reason: str) -> str:
    """Why a reply is not complete, in words: providers give codes or sentences."""
    if " " in reason:
        return _FLAWS.get(reason, reason)
    return _FLAWS.get(reason) or reason.lower().replace("_", " ") or "no reason given"
