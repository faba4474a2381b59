"""Exit codes: each error has one, decided in one place."""

import errno
import subprocess
import sys
from pathlib import Path

import pytest
import typer

from tests.cli.conftest import ROOT, Voice
from tests.support.plugins import PARROT, install
from voicecli.cli.exit import ExitStatus, status_of
from voicecli.errors import (
    AudioDeviceError,
    AudioFormatError,
    AuthenticationError,
    ConfigurationError,
    LimitReachedError,
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
        (LimitReachedError("x", limit="max_cost"), ExitStatus.LIMIT),
        (OSError(errno.EIO, "Broken"), ExitStatus.ERROR),
        (ZeroDivisionError("x"), ExitStatus.ERROR),
    ],
)
def test_each_error_has_its_exit_code(error: Exception, status: ExitStatus) -> None:
    assert status_of(error) is status


def test_a_defect_exits_with_1(voice: Voice, tmp_path: Path) -> None:
    defect = PARROT + "\nfrom dataclasses import replace\nPARROT = replace(PARROT, connect=lambda setup: 1 / 0)\n"
    install(tmp_path, "voicecli-parrot", {"voicecli_parrot": defect}, parrot="voicecli_parrot:PARROT")
    result = voice("send-text", "Hi", "-p", "parrot", PYTHONPATH=f"{ROOT}:{tmp_path}")
    assert result.code == 1
    assert "This is a defect" in result.stderr


def test_a_missing_device_exits_with_5(voice: Voice) -> None:
    result = voice("test-audio", "--output-device", "a device that nobody has")
    assert result.code == 5
    assert result.stderr.startswith("voice: ")


def test_each_exit_code_is_in_the_readme_and_in_the_help(voice: Voice) -> None:
    table = (ROOT / "README.md").read_text()
    shown = voice("--help").stdout.decode()
    for status in ExitStatus:
        assert f"\n| {status.value} | " in table
        assert f" {status.value} " in shown


_INTERRUPTED_IMPORT = """
import sys
from voicecli.cli import main

class Interrupted:
    def find_spec(self, name, *rest):
        if name == "typer":
            raise KeyboardInterrupt

sys.meta_path.insert(0, Interrupted())
main(["list-providers"])
"""


def test_ctrl_c_while_modules_are_loaded_shows_no_traceback() -> None:
    done = subprocess.run([sys.executable, "-c", _INTERRUPTED_IMPORT], capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stdout, done.stderr) == (ExitStatus.INTERRUPTED, "", "")
