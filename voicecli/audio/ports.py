"""Ports of audio: sources, sinks, echo control, position of the listener. Devices, files and tests implement them."""

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Literal, Protocol

__all__ = ["AudioSink", "AudioSource", "EchoControl", "EchoMode", "OnRendered", "Playhead"]

OnRendered = Callable[[bytes, float], None]
"""Is told, on the audio thread, what a loudspeaker is given, PCM16 mono, silence included, and when its first sample is
heard, by the clock `time.monotonic`; of b"" when it is opened. Never blocks, never raises."""

EchoMode = Literal["auto", "aec", "gate", "half-duplex", "off"]
"""Echo control, which keeps the model from hearing itself.

"aec" cancels the echo and suppresses noise, "gate" passes only what is louder than the echo, "half-duplex" mutes the
microphone while the assistant is heard, "off" is for headphones; "auto" takes "aec", or "gate" on platforms that have
no package for it.
"""


@dataclass(frozen=True, slots=True)
class Playhead:
    """Position of the listener in the assistant's audio.

    Attributes:
        item_id: the item being heard.
        played_ms: how much of that item has been heard, in ms; never cumulative over items.
    """

    item_id: str
    played_ms: int


class AudioSource(Protocol):
    """Source of the user's voice: yields PCM16 mono, in chunks of any length.

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
    """Sink of the replies: takes PCM16 mono.

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
        """Stop at once; flush what is unheard, and end any pause.

        Returns:
            where the listener was, or None when all was heard.
        """

    def pause(self) -> None:
        """Play silence at once, and keep what is unheard: the user may be about to speak."""

    def resume(self) -> None:
        """Go on where `pause` stopped."""

    async def drain(self) -> None:
        """Return when everything written has been heard."""

    async def aclose(self) -> None: ...


class EchoControl(Protocol):
    """Echo control of one pair of streams.

    Attributes:
        active: what it does, in a word for the user: "aec", "gate", "half-duplex" or "off"; "none" where "aec" detects
            no echo.
        suppressing: whether it replaces what is captured, by silence or faint noise, just now.
        settled: whether nothing of an echo is to be expected in what it passes; False while a reply is heard whose echo
            it does not know well yet.
        may_leave_echo: whether what it passes may hold an echo of the reply at all, settled or not.
        mutes: whether it passes nothing, no voice either, while a reply is heard.
    """

    @property
    def active(self) -> str: ...
    @property
    def suppressing(self) -> bool: ...
    @property
    def settled(self) -> bool: ...
    @property
    def may_leave_echo(self) -> bool: ...
    @property
    def mutes(self) -> bool: ...
    def render(self, audio: bytes) -> None:
        """Take what goes to the loudspeaker."""

    def capture(self, audio: bytes) -> bytes:
        """Take what comes from the microphone; what is left of it: as long as what was passed in, in the long run."""

    def discontinuity(self) -> None:
        """Know that a device has lost sound, which moves the echo. On any audio thread."""
