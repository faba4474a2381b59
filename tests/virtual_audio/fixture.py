"""A sound server for tests that play and record: `pytest_plugins = ["tests.virtual_audio.fixture"]`."""

import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.virtual_audio import PACKAGES, SoundServer, is_installed

__all__ = ["patient", "sound_server", "sound_server_of_all"]


@pytest.fixture(scope="session")
def sound_server_of_all() -> Iterator[SoundServer]:
    """Started once; PortAudio reads where to find it from the environment."""
    if not is_installed():
        # The only reason why a test of live sound may be skipped.
        pytest.skip(f"there is no PulseAudio here: apt-get install {' '.join(PACKAGES)}")
    with tempfile.TemporaryDirectory(prefix="voicecli-sound-") as directory, pytest.MonkeyPatch.context() as patch:
        server = SoundServer(Path(directory))
        for name, value in server.environment.items():
            patch.setenv(name, value)
        server.start()
        yield server
        server.kill()


@pytest.fixture
def sound_server(sound_server_of_all: SoundServer) -> SoundServer:
    """A loudspeaker and a microphone that work, whatever the test before did to them."""
    sound_server_of_all.restore()
    return sound_server_of_all


@pytest.fixture
def patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Devices with a long buffer: sound does not break up however busy this machine is."""
    monkeypatch.setattr("voicecli.audio.devices.stream._LATENCIES", (0.2,))
