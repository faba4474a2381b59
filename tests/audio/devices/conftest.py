"""PortAudio without sound, for tests in virtual time."""

import pytest

from tests.audio.devices.fake_portaudio import FakePortAudio


@pytest.fixture
def portaudio(monkeypatch: pytest.MonkeyPatch) -> FakePortAudio:
    """For tests in virtual time: calls to it take none."""
    fake = FakePortAudio()
    fake.use(monkeypatch, inline=True)
    return fake
