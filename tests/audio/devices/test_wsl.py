"""WSL2, where sound comes through the PulseAudio server of Windows."""

import sys

import pytest

from voicecli.audio.devices.advice import no_device


@pytest.mark.parametrize("variable", ["WSL_DISTRO_NAME", "WSL_INTEROP"])
def test_wsl_without_a_microphone(monkeypatch: pytest.MonkeyPatch, variable: str) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    assert "WSL" not in no_device()
    monkeypatch.setenv(variable, "Ubuntu")
    assert "libasound2-plugins" in no_device()
    assert "run voice in Windows" in no_device()
