"""What the operating system itself says of its sound devices, asked in this process: a port, and who answers where."""

import logging
import sys
from typing import Protocol

from voicecli.audio.devices.listing import Kind

__all__ = ["SystemSound", "SystemSoundError", "system_sound"]

_log = logging.getLogger(__name__)


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


def system_sound() -> SystemSound | None:
    """What answers on this system; None where nothing does: on Linux, and where a library is not as it should be."""
    try:
        if sys.platform == "darwin":
            from voicecli.audio.devices.core_audio import load_core_audio

            return load_core_audio()
        if sys.platform == "win32" and sys.maxsize > 2**32:  # with 32 bits, calls would need another convention
            from voicecli.audio.devices.winmm import load_winmm

            return load_winmm()
    except (OSError, AttributeError, SystemSoundError) as error:
        _log.debug("The system is not asked for its devices: %s", error)
    return None
