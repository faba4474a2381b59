"""Windows as PortAudio shows it: each endpoint once for each of four host APIs, under names of their own."""

from dataclasses import dataclass
from typing import Any

from tests.audio.devices.fake_portaudio import FakeDevice, FakePortAudio, FakeStream, PortAudioError

__all__ = [
    *("DIRECTSOUND", "MME", "WASAPI", "WDM_KS"),
    *("HEADPHONES", "HEADSET", "MICROPHONE", "SPEAKERS"),
    *("Endpoint", "FakeWindows", "HostError", "blocked_by_privacy"),
]

MME, DIRECTSOUND, WASAPI, WDM_KS = "MME", "Windows DirectSound", "Windows WASAPI", "Windows WDM-KS"
APIS = (MME, DIRECTSOUND, WASAPI, WDM_KS)
"""In PortAudio's order: the first one's default device is the default."""

_CUT = 31
"""The characters that MME has for a name."""
_INVALID_RATE, _UNANTICIPATED, _UNAVAILABLE = -9997, -9999, -9985
_ACCESS_DENIED = -2147024891


@dataclass(frozen=True)
class Endpoint:
    """A microphone or a loudspeaker, by the name that Windows' settings show."""

    name: str
    kind: str
    rate: int = 48_000


@dataclass(frozen=True)
class HostError:
    """What a host API answers to opening a stream.

    Attributes:
        number, text: the host API's own.
        code: PortAudio's.
    """

    number: int
    text: str
    code: int = _UNANTICIPATED

    def exception(self, api: str) -> PortAudioError:
        text = "Error opening stream: Unanticipated host error"
        return PortAudioError(text, self.code, (APIS.index(api), self.number, self.text))


MICROPHONE = Endpoint("Microphone Array (Intel® Smart Sound Technology)", "input")
HEADSET = Endpoint("Headset Microphone (Jabra Evolve2 65)", "input", 16_000)
SPEAKERS = Endpoint("Speakers (Realtek(R) Audio)", "output")
HEADPHONES = Endpoint("Headphones (Jabra Evolve2 65)", "output")

_MAPPERS = {
    MME: {"input": "Microsoft Sound Mapper - Input", "output": "Microsoft Sound Mapper - Output"},
    DIRECTSOUND: {"input": "Primary Sound Capture Driver", "output": "Primary Sound Driver"},
}


class WasapiSettings:
    """As sounddevice's."""

    def __init__(self, exclusive: bool = False, auto_convert: bool = False) -> None:
        self.exclusive, self.auto_convert = exclusive, auto_convert


class FakeWindows(FakePortAudio):
    """Fake of `sounddevice` on Windows.

    Args:
        endpoints: of each kind the first is the default.
        mappers: what Windows, in its language, calls the devices that stand for the default one, by host API and kind.

    Attributes:
        refusals: what a host API answers when a stream of this kind is opened, by both.
    """

    WasapiSettings = WasapiSettings

    def __init__(
        self,
        *endpoints: Endpoint,
        mappers: dict[str, dict[str, str]] | None = None,
        apis: tuple[str, ...] = APIS,
    ) -> None:
        self.refusals: dict[tuple[str, str], HostError] = {}
        self._endpoints = endpoints or (MICROPHONE, HEADSET, SPEAKERS, HEADPHONES)
        self._mappers = mappers or _MAPPERS
        self._defaults: dict[str, dict[str, int]] = {}
        plugged: list[FakeDevice] = []
        for api in apis:
            self._defaults[api] = self._list(api, plugged)
        super().__init__(plugged=plugged)

    def _list(self, api: str, plugged: list[FakeDevice]) -> dict[str, int]:
        """Add the devices of a host API; the number of its default one of each kind."""
        defaults: dict[str, int] = {}
        for kind in ("output", "input") if api == WASAPI else ("input", "output"):
            if api in self._mappers:
                plugged.append(self._device(self._mappers[api][kind], kind, api, 44_100))
            for endpoint in self._endpoints:
                if endpoint.kind == kind:
                    if api != WDM_KS:
                        defaults.setdefault(kind, len(plugged))
                    rate = endpoint.rate if api in {WASAPI, WDM_KS} else 44_100
                    plugged.append(self._device(_listed(endpoint.name, api), kind, api, rate))
            if api == DIRECTSOUND:
                defaults[kind] = next(
                    index for index, each in enumerate(plugged) if each.name == self._mappers[api][kind]
                )
        return defaults

    def _device(self, name: str, kind: str, api: str, rate: int) -> FakeDevice:
        ways = (2, 0) if kind == "input" else (0, 2)
        return FakeDevice(name, inputs=ways[0], outputs=ways[1], rate=rate, host_api=api)

    def make_default(self, endpoint: Endpoint) -> None:
        """Have Windows take another default device of its kind."""
        for api, defaults in self._defaults.items():
            for index, device in enumerate(self.plugged):
                if device.host_api == api and device.name == _listed(endpoint.name, api) and endpoint.kind in defaults:
                    defaults[endpoint.kind] = index

    @property
    def opened(self) -> list[tuple[str | None, str]]:
        """Host API and name of the device of each stream that was opened."""
        return [(stream.device.host_api, stream.device.name) for stream in self.streams]

    def query_hostapis(self) -> list[dict[str, Any]]:
        self._check()
        return [
            {
                "name": api,
                "default_input_device": self._defaults[api].get("input", -1),
                "default_output_device": self._defaults[api].get("output", -1),
            }
            for api in self.apis
        ]

    def query_devices(self, kind: str | None = None) -> Any:
        devices = super().query_devices()
        if kind is None:
            return devices
        default = self._defaults[self.apis[0]].get(kind, -1) if devices else -1
        if default < 0:
            raise PortAudioError("Error querying device -1")
        return devices[default]

    def _open(self, kind: str, settings: dict[str, Any]) -> FakeStream:
        api = self._known[settings["device"]].host_api or ""
        extra = settings.get("extra_settings")
        if refusal := self.refusals.get((api, kind)):
            raise refusal.exception(api)
        assert extra is None or api == WASAPI, (
            "another host API refuses them: Incompatible host API specific stream info"
        )
        if api == WASAPI and settings["samplerate"] != 48_000 and not (extra and extra.auto_convert):
            raise PortAudioError("Error opening stream: Invalid sample rate", _INVALID_RATE)
        return super()._open(kind, settings)


def _listed(name: str, api: str) -> str:
    if api == MME:
        return name[:_CUT]
    if api == WDM_KS:  # pins of drivers
        return name.replace("Microphone Array (", "Microphone Array 1 (").replace(" (Jabra Evolve2 65)", " ()")
    return name


def blocked_by_privacy(windows: FakeWindows) -> None:
    """Have desktop apps kept from the microphone in Windows' settings."""
    windows.refusals |= {
        (MME, "input"): HostError(1, "Undefined external error."),
        (DIRECTSOUND, "input"): HostError(_ACCESS_DENIED, "Access denied"),
        (WASAPI, "input"): HostError(_ACCESS_DENIED, "UNKNOWN ERROR"),
        (WDM_KS, "input"): HostError(_ACCESS_DENIED, "Access denied"),
    }
