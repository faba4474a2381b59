"""Sound on Windows, simulated: host APIs, names, permission, and how often PortAudio is initialised."""

import asyncio
import json
import sys

import pytest

from tests.audio.devices.fake_portaudio import RATE, FakePortAudio
from tests.audio.devices.fake_windows import (
    DIRECTSOUND,
    HEADSET,
    MICROPHONE,
    MME,
    SPEAKERS,
    WASAPI,
    WDM_KS,
    Endpoint,
    FakeWindows,
    HostError,
    blocked_by_privacy,
)
from tests.audio.devices.notices import Notices, until
from tests.support.virtual_time import virtual_time
from voicecli.audio.devices.listing import Kind, choose_device, choose_devices, known_devices, shown_devices
from voicecli.audio.devices.microphone import Microphone
from voicecli.audio.devices.portaudio import PortAudioThread
from voicecli.audio.devices.speaker import Speaker
from voicecli.cli import execute
from voicecli.errors import AudioDeviceError

GERMAN = {
    MME: {"input": "Microsoft Soundmapper - Input", "output": "Microsoft Soundmapper - Output"},
    DIRECTSOUND: {"input": "Primärer Soundaufnahmetreiber", "output": "Primärer Soundtreiber"},
}


LONG = Endpoint("Headphones (Sony WH-1000XM5 Hands-Free AG Audio)", "output")


@pytest.fixture
def windows(monkeypatch: pytest.MonkeyPatch) -> FakeWindows:
    fake = FakeWindows(MICROPHONE, HEADSET, SPEAKERS, LONG)
    fake.use(monkeypatch, inline=True)
    return fake


# -- the host API


@pytest.mark.parametrize("kind", ["microphone", "loudspeaker"])
@virtual_time
async def test_the_default_device_is_opened_through_wasapi_which_converts(windows: FakeWindows, kind: str) -> None:
    """PortAudio's own default is MME, with some 90 ms of latency each way."""
    endpoint = (Microphone if kind == "microphone" else Speaker)(RATE)
    await endpoint.open()
    (stream,) = windows.running
    assert windows.opened == [(WASAPI, (MICROPHONE if kind == "microphone" else SPEAKERS).name)]
    assert stream.settings["extra_settings"].auto_convert
    assert stream.settings["samplerate"] == RATE, "as asked for: Windows converts better than a second resampler"
    await endpoint.aclose()


@pytest.mark.parametrize("device", [None, "realtek"])
@virtual_time
async def test_mme_is_taken_when_wasapi_refuses(windows: FakeWindows, device: str | None) -> None:
    windows.refusals[WASAPI, "output"] = HostError(-2004287478, "AUDCLNT_E_DEVICE_IN_USE", -9985)
    notices = Notices()
    speaker = Speaker(RATE, device=device, on_notice=notices)
    async with windows.flowing():
        await speaker.open()
        assert windows.opened == [(MME, SPEAKERS.name[:31])]
        assert "extra_settings" not in windows.streams[0].settings
        await speaker.aclose()
    assert notices.codes == []


@virtual_time
async def test_what_all_refuse_is_told_of_the_first(windows: FakeWindows) -> None:
    windows.refusals[WASAPI, "output"] = HostError(-2004287478, "AUDCLNT_E_DEVICE_IN_USE", -9985)
    windows.refusals[MME, "output"] = HostError(4, "The specified device is already in use.")
    with pytest.raises(AudioDeviceError, match="in use by another program") as caught:
        await Speaker(RATE).open()
    assert SPEAKERS.name in caught.value.message


def test_without_wasapi_the_default_is_portaudios() -> None:
    devices = known_devices(FakeWindows(apis=(MME, WDM_KS)))
    assert choose_device(devices, "input", None).host_api == MME


# -- names


@pytest.mark.parametrize(
    "wanted",
    [
        MICROPHONE.name,
        MICROPHONE.name.upper(),
        MICROPHONE.name[:31],  # as MME lists it
        "smart sound",
        "Microphone Array",
    ],
)
def test_a_device_that_four_host_apis_list_is_one(wanted: str) -> None:
    devices = known_devices(FakeWindows())
    chosen = choose_device(devices, "input", wanted)
    assert (chosen.host_api, chosen.name) == (WASAPI, MICROPHONE.name)


def test_the_full_name_fits_a_name_that_was_cut() -> None:
    devices = known_devices(FakeWindows(apis=(MME,)))
    assert choose_device(devices, "input", MICROPHONE.name).name == MICROPHONE.name[:31]
    with pytest.raises(AudioDeviceError):
        choose_device(devices, "input", "Microphone")
    with pytest.raises(AudioDeviceError):
        choose_device(devices, "input", f"{HEADSET.name[:20]} of another maker")


def test_a_number_is_that_very_device() -> None:
    devices = known_devices(FakeWindows())
    for device in devices:
        kind: Kind = "input" if device.input_channels else "output"
        assert choose_devices(devices, kind, device.number) == [device]


def test_two_devices_whose_names_are_cut_alike_are_told_apart_by_number() -> None:
    names = [f"Microphone (Focusrite USB Audio Device {number})" for number in (1, 2)]
    devices = known_devices(FakeWindows(*(Endpoint(name, "input") for name in names), SPEAKERS))
    assert choose_device(devices, "input", names[1]).name == names[1]
    with pytest.raises(AudioDeviceError, match="more than one") as caught:
        choose_device(devices, "input", names[0][:31])
    assert all(name in str(caught.value) for name in names)


@pytest.mark.parametrize("mappers", [None, GERMAN])
def test_what_is_no_device_is_listed_only_on_demand(
    mappers: dict[str, dict[str, str]] | None, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake = FakeWindows(mappers=mappers)
    fake.use(monkeypatch, inline=False)
    assert execute(["list-devices", "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)
    assert {row["system"] for row in rows} == {MME, DIRECTSOUND, WASAPI}
    assert len(rows) == 3 * 4
    assert not [row["name"] for row in rows if "Microsoft" in row["name"] or row["name"].startswith("Prim")]
    assert [(row["system"], row["name"]) for row in rows if row["default"]] == [
        (WASAPI, SPEAKERS.name),
        (WASAPI, MICROPHONE.name),
    ]
    assert execute(["list-devices", "--json", "--all"]) == 0
    assert len(json.loads(capsys.readouterr().out)) == len(fake.plugged) == 3 * 4 + 4 + 4


def test_where_nothing_else_is_there_parts_of_drivers_are_shown() -> None:
    devices = known_devices(FakeWindows(apis=(WDM_KS,)))
    assert shown_devices(devices) == devices


@virtual_time
async def test_a_default_device_that_windows_tells_by_a_cut_name_is_the_same(
    windows: FakeWindows, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And another one is followed."""
    default = SPEAKERS.name[:31]

    async def default_name(kind: str) -> str:
        return default

    monkeypatch.setattr("voicecli.audio.devices.stream.default_name", default_name)
    notices = Notices()
    speaker = Speaker(RATE, on_notice=notices)
    async with windows.flowing():
        await speaker.open()
        await asyncio.sleep(17)
        assert len(windows.streams) == 1
        default = LONG.name[:31]
        windows.make_default(LONG)
        await until(lambda: bool(notices.codes))
        assert (windows.opened[-1], speaker.device) == ((WASAPI, LONG.name), LONG.name)
        streams = len(windows.streams)
        await asyncio.sleep(17)
        assert len(windows.streams) == streams, "its cut name is no other device"
        await speaker.aclose()
    assert notices.codes == ["loudspeaker_changed"]


# -- permission


@pytest.mark.parametrize("device", [None, "Jabra", 1, MICROPHONE.name])
@virtual_time
async def test_a_microphone_that_privacy_settings_block_is_told_so(
    windows: FakeWindows, device: str | int | None
) -> None:
    blocked_by_privacy(windows)
    with pytest.raises(AudioDeviceError, match="Windows keeps desktop apps from using the microphone") as caught:
        await Microphone(RATE, device=device).open()
    assert "Settings, Privacy & security, Microphone" in caught.value.advice
    assert "Let desktop apps access your microphone" in caught.value.advice
    assert "list-devices" not in caught.value.advice, "another device is blocked as well"


@pytest.mark.parametrize("error", [1, -2147024891])
@virtual_time
async def test_the_same_errors_of_a_loudspeaker_are_no_matter_of_permission(windows: FakeWindows, error: int) -> None:
    for api in (MME, WASAPI):
        windows.refusals[api, "output"] = HostError(error, "Undefined external error.")
    with pytest.raises(AudioDeviceError, match="cannot be opened") as caught:
        await Speaker(RATE).open()
    assert "Microphone" not in caught.value.advice


# -- the start


@pytest.mark.parametrize("make", [FakePortAudio, FakeWindows])
@virtual_time
async def test_portaudio_is_initialised_once_at_the_start(
    make: type[FakePortAudio], monkeypatch: pytest.MonkeyPatch
) -> None:
    """On Windows it takes a second each time, and up to half a minute."""
    made: list[FakePortAudio] = []

    def load() -> FakePortAudio:
        made.append(make())
        return made[0]

    system = FakePortAudio().use(monkeypatch, inline=True)
    system._portaudio, system._load_portaudio = None, load
    microphone, speaker = Microphone(RATE), Speaker(RATE)
    await microphone.open()
    await speaker.open()
    assert [each.initialised for each in made] == [1]
    system.refresh(made[0])
    assert made[0].initialised == 2, "devices that come later are found"
    await microphone.aclose()
    await speaker.aclose()


def test_a_driver_that_takes_long_is_waited_for_at_the_first_call_only(monkeypatch: pytest.MonkeyPatch) -> None:
    system = PortAudioThread(FakePortAudio)
    first = system._timeout_s
    system.call(lambda _: None)
    assert first >= 40 > system._timeout_s


@pytest.mark.parametrize(
    ("platform", "told", "not_told"),
    [
        ("linux", "systemctl", "Audiosrv"),
        ("darwin", "coreaudiod", "systemctl"),
        ("win32", "Windows Audio", "systemctl"),
    ],
)
@virtual_time
async def test_advice_is_for_this_system(
    monkeypatch: pytest.MonkeyPatch, platform: str, told: str, not_told: str
) -> None:
    fake = FakePortAudio(plugged=[], failing=0)
    fake.use(monkeypatch, inline=True)
    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(AudioDeviceError, match="No microphone was found") as none_there:
        await Microphone(RATE).open()
    assert ("sound server" in none_there.value.advice) == (platform == "linux")
    fake.failing = 1
    with pytest.raises(AudioDeviceError, match="PortAudio failed") as failed:
        await Microphone(RATE).open()
    assert told in failed.value.advice
    assert not_told not in failed.value.advice


@pytest.mark.parametrize("platform", ["darwin", "win32"])
def test_a_missing_portaudio_is_no_matter_of_apt_where_a_package_brings_it(
    monkeypatch: pytest.MonkeyPatch, platform: str
) -> None:
    def load() -> None:
        raise OSError("PortAudio library not found")

    monkeypatch.setattr(sys, "platform", platform)
    with pytest.raises(AudioDeviceError, match="PortAudio is missing") as caught:
        PortAudioThread(load).call(lambda _: None)
    assert "sounddevice" in caught.value.advice
    assert "apt" not in caught.value.advice
