"""The list of microphones and loudspeakers, and the choice of one by name or number."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from voicecli.audio.devices.advice import no_device
from voicecli.audio.devices.host_apis import HIDDEN, MME, WASAPI, fits, is_stand_in, rank, same_device
from voicecli.audio.devices.portaudio import PORTAUDIO
from voicecli.errors import AudioDeviceError

__all__ = [
    *("NOUN", "Device", "Kind", "choose_device", "choose_devices", "known_devices", "list_devices"),
    *("portaudio_version", "shown_devices"),
]

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
        stand_in: whether it is no device, but what Windows has for the default one ("Microsoft Sound Mapper").
    """

    number: int
    name: str
    host_api: str
    input_channels: int
    output_channels: int
    sample_rate: int
    default_input: bool
    default_output: bool
    stand_in: bool = False

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
        PORTAUDIO.refresh(portaudio, unless_new=True)
        return known_devices(portaudio)

    return PORTAUDIO.call(look)


def portaudio_version() -> str:
    """PortAudio's own words for its version. Raises AudioDeviceError as `list_devices` does."""
    return str(PORTAUDIO.call(lambda portaudio: portaudio.get_portaudio_version()[1]))


def shown_devices(devices: Sequence[Device]) -> list[Device]:
    """Those that people look for: no stand-ins, and no parts of drivers; all, where that leaves none."""
    return [device for device in devices if not device.stand_in and device.host_api not in HIDDEN] or list(devices)


def known_devices(portaudio: Any) -> list[Device]:
    """The devices that were there when PortAudio was initialised."""
    apis = portaudio.query_hostapis()
    default_input, default_output = _default(portaudio, apis, "input"), _default(portaudio, apis, "output")
    listed: dict[tuple[str, bool], list[str]] = {}
    devices = []
    for number, device in enumerate(portaudio.query_devices()):
        name, host_api = device["name"], apis[device["hostapi"]]["name"]
        earlier = listed.setdefault((host_api, device["max_input_channels"] > 0), [])
        devices.append(
            Device(
                number=number,
                name=name,
                host_api=host_api,
                input_channels=device["max_input_channels"],
                output_channels=device["max_output_channels"],
                sample_rate=round(device["default_samplerate"]),
                default_input=number == default_input,
                default_output=number == default_output,
                stand_in=is_stand_in(name, host_api, earlier),
            )
        )
        earlier.append(name)
    return devices


def choose_devices(devices: list[Device], kind: Kind, wanted: str | int | None) -> list[Device]:
    """Choose a device; after it come those to take if it is refused: the same one, through another host API.

    Raises:
        AudioDeviceError: as `choose_device` does.
    """
    chosen = choose_device(devices, kind, wanted)
    if chosen.host_api != WASAPI or _is_number(wanted):
        return [chosen]
    of_mme = [device for device in devices if device.host_api == MME and device.channels(kind)]
    same = [device for device in of_mme if same_device(device.name, chosen.name)]
    if not same and wanted is None:
        same = [device for device in of_mme if device.stand_in]
    return [chosen, *same[:1]]


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
            advice=f"{no_device()} `voice list-devices` shows what is there; "
            "without one, name a recording: --input FILE --output FILE.",
        )
    default = next((device for device in able if device.is_default(kind)), able[0])
    if wanted is None:
        return default
    matching = _matching(able, str(wanted).strip(), default.host_api)
    if not matching:
        there = _names(shown_devices(able))
        raise AudioDeviceError(f"There is no {NOUN[kind]} {wanted!r}.", advice=f"There are: {there}.")
    if len(matching) > 1:
        raise AudioDeviceError(
            f"{wanted!r} fits more than one {NOUN[kind]}: {_names(matching)}.",
            advice="Give more of its name, or its number.",
        )
    return matching[0]


def _is_number(wanted: str | int | None) -> bool:
    return wanted is not None and str(wanted).strip().isdecimal()


def _matching(devices: list[Device], wanted: str, preferred_api: str) -> list[Device]:
    """The devices of a number, of a name, or with a part of the name, whatever its case."""
    if _is_number(wanted):
        # As text: Python refuses to read a number with thousands of digits.
        return [device for device in devices if str(device.number) == (wanted.lstrip("0") or "0")]
    matching = [device for device in devices if fits(device.name, wanted)]
    if not matching:
        matching = [device for device in devices if wanted.casefold() in device.name.casefold()]
    if len(matching) > 1:
        # Windows lists a device once for each of its host APIs; elsewhere it is the one that the default belongs to.
        best = min((rank(device.host_api), device.host_api != preferred_api) for device in matching)
        matching = [device for device in matching if (rank(device.host_api), device.host_api != preferred_api) == best]
    return matching


def _names(devices: list[Device]) -> str:
    return ", ".join(f"{device.number} {device.name!r}" for device in devices)


def _default(portaudio: Any, apis: Sequence[Mapping[str, Any]], kind: Kind) -> int:
    """The number of the default device: WASAPI's, where PortAudio itself would take MME's; -1 where there is none."""
    for api in apis:
        if api["name"] == WASAPI and api.get(f"default_{kind}_device", -1) >= 0:
            return int(api[f"default_{kind}_device"])
    try:
        return int(portaudio.query_devices(kind=kind)["index"])
    except (portaudio.PortAudioError, ValueError):  # no device of this kind
        return -1
