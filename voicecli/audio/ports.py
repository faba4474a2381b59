"""What the sound devices, files and tests of `audio` have in common: sources, sinks, and where the listener is."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["AudioSink", "AudioSource", "EchoMode", "Playhead"]

EchoMode = Literal["auto", "aec", "gate", "half-duplex", "off"]
"""What keeps the model from hearing itself; "auto" takes echo cancellation where it is installed, else the gate."""


@dataclass(frozen=True, slots=True)
class Playhead:
    """How far the listener is.

    Attributes:
        item_id: the item being heard.
        played_ms: how much of that item has been heard, in ms; never cumulative over items.
    """

    item_id: str
    played_ms: int


class AudioSource(Protocol):
    """Where the user's voice comes from.

    Attributes:
        sample_rate: of what it yields, in Hz.
        realtime: whether time passes in it by itself (a microphone), or it waits until it is asked (a file).
    """

    @property
    def sample_rate(self) -> int: ...
    @property
    def realtime(self) -> bool: ...
    def __aiter__(self) -> AsyncIterator[bytes]: ...
    async def aclose(self) -> None: ...


class AudioSink(Protocol):
    """Where the reply goes.

    Attributes:
        sample_rate: of what it takes, in Hz.
    """

    @property
    def sample_rate(self) -> int: ...
    def write(self, audio: bytes, item_id: str) -> None:
        """Take a chunk of the item's audio; never blocks."""

    def end(self) -> None:
        """Know that the reply being written is complete: nothing more of it comes."""

    def clear(self) -> Playhead | None:
        """Stop at once; forget what is unheard, and any pause.

        Returns:
            Where the listener was, or None when all was heard.
        """

    def pause(self) -> None:
        """Fall silent at once, and keep what is unheard: the user may be about to speak."""

    def resume(self) -> None:
        """Go on where `pause` stopped."""

    async def drain(self) -> None:
        """Return when everything written has been heard."""

    async def aclose(self) -> None: ...
