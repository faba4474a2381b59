"""The model of the screen in a live conversation: events and keys in, what is to be seen out. Draws nothing.

Entries that are complete (`take_entries`) go into the terminal's scrollback once and stay as they are; what goes on is
shown in a footer that is drawn again and again (`state`, `partial`, `running_tools` ...).
"""

import enum
import math
import time
from collections.abc import Callable
from dataclasses import dataclass, replace

from voicecli.events import (
    ApprovalAnswered,
    ApprovalOutcome,
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
    UserState,
)
from voicecli.terminal.entries import Entry, Header, Remark, RemarkKind, ToolCall, Utterance
from voicecli.terminal.entry_fold import EntryFold
from voicecli.terminal.heard_reply import HeardReply
from voicecli.terminal.line_editor import LineEditor
from voicecli.terminal.questions import Questions
from voicecli.terminal.summary import ConversationSummary

__all__ = ["AudioStatus", "State", "ViewModel"]


_CUT_TOLD_S = 2.0  # from the silence until it is told that the reply was cut; else it is as the provider has it


_ANSWERED: dict[ApprovalOutcome, str] = {
    "once": "Allowed",
    "always": "Allowed for this conversation",
    "denied": "Refused",
    "expired": "Refused, as nobody answered",
    "withdrawn": "Asked no more",
}


class State(enum.Enum):
    """The state of the conversation, in one word or two."""

    CONNECTING = "Connecting"
    LISTENING = "Listening"
    READY = "Ready"
    """Nobody listens until the talk key is pressed."""
    HEARING = "Hearing you"
    THINKING = "Thinking"
    SPEAKING = "Speaking"
    BOTH = "Both speaking"
    """The user and a full-duplex model."""
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
        playing_item, played_ms: the item of it that is being heard, and how much of that was, in ms.
        echo: what is done against echo: "aec", "gate", "half-duplex", "off", "none" where there is none; "" where
            nothing is to be said.
        underruns: silences in the middle of replies so far.
    """

    microphone: str = ""
    speaker: str = ""
    microphone_bands: tuple[float, ...] = ()
    speaker_bands: tuple[float, ...] = ()
    playing: bool = False
    playing_item: str = ""
    played_ms: int = 0
    echo: str = ""
    underruns: int = 0


class ViewModel:
    """Model of the screen. `apply` is an observer of `converse`.

    Args:
        push_to_talk: whether a key opens and ends the user's turns (VADMode.NONE).
        wake_word: what begins a conversation, between which it sleeps; "" for one conversation, begun at once.
        provider: its title, for the first line; "" for no such line.
        speaks: whether replies have sound.
        max_cost: what the conversation may cost, in US dollars; None for any amount.
        full_duplex: whether the user's speech stops no reply.
        clock: tells the time in seconds, monotonic.

    Attributes:
        audio: the sound devices now; set for every picture.
        microphone_muted, speaker_muted: as the user chose.
        talking: whether the talk key holds the user's turn open.
        editor: the line being typed, or None.
        questions: whether tools may run.
        asleep: whether the wake word is listened for, and nothing is connected.
    """

    def __init__(
        self,
        *,
        push_to_talk: bool = False,
        wake_word: str = "",
        provider: str = "",
        speaks: bool = True,
        max_cost: float | None = None,
        full_duplex: bool = False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.push_to_talk = push_to_talk
        self.wake_word = wake_word
        self._provider = provider
        self._speaks = speaks
        self._max_cost = max_cost
        self._full_duplex = full_duplex
        self.clock = clock
        self.audio = AudioStatus()
        self.microphone_muted = False
        self.speaker_muted = False
        self.talking = False
        self.editor: LineEditor | None = None
        self.questions = Questions()
        self.asleep = False
        self._fold = EntryFold()
        self._heard = HeardReply()
        self._played_at = -math.inf  # when a reply was last heard
        self._header: Header | None = None  # until it is printed
        self._summary = ConversationSummary(clock)
        self._user: UserState = "silent"
        self._assistant: AssistantState = "connecting"
        self._thinking_since: float | None = None  # kept while the connection is lost
        self._reconnecting: Reconnecting | None = None  # the latest attempt
        self._dialled_at = 0.0  # when that attempt begins
        self._started = self._ending = self._ended = False

    # -- what happens

    def apply(self, event: Event) -> None:
        """Take an event into account."""
        now = self.clock()
        self._summary.apply(event)
        self._fold.apply(event, now)
        self._heard.apply(event)
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
                self.questions.add(event)
            case ApprovalAnswered(approval_id, outcome):
                self._settled(approval_id, outcome)
            case Reconnecting():
                self._connection_lost(event, now)
            case SessionStarted():
                # A socket that was only replaced before its time ran out is not worth a word.
                if self._reconnecting is not None:
                    self._fold.remark("note", "Connected again.", now)
                if self._provider and not self._started:
                    self._header = Header(self._provider, event.model, event.voice)
                self._started, self._reconnecting = True, None
            case SessionEnded() if not self.wake_word:
                self.finish()
            case Asleep():
                self._fall_asleep()
            case Awake():
                self.asleep, self._assistant = False, "connecting"
                self._fold.go_on()

    def set_talking(self, talking: bool) -> None:
        """The talk key opened or ended the user's turn."""
        self.talking = talking
        if talking:
            self._fold.turn_began()
        else:
            self.turn_ended()

    def turn_ended(self) -> None:
        """The user has finished and waits for an answer."""
        self._restart_thinking()
        self._summary.turn_ended()
        self._fold.turn_ended()

    def answer_given_up(self) -> None:
        """The user asked for the reply to be stopped; say so where none is to be heard yet."""
        if self.state is State.THINKING:
            tools = self.running_tools
            self.note(f"The answer is given up; {tools[-1].name} still runs." if tools else "The answer is given up.")

    def answer_question(self, outcome: ApprovalOutcome) -> ApprovalRequest | None:
        """The user pressed a key for the question that is shown: it is taken off and returned.

        None where the key does not count: it was pressed too early, or the question cannot be answered so.
        """
        request = self.questions.key(self.clock())
        if request is None or (outcome == "always" and not request.tool_id):
            return None
        self.questions.settle(request.approval_id)
        self.note(f"{_ANSWERED[outcome]}: {_tool_words(request)}")
        self._restart_thinking()  # until now it was the user who was waited for
        return request

    def end_asked(self) -> None:
        """The user wants to end: what was not heard yet will not be."""
        if not self._ending:
            self._ending = True
            self._fold.end_asked(playing=self.audio.playing)

    def finish(self) -> None:
        """Nothing more comes: what is open is finished as it is. Idempotent."""
        if self._ended:
            return
        self._ended = True
        self._summary.finish()
        self._fold.finish(playing=self.audio.playing)
        self.questions.clear()

    def heard_after(self, milliseconds: int) -> None:
        """The first sound of a reply has just become audible, so long after the turn it answers."""
        self._summary.heard_after(milliseconds)
        self._show_latency()

    def note(self, text: str, kind: RemarkKind = "note") -> None:
        """Say at once what came of a key."""
        self._fold.remark(kind, text, self.clock(), at_once=True)

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
            return State.BOTH if self._full_duplex and assistant == "speaking" else State.HEARING
        if assistant == "speaking":
            return State.SPEAKING
        if self.questions:
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
        if state is State.RECONNECTING and self._reconnecting is not None:
            return f"{self.short_state_words}{self._time_to_dial()}"
        return state.value

    @property
    def short_state_words(self) -> str:
        """The state for where there is little room: without the time until the next attempt to connect."""
        lost = self._reconnecting
        if self.state is not State.RECONNECTING or lost is None:
            return self.state_words
        return f"{State.RECONNECTING.value} {lost.attempt}{f'/{lost.attempts}' if lost.attempts else ''}"

    @property
    def partial(self) -> Utterance | None:
        """The words being said, as far as known."""
        return self._fold.partial

    @property
    def running(self) -> list[tuple[Utterance, str | None]]:
        """The words being said, and what was heard of them; None where they are not heard through a device."""
        return [(words, self._heard_of(words)) for words in self._fold.running]

    @property
    def waiting_remarks(self) -> list[Remark]:
        """Remarks that are not printed before the answer is over."""
        return self._fold.waiting_remarks if self._is_answering else []

    @property
    def running_tools(self) -> list[ToolCall]:
        """The calls under way, without those that wait for the user."""
        return [call for call in self._fold.running_tools if not call.asked]

    @property
    def cost_words(self) -> str:
        """The cost so far, as far as known, and what it may be; "" when nothing is known to cost."""
        cost = self._summary.cost_words
        if not cost or self._max_cost is None:
            return cost
        return f"{cost} of ${self._max_cost:.{2 if self._max_cost >= 0.01 else 4}f}"

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
        now, audio = self.clock(), self.audio
        self._heard.listen(audio.playing_item, audio.played_ms)
        if audio.playing:
            self._played_at = now
        if (request := self.questions.announce()) is not None:
            self._fold.ask(request, now)
        self.questions.shown(now)
        # A reply falls silent before it is told that, and where, it was cut.
        playing = audio.playing or (now - self._played_at < _CUT_TOLD_S and self._heard.breaks_off)
        entries = self._fold.take(now, playing=playing, answering=self._is_answering)
        for entry in entries:
            if isinstance(entry, Utterance):
                self._heard.forget(entry.item_id)
        if self._header is not None:
            header = replace(self._header, microphone=self.audio.microphone, speaker=self.audio.speaker)
            entries, self._header = [header, *entries], None
        return entries

    def summary(self) -> str:
        """The conversation in one line; "" when none began."""
        return self._summary.line(self.audio.underruns) if self._started else ""

    # -- inside

    def _connection_lost(self, event: Reconnecting, now: float) -> None:
        if event.attempt == 1:
            self._fold.remark("warning", f"The connection was lost: {event.reason}", now)
        self._reconnecting, self._dialled_at = event, now + event.delay_s

    def _time_to_dial(self) -> str:
        left = math.ceil(self._dialled_at - self.clock())
        return f", next in {left} s" if left > 0 else ""

    def _heard_of(self, words: Utterance) -> str | None:
        if words.role == "user" or not self.has_speaker or not self._speaks:
            return None
        return self._heard.heard(words.item_id, words.text, self.audio.playing_item, self.audio.played_ms)

    @property
    def _is_answering(self) -> bool:
        return self._assistant in {"thinking", "speaking"} and not (self._ended or self.asleep)

    def _fall_asleep(self) -> None:
        self.asleep, self._user, self._thinking_since, self._reconnecting = True, "silent", None, None
        self._fold.finish(playing=self.audio.playing)
        self.questions.clear()

    def _settled(self, approval_id: str, outcome: ApprovalOutcome) -> None:
        """A question was answered, here or elsewhere, or cannot be any more."""
        if (request := self.questions.settle(approval_id)) is not None:
            self.note(f"{_ANSWERED[outcome]}: {_tool_words(request)}")
            self._restart_thinking()

    def _restart_thinking(self) -> None:
        if self._thinking_since is not None:
            self._thinking_since = self.clock()

    def _show_latency(self) -> None:
        if self._summary.latency is not None:
            self._fold.set_latency(self._summary.latency)


def _tool_words(request: ApprovalRequest) -> str:
    return f"{request.name} on {request.server}" if request.server else request.name
