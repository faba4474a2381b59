"""Output of a speculative reply, held back until the turn that it answers is known to be over."""

from collections.abc import Callable

__all__ = ["HeldOutput"]


class HeldOutput:
    """Output of a reply that may be speculative: held until it is known that the reply is wanted."""

    def __init__(self) -> None:
        self._released = False
        self._discarded = False
        self._held: list[Callable[[], None]] = []

    def do(self, action: Callable[[], None]) -> None:
        """Do it now, or later after `release`; never after `discard`."""
        if self._released:
            action()
        elif not self._discarded:
            self._held.append(action)

    def release(self) -> None:
        """Do what was held back, and from now on everything at once; nothing after `discard`."""
        if self._discarded:
            return
        self._released = True
        held, self._held = self._held, []
        for action in held:
            if self._released:
                action()

    def discard(self) -> None:
        """Drop what is held back, and all that comes."""
        self._released, self._discarded = False, True
        self._held.clear()
