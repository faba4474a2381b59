"""The floor: who speaks, who is owed an answer, and what an interruption cuts.

`Floor.apply(input, now)` takes what happened, an event of the provider or something of the user's (`TurnBegins`,
`TextSent` ...), and returns what to do, in order: tell an event (`Deliver`), hold the reply's sound up or let it go on
(`Pause`, `Resume`), cut a reply (`Cut`) ... It does no I/O and knows no tasks; `now` is the event loop's clock, in
seconds, and `next_deadline` says when `tick` has something to do, so that no state outlasts its deadline.

Three things make up its state:

    user    SILENT, MAYBE (a suspicion), SPEAKING, UNRESOLVED (its words, or that there were none, are still to come)
    reply   NONE, POSSIBLE (only the provider knows), PENDING (owed), RESPONDING (being made), PLAYING (made, not heard)
    line    UP, AWAY (between two sockets)

Whatever is heard of the user becomes a `Signal`, and `TABLE` says for each state what a signal leads to: the next
state, and an effect on the reply; what the effect does is decided by the reply's state alone (`floor_table`).

A cut names the response it cuts, and reaches only what began before the speech that interrupts: the answer to that
speech is never hit, however late the news of it comes. Answers that are owed are kept by the input that asks for them
(`obligations`).
"""

from collections.abc import Callable
from typing import Any

from voicecli.commands import CancelScope
from voicecli.conversation.awaited_words import LATE_WORDS_S, AwaitedWords
from voicecli.conversation.floor_events import (
    Action,
    AnswerExpected,
    AnswerRead,
    AskAgain,
    AudioCleared,
    AudioEnded,
    CancelPending,
    Deliver,
    GaveUp,
    Heard,
    Input,
    Rules,
    SoundHeard,
    Stop,
    TextSent,
    ToolAnswered,
    TurnBegins,
    TurnEnded,
    TurnEnds,
    VoiceSuspected,
)
from voicecli.conversation.floor_table import TABLE, Effect, Line, Reply, Signal, User
from voicecli.conversation.obligations import SIGN_OF_SPEECH_S, Obligations
from voicecli.conversation.reply_audio import ReplyAudio
from voicecli.conversation.suspicion import Suspicion
from voicecli.conversation.taken_back import TakenBack
from voicecli.conversation.utterances import Utterances
from voicecli.events import (
    ApprovalAnswered,
    ApprovalRequest,
    AssistantState,
    AudioChunk,
    AudioDone,
    Interrupted,
    Notice,
    Reconnecting,
    ResponseDone,
    ResponseStarted,
    SessionStarted,
    SpeechStarted,
    SpeechStopped,
    StateChanged,
    ToolCallCancelled,
    ToolCallRequest,
    TranscriptUpdate,
    UsageUpdated,
)

__all__ = ["Floor"]

_TOLD = (ToolCallRequest, ToolCallCancelled, ApprovalRequest, ApprovalAnswered)
_NOTED = (*_TOLD, AnswerExpected, AnswerRead, SoundHeard, ToolAnswered)
_NO_ANSWER = frozenset({"no_speech", "backchannel", "waiting_for_input"})  # notices that a turn will not be answered


class Floor:
    """The state of the conversation's turns; see the module.

    Attributes:
        user, line: as in the module's docstring.
        speech_lag_s: how long after the end of speech it is known, in seconds.
        obligations: the answers that are owed.
        sound: what is heard of the replies.
        changed: whether what happened last can have changed the state, or brought a deadline nearer; more sound and
            words of a reply that is heard already, by far the most frequent, do neither.
    """

    def __init__(self, rules: Rules) -> None:
        self.rules = rules
        self.user = User.SILENT
        self.line = Line.UP
        self.speech_lag_s = 0.0
        self.changed = True
        self.obligations = Obligations()
        self.sound = ReplyAudio(rules.output_rate)
        self._started = False
        self._words = AwaitedWords()
        self._spoken_over: str | None = None  # the response that was being made when the user was last heard here
        self._came = False  # something of the response under way has come
        self._voice_owed = False  # an answer is owed to speech whose end the provider has not told
        self._suspicion = Suspicion()
        self._utterances = Utterances(speech_is_told=rules.reports_speech)
        self._taken_back = TakenBack()
        self._thinking_until: float | None = None  # the provider may be working on what was heard here
        self._quiet_since = 0.0  # when something happened last
        self._handlers: dict[type[Any], Callable[[Any, float], list[Action]]] = {
            AudioChunk: self._audio,
            AudioDone: self._audio_over,
            TranscriptUpdate: self._transcript,
            SpeechStarted: self._speech_started,
            SpeechStopped: self._speech_stopped,
            Interrupted: self._interrupted,
            ResponseStarted: self._response_started,
            ResponseDone: self._response_done,
            Notice: self._notice,
            Reconnecting: self._line_lost,
            SessionStarted: self._line_up,
            Heard: self._heard,
            VoiceSuspected: self._suspected,
            TurnBegins: self._turn_begins,
            TurnEnds: self._turn_ends,
            AudioEnded: self._audio_ended,
            AudioCleared: lambda _, now: self._signal(Signal.RESET, now),
            TextSent: self._text_sent,
            Stop: self._stop,
            **dict.fromkeys(_NOTED, self._noted),
        }

    # -- what is known

    def reply(self, now: float) -> Reply:
        """The reply's state; of several the one that an interruption would hit first."""
        owed = self.obligations
        if self._responding is not None:
            return Reply.RESPONDING
        if not self.sound.playback.is_heard(now):
            return Reply.PLAYING
        if owed.pending:
            return Reply.PENDING
        return Reply.POSSIBLE if owed.possible_until is not None and now < owed.possible_until else Reply.NONE

    def awaits_reply(self, now: float) -> bool:
        """True when an answer is owed or being made, or may be."""
        until = self.obligations.possible_until
        return self.obligations.certain or (until is not None and now < until)

    def state(self, now: float) -> StateChanged:
        """The state as the program is told of it."""
        speaking = self.user in (User.MAYBE, User.SPEAKING)
        return StateChanged("speaking" if speaking else "silent", self._assistant(now))

    def _assistant(self, now: float) -> AssistantState:
        if not self._started:
            return "connecting"
        if self.line is Line.AWAY:
            return "reconnecting"
        owed = self.obligations
        begins = self._responding is not None and not self._came
        if self._speaks(now):
            return "speaking"
        until = self._thinking_until if owed.possible_until is None or not owed.after_speech else owed.possible_until
        if owed.pending or begins or owed.tools_running or (until is not None and now < until):
            return "thinking"
        return "listening"

    def _speaks(self, now: float) -> bool:
        return not self.sound.playback.is_heard(now) or (self._responding is not None and self._came)

    def next_deadline(self, now: float) -> float | None:
        """The time at which `tick` is to be called at the latest; None when nothing runs out."""
        deadlines = (
            self._response_deadline,
            self._pause_deadline,
            self.obligations.possible_until,
            self._words.until,
            self._suspicion.until,
            self._thinking_until,
            self._taken_back.ask_at,
            self.sound.playback.ends_at(now),
        )
        return min((deadline for deadline in deadlines if deadline is not None), default=None)

    @property
    def _response_deadline(self) -> float | None:
        waits = self.obligations.certain and not self.obligations.tools_running and not self.obligations.approvals
        if not waits or self.line is Line.AWAY:
            return None
        # Some providers tell the end of a response only when it would have been played.
        lasts_until = self.sound.lasts_until if self._responding is not None else 0.0
        return max(self._quiet_since, lasts_until) + self.rules.response_timeout_s

    @property
    def _pause_deadline(self) -> float | None:
        waits = (self.sound.paused or self._words.voices > 0) and not self._suspicion  # which runs out by itself
        return self._quiet_since + self.rules.response_timeout_s if waits else None

    @property
    def _responding(self) -> str | None:
        """The response being made, unless it was cut."""
        response_id = self.obligations.responding
        return response_id if response_id is not None and not self.sound.is_cut(response_id) else None

    # -- what happens

    def apply(self, happened: Input, now: float) -> list[Action]:
        """Take what happened into account; what is to be done, in order."""
        if not isinstance(happened, UsageUpdated | VoiceSuspected):  # which come by the clock, and by any noise
            self._quiet_since = now
        self.changed = True
        handler = self._handlers.get(type(happened))
        return handler(happened, now) if handler is not None else [Deliver(happened)]  # type: ignore[arg-type]

    def tick(self, now: float) -> list[Action]:
        """Let run out what has run out by now."""
        actions: list[Action] = []
        if self._response_deadline is not None and now >= self._response_deadline:
            unanswered = self.obligations.pending or self._responding is not None
            self.obligations.give_up()
            actions += [GaveUp()] if unanswered else []
        if self._pause_deadline is not None and now >= self._pause_deadline:
            actions += self._signal(Signal.DEADLINE, now)
        if self._words.until is not None and now >= self._words.until:
            actions += self._signal(Signal.DEADLINE, now) if self.user is User.UNRESOLVED else []
            self._words.until, self._words.overheard = None, False
        actions += self._drop_suspicion(now) if self._suspicion.is_over(now) else []
        if self.obligations.possible_until is not None and now >= self.obligations.possible_until:
            self.obligations.possible_until = None
        if self._thinking_until is not None and now >= self._thinking_until:
            self._thinking_until = None
        return [*actions, AskAgain()] if self._taken_back.asks(now) else actions

    # -- the user

    def _signal(self, signal: Signal, now: float) -> list[Action]:
        """Take a step of the table."""
        if signal in {Signal.SUSPICION, Signal.VOICE} and not self._words:
            self._words.begun_before = self.sound.begun
        self._words.voices += signal is Signal.VOICE
        by_words = signal is Signal.WORDS
        # What is only suspected has not said them: a voice before it has.
        user = User.UNRESOLVED if by_words and self._suspicion.is_mere else self.user
        self.user, effect = TABLE[user][signal]
        if self.user is not User.MAYBE:
            self._suspicion.clear()
        if signal in {Signal.WORDS, Signal.TURN, Signal.CUT_IN, Signal.DEADLINE, Signal.RESET}:
            self._words.clear()
        return self._affect(effect, now, begun_before=self._words.begun_before if by_words else self.sound.begun)

    def _forget_voices(self, now: float) -> list[Action]:
        """Nobody waits for words any more."""
        self._words.clear()
        return self._signal(Signal.RESET, now) if self.user is User.UNRESOLVED else []

    def _silence(self) -> Signal:
        return Signal.SILENCE_BEFORE_WORDS if self._words.voices else Signal.SILENCE

    def _voice(self, now: float) -> Signal:
        """A turn of the user's by voice; where its words can be waited for, the reply is paused until they come."""
        idle = self._responding is None and self.sound.playback.is_heard(now)
        return Signal.VOICE if self.rules.words_first and (self.sound.has_player or idle) else Signal.TURN

    def _speech_started(self, event: SpeechStarted, now: float) -> list[Action]:
        self.obligations.sign(now)
        signal = self._voice(now) if self.rules.interrupts else Signal.SPEECH
        actions = [Deliver(event), *self._signal(signal, now)]
        if self.obligations.may_follow_speech and self.rules.server_turns:
            self._owe_to_voice(now)
        return actions

    def _speech_stopped(self, event: SpeechStopped, now: float) -> list[Action]:
        actions = self._signal(self._silence(), now)
        if self._voice_owed and not event.is_turn:
            self.obligations.no_speech()
        elif self.rules.server_turns and self.rules.auto_reply and event.is_turn:
            if not self._voice_owed:
                self._owe_to_voice(now)
            actions.append(TurnEnded(now - self.speech_lag_s, provisional=self._words.voices > 0))
        self._voice_owed = False
        return [*actions, Deliver(event)]

    def _owe_to_voice(self, now: float) -> None:
        """An answer is owed to speech that the provider has heard."""
        # A reply that goes on while the user speaks may keep the provider from answering.
        if self.rules.interrupts or self._responding is None:
            self._voice_owed = True
            self.obligations.owe()
        else:
            self.obligations.may_owe(now)

    def _heard(self, heard: Heard, now: float) -> list[Action]:
        if self.rules.server_turns:
            actions = self._overhear(heard, now)
            # Otherwise the provider tells of it, when it is back.
            return actions if self.rules.reports_speech else [*actions, Deliver(heard.event)]
        if isinstance(heard.event, SpeechStarted):
            self.obligations.sign(now)
            return [Deliver(heard.event), *self._signal(Signal.SUSPICION, now)]
        return [*self._signal(self._silence(), now), Deliver(heard.event)]

    def _suspected(self, suspected: VoiceSuspected, now: float) -> list[Action]:
        """What may be a voice pauses the reply that is heard until the provider has told, but not for long."""
        if not suspected.lasts:
            return self._drop_suspicion(now)
        may_pause = self.sound.plays(now) and self.line is Line.UP and self.rules.interrupts
        may_begin = may_pause and self.user in {User.SILENT, User.UNRESOLVED}
        return self._signal(Signal.SUSPICION, now) if may_begin and self._suspicion.begin(now) else []

    def _drop_suspicion(self, now: float) -> list[Action]:
        dropped = self._suspicion.drop(now, goes_on=self.sound.paused)
        silence = Signal.SILENCE_WITHOUT_NEWS if self._words.overheard else self._silence()
        actions = self._signal(silence, now) if dropped else []
        return actions + (self._signal(Signal.SPEECH, now) if dropped and self._suspicion.is_voice else [])

    def _overhear(self, heard: Heard, now: float) -> list[Action]:
        """A voice, noticed here while the provider finds the turns and does not tell, or cannot.

        A reply that is made the provider does not interrupt any more: if it is still heard, it is paused, and cut by
        words. One that broke off with the connection, when it had begun to sound, is cut at once; one of which nothing
        has sounded will be asked for again, and no noise is to prevent that.
        """
        responding = self.obligations.responding
        if isinstance(heard.event, SpeechStopped):
            end = now - self.speech_lag_s if heard.by_silence else now
            provisional = self._spoken_over is not None and self._spoken_over == responding
            without_news = self.user is User.MAYBE and self._words.overheard
            actions = self._signal(Signal.SILENCE_WITHOUT_NEWS if without_news else self._silence(), now)
            if without_news:
                self._words.until = now + LATE_WORDS_S
            self._thinking_until = now + SIGN_OF_SPEECH_S if self.rules.auto_reply else None
            return [*actions, TurnEnded(end, provisional)]
        self._spoken_over, self._thinking_until = responding, None
        self.obligations.sign(now)
        if not self.rules.interrupts:
            return self._signal(Signal.SPEECH, now)
        if self.line is Line.AWAY and responding in (None, self.sound.sounding):
            return self._signal(Signal.CUT_IN, now)
        if self.sound.has_player and not self.obligations.certain:
            actions = self._signal(Signal.SUSPICION, now)
            self._words.overheard, self._words.until = True, None
            self._suspicion.clear()
            return actions
        return [] if self._suspicion.confirm() else self._signal(Signal.SPEECH, now)

    def _turn_begins(self, turn: TurnBegins, now: float) -> list[Action]:
        self._taken_back.user_acts()
        return self._signal(Signal.TURN if turn.by_key else self._voice(now), now)

    def _turn_ends(self, turn: TurnEnds, now: float) -> list[Action]:
        actions = self._signal(self._silence(), now) if self.user is User.SPEAKING else []
        self.obligations.owe(turn.input_id)
        end = now - self.speech_lag_s if turn.by_silence else now
        return [*actions, TurnEnded(end, provisional=self._words.voices > 0)]

    def _audio_ended(self, _: AudioEnded, now: float) -> list[Action]:
        told = self.rules.reports_speech and self.user is User.SPEAKING
        if self.rules.server_turns and (told or self._utterances.unanswered):
            self._owe_to_voice(now)
        elif self.user in {User.MAYBE, User.SPEAKING} or not self.obligations.certain:
            self.obligations.may_owe(now)
        return []

    def _text_sent(self, text: TextSent, now: float) -> list[Action]:
        # What is heard is not the answer to this. That something is heard is only certain when somebody plays it, or it
        # is still being made: a program that sends one line after the other has read it.
        cut: list[Action] = []
        if self._responding is not None or self.sound.has_player:
            cut = self._affect(Effect.CUT, now, begun_before=self.sound.begun) + self._forget_voices(now)
        self.sound.playback.clear(now)
        self._taken_back.user_acts()
        self.obligations.owe(text.input_id)
        return [*cut, TurnEnded(now, provisional=False)]

    def _stop(self, stop: Stop, now: float) -> list[Action]:
        self._thinking_until = None
        cut = self._affect(Effect.CUT, now, begun_before=self.sound.begun, is_heard=stop.is_heard)
        dropped = [CancelPending()] if self.obligations.cancel_pending() else []
        return [*cut, *self._forget_voices(now), *dropped]

    # -- the reply

    def _affect(self, effect: Effect, now: float, *, begun_before: int, is_heard: bool = False) -> list[Action]:
        """The actions of an effect on the reply, as far as it had begun by then."""
        match effect:
            case Effect.PAUSE:
                return self.sound.pause(now)
            case Effect.RESUME:
                return self.sound.resume(now)
            case Effect.CUT | Effect.INTERRUPT:
                if effect is Effect.INTERRUPT:
                    self.obligations.cancel_pending()
                if self._responding is not None and self.sound.begun <= begun_before:
                    return self.sound.cut(self._responding, "reply", now)
                return self.sound.cut_playback(now, begun_before=begun_before, is_heard=is_heard)
        return []

    def _audio(self, chunk: AudioChunk, now: float) -> list[Action]:
        if self.sound.is_cut(chunk.response_id):
            return []  # it was on its way when the reply was cut
        if not self.rules.wants_sound:
            self.sound.count(chunk, now)
            return []
        self.changed = not self._came or self.sound.playback.is_heard(now)
        self._came = True
        self.sound.add(chunk, now)
        return [Deliver(chunk)]

    def _audio_over(self, done: AudioDone, now: float) -> list[Action]:
        return [Deliver(done)] if self.sound.is_whole(done.response_id) else []

    def _transcript(self, update: TranscriptUpdate, now: float) -> list[Action]:
        actions: list[Action] = []
        if update.role == "assistant":
            came = self._came or bool(update.text)
            self.changed, self._came = came != self._came, came
        else:
            self.obligations.sign(now)
            self._utterances.words(update)
            if self.obligations.may_follow_speech and self._utterances.unanswered:
                self._owe_to_voice(now)
            if update.text and self._words:
                actions = self._signal(Signal.WORDS, now)
            if update.text and self._thinking_until is not None:
                self._thinking_until = now + self.rules.response_timeout_s
        return [*actions, Deliver(update)]

    def _interrupted(self, event: Interrupted, now: float) -> list[Action]:
        """The provider interrupted a reply; it is no news when it was cut here already."""
        response_id = event.response_id or self._responding or self.sound.sounding
        if response_id is None or self.sound.is_cut(response_id):
            return []
        if response_id != self._responding and response_id != self.sound.sounding:
            return []  # it is over, and others have begun since
        unprovoked = self.user is User.SILENT and not self.rules.server_turns and not self.obligations.pending
        scope: CancelScope = "reply" if response_id == self._responding else "playback"
        if unprovoked and scope == "reply":
            self._taken_back.interrupted(response_id)
        return [*self.sound.cut(response_id, scope, now), *self._forget_voices(now)]

    def _response_started(self, event: ResponseStarted, now: float) -> list[Action]:
        actions: list[Action] = []
        if self._words.overheard and not self.obligations.certain:
            actions = self._signal(Signal.WORDS, now)  # it answers the voice that paused the one before
        wanted = self.obligations.response_started(event.response_id, event.answers)
        self.sound.begun += 1
        self._came, self._thinking_until = False, None
        self._voice_owed = False
        self._utterances.response_started()
        self._taken_back.response_started()
        cut = [] if wanted else self.sound.cut(event.response_id, "reply", now)  # it was given up before it began
        return [*actions, Deliver(event), *cut]

    def _response_done(self, event: ResponseDone, now: float) -> list[Action]:
        told = [*self._audio_over(AudioDone(event.response_id), now), Deliver(self.sound.as_heard(event))]
        self.sound.lasts_until = now
        self.obligations.response_done(
            event.response_id, now, awaits_tools=event.awaits_tools, cancelled=event.status == "cancelled"
        )
        if self._taken_back.done(event.response_id, now, cancelled=event.status == "cancelled"):
            self.obligations.owe()
        return told

    def _notice(self, notice: Notice, now: float) -> list[Action]:
        actions: list[Action] = []
        if notice.code in _NO_ANSWER:
            self.obligations.no_speech(notice.input_id)
            self._thinking_until = None
            actions = self._signal(Signal.NO_WORDS, now) if self._words.had_none() else []
        return [*actions, Deliver(notice)]

    def _noted(self, happened: Input, now: float) -> list[Action]:
        """Calls of tools, which are told, and what nobody else is told of."""
        match happened:
            case AnswerRead():
                self.sound.playback.clear(now)
            case SoundHeard():
                self.sound.playback.sounds(now)
            case _:
                self.obligations.noted(happened)
        return [Deliver(happened)] if isinstance(happened, _TOLD) else []

    # -- the line

    def _line_lost(self, event: Reconnecting, now: float) -> list[Action]:
        self.line = Line.AWAY
        self.obligations.approvals.clear()
        return [Deliver(event)]

    def _line_up(self, event: SessionStarted, now: float) -> list[Action]:
        self.line, self._started = Line.UP, True
        # A provider that reports speech hears what was said meanwhile, and tells of it again.
        heard_anew = self.rules.server_turns and self.rules.reports_speech and event.resumed
        return [Deliver(event), *(self._signal(Signal.RESET, now) if heard_anew else [])]
