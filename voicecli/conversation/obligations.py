"""The answers that are owed, by the inputs that ask for them. Pure; times are in seconds, by the event loop's clock."""

from collections.abc import Iterable
from enum import Enum

from voicecli.conversation.floor_events import AnswerExpected, Input, ToolAnswered
from voicecli.events import ApprovalAnswered, ApprovalRequest, ToolCallCancelled, ToolCallRequest

__all__ = ["SIGN_OF_SPEECH_S", "Obligations"]

SIGN_OF_SPEECH_S = 3.0
"""The time for which an answer is possible without a sign of it. With VADMode.SERVER only the provider knows whether
there was speech at the end of the audio; first signs take up to about two seconds. And of several turns that ended
before they were answered, only the provider knows whether they are answered together."""


class _Kind(Enum):
    """An asker of an answer: an input that has an id, a turn that the provider found, the result of a tool."""

    ASKED = "asked"
    FOUND = "found"
    RESULT = "result"


class Obligations:
    """Which inputs are owed an answer, and which response answers them.

    An input that the program sent has an id, which `ResponseStarted.answers` names. A turn that the provider found has
    none: the next response answers it. A provider that names no ids answers with each response all that is owed.

    Attributes:
        responding: the response being made, or None.
        approvals: the questions of the provider's that the program has not answered yet.
        answered: how many answers were complete so far.
        possible_until: until when an answer may come that is not owed for certain; None when none may.
        after_speech: whether that is because the user may have spoken.
    """

    def __init__(self) -> None:
        self.responding: str | None = None
        self.approvals: set[str] = set()
        self.answered = 0
        self.possible_until: float | None = None
        self.after_speech = False
        # Each input with what it is; all of them in the order in which they were given.
        self._owed: dict[str, _Kind] = {}
        self._taken: dict[str, _Kind] = {}  # those that `responding` answers
        self._awaiting_tools: dict[str, _Kind] = {}  # those whose answer goes on after the results of tools
        self._cancelled: dict[str, _Kind] = {}  # given up, and no response has begun since that would answer them
        self._found = 0  # turns that the provider found, for a name
        self._names_inputs = False  # the provider has named an input once
        self._open_calls: set[str] = set()
        self._background: set[str] = set()  # open calls whose result is not waited for
        self._calls_given_up: set[str] = set()  # open, and their answer is given up
        # Of the calls of the present answer: whether any was cancelled, and the results that came while it was made.
        self._withdrawn = False
        self._calls_here: set[str] = set()
        self._only_background = False  # calls were made, and no result is waited for
        self._results: list[str] = []

    @property
    def pending(self) -> bool:
        """Whether an answer is owed that has not begun."""
        return bool(self._owed or self._awaiting_tools)

    @property
    def certain(self) -> bool:
        """Whether an answer is owed or being made."""
        return self.pending or self.responding is not None

    @property
    def may_follow_speech(self) -> bool:
        """Whether an answer to what the user may have said is possible."""
        return self.possible_until is not None and self.after_speech

    @property
    def tools_running(self) -> bool:
        """Whether the model waits for a tool of the program's."""
        return bool(self._open_calls)

    def owe(self, input_id: str = "") -> None:
        """The user has finished: an answer is owed. A turn that the provider found has no id."""
        self.possible_until = None
        if input_id:
            self._owed[input_id] = _Kind.ASKED
        else:
            self._found += 1
            self._owed[f"turn {self._found}"] = _Kind.FOUND

    def may_owe(self, now: float, *, after_speech: bool = True) -> None:
        """Only the provider knows whether an answer is owed."""
        self.possible_until, self.after_speech = now + SIGN_OF_SPEECH_S, after_speech

    def sign(self, now: float) -> None:
        """The user's words or voice were noticed: a possible answer stays possible."""
        if self.possible_until is not None:
            self.possible_until = now + SIGN_OF_SPEECH_S

    def noted(self, happened: Input) -> None:
        """Calls of tools, and what asks for an answer of the program's or the provider's."""
        match happened:
            case ToolCallRequest(call_id, background=background, by_provider=False):
                self.call_started(call_id, background=background)
            case ToolCallCancelled(call_id):
                self.call_cancelled(call_id)
            case ApprovalRequest(approval_id, call_id=""):  # otherwise the call is waited for anyway
                self.approvals.add(approval_id)
            case ToolAnswered(call_id, input_id):
                self.call_answered(call_id, input_id)
            case ApprovalAnswered(approval_id):
                self.approvals.discard(approval_id)
            case AnswerExpected(since):
                self.expect(since=since)

    def expect(self, *, since: int) -> None:
        """A possible answer is certain, unless it has come already: `since` was `answered` before the input."""
        if self.possible_until is not None:
            self.possible_until = None
            if self.answered == since and not self.certain:
                self.owe()

    def response_started(self, response_id: str, answers: Iterable[str]) -> bool:
        """A response begins; whether it is wanted: one that answers nothing but what was given up is not."""
        named = set(answers)
        self._names_inputs = self._names_inputs or bool(named)
        taken, self._owed = self._answered(self._owed, named)
        given_up, self._cancelled = self._answered(self._cancelled, named)
        wanted = bool(taken or self._awaiting_tools) or not given_up
        self._taken |= self._awaiting_tools | taken
        self._awaiting_tools = {}
        self.responding, self.possible_until = response_id, None
        self._withdrawn = self._only_background = False
        self._calls_here.clear()
        self._results.clear()
        return wanted

    def _answered(self, inputs: dict[str, _Kind], named: set[str]) -> tuple[dict[str, _Kind], dict[str, _Kind]]:
        """Those of the inputs that a response which names these answers, and the others."""
        answered = {
            key: kind for key, kind in inputs.items() if key in named or kind is _Kind.FOUND or not self._names_inputs
        }
        return answered, {key: kind for key, kind in inputs.items() if key not in answered}

    def response_done(self, response_id: str, now: float, *, awaits_tools: bool, cancelled: bool) -> None:
        """A response is over. One that awaits tools is no answer yet, unless all its calls were cancelled, or all run
        in the background."""
        if self.responding != response_id:
            return
        taken, self._taken, self.responding = self._taken, {}, None
        if awaits_tools and not self._calls_over and not self._only_background:
            self._awaiting_tools = taken
            self._owed |= dict.fromkeys(self._results, _Kind.RESULT)
            return
        self.answered += not cancelled
        if sum(kind is not _Kind.RESULT for kind in taken.values()) > 1 and not self.pending:
            self.may_owe(now, after_speech=False)  # it may be that each gets an answer of its own

    def call_started(self, call_id: str, *, background: bool = False) -> None:
        """The model calls a tool of the program's."""
        if background:
            self._background.add(call_id)
            self._only_background = not self._calls_here
            return
        self._open_calls.add(call_id)
        self._calls_here.add(call_id)
        self._only_background = False

    def call_answered(self, call_id: str, input_id: str) -> None:
        """A result goes to the model, which will go on with it: in the response that called, or in another one."""
        self._open_calls.discard(call_id)
        if call_id in self._background:
            self._background.discard(call_id)
            self._owed[input_id] = _Kind.RESULT
        elif call_id in self._calls_given_up:
            self._calls_given_up.discard(call_id)
            self._cancelled[input_id] = _Kind.RESULT
        elif call_id in self._calls_here and self.responding is not None:
            self._results.append(input_id)
        else:
            self._results.append(input_id)
            self._owed[input_id] = _Kind.RESULT

    def call_cancelled(self, call_id: str) -> None:
        """The model does not want a result any more; when it wants none at all, its answer will not go on."""
        self._calls_given_up.discard(call_id)
        self._background.discard(call_id)
        if call_id in self._open_calls:
            self._open_calls.discard(call_id)
            self._withdrawn = True
            if self.responding is None and self._calls_over:
                self._awaiting_tools = {}

    @property
    def _calls_over(self) -> bool:
        return self._withdrawn and not self._open_calls and not self._results

    def no_speech(self, input_id: str = "") -> None:
        """The provider found nothing to answer in a turn."""
        self.possible_until = None
        found = next((key for key, kind in self._owed.items() if kind is _Kind.FOUND), None)
        if input_id in self._owed:
            del self._owed[input_id]
        elif found is not None:  # the provider found that turn, whatever ended it
            del self._owed[found]
        elif self._owed and not input_id:
            del self._owed[next(iter(self._owed))]

    def may_be_answered(self, now: float) -> None:
        """What is owed to a turn without an id may have come already: another answer to it is only possible."""
        for key in [key for key, kind in self._owed.items() if kind is _Kind.FOUND]:
            del self._owed[key]
            self.may_owe(now)

    def cancel_pending(self) -> bool:
        """The answers that are owed and have not begun are given up; whether there are any."""
        given_up = self._owed | self._awaiting_tools
        self._cancelled |= given_up
        self._owed, self._awaiting_tools = {}, {}
        self._calls_given_up.update(self._open_calls)
        return bool(given_up)

    def give_up(self) -> None:
        """No answer will come to what was said so far."""
        self.responding, self.possible_until = None, None
        self._owed, self._taken, self._awaiting_tools = {}, {}, {}
        self._open_calls.clear()
        self._calls_given_up.clear()
