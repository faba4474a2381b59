"""Replies that the provider took back although the user said nothing: another one is awaited, and asked for once."""

__all__ = ["ASK_AGAIN_AFTER_S", "TakenBack"]

ASK_AGAIN_AFTER_S = 3.0
"""How long another reply is waited for before it is asked for, in seconds: longer than a provider's own turn detection,
which it was told to leave off, takes to end a turn."""


class TakenBack:
    """Follows a reply that was taken back. Pure; times are in seconds, by the event loop's clock.

    Attributes:
        ask_at: when another reply is to be asked for; None when it is not.
    """

    def __init__(self) -> None:
        self.ask_at: float | None = None
        self._response: str | None = None
        self._asked = False

    def interrupted(self, response_id: str) -> None:
        """The provider interrupts a reply, and nobody has spoken."""
        self._response = response_id

    def done(self, response_id: str, now: float, *, cancelled: bool) -> bool:
        """A response is over; whether it was taken back, so that another one is owed."""
        taken_back, self._response = cancelled and response_id == self._response, None
        if not taken_back:
            self._asked = False
        elif not self._asked:
            self.ask_at = now + ASK_AGAIN_AFTER_S
        return taken_back

    def response_started(self) -> None:
        """Another reply has come."""
        self.ask_at = None

    def user_acts(self) -> None:
        """The user says something: that will be answered."""
        self.ask_at, self._asked = None, False

    def asks(self, now: float) -> bool:
        """True when it is time to ask, which it is once."""
        if self.ask_at is None or now < self.ask_at:
            return False
        self.ask_at, self._asked = None, True
        return True
