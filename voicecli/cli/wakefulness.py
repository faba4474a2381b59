"""When a conversation falls asleep: some time after the last speech or reply. Pure: no clock, no I/O."""

from voicecli.events import (
    AssistantState,
    Event,
    StateChanged,
    ToolCallCancelled,
    ToolCallFinished,
    ToolCallRequest,
    UserState,
)

__all__ = ["Wakefulness"]


class Wakefulness:
    """State machine of a conversation that sleeps until it is woken. It is asleep at first. Times are in seconds.

    Args:
        sleep_after_s: how long neither the user nor the assistant speaks, no answer is owed, and no tool runs in the
            background, before it sleeps.

    Attributes:
        asleep: whether no conversation goes on.
        talking: whether the talk key holds the user's turn open.
    """

    def __init__(self, sleep_after_s: float) -> None:
        self.asleep = True
        self._sleep_after_s = sleep_after_s
        self._user: UserState = "silent"
        self._assistant: AssistantState = "connecting"
        self.talking = False
        self._idle_since = 0.0
        self._background: set[str] = set()  # calls that run

    @property
    def sleep_at(self) -> float | None:
        """The time at which it is to fall asleep if nothing happens; None while somebody speaks, or it is asleep."""
        idle = self._assistant == "listening" and self._user == "silent" and not self.talking
        return self._idle_since + self._sleep_after_s if idle and not (self.asleep or self._background) else None

    def wake(self, now: float) -> None:
        """A conversation begins."""
        self.asleep = False
        self._user, self._assistant = "silent", "connecting"
        self._background.clear()
        self._idle_since = now

    def sleep(self) -> None:
        """The conversation is over."""
        self.asleep = True

    def talk(self, talking: bool, now: float) -> None:
        """The talk key holds the user's turn open, or not any more."""
        self.talking = talking
        self._idle_since = now

    def apply(self, event: Event, now: float) -> None:
        """Take an event of the conversation into account."""
        match event:
            case StateChanged(user, assistant):
                self._user, self._assistant = user, assistant
                self._idle_since = now
            case ToolCallRequest(call_id, background=True):
                self._background.add(call_id)
            case ToolCallFinished(call_id) | ToolCallCancelled(call_id) if call_id in self._background:
                self._background.discard(call_id)
                self._idle_since = now
