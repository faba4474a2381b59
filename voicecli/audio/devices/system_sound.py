"""What the operating system itself says of its sound devices, asked in this process: a port."""

from typing import Protocol

from voicecli.audio.devices.listing import Kind

__all__ = ["SystemSound", "SystemSoundError"]


class SystemSoundError(Exception):
    """The system does not answer, or not in the way it should."""


class SystemSound(Protocol):
    """The sound devices as they are now. Its calls take a millisecond or less, on any thread."""

    def default_name(self, kind: Kind) -> str:
        """The name of the default device, which may be cut as MME cuts it; "" when there is none.

        Raises:
            SystemSoundError: it cannot be found out.
        """

    def sample_rate(self, kind: Kind, name: str) -> int:
        """A device's own rate, in Hz; 0 where it is not known."""
