"""Asking another process for the default devices."""

import sys
import threading
import time
from pathlib import Path

import pytest

from voicecli.audio.devices import default_device
from voicecli.audio.devices.default_device import LOOK_EVERY_S, default_name, keeps_its_device

PORTAUDIO = """
class PortAudioError(Exception): ...
def query_devices(kind):
    if kind == "input":
        raise PortAudioError("Error querying device -1")
    return {"name": "Kopfhörer"}
"""


@pytest.fixture
def looks(monkeypatch: pytest.MonkeyPatch) -> default_device._Looks:
    """One that has not looked yet."""
    fresh = default_device._Looks()
    monkeypatch.setattr(default_device, "_LOOKS", fresh)
    return fresh


def install(monkeypatch: pytest.MonkeyPatch, directory: Path, code: str) -> None:
    """Have the other process find this as `sounddevice`."""
    (directory / "sounddevice.py").write_text(code)
    monkeypatch.setattr(sys, "path", [str(directory), *sys.path])


async def test_it_sees_the_device_that_is_the_default_now(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, looks: default_device._Looks
) -> None:
    install(monkeypatch, tmp_path, PORTAUDIO)
    assert await default_name("output") == "Kopfhörer"
    assert await default_name("input") == ""


async def test_it_asks_portaudio_itself(monkeypatch: pytest.MonkeyPatch, looks: default_device._Looks) -> None:
    """There may be no device here; asking must work nevertheless."""
    monkeypatch.setattr(default_device, "_TIMEOUT_S", 30.0)
    assert set(looks.names()) == {"input", "output"}


async def test_no_driver_is_loaded_that_may_belong_to_this_process(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, looks: default_device._Looks
) -> None:
    monkeypatch.setenv("SD_ENABLE_ASIO", "1")
    install(monkeypatch, tmp_path, f"import os\nassert 'SD_ENABLE_ASIO' not in os.environ\n{PORTAUDIO}")
    assert await default_name("output") == "Kopfhörer"


@pytest.mark.parametrize(
    "code",
    [
        "import time\ntime.sleep(60)",
        "raise OSError",
        "import os\nos._exit(0)",
        "print('[1', flush=True)",
        "print('[]', flush=True)",
    ],
)
async def test_whatever_goes_wrong_there_is_no_answer(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, looks: default_device._Looks, code: str
) -> None:
    monkeypatch.setattr(default_device, "_TIMEOUT_S", 2.0 if "sleep" in code else 30.0)
    install(monkeypatch, tmp_path, f"{code}\nimport os\nos._exit(0)")
    assert await default_name("output") == ""


def test_a_program_that_is_no_python_is_not_started_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "frozen", True, raising=False)
    monkeypatch.setattr("subprocess.run", lambda *_, **__: pytest.fail("it was"))
    assert default_device._Looks().names() == {}


def test_microphone_and_loudspeaker_share_an_answer(
    monkeypatch: pytest.MonkeyPatch, looks: default_device._Looks
) -> None:
    asked = 0

    def ask() -> dict[str, str]:
        nonlocal asked
        asked += 1
        time.sleep(0.05)
        return {"input": "a", "output": "b"}

    monkeypatch.setattr(default_device, "_ask", ask)
    threads = [threading.Thread(target=looks.names) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == 1
    assert looks.names() == {"input": "a", "output": "b"}
    assert default_device._FRESH_S < LOOK_EVERY_S, "nobody is given the same answer twice"


def test_it_gives_up_where_it_fails_again_and_again(
    monkeypatch: pytest.MonkeyPatch, looks: default_device._Looks
) -> None:
    answers = iter([{}, {}, {"input": "a"}, {}, {}, {}])
    monkeypatch.setattr(default_device, "_ask", lambda: next(answers))
    monkeypatch.setattr(default_device, "_FRESH_S", 0.0)
    assert [looks.names() for _ in range(9)] == [{}, {}, {"input": "a"}, {}, {}, {}, {}, {}, {}]


@pytest.mark.parametrize(
    ("host_api", "keeps"),
    [
        ("Core Audio", True),
        ("MME", True),
        ("Windows DirectSound", True),
        ("Windows WASAPI", True),
        ("Windows WDM-KS", False),
        ("ASIO", False),
        ("ALSA", False),
        ("PulseAudio", False),
        ("JACK Audio Connection Kit", False),
        ("one that is not invented yet", False),
    ],
)
def test_only_of_sound_systems_that_keep_a_stream_where_it_is(host_api: str, keeps: bool) -> None:
    assert keeps_its_device(host_api) == keeps
