"""The list of microphones and loudspeakers, and the choice of one by name or number."""

from dataclasses import dataclass
from typing import Any, Literal

from voicecli.audio.devices.portaudio import PORTAUDIO
from voicecli.errors import AudioDeviceError

__all__ = ["NOUN", "Device", "Kind", "choose_device", "known_devices", "list_devices", "portaudio_version"]

Kind = Literal["input", "output"]

NOUN: dict[Kind, str] = {"input": "microphone", "output": "loudspeaker"}


@dataclass(frozen=True, slots=True)
class Device:
    """A device as PortAudio lists it.

    Attributes:
        number: by which it can be chosen as well as by its name; changes when devices come and go.
        host_api: PortAudio's name of the operating system's interface: "ALSA", "Core Audio", "Windows WASAPI" ...
        input_channels, output_channels: how many it has; 0 where it records, or plays, nothing.
        sample_rate: its own, in Hz.
        default_input, default_output: whether it is used when none is chosen.
    """

    number: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    sample_rate: int
    default_input: bool
    default_output: bool

    def channels(self, kind: Kind) -> int:
        """The number of its channels of this kind."""
        return self.input_channels if kind == "input" else self.output_channels

    def is_default(self, kind: Kind) -> bool:
        """True when it is used for this kind and none is chosen."""
        return self.default_input if kind == "input" else self.default_output


def list_devices() -> list[Device]:
    """The devices that are there now. Streams that are open are interrupted for a moment.

    Raises:
        AudioDeviceError: PortAudio is missing or does not answer.
    """

    def look(portaudio: Any) -> list[Device]:
        PORTAUDIO.refresh(portaudio)
        return known_devices(portaudio)

    return PORTAUDIO.call(look)


def portaudio_version() -> str:
    """PortAudio's own words for its version. Raises AudioDeviceError as `list_devices` does."""
    return str(PORTAUDIO.call(lambda portaudio: portaudio.get_portaudio_version()[1]))


def known_devices(portaudio: Any) -> list[Device]:
    """The devices that were there when PortAudio was initialised."""
    apis = portaudio.query_hostapis()
    default_input, default_output = _default(portaudio, "input"), _default(portaudio, "output")
    return [
        Device(
            number=number,
            name=device["name"],
            host_api=apis[device["hostapi"]]["name"],
            input_channels=device["max_input_channels"],
            output_channels=device["max_output_channels"],
            sample_rate=round(device["default_samplerate"]),
            default_input=number == default_input,
            default_output=number == default_output,
        )
        for number, device in enumerate(portaudio.query_devices())
    ]


def choose_device(devices: list[Device], kind: Kind, wanted: str | int | None) -> Device:
    """Choose a device.

    Args:
        wanted: its number, its name, or a part of its name in which case does not matter; None for the default.

    Raises:
        AudioDeviceError: there is none, or more than one fits.
    """
    able = [device for device in devices if device.channels(kind)]
    if not able:
        raise AudioDeviceError(
            f"No {NOUN[kind]} was found.",
            advice="Connect one, and see that the sound server runs. `voice list-devices` shows what is there; "
            "without one, name a recording: --input FILE --output FILE.",
        )
    default = next((device for device in able if device.is_default(kind)), able[0])
    if wanted is None:
        return default
    matching = _matching(able, str(wanted).strip().casefold(), default.host_api)
    if not matching:
        raise AudioDeviceError(f"There is no {NOUN[kind]} {wanted!r}.", advice=f"There are: {_names(able)}.")
    if len(matching) > 1:
        raise AudioDeviceError(
            f"{wanted!r} fits more than one {NOUN[kind]}: {_names(matching)}.",
            advice="Give more of its name, or its number.",
        )
    return matching[0]


def _matching(devices: list[Device], wanted: str, preferred_api: str) -> list[Device]:
    """The devices of a number, of a name, or with a part of the name, in lower case."""
    if wanted.isdecimal():
        # As text: Python refuses to read a number with thousands of digits.
        return [device for device in devices if str(device.number) == (wanted.lstrip("0") or "0")]
    matching = [device for device in devices if device.name.casefold() == wanted]
    if not matching:
        matching = [device for device in devices if wanted in device.name.casefold()]
    if len(matching) > 1:
        # Windows lists a device once for each of its host APIs: the one that the default belongs to.
        matching = [device for device in matching if device.host_api == preferred_api] or matching
    return matching


def _names(devices: list[Device]) -> str:
    return ", ".join(f"{device.number} {device.name!r}" for device in devices)


def _default(portaudio: Any, kind: Kind) -> int:
    try:
        return int(portaudio.query_devices(kind=kind)["index"])
    except (portaudio.PortAudioError, ValueError):  # no device of this kind
        return -1
