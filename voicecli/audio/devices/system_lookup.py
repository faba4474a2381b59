"""Which library answers for this operating system's sound devices."""

import logging
import sys

from voicecli.audio.devices.system_sound import SystemSound, SystemSoundError

__all__ = ["system_sound"]

_log = logging.getLogger(__name__)


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
