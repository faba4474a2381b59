"""The answers that are owed, by the inputs that ask for them. Pure; times are in seconds, by the event loop's clock."""

from collections import OrderedDict
from collections.abc import Iterable

__all__ = ["SIGN_OF_SPEECH_S", "Obligations"]

SIGN_OF_SPEECH_S = 3.0
"""How long an answer is possible without a sign of it. With VADMode.SERVER only the provider knows whether there was
speech at the end of the audio; first signs take up to about two seconds. And of several turns that ended before they
were answered, only the provider knows whether they are answered together."""


class Obligations:
    """Which inputs are owed an answer, and which response answers them.

    An input that the program sent has an id, which `ResponseStarted.answers` names. A turn that the provider found has
    none: the next response answers it. A provider that names no ids answers with each response all that is owed.

    Attributes:
        responding: the response being made, or None.
        answered: how many answers were complete so far.
        possible_until: until when an answer may come that is not owed for certain; None when none may.
        after_speech: whether that is because the user may have spoken.
    """

    def __init__(self) -> None:
        self.responding: str | None = None
        self.answered = 0
        self.possible_until: float | None = None
        self.after_speech = False
        self._owed: OrderedDict[str, None] = OrderedDict()
        self._taken: tuple[str, ...] = ()  # those that `responding` answers
        self._awaiting_tools: tuple[str, ...] = ()  # those whose answer goes on after the results of tools
        self._cancelled: set[str] = set()  # given up, and no response has begun since that would answer them
        self._turns = 0  # those without an id, for a name
        self._names_inputs = False  # the provider has named an input once
        self._open_calls: set[str] = set()
        self._calls_given_up: set[str] = set()  # open, and their answer is given up
        # Of the calls of the present answer: whether any was cancelled, and the results that came while it was made.
        self._withdrawn = False
        self._calls_here: set[str] = set()
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
    def tools_running(self) -> bool:
        """Whether the model waits for a tool of the program's."""
        return bool(self._open_calls)

    def owe(self, input_id: str = "") -> None:
        """The user has finished: an answer is owed. A turn that the provider found has no id."""
        if not input_id:
            self._turns += 1
            input_id = f"turn {self._turns}"
        self._owed[input_id] = None
        self.possible_until = None

    def may_owe(self, now: float, *, after_speech: bool = True) -> None:
        """Only the provider knows whether an answer is owed."""
        self.possible_until, self.after_speech = now + SIGN_OF_SPEECH_S, after_speech

    def sign(self, now: float) -> None:
        """The user's words or voice were noticed: a possible answer stays possible."""
        if self.possible_until is not None:
            self.possible_until = now + SIGN_OF_SPEECH_S

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
        taken = tuple(key for key in self._owed if self._is_answered(key, named))
        for key in taken:
            del self._owed[key]
        unwanted = any(self._is_answered(key, named) for key in self._cancelled) and not taken
        unwanted = unwanted and not self._awaiting_tools
        self._cancelled = {key for key in self._cancelled if not self._is_answered(key, named)}
        self._taken, self._awaiting_tools = self._taken + self._awaiting_tools + taken, ()
        self.responding, self.possible_until = response_id, None
        self._withdrawn = False
        self._calls_here.clear()
        self._results.clear()
        return not unwanted

    def _is_answered(self, key: str, named: set[str]) -> bool:
        return key in named or key.startswith("turn ") or not self._names_inputs

    def response_done(self, response_id: str, now: float, *, awaits_tools: bool, cancelled: bool) -> None:
        """A response is over. One that awaits tools is no answer yet, unless all its calls were cancelled."""
        if self.responding != response_id:
            return
        taken, self._taken, self.responding = self._taken, (), None
        if awaits_tools and not self._calls_over:
            self._awaiting_tools = taken
            self._owed.update(dict.fromkeys(self._results))
            return
        self.answered += not cancelled
        if len(taken) > 1 and not self.pending:
            self.may_owe(now, after_speech=False)

    def call_started(self, call_id: str) -> None:
        """The model calls a tool of the program's."""
        self._open_calls.add(call_id)
        self._calls_here.add(call_id)

    def call_answered(self, call_id: str, input_id: str) -> None:
        """A result goes to the model, which will go on with it: in the response that called, or in another one."""
        self._open_calls.discard(call_id)
        if call_id in self._calls_given_up:
            self._calls_given_up.discard(call_id)
            self._cancelled.add(input_id)
        elif call_id in self._calls_here:
            self._results.append(input_id)
            if self.responding is None:
                self.owe(input_id)
        else:
            self.owe(input_id)

    def call_cancelled(self, call_id: str) -> None:
        """The model does not want a result any more; when it wants none at all, its answer will not go on."""
        self._calls_given_up.discard(call_id)
        if call_id in self._open_calls:
            self._open_calls.discard(call_id)
            self._withdrawn = True
            if self.responding is None and self._calls_over:
                self._awaiting_tools = ()

    @property
    def _calls_over(self) -> bool:
        return self._withdrawn and not self._open_calls and not self._results

    def no_speech(self, input_id: str = "") -> None:
        """The provider found nothing to answer in a turn."""
        self.possible_until = None
        if input_id:
            self._owed.pop(input_id, None)
        elif self._owed:
            turns = (key for key in self._owed if key.startswith("turn "))
            del self._owed[next(turns, next(iter(self._owed)))]

    def cancel_pending(self) -> bool:
        """The answers that are owed and have not begun are given up; whether there are any."""
        given_up = [*self._owed, *self._awaiting_tools]
        self._cancelled.update(given_up)
        self._owed.clear()
        self._awaiting_tools = ()
        self._calls_given_up.update(self._open_calls)
        return bool(given_up)

    def give_up(self) -> None:
        """No answer will come to what was said so far."""
        self.responding, self.possible_until = None, None
        self._owed.clear()
        self._taken = self._awaiting_tools = ()
        self._open_calls.clear()
        self._calls_given_up.clear()
