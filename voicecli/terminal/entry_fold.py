"""The conversation as entries for the scrollback: events in, entries out, each when it is complete. Pure."""

from voicecli.events import (
    CONNECTION_LOST,
    ApprovalAnswered,
    ApprovalRequest,
    ErrorOccurred,
    Event,
    Interrupted,
    Notice,
    ResponseDone,
    ResponseStarted,
    Role,
    SpeechStarted,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    TranscriptUpdate,
)
from voicecli.terminal.entries import ApprovalQuestion, Entry, Remark, RemarkKind, ToolCall, Utterance
from voicecli.terminal.reasons import reason_words
from voicecli.terminal.scrollback import Scrollback

__all__ = ["EntryFold"]

# After an interruption it is told what was heard of the reply, with some providers only when the user's turn is over;
# the words wait for that so long, in seconds.
_HEARD_WAIT_S = 3.0


class EntryFold:
    """Folds events into entries. Times are in seconds, of one clock.

    A reply's words are printed when its response is done and it was heard to its end, or was cut and it is known
    where: what stands in the scrollback cannot be changed.
    """

    def __init__(self) -> None:
        self._scrollback = Scrollback()
        self._responding = False  # from ResponseStarted to ResponseDone
        self._interrupted_at: float | None = None  # the latest reply, by the user
        self._cut_by_end = False
        self._finished = False
        self._words_came = False  # of the turn that the user is in
        self._asked: dict[str, str] = {}  # the calls that questions are about, by approval_id
        self._latest: Utterance | None = None
        self._reply: Utterance | None = None  # the latest words of the latest reply
        self._timed: Utterance | None = None  # what the latency of the turn stands beside

    def apply(self, event: Event, now: float) -> None:
        """Take an event into account."""
        match event:
            case TranscriptUpdate():
                self._transcribe(event)
            case SpeechStarted():
                self.turn_began()
            case ResponseStarted():
                self._finish_words("assistant")
                self._responding, self._interrupted_at, self._reply = True, None, None
            case Interrupted():
                self._interrupted_at = now
                if self._reply is not None:
                    self._reply.flaw = ""  # the user did not want all of it
            case ResponseDone():
                self._responding = False
                # What the user cut short is not complete because they wanted it so.
                if event.status in {"failed", "incomplete"} and self._interrupted_at is None:
                    self._mark_incomplete(event, now)
            case ToolCallRequest(call_id, name, arguments, server=server):
                self._scrollback.begin_tool(call_id, ToolCall(name, arguments, now, server))
            case ToolCallFinished(call_id, output=output, is_error=is_error):
                self._scrollback.finish_tool(call_id, "failed" if is_error else "done", now, output)
            case ToolCallCancelled(call_id):
                self._scrollback.finish_tool(call_id, "cancelled", now)
            case ApprovalRequest(approval_id, call_id=call_id):
                self._asked[approval_id] = call_id
                self._scrollback.ask_for_tool(call_id, True, now)
            case ApprovalAnswered(approval_id):
                self._scrollback.ask_for_tool(self._asked.pop(approval_id, ""), False, now)
            case Notice():
                self._note(event, now)
            case ErrorOccurred(error):
                self.remark("error", f"Error: {error}", now)

    def remark(self, kind: RemarkKind, text: str, now: float, *, at_once: bool = False) -> None:
        """Add a remark: behind the words it follows, or `at_once`."""
        self._scrollback.add(Remark(kind, text), now, at_once=at_once)

    def ask(self, request: ApprovalRequest, now: float) -> None:
        """Put a question, at once and in full."""
        self._scrollback.add(ApprovalQuestion(request.name, request.arguments, request.server), now, at_once=True)

    def _note(self, notice: Notice, now: float) -> None:
        if notice.code == "no_speech":
            self._scrollback.release_user()
        if notice.code != "backchannel":  # its words say it all
            self.remark("note", notice.message, now)

    def turn_began(self) -> None:
        """The user begins a turn."""
        self._words_came = False

    def turn_ended(self) -> None:
        """The user's turn is over: its words may come later than the tools that it calls."""
        self._timed = None
        if not self._words_came:
            self._scrollback.reserve_user()
        self._words_came = False

    def set_latency(self, milliseconds: int) -> None:
        """Let the first words of the reply carry its latency; they may come later than its sound."""
        if self._timed is None:
            replies = (words for words in self._replies if words.latency_ms is None)
            self._timed = next(replies, None)
        if self._timed is not None:
            self._timed.latency_ms = milliseconds

    def end_asked(self, *, playing: bool) -> None:
        """The user wants to end: what of a reply was not heard yet will not be."""
        self._cut_by_end = self._responding or playing

    def finish(self, *, playing: bool) -> None:
        """Nothing more comes: what is open is finished as it is."""
        for call in self.running_tools:
            call.outcome = "cancelled"
        self._finish_words()
        replies = self._replies
        if replies and (self._cut_by_end or self._responding or playing):
            replies[-1].interrupted = True
        self._responding, self._finished = False, True

    def go_on(self) -> None:
        """Another session begins, after `finish`."""
        self._finished = self._cut_by_end = False
        self._scrollback.forget_names()

    @property
    def running(self) -> list[Utterance]:
        """The words that are not printed yet, as far as known: of the user's turn, or the reply being heard."""
        # Final words of the user's are printed with the next picture.
        return [words for words in self._scrollback.utterances if words.text.strip() and not _is_final_turn(words)]

    @property
    def partial(self) -> Utterance | None:
        """The latest of them."""
        latest = self._latest
        return latest if latest is not None and latest.text.strip() and self._is_open(latest) else None

    @property
    def waiting_remarks(self) -> list[Remark]:
        """Remarks that are not printed yet."""
        return self._scrollback.waiting_remarks

    @property
    def running_tools(self) -> list[ToolCall]:
        return self._scrollback.running_tools

    def take(self, now: float, *, playing: bool, answering: bool = False) -> list[Entry]:
        """Entries that have been completed since the last call, in order. Each comes once.

        Args:
            playing: whether anything of a reply is still to be heard.
            answering: whether an answer is being made or heard, for whose end remarks wait.
        """
        return self._scrollback.take(
            lambda words: self._is_complete(words, now, playing=playing), now, answering=answering
        )

    # -- inside

    @property
    def _replies(self) -> list[Utterance]:
        return [words for words in self._scrollback.utterances if words.role == "assistant"]

    def _transcribe(self, update: TranscriptUpdate) -> None:
        words = self._scrollback.utterance(update.role, update.item_id)
        if words is None:
            return
        words.text, words.final, words.interrupted = update.text, update.final, update.interrupted
        self._latest = words
        if update.role == "assistant":
            self._reply = words
        else:
            self._words_came = True

    def _mark_incomplete(self, done: ResponseDone, now: float) -> None:
        words = self._reply
        if words is None or not self._is_open(words):
            self.remark("warning", f"The answer is not complete: {reason_words(done.reason)}", now)
        elif done.reason == CONNECTION_LOST:
            words.interrupted = True  # that the connection was lost is told by itself
        else:
            words.flaw = reason_words(done.reason)

    def _finish_words(self, role: Role | None = None) -> None:
        """No more comes of what is being said."""
        for words in self._scrollback.utterances:
            if role in (None, words.role):
                words.final = True

    def _is_complete(self, words: Utterance, now: float, *, playing: bool) -> bool:
        if words.role == "user" or self._finished or not words.final:
            return words.final
        if self._responding or self._cut_by_end or (playing and not words.interrupted):
            return False  # it may still be interrupted, and then only a part of it was said
        waiting = self._interrupted_at is not None and now - self._interrupted_at < _HEARD_WAIT_S
        return words.interrupted or not waiting

    def _is_open(self, words: Utterance) -> bool:
        return any(other is words for other in self._scrollback.utterances)


def _is_final_turn(words: Utterance) -> bool:
    return words.role == "user" and words.final
