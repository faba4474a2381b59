"""Exit codes: each error has one, decided in one place."""

import errno

import pytest
import typer

from voicecli.cli.exit import ExitStatus, status_of
from voicecli.errors import (
    AudioDeviceError,
    AudioFormatError,
    AuthenticationError,
    ConfigurationError,
    NoSpeechError,
    RealtimeConnectionError,
    RealtimeError,
    ToolError,
)


@pytest.mark.parametrize(
    ("error", "status"),
    [
        (AudioFormatError("x"), ExitStatus.USAGE),
        (typer.BadParameter("x"), ExitStatus.USAGE),
        (OSError(errno.ENOSPC, "No space left"), ExitStatus.USAGE),
        (ConfigurationError("x"), ExitStatus.CONFIGURATION),
        (AuthenticationError("x"), ExitStatus.CONFIGURATION),
        (ToolError("x"), ExitStatus.CONFIGURATION),
        (RealtimeConnectionError("x"), ExitStatus.CONNECTION),
        (RealtimeError("x"), ExitStatus.CONNECTION),
        (AudioDeviceError("x"), ExitStatus.AUDIO),
        (NoSpeechError("x"), ExitStatus.NO_SPEECH),
        (OSError(errno.EIO, "Broken"), ExitStatus.ERROR),
        (ZeroDivisionError("x"), ExitStatus.ERROR),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, status: ExitStatus) -> None:
    assert status_of(error) is status
