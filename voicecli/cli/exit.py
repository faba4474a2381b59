"""Exit codes, and which error gets which: the one place that decides it."""

import enum
import errno

from voicecli.errors import (
    AudioDeviceError,
    AudioFormatError,
    AuthenticationError,
    ConfigurationError,
    LimitReachedError,
    NoSpeechError,
    RealtimeError,
    ToolError,
)

__all__ = ["DISK_FULL", "ExitStatus", "status_of"]

DISK_FULL = {errno.EDQUOT, errno.EFBIG, errno.ENOSPC}
"""Codes of an OSError for output that has no room."""


class ExitStatus(enum.IntEnum):
    """Exit codes of `voice`."""

    OK = 0
    """It worked: what was said was answered."""
    ERROR = 1
    """Anything else: a defect."""
    USAGE = 2
    """The command line, or a file named in it, is wrong."""
    CONFIGURATION = 3
    """A key, setting, tool or package is wrong or missing."""
    CONNECTION = 4
    """The provider cannot be reached, refused, failed, or did not answer."""
    AUDIO = 5
    """Microphone or loudspeaker cannot be used."""
    NO_SPEECH = 6
    """There is no speech in the input."""
    LIMIT = 7
    """A limit on cost, time or idleness ended the conversation."""
    INTERRUPTED = 130
    """Ctrl-C."""


def status_of(error: Exception) -> ExitStatus:
    """The exit code for an error that ended the command, or an answer."""
    match error:
        case AudioFormatError():
            return ExitStatus.USAGE
        case ConfigurationError() | AuthenticationError() | ToolError():
            return ExitStatus.CONFIGURATION
        case AudioDeviceError():
            return ExitStatus.AUDIO
        case NoSpeechError():
            return ExitStatus.NO_SPEECH
        case LimitReachedError():
            return ExitStatus.LIMIT
        case RealtimeError():
            return ExitStatus.CONNECTION
        case OSError(errno=code) if code in DISK_FULL:
            return ExitStatus.USAGE
        case _:
            # The parser's own errors carry theirs: 2 where the command line is wrong. Anything else is a defect.
            return ExitStatus(getattr(error, "exit_code", ExitStatus.ERROR))
