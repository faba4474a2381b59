"""The list of devices and the choice of one; `list-devices` and `test-audio` as programs, on the virtual sound card."""

import json
import os
import subprocess
import sys
from typing import Any

import pytest

from tests.virtual_audio import SoundServer
from voicecli.audio.devices.listing import Device, choose_device
from voicecli.errors import AudioDeviceError

pytest_plugins = ["tests.virtual_audio.fixture"]

PROGRAM = """
import sys, typer
from voicecli.cli import devices
from voicecli.errors import AudioDeviceError
app = typer.Typer(pretty_exceptions_enable=False)
app.command("list-devices")(devices.list_devices)
app.command("test-audio")(devices.test_audio)
try:
    app()
except AudioDeviceError as error:
    print(error.message, file=sys.stderr)
    sys.exit(5)
"""


def voice(*arguments: str, status: int = 0) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *arguments], capture_output=True, text=True, timeout=60, env=dict(os.environ)
    )
    assert done.returncode == status, done.stderr
    return done


def test_devices_as_lines_and_as_json(sound_server: SoundServer) -> None:
    lines = voice("list-devices").stdout.splitlines()
    assert [line.split("\t")[1] for line in lines] == ["virtual_speaker", "virtual_mic", "default"]
    assert lines[2].split("\t")[-2:] == ["default input", "default output"]
    devices = json.loads(voice("list-devices", "--json").stdout)
    assert [device["number"] for device in devices if device["default_input"]] == [2]
    assert devices[1]["inputs"] > 0
    assert devices[1]["outputs"] == 0


def measured(sound_server: SoundServer, speech: bytes) -> Any:
    command = [sys.executable, "-c", PROGRAM, "test-audio", "--json", "--input-device", "virtual_mic"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as program:
        assert program.stderr is not None
        assert "Be quiet for 2 seconds" in program.stderr.readline()
        while "Speak for 3 seconds" not in program.stderr.readline():
            pass  # ALSA may have something to say
        sound_server.say(speech, 16_000)
        output, errors = program.communicate(timeout=60)
    assert program.returncode == 0, errors
    return json.loads(output)


def test_the_test_measures_what_is_there(sound_server: SoundServer, speech: bytes) -> None:
    with sound_server.echo(50, -12):
        result = measured(sound_server, speech)
        if result["echo_db"] < -14:  # on a busy machine the virtual card lost a part of the test's sound
            result = measured(sound_server, speech)
    assert result["input_device"] == "virtual_mic"
    assert result["output_device"] == "default"
    assert -40 < result["level_dbfs"] < -10
    assert result["noise_floor_dbfs"] < -60
    assert result["echo_db"] == pytest.approx(-12, abs=2)
    assert 50 < result["round_trip_ms"] < 250
    checks = {check["name"]: check for check in result["checks"]}
    assert list(checks) == ["Microphone", "Loudspeaker", "Level", "Noise", "Cut off", "Echo", "Round trip"]
    assert checks["Loudspeaker"]["value"] == "Null Output", "its own name, not PortAudio's"
    assert checks["Echo"]["verdict"] == "ok", "it is cancelled"
    slow = checks["Round trip"]["fix"]  # on a busy machine
    assert result["advice"] == [slow or "All is well."]


@pytest.mark.parametrize(("wanted", "number"), [("0", 0), ("012", 12), (12, 12)])
def test_a_device_is_chosen_by_its_number(wanted: str | int, number: int) -> None:
    devices = [Device(each, f"device {each}", "ALSA", 1, 1, 48_000, False, False) for each in (0, 12)]
    assert choose_device(devices, "input", wanted).number == number
    for nobodys in ("9" * 5_000, "1"):
        with pytest.raises(AudioDeviceError, match="There is no microphone"):
            choose_device(devices, "input", nobodys)


def test_without_a_sound_server_it_says_so(sound_server: SoundServer) -> None:
    sound_server.kill()
    assert voice("list-devices", "--json").stdout.strip() == "[]"
    assert "was found" in voice("test-audio", status=5).stderr


def device(number: int, name: str, api: str = "ALSA", default: bool = False) -> Device:
    return Device(number, name, api, 2, 2, 48_000, default, default)


@pytest.mark.parametrize(("wanted", "number"), [(None, 1), (2, 2), ("2", 2), ("usb headset", 0), ("Speakers", 1)])
def test_number_name_or_default(wanted: str | int | None, number: int) -> None:
    devices = [device(0, "USB Headset"), device(1, "Speakers", default=True), device(2, "Speakers (HDMI)")]
    assert choose_device(devices, "output", wanted).number == number


def test_a_device_that_several_sound_systems_show_is_one() -> None:
    devices = [
        device(0, "Mapper", "MME", default=True),
        device(1, "Headset", "MME"),
        device(2, "Headset", "Windows WASAPI"),
    ]
    assert choose_device(devices, "input", "head").number == 2
    devices = [device(0, "Headset", "JACK"), device(1, "Headset", "ALSA"), device(2, "pulse", "ALSA", default=True)]
    assert choose_device(devices, "input", "head").number == 1, "elsewhere it is the one that the default belongs to"


@pytest.mark.parametrize("wanted", ["headphones", 7, "usb"])
def test_what_cannot_be_chosen_is_told_with_what_can(wanted: str | int) -> None:
    devices = [device(0, "USB A"), device(1, "USB B")]
    with pytest.raises(AudioDeviceError) as caught:
        choose_device(devices, "input", wanted)
    assert repr(wanted) in caught.value.message
    assert "'USB A'" in str(caught.value)


def test_a_missing_portaudio_is_one_message() -> None:
    program = (
        "import ctypes.util\n"
        "ctypes.util.find_library = lambda name: None\n"
        "from voicecli.audio.devices.listing import list_devices\n"
        "from voicecli.errors import AudioDeviceError\n"
        "try:\n    list_devices()\n"
        "except AudioDeviceError as error:\n    print(error.message, '|', error.advice)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.startswith("The library PortAudio is missing")
    assert "portaudio" in done.stdout.partition("|")[2]
    assert done.stderr == ""
