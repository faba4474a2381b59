"""A voice that may be heard here, of which the provider, who finds the turns, has yet to tell.

The reply that it speaks into falls silent at once, however far the provider is, and the provider hears it without the
reply's echo.
"""

__all__ = ["Suspicion"]

# The provider hears of it 0.3 to 1.5 s after its beginning; its detector, and the way there and back, take 0.3 s.
_LASTS_S = 2.0
# What the provider does not share may be an echo that comes again with the reply, or music: the reply would stutter. So
# it goes on for one and a half times as long; after a short noise, which ends by itself in 0.6 s, for 0.9 s.
_NOT_AGAIN = 1.5


class Suspicion:
    """Part of the floor: keeps whether there is a suspicion, and until when. Pure; times are in seconds.

    Attributes:
        until: until when the provider may share it; None where there is none.
        is_voice: whether the session's own detector was sure of the latest one.
    """

    def __init__(self) -> None:
        self.until: float | None = None
        self.is_voice = False
        self._since = 0.0
        self._not_before = 0.0

    def __bool__(self) -> bool:
        return self.until is not None

    @property
    def is_mere(self) -> bool:
        """Whether there is one, of which nobody is sure."""
        return self.until is not None and not self.is_voice

    def begin(self, now: float) -> bool:
        """Begin one, unless the provider has just not shared the one before; whether it begins."""
        if now < self._not_before:
            return False
        self._since, self.until, self.is_voice = now, now + _LASTS_S, False
        return True

    def confirm(self) -> bool:
        """The session's own detector is sure of one that there is, which is still the provider's to tell; whether there
        is."""
        self.is_voice = self.until is not None
        return self.is_voice

    def is_over(self, now: float) -> bool:
        """Whether it has lasted for as long as it may."""
        return self.until is not None and now >= self.until

    def drop(self, now: float, *, goes_on: bool) -> bool:
        """Nobody has shared it, if there is one; whether there is. `goes_on`: the reply does, and was not cut since."""
        if self.until is None:
            return False
        self.until = None
        if goes_on:
            self._not_before = now + _NOT_AGAIN * (now - self._since)
        return True

    def clear(self) -> None:
        """It is none any more: the provider has told, or somebody has acted."""
        self.until = None
