"""Questions whether a tool may run: shown one after the other, answered by keys that were meant for them. Pure."""

from voicecli.events import ApprovalRequest

__all__ = ["Questions"]

_READING_S = 0.4
"""The time after a question is shown, and after the last key for it that came too early, in which keys do not count:
they were on their way already, or the key is held. Nobody reads and decides faster."""


class Questions:
    """The questions that wait for the user, oldest first; the first of them is shown. Times are in seconds."""

    def __init__(self) -> None:
        self._waiting: list[ApprovalRequest] = []
        self._announced = False  # the first is being shown
        self._quiet_since: float | None = None  # none before it is shown

    def __len__(self) -> int:
        return len(self._waiting)

    @property
    def first(self) -> ApprovalRequest | None:
        """The question that is shown, or will be with the next picture."""
        return self._waiting[0] if self._waiting else None

    def add(self, request: ApprovalRequest) -> None:
        """Ask this, too, after the others."""
        self._waiting.append(request)

    def announce(self) -> ApprovalRequest | None:
        """The question that is to be shown now, if it is not yet; once for each."""
        if self._announced or not self._waiting:
            return None
        self._announced = True
        return self._waiting[0]

    def shown(self, now: float) -> None:
        """The first question is on the screen."""
        if self._announced and self._quiet_since is None:
            self._quiet_since = now

    def key(self, now: float) -> ApprovalRequest | None:
        """The question that a key pressed now answers; None where it was pressed too early."""
        if self._quiet_since is None:
            return None
        if now - self._quiet_since < _READING_S:
            self._quiet_since = now
            return None
        return self.first

    def settle(self, approval_id: str) -> ApprovalRequest | None:
        """Ask this one no more; None where it was not asked."""
        for place, request in enumerate(self._waiting):
            if request.approval_id == approval_id:
                del self._waiting[place]
                if place == 0:
                    self._announced, self._quiet_since = False, None
                return request
        return None

    def clear(self) -> None:
        """Ask nothing more."""
        self._waiting.clear()
        self._announced, self._quiet_since = False, None
