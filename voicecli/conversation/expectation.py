"""Whether an answer is still to come. Pure; times are in seconds, of any monotonic clock."""

__all__ = ["Expectation"]

# With VADMode.SERVER only the provider knows whether there was speech at the end of the audio. How long a sign of it
# is waited for, in seconds; first signs take up to about two. And of several turns that ended before they were
# answered, only the provider knows whether they are answered together: so long another answer is hoped for.
_SIGN_OF_SPEECH_S = 3.0


class Expectation:
    """What is known of the answers to the user's turns.

    One is owed when a turn has certainly ended, hoped for when the audio has ended and nobody knows whether there was
    speech in it, and running when it is being made.

    Attributes:
        running: the response being made, or None.
        answers: how many whole answers there were so far.
    """

    def __init__(self) -> None:
        self.running: str | None = None
        self.answers = 0
        self._turn = 0
        self._owed = 0  # turns that have ended without an answer
        self._taken = 0  # those of them that had ended when `running` began: it may answer them all
        self._refused_turn: int | None = None
        self._hope_until: float | None = None
        self._speech_open = False

    @property
    def owes(self) -> bool:
        """Whether an answer is certainly to come, or is being made."""
        return self._owed > 0 or self.running is not None

    def waiting(self, now: float) -> bool:
        """Whether one is to come, if only perhaps."""
        return self.owes or (self._hope_until is not None and now < self._hope_until)

    def hope_left(self, now: float) -> float | None:
        """How long to hope for a sign of speech, in seconds; None when something certain is waited for."""
        if self._hope_until is None or self.owes:
            return None
        return max(0.0, self._hope_until - now)

    def speech_started(self) -> None:
        self._speech_open = True

    def speech_stopped(self) -> None:
        self._speech_open = False

    def turn_ended(self) -> None:
        """The user has finished: an answer is owed."""
        self._turn += 1
        self._owed += 1
        self._hope_until = None

    def tool_answered(self) -> None:
        """The result of a tool went to the model, which will go on with it: the answer is still to the same turn."""
        self._owed = max(self._owed, 1)

    def audio_ended(self, now: float) -> None:
        """The audio is over; whether a turn is, the provider will say."""
        if self._speech_open or not (self._owed or self.running):
            self._hope_until = now + _SIGN_OF_SPEECH_S

    def insist(self, *, answered: bool) -> None:
        """Whoever asked expects an answer, unless it has come already: no mere hope."""
        if self._hope_until is not None:
            self._hope_until, self._owed = None, 0 if answered else max(self._owed, 1)

    def sign(self, now: float) -> None:
        """The user's words or voice were noticed."""
        if self._hope_until is not None:
            self._hope_until = now + _SIGN_OF_SPEECH_S

    def refuse(self) -> None:
        """The answer that is owed and has not begun is not wanted any more."""
        if self._owed > self._taken:
            self._owed, self._refused_turn = self._taken, self._turn

    def response_started(self, response_id: str) -> bool:
        """A response is being made: whether it is wanted."""
        self.running, self._hope_until = response_id, None
        self._taken = self._owed
        refused, self._refused_turn = self._refused_turn, None
        return refused != self._turn

    def response_done(self, response_id: str, now: float, *, awaits_tools: bool, cancelled: bool = False) -> None:
        if self.running != response_id:
            return
        taken, self.running, self._taken = self._taken, None, 0
        if awaits_tools:
            return
        self._owed = max(self._owed - taken, 0)
        self.answers += not cancelled
        if taken > 1 and not self._owed:
            self._hope_until = now + _SIGN_OF_SPEECH_S

    def give_up(self) -> None:
        """No answer will come to what was said so far."""
        self.running, self._hope_until = None, None
        self._owed = self._taken = 0

    def no_speech(self) -> None:
        """The provider found nothing to answer in a turn."""
        self._owed, self._hope_until = max(self._owed - 1, 0), None
