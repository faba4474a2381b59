"""The model of the screen in a live conversation: events and keys in, what is to be seen out. Draws nothing.

Entries that are complete (`take_entries`) go into the terminal's scrollback once and stay as they are; what goes on is
shown in a footer that is drawn again and again (`state`, `partial`, `running_tools` ...).
"""

import enum
import time
from collections.abc import Callable
from dataclasses import dataclass

from voicecli.events import (
    ApprovalRequest,
    Asleep,
    AssistantState,
    Awake,
    Event,
    Reconnecting,
    ResponseDone,
    SessionEnded,
    SessionStarted,
    SpeechStopped,
    StateChanged,
    Usage,
    UserState,
)
from voicecli.terminal.conversation_log import ConversationLog
from voicecli.terminal.entries import Entry, RemarkKind, ToolCall, Utterance
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.summary import ConversationSummary

__all__ = ["AudioStatus", "State", "ViewModel"]


class State(enum.Enum):
    """The state of the conversation, in one word or two."""

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
    ASLEEP = "Asleep"
    """Nothing is connected until the wake word is said, or a key pressed."""
    RECONNECTING = "Reconnecting"
    ENDING = "Ending"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class AudioStatus:
    """Names, levels and activity of the sound devices at a moment.

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


class ViewModel:
    """Model of the screen. `apply` is an observer of `converse`.

    Args:
        push_to_talk: whether a key opens and ends the user's turns (VADMode.NONE).
        wake_word: what begins a conversation, between which it sleeps; "" for one conversation, begun at once.
        clock: tells the time in seconds, monotonic.

    Attributes:
        audio: the sound devices now; set for every picture.
        microphone_muted, speaker_muted: as the user chose.
        talking: whether the talk key holds the user's turn open.
        editor: the line being typed, or None.
        approvals: tools of the provider's that wait for the user's leave, oldest first.
        asleep: whether the wake word is listened for, and nothing is connected.
    """

    def __init__(
        self, *, push_to_talk: bool = False, wake_word: str = "", clock: Callable[[], float] = time.monotonic
    ) -> None:
        self.push_to_talk = push_to_talk
        self.wake_word = wake_word
        self.clock = clock
        self.audio = AudioStatus()
        self.microphone_muted = False
        self.speaker_muted = False
        self.talking = False
        self.editor: LineEditor | None = None
        self.approvals: list[ApprovalRequest] = []
        self.asleep = False
        self._log = ConversationLog()
        self._summary = ConversationSummary(clock)
        self._user: UserState = "silent"
        self._assistant: AssistantState = "connecting"
        self._thinking_since: float | None = None  # kept while the connection is lost
        self._attempt = 0  # to connect again
        self._started = self._ending = self._ended = False

    # -- what happens

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        now = self.clock()
        self._summary.apply(event)
        self._log.apply(event, now)
        match event:
            case StateChanged(user, assistant):
                self._user, self._assistant = user, assistant
                if assistant == "thinking":
                    self._thinking_since = now if self._thinking_since is None else self._thinking_since
                elif assistant != "reconnecting":
                    self._thinking_since = None
            case SpeechStopped(is_turn=True):
                self.turn_ended()
            case ResponseDone():
                self._show_latency()
            case ApprovalRequest():
                self.approvals.append(event)
            case Reconnecting():
                self._connection_lost(event, now)
            case SessionStarted():
                # A socket that was only replaced before its time ran out is not worth a word.
                if self._attempt:
                    self._log.remark("note", "Connected again.", now)
                self._started, self._attempt = True, 0
            case SessionEnded() if not self.wake_word:
                self.finish()
            case Asleep():
                self._fall_asleep()
            case Awake():
                self.asleep, self._assistant = False, "connecting"
                self._log.go_on()

    def set_talking(self, talking: bool) -> None:
        """The talk key opened or ended the user's turn."""
        self.talking = talking
        if talking:
            self._log.turn_began()
        else:
            self.turn_ended()

    def turn_ended(self) -> None:
        """The user has finished and waits for an answer."""
        self._restart_thinking()
        self._summary.turn_ended()
        self._log.turn_ended()

    def answer_given_up(self) -> None:
        """The user asked for the reply to be stopped; say so where none is to be heard yet."""
        if self.state is State.THINKING:
            tools = self.running_tools
            self.note(f"The answer is given up; {tools[-1].name} still runs." if tools else "The answer is given up.")

    def answer_approval(self, allowed: bool) -> ApprovalRequest:
        """The user allowed or refused the oldest of `approvals`: it is taken off and returned."""
        request = self.approvals.pop(0)
        self.note(f"{'Allowed' if allowed else 'Refused'}: {request.name} on {request.server}")
        self._restart_thinking()  # until now it was the user who was waited for
        return request

    def end_asked(self) -> None:
        """The user wants to end: what was not heard yet will not be."""
        if not self._ending:
            self._ending = True
            self._log.end_asked(playing=self.audio.playing)

    def finish(self) -> None:
        """Nothing more comes: what is open is finished as it is. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self._summary.finish()
        self._log.finish(playing=self.audio.playing)
        self.approvals.clear()

    def heard_after(self, milliseconds: int) -> None:
        """The first sound of a reply has just become audible, so long after the turn it answers."""
        self._summary.heard_after(milliseconds)
        self._show_latency()

    def note(self, text: str, kind: RemarkKind = "note") -> None:
        """Say at once what came of a key."""
        self._log.remark(kind, text, self.clock(), at_once=True)

    # -- what is to be seen

    @property
    def state(self) -> State:
        """The published state of the conversation, and what only the view knows of it."""
        assistant = self._assistant
        if self._ended or self._ending:
            return State.ENDED if self._ended else State.ENDING
        if self.asleep:
            return State.ASLEEP
        if assistant in {"connecting", "reconnecting"}:
            return State.CONNECTING if assistant == "connecting" else State.RECONNECTING
        if (self.talking or self._user == "speaking") and not self.microphone_muted:
            return State.HEARING
        if assistant == "speaking":
            return State.SPEAKING
        if self.approvals:
            return State.ASKING
        if assistant == "thinking":
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
        return f"{state.value} {self._attempt}" if state is State.RECONNECTING and self._attempt else state.value

    @property
    def partial(self) -> Utterance | None:
        """The words being said, as far as known."""
        return self._log.partial

    @property
    def running_tools(self) -> list[ToolCall]:
        return self._log.running_tools

    @property
    def usage(self) -> Usage:
        """The usage of the conversation so far."""
        return self._summary.usage

    @property
    def has_speaker(self) -> bool:
        """True where replies are played by a device."""
        return bool(self.audio.speaker or self.audio.speaker_bands)

    @property
    def latency_ms(self) -> int | None:
        """The time from the end of the last answered turn to the first sound of the answer."""
        return self._summary.latencies[-1] if self._summary.latencies else None

    def take_entries(self) -> list[Entry]:
        """Entries for the scrollback that have been completed since the last call, in order. Each comes once."""
        return self._log.take(self.clock(), playing=self.audio.playing)

    def summary(self) -> str:
        """The conversation in one line; "" when none began."""
        return self._summary.line(self.audio.underruns) if self._started else ""

    # -- inside

    def _connection_lost(self, event: Reconnecting, now: float) -> None:
        if event.attempt == 1:
            self._log.remark("warning", f"The connection was lost: {event.reason}", now)
            if self.approvals:
                self.approvals.clear()
                self._log.remark("note", "What was asked cannot be answered any more.", now)
        self._attempt = event.attempt

    def _fall_asleep(self) -> None:
        self.asleep, self._user, self._thinking_since, self._attempt = True, "silent", None, 0
        self._log.finish(playing=self.audio.playing)
        self.approvals.clear()

    def _restart_thinking(self) -> None:
        if self._thinking_since is not None:
            self._thinking_since = self.clock()

    def _show_latency(self) -> None:
        if self._summary.latency is not None:
            self._log.set_latency(self._summary.latency)
