"""Limits on what a conversation costs, how long it lasts, and how long nobody speaks. Pure: no clock, no I/O."""

from dataclasses import dataclass

from voicecli.config import RealtimeConfig
from voicecli.errors import LimitReachedError
from voicecli.events import (
    ApprovalAnswered,
    ApprovalRequest,
    Event,
    Notice,
    Reconnecting,
    SessionStarted,
    StateChanged,
    Usage,
)

__all__ = ["IDLE_MINUTES", "WARN_AT", "Limits", "Spent"]

WARN_AT = 0.8
"""The part of a limit at which the user is warned."""
IDLE_MINUTES = 10.0
"""How long nobody may speak where the session is billed by the minute, unless something else is chosen: with a model of
$3 an hour a microphone left open then costs $0.50."""
_NEARLY = 1e-9  # what sums of floating-point numbers may lack


@dataclass(frozen=True, slots=True)
class Spent:
    """What counts towards the limits: the cost in US dollars, None where it is not known, and the minutes."""

    cost_usd: float | None = 0.0
    minutes: float = 0.0


class Limits:
    """Tells when a conversation nears a limit, and when it has reached one. Times are in seconds, of a monotonic clock.

    The session is billed, where it is, from each SessionStarted to the next Reconnecting: its cost is estimated by that
    until the provider tells `Usage.session_seconds`.

    Args:
        per_minute: what a minute of the session costs, in US dollars; 0 where only use is billed.
        spent: what counts already: that of earlier sessions of the same conversation.
        now: when the conversation begins.

    Attributes:
        reached: the error for the limit that was reached first, or None.
    """

    def __init__(
        self, config: RealtimeConfig, *, per_minute: float = 0.0, spent: Spent | None = None, now: float = 0.0
    ) -> None:
        self.reached: LimitReachedError | None = None
        self._max_cost = config.max_cost
        self._max_s = 60 * (config.max_minutes or 0)
        idle = config.idle_minutes
        self._idle_s = 60 * (IDLE_MINUTES if idle is None and per_minute else idle or 0)
        self._per_s = per_minute / 60
        self._before = spent or Spent()
        self._began = now
        self._usage = Usage()
        self._up_s = 0.0  # how long it was connected before `_up_since`
        self._up_since: float | None = None
        self._idle_since: float | None = now
        self._approvals: set[str] = set()
        self._state = StateChanged("silent", "connecting")
        self._warned = {name for name, part in self._parts(now).items() if part >= WARN_AT}

    def __bool__(self) -> bool:
        """Whether there is a limit."""
        return self._max_cost is not None or self._max_s > 0 or self._idle_s > 0

    @property
    def notice(self) -> Notice | None:
        """What the user should know when the session is billed while nobody speaks; None where it is not."""
        if not self._per_s:
            return None
        minute, hour = _usd(60 * self._per_s), _usd(3600 * self._per_s)
        message = f"This costs {minute} a minute, {hour} an hour, also while nobody speaks."
        if self._idle_s:
            message += f" It ends when nobody has spoken for {_time(self._idle_s)}."
        return Notice("billed_by_minute", message, daily=True)

    def event(self, event: Event, usage: Usage, now: float) -> None:
        """Take an event into account; `usage` is that of the session so far, this event's included."""
        self._usage = usage
        match event:
            case SessionStarted() if self._up_since is None:
                self._up_since = now
            case Reconnecting():
                self._up_s, self._up_since = self._connected_s(now), None
            case ApprovalRequest(approval_id):
                self._approvals.add(approval_id)
            case ApprovalAnswered(approval_id, outcome):
                self._approvals.discard(approval_id)
                if outcome in {"once", "always", "denied"}:  # somebody is there
                    self._idle_since = None
            case StateChanged():
                self._state = event
        self._note_idleness(now)

    def spent(self, now: float) -> Spent:
        """What counts towards the limits by now."""
        before = self._before
        cost = None
        if before.cost_usd is not None and self._usage.cost_usd is not None:
            untold_s = max(self._connected_s(now) - self._usage.session_seconds, 0.0)
            cost = before.cost_usd + self._usage.cost_usd + self._per_s * untold_s
        return Spent(cost, before.minutes + (now - self._began) / 60)

    def check(self, now: float) -> list[Notice]:
        """The warnings that are due by now, each once; sets `reached`."""
        if self.reached is not None:
            return []
        if self._max_cost is not None and self.spent(now).cost_usd is None:
            self.reached = LimitReachedError(
                f"What the conversation costs is not known any more, so that {_usd(self._max_cost)} cannot be kept to.",
                limit="max_cost",
                advice="Give the prices of its models in [prices] of the settings file; see `voice list-models`.",
            )
            return []
        warnings = []
        for name, part in self._parts(now).items():
            if part >= 1 - _NEARLY:
                self.reached = self._error(name, now)
                return []
            if part >= WARN_AT - _NEARLY and name not in self._warned:
                self._warned.add(name)
                warnings.append(self._warning(name, now))
        return warnings

    def next_deadline(self, now: float) -> float | None:
        """The time at which `check` is to be called again though nothing happens; None when there is none."""
        if self.reached is not None:
            return None
        left = [
            (limit - used) / growth
            for name, (used, limit, growth) in self._amounts(now).items()
            for limit in ((limit,) if name in self._warned else (limit * WARN_AT, limit))
            if growth
        ]
        return now + max(min(left), 0.0) if left else None

    def _amounts(self, now: float) -> dict[str, tuple[float, float, float]]:
        """What is used of each limit, the limit, and how much more is used each second though nothing happens."""
        spent = self.spent(now)
        amounts = {}
        if self._max_cost is not None and spent.cost_usd is not None:
            growth = self._per_s if self._up_since is not None else 0.0
            amounts["max_cost"] = spent.cost_usd, self._max_cost, growth
        if self._max_s:
            amounts["max_minutes"] = 60 * spent.minutes, self._max_s, 1.0
        if self._idle_s and self._idle_since is not None:
            amounts["idle_minutes"] = now - self._idle_since, self._idle_s, 1.0
        return amounts

    def _parts(self, now: float) -> dict[str, float]:
        return {name: used / limit for name, (used, limit, _) in self._amounts(now).items()}

    def _connected_s(self, now: float) -> float:
        return self._up_s + (now - self._up_since if self._up_since is not None else 0.0)

    def _note_idleness(self, now: float) -> None:
        """A question that waits for an answer is no activity: nobody may be there who could answer it."""
        active = {"speaking"} if self._approvals else {"speaking", "thinking"}
        if self._state.user == "speaking" or self._state.assistant in active:
            self._idle_since = None
            self._warned.discard("idle_minutes")
        elif self._idle_since is None:
            self._idle_since = now

    def _warning(self, name: str, now: float) -> Notice:
        used, limit, _ = self._amounts(now)[name]
        left = _time(limit - used)
        match name:
            case "max_cost":
                message = f"{_usd(used)} of at most {_usd(limit)} is spent."
            case "max_minutes":
                message = f"The conversation ends in {left}: it may last {_time(limit)}."
            case _:
                message = f"Nobody has spoken for {_time(used)}: the conversation ends in {left}."
        return Notice("limit_near", message)

    def _error(self, name: str, now: float) -> LimitReachedError:
        used, limit, _ = self._amounts(now)[name]
        match name:
            case "max_cost":
                message = f"The limit of {_usd(limit)} is reached: the conversation has cost {_usd(used)}."
                advice = "Allow more with max_cost."
            case "max_minutes":
                message = f"The limit of {_time(limit)} is reached."
                advice = "Allow more with max_minutes; 0 sets no limit."
            case _:
                message = f"Nobody has spoken for {_time(limit)}."
                advice = "Allow more with idle_minutes; 0 sets no limit."
        return LimitReachedError(message, limit=name, advice=advice)


def _usd(amount: float) -> str:
    return f"${amount:.2f}" if amount >= 1 or round(amount, 2) == round(amount, 4) else f"${amount:.4f}"


def _time(seconds: float) -> str:
    seconds = round(seconds, 1)
    return f"{seconds:g} s" if seconds < 60 else f"{round(seconds / 60, 1):g} min"
