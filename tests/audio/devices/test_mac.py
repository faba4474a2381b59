"""Sound on a Mac, simulated: permission, and a Bluetooth headset that changes its rate; the clock on every system."""

import asyncio
import sys

import pytest

from tests.audio.devices.fake_mac import CALL_RATE, FakeMac
from tests.audio.devices.fake_portaudio import RATE, FakePortAudio
from tests.audio.devices.notices import Notices, listen, until
from tests.support.virtual_time import virtual_time
from voicecli.audio.devices import default_device
from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.rate_watch import RateWatch
from voicecli.audio.devices.speaker import Speaker
from voicecli.errors import AudioDeviceError


class TellingRates:
    """A SystemSound that tells a fake Mac's rates, or that it knows none."""

    def __init__(self, mac: FakeMac, *, knows: bool = True) -> None:
        self._mac = mac
        self._knows = knows

    def default_name(self, kind: Kind) -> str:
        return "AirPods"

    def sample_rate(self, kind: Kind, name: str) -> int:
        return self._mac.rate(kind, name) if self._knows else 0


def use(mac: FakeMac, monkeypatch: pytest.MonkeyPatch, *, knows_rates: bool = True) -> FakeMac:
    mac.use(monkeypatch, inline=True)
    monkeypatch.setattr(sys, "platform", "darwin")
    system = TellingRates(mac, knows=knows_rates)
    monkeypatch.setattr(default_device, "_LOOKS", default_device._Looks(lambda: system))
    return mac


@pytest.fixture
def mac(monkeypatch: pytest.MonkeyPatch) -> FakeMac:
    return use(FakeMac(), monkeypatch)


# -- permission


@virtual_time
async def test_a_microphone_that_is_not_allowed_is_opened_again_until_it_is(mac: FakeMac) -> None:
    """It delivers exact zeros, without an error; and a stream that has begun so goes on so."""
    mac.allowed = False
    notices = Notices()
    microphone = Microphone(RATE, device="MacBook", on_notice=notices)
    async with mac.flowing():
        await microphone.open()
        listening = asyncio.create_task(listen(microphone))
        assert 3.0 <= await until(lambda: bool(notices.codes)) < 3.5
        assert notices.codes == ["microphone_silent"]
        for told in ("Privacy & Security, Microphone", "quit and reopen", "tmux", "Terminal.app"):
            assert told in notices.messages[0]
        await asyncio.sleep(30)
        assert notices.codes == ["microphone_silent"], "told once"
        assert 8 <= len(mac.streams) <= 12, "opened again every 3 s"
        mac.allowed = True
        assert await until(lambda: "microphone_heard" in notices.codes) < 4.0
        streams = len(mac.streams)
        await asyncio.sleep(10)
        assert len(mac.streams) == streams
        await microphone.aclose()
        assert any(await listening)
    assert notices.codes == ["microphone_silent", "microphone_heard"]


@pytest.mark.parametrize("host_api", ["ALSA", "Windows WASAPI"])
@virtual_time
async def test_elsewhere_a_silent_microphone_is_left_open(portaudio: FakePortAudio, host_api: str) -> None:
    portaudio.plugged[0].zeros = True
    notices = Notices()
    microphone = Microphone(RATE, on_notice=notices)
    async with portaudio.flowing():
        await microphone.open()
        listening = asyncio.create_task(listen(microphone))
        await asyncio.sleep(10)
        assert notices.codes == ["microphone_silent"]
        assert len(portaudio.streams) == 1
        portaudio.streams[0]._zeros = False
        await until(lambda: "microphone_heard" in notices.codes)
        await microphone.aclose()
        await listening


@virtual_time
async def test_core_audios_own_error_is_a_matter_of_permission(mac: FakeMac) -> None:
    mac.refuses = True
    with pytest.raises(AudioDeviceError, match="keep this terminal from using the microphone 'AirPods'") as caught:
        await Microphone(RATE).open()
    assert "System Settings, Privacy & Security, Microphone" in caught.value.advice


# -- a headset that changes its rate


@pytest.mark.parametrize("knows_rates", [True, False])
@virtual_time
async def test_a_headset_that_changes_its_rate_is_opened_again_at_the_new_one(
    monkeypatch: pytest.MonkeyPatch, knows_rates: bool
) -> None:
    """By what the system tells, or else by the clock."""
    mac = use(FakeMac(), monkeypatch, knows_rates=knows_rates)
    notices = Notices()
    microphone, speaker = Microphone(RATE, on_notice=notices), Speaker(RATE, on_notice=notices)
    async with mac.flowing():
        await microphone.open()
        await speaker.open()
        listening = asyncio.create_task(listen(microphone))
        assert mac.headset_out.rate != CALL_RATE
        # 1.5 s until it has settled; the clock needs two seconds more.
        assert await until(lambda: any("rate" in code for code in notices.codes)) < (2.0 if knows_rates else 4.2)
        await asyncio.sleep(1)
        assert len(mac.running) == 2
        assert all(stream._opened_rate == CALL_RATE for stream in mac.running), "both"
        taken, heard = speaker._stream.frames, microphone._stream.frames
        await asyncio.sleep(10)
        assert speaker._stream.frames - taken == pytest.approx(10 * RATE, rel=0.05)
        assert microphone._stream.frames - heard == pytest.approx(10 * RATE, rel=0.05)
        assert len(mac.streams) <= 6
        await microphone.aclose()
        await listening
        await speaker.aclose()
    assert len(set(notices.codes)) == len(notices.codes), "told once"
    assert set(notices.codes) <= {"microphone_rate_changed", "loudspeaker_rate_changed"}
    assert all("AirPods" in message and "Bluetooth" in message for message in notices.messages)


@pytest.mark.parametrize("speed", [0.5, 0.85, 1.2, 3.0])
@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@virtual_time
async def test_a_device_that_does_not_keep_its_rate_is_opened_again_on_every_system(
    portaudio: FakePortAudio, kind: str, speed: float
) -> None:
    notices = Notices()
    endpoint = (Microphone if kind == "microphone" else Speaker)(RATE, on_notice=notices)
    async with portaudio.flowing():
        await endpoint.open()
        await asyncio.sleep(10)
        assert len(portaudio.streams) == 1
        portaudio.plugged[0].speed = speed
        assert await until(lambda: bool(notices.codes)) < (1.6 if speed > 1 else 2.7)
        portaudio.plugged[0].speed = 1.0
        await asyncio.sleep(6)
        assert notices.codes == [f"{kind}_rate_changed"]
        assert len(portaudio.streams) == 2
        await endpoint.aclose()


@virtual_time
async def test_a_clock_that_is_always_wrong_is_lived_with(portaudio: FakePortAudio) -> None:
    portaudio.plugged[0].speed = 0.6
    notices = Notices()
    speaker = Speaker(RATE, on_notice=notices)
    async with portaudio.flowing():
        await speaker.open()
        await asyncio.sleep(60)
        assert len(portaudio.streams) <= 4
        await speaker.aclose()
    assert notices.codes == ["loudspeaker_rate_changed"]


def quarters(*passed: float, xruns: int = 0) -> bool:
    """Whether a stream at 1000 Hz is found to be off by the last quarter of a second, in each of which so much came."""
    watch, frames, found = RateWatch(), 0.0, False
    for number, share in enumerate(passed, start=1):
        frames += 250 * share
        found = watch.is_off(number / 4, round(frames), xruns * number, 1_000)
    return found


@pytest.mark.parametrize(
    ("passed", "off"),
    [
        ((0.6,) * 8, True),
        ((1.5,) * 4, True),
        ((0.5, 0.34, 0.67, 0.5) * 2, True),  # large blocks
        ((0.3,) + (0.6,) * 8, True),
        ((0, 1.0) * 8, True),  # in bunches
        ((0, 2.0) * 8, False),
        ((0.6,) * 7, False),
        ((1.5,) * 3, False),
        ((1.05, 0.95, 0.93, 1.07) * 2, False),
        ((0.2, 0.5, 0.5, 2.8) * 2, False),  # late, and then all at once
        ((0.6,) * 6 + (1.0, 0.6), False),
        ((0.6,) * 6 + (1.5,) * 3, False),
        ((0.5, 0.76, 0.84, 0.69), False),  # measured beside a busy computer, without an xrun
        ((0.17, 0.72, 0.89, 0.23, 0.5, 0.76, 0.84, 0.69), False),  # and both after each other
        ((0,) * 8, False),  # stopped, which the watchdog sees to
    ],
)
def test_a_busy_computer_is_not_taken_for_a_wrong_clock(passed: tuple[float, ...], off: bool) -> None:
    assert quarters(*passed) == off
    assert not quarters(*passed, xruns=1), "the device itself says why"


def test_xruns_now_and_then_do_not_hide_a_wrong_clock() -> None:
    """A stream at half its rate may well have some."""
    watch = RateWatch()
    found = [watch.is_off(number / 4, 125 * number, number // 7, 1_000) for number in range(1, 40)]
    assert 8 <= found.index(True) <= 10


def test_a_computer_that_slept_is_not_taken_for_a_wrong_clock() -> None:
    watch = RateWatch()
    assert not any(watch.is_off(3_600.0 * hour, 250 * hour, 0, 1_000) for hour in range(1, 9))
