"""The default devices: asking another process for them, and following them."""

import asyncio
import itertools
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.audio.devices.fake_portaudio import RATE, FakeDevice, FakePortAudio
from tests.audio.devices.notices import Notices, listen, until
from tests.support.virtual_time import virtual_time
from voicecli.audio.devices import default_device
from voicecli.audio.devices.default_device import LOOK_EVERY_S, default_name, present_rate
from voicecli.audio.devices.host_apis import keeps_its_device
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.speaker import Speaker

PORTAUDIO = """
class PortAudioError(Exception): ...
def query_devices(kind=None):
    if kind == "input":
        raise PortAudioError("Error querying device -1")
    device = {"name": "Kopfhörer", "max_input_channels": 0, "max_output_channels": 2, "default_samplerate": 48000.0}
    return device if kind else [device]
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
    assert await present_rate("output", "Kopfhörer") == 48_000
    assert await present_rate("output", "another") == 0


async def test_it_asks_portaudio_itself(monkeypatch: pytest.MonkeyPatch, looks: default_device._Looks) -> None:
    """There may be no device here; asking must work nevertheless."""
    monkeypatch.setattr(default_device, "_TIMEOUT_S", 30.0)
    assert set(looks.names("input")) == {"input", "output"}


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
    assert default_device._Looks().names("input") == {}


def test_microphone_and_loudspeaker_share_an_answer(
    monkeypatch: pytest.MonkeyPatch, looks: default_device._Looks
) -> None:
    asked = 0

    def ask() -> default_device._Answer:
        nonlocal asked
        asked += 1
        time.sleep(0.05)
        return default_device._Answer({"input": "a", "output": "b"})

    monkeypatch.setattr(default_device, "_ask", ask)
    threads = [threading.Thread(target=looks.names, args=["input"]) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert asked == 1
    assert looks.names("output") == {"input": "a", "output": "b"}
    assert default_device._FRESH_S < LOOK_EVERY_S, "nobody is given the same answer twice"


def test_it_gives_up_where_it_fails_again_and_again(
    monkeypatch: pytest.MonkeyPatch, looks: default_device._Looks
) -> None:
    answers = iter([{}, {}, {"input": "a"}, {}, {}, {}])
    monkeypatch.setattr(default_device, "_ask", lambda: default_device._Answer(next(answers)))
    monkeypatch.setattr(default_device, "_FRESH_S", 0.0)
    assert [looks.names("input") for _ in range(9)] == [{}, {}, {"input": "a"}, {}, {}, {}, {}, {}, {}]


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


# -- followed by microphone and loudspeaker


class Defaults:
    """Tells the default device as another process sees it."""

    def __init__(self, portaudio: FakePortAudio) -> None:
        self.asked = 0
        self.answers: Iterator[str] | None = None  # whatever it is
        self._portaudio = portaudio

    async def __call__(self, kind: str) -> str:
        self.asked += 1
        return next(self.answers) if self.answers else self._portaudio.plugged[self._portaudio.default].name


@pytest.fixture
def defaults(portaudio: FakePortAudio, monkeypatch: pytest.MonkeyPatch) -> Defaults:
    portaudio.host_api = "Core Audio"
    portaudio.plugged = [FakeDevice("built-in"), FakeDevice("headset")]
    portaudio._terminate()
    portaudio._initialize()
    looks = Defaults(portaudio)
    monkeypatch.setattr("voicecli.audio.devices.stream.default_name", looks)
    return looks


@virtual_time
async def test_the_sound_goes_where_the_default_device_is(portaudio: FakePortAudio, defaults: Defaults) -> None:
    notices = Notices()
    microphone, speaker = Microphone(RATE, on_notice=notices), Speaker(RATE, on_notice=notices)
    async with portaudio.flowing(every_s=0.05):
        await microphone.open()
        listening = asyncio.create_task(listen(microphone))
        await speaker.open()
        await asyncio.sleep(20)
        assert notices.codes == []
        portaudio.default = 1
        assert await until(lambda: len(notices.codes) == 2) < 11.0
        assert (microphone.device, speaker.device) == ("headset", "headset")
        assert {stream.device.name for stream in portaudio.running} == {"headset"}
        assert len(portaudio.running) == 2
        blocks = microphone.blocks, speaker.blocks
        await until(lambda: microphone.blocks > blocks[0] and speaker.blocks > blocks[1])
        await asyncio.sleep(30)
        await microphone.aclose()
        await listening
        await speaker.aclose()
    assert sorted(notices.codes) == ["loudspeaker_changed", "microphone_changed"]
    assert notices.messages[0].endswith("is now 'headset'.")


@pytest.mark.parametrize("answers", [("headset", "built-in"), ("headset", "")])
@virtual_time
async def test_a_default_device_seen_once_is_not_believed(
    portaudio: FakePortAudio, defaults: Defaults, answers: tuple[str, str]
) -> None:
    defaults.answers = itertools.cycle(answers)
    notices = Notices()
    speaker = Speaker(RATE, on_notice=notices)
    async with portaudio.flowing(every_s=0.05):
        await speaker.open()
        await asyncio.sleep(31)
        await speaker.aclose()
    assert defaults.asked >= 6
    assert notices.codes == []
    assert len(portaudio.streams) == 1


@virtual_time
async def test_a_default_device_that_cannot_be_had_is_tried_once(portaudio: FakePortAudio, defaults: Defaults) -> None:
    defaults.answers = itertools.repeat("what this PortAudio does not list")
    notices = Notices()
    speaker = Speaker(RATE, on_notice=notices)
    async with portaudio.flowing(every_s=0.05):
        await speaker.open()
        await asyncio.sleep(40)
        await speaker.aclose()
    assert notices.codes == []
    assert len(portaudio.streams) == 2


@pytest.mark.parametrize(("host_api", "device"), [("ALSA", None), ("Core Audio", "built-in"), ("ASIO", None)])
@virtual_time
async def test_nobody_asks_where_the_sound_system_or_the_user_decides(
    portaudio: FakePortAudio, defaults: Defaults, host_api: str, device: str | None
) -> None:
    portaudio.host_api = host_api
    speaker = Speaker(RATE, device=device)
    async with portaudio.flowing(every_s=0.05):
        await speaker.open()
        portaudio.default = 1
        await asyncio.sleep(30)
        await speaker.aclose()
    assert defaults.asked == 0
    assert len(portaudio.streams) == 1


@virtual_time
async def test_what_was_recorded_and_not_read_is_forgotten_but_for_the_marks(
    portaudio: FakePortAudio, defaults: Defaults
) -> None:
    microphone = Microphone(RATE)
    async with portaudio.flowing(every_s=0.05):
        await microphone.open()
        microphone.mark()
        await asyncio.sleep(2)
        microphone.mark()
        microphone.discard()
        chunks = aiter(microphone)
        assert [await anext(chunks), await anext(chunks)] == [b"", b""]
        assert await anext(chunks), "it records on"
        await microphone.aclose()
