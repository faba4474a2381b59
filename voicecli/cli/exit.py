"""Exit codes, and which error gets which."""

import enum

from voicecli.errors import (
    AudioDeviceError,
    AudioFormatError,
    AuthenticationError,
    ConfigurationError,
    RealtimeError,
    ToolError,
)

__all__ = ["ExitStatus", "status_of"]


class ExitStatus(enum.IntEnum):
    """What `voice` exits with."""

    OK = 0
    ERROR = 1
    """Anything else: a defect."""
    USAGE = 2
    """The command line, or a file named in it, is wrong."""
    CONFIGURATION = 3
    """A key, setting, tool or package is wrong or missing."""
    CONNECTION = 4
    """The provider cannot be reached, failed, or did not answer."""
    AUDIO = 5
    """Microphone or loudspeaker cannot be used."""
    INTERRUPTED = 130
    """Ctrl-C."""


def status_of(error: RealtimeError) -> ExitStatus:
    match error:
        case AudioFormatError():
            return ExitStatus.USAGE
        case ConfigurationError() | AuthenticationError() | ToolError():
            return ExitStatus.CONFIGURATION
        case AudioDeviceError():
            return ExitStatus.AUDIO
        case _:
            return ExitStatus.CONNECTION
