"""Telling the program of audio that was dropped on its way to the provider."""

import asyncio
from collections.abc import Callable
from enum import Enum

from voicecli.events import Notice

__all__ = ["DroppedAudio", "Why"]

# When a slow network has dropped nothing for so long, it keeps up again: one that stutters is not told at each stutter.
_STEADY_S = 5.0


class Why(Enum):
    """Reasons for which audio is dropped, in words with room for the verb."""

    TOO_SLOW = "the network {} too slow"
    TOO_LATE = "it {} too late to be heard in time"
    NO_CONNECTION = "there {} no connection"


class DroppedAudio:
    """Tells when audio begins to be dropped, and why; and when that is over, how much it was.

    Args:
        bytes_per_s: of the audio, in bytes per second.
        outage_audio_s: how much is kept while there is no connection, in seconds.
        tell: passes a notice to the program.
    """

    def __init__(self, bytes_per_s: int, outage_audio_s: float, tell: Callable[[Notice], None]) -> None:
        self._bytes_per_s = bytes_per_s
        self._outage_audio_s = outage_audio_s
        self._tell = tell
        self._bytes = 0
        self._why: Why | None = None  # of which the program has been told; None when nothing is being dropped
        self._steady: asyncio.TimerHandle | None = None

    def add(self, size: int, why: Why) -> None:
        """So many bytes have been dropped."""
        self._stop_timer()
        self._bytes += size
        if self._why is None:
            self._why = why
            away = why is Why.NO_CONNECTION
            kept = f", and only the newest {self._outage_audio_s:g} s of it are kept" if away else ""
            self._tell(Notice("audio_dropped", f"Your speech is being dropped: {why.value.format('is')}{kept}."))

    def all_sent(self) -> None:
        """Everything that waited for the network has left."""
        if self._why is Why.NO_CONNECTION:
            self.end()
        elif self._why is not None and self._steady is None:
            self._steady = asyncio.get_running_loop().call_later(_STEADY_S, self.end)

    def end(self) -> None:
        """Nothing more is being dropped."""
        self._stop_timer()
        if self._why is None:
            return
        seconds, self._bytes = self._bytes / self._bytes_per_s, 0
        why, self._why = self._why.value.format("was"), None
        amount = f"{seconds:.1f} s" if seconds >= 1 else f"{seconds * 1000:.0f} ms"
        self._tell(Notice("audio_dropped", f"{amount} of your speech were dropped: {why}."))

    def _stop_timer(self) -> None:
        if self._steady is not None:
            self._steady.cancel()
            self._steady = None
