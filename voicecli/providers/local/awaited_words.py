"""Turns of the user whose words are not known yet: a reply waits for them, lest it talk over the user."""

import asyncio
from collections.abc import Callable

__all__ = ["AwaitedWords"]


class AwaitedWords:
    """Turns under way or under transcription, by their item's id."""

    def __init__(self) -> None:
        self._known: dict[str, asyncio.Event] = {}

    def __bool__(self) -> bool:
        """Tell whether the words of any turn are awaited."""
        return bool(self._known)

    def expect(self, turn_id: str) -> None:
        """Await the words of this turn."""
        self._known[turn_id] = asyncio.Event()

    def set_known(self, turn_id: str) -> None:
        """Await no more words of this turn: they are known, or it has none."""
        if (known := self._known.pop(turn_id, None)) is not None:
            known.set()

    def recheck(self) -> None:
        """Let all who wait look again whether they need to."""
        for turn_id, known in self._known.items():
            known.set()
            self._known[turn_id] = asyncio.Event()

    async def wait_for_others(self, turn_id: str, *, needed: Callable[[], bool]) -> None:
        """Return when the words of all turns but this one are known, or are not `needed` any more."""
        while needed() and (others := [known for other, known in self._known.items() if other != turn_id]):
            await others[0].wait()
