"""A Mac as PortAudio shows it, with a Bluetooth headset that changes its rate, and the switch for the microphone."""

from typing import Any

from tests.audio.devices.fake_portaudio import FakeDevice, FakePortAudio, FakeStream, PortAudioError

__all__ = ["CALL_RATE", "MUSIC_RATE", "FakeMac"]

MUSIC_RATE, CALL_RATE = 48_000, 16_000
"""The rates of the headset, in Hz: while it only plays, and while its microphone is open."""


class FakeMac(FakePortAudio):
    """Fake of `sounddevice` on a Mac with a headset as the default device.

    Core Audio tells nobody that the headset has changed its rate: a stream goes on as if it had the one of when it was
    opened, so that it delivers, and takes, a third.

    Args:
        switch_s: how long the headset takes to change its rate after its microphone was opened, or closed.

    Attributes:
        allowed: whether the terminal may use the microphone; without it a stream delivers exact zeros, and goes on to
            when it is allowed meanwhile.
        refuses: whether Core Audio refuses the microphone with an error of its own.
    """

    def __init__(self, switch_s: float = 1.0) -> None:
        self.allowed = True
        self.refuses = False
        self._switch_s = switch_s
        self._until_switch_s = switch_s
        self.headset_in = FakeDevice("AirPods", inputs=1, outputs=0, rate=CALL_RATE)
        self.headset_out = FakeDevice("AirPods", inputs=0, outputs=2, rate=MUSIC_RATE)
        self.headset_in.rate = MUSIC_RATE // 2  # what it says before it is used: 24 kHz
        built_in = [
            FakeDevice("MacBook Air Microphone", inputs=1, outputs=0, rate=MUSIC_RATE),
            FakeDevice("MacBook Air Speakers", inputs=0, outputs=2, rate=MUSIC_RATE),
        ]
        super().__init__(plugged=[self.headset_in, self.headset_out, *built_in], host_api="Core Audio")

    def rate(self, kind: str, name: str) -> int:
        """A device's rate at this moment, as Core Audio tells it to who asks."""
        of_kind = [each for each in self.plugged if (each.inputs if kind == "input" else each.outputs)]
        return next((each.rate for each in of_kind if each.name == name), 0)

    def flow(self, duration_s: float) -> None:
        calling = any(stream.device is self.headset_in for stream in self.running)
        rates = (CALL_RATE, CALL_RATE) if calling else (MUSIC_RATE // 2, MUSIC_RATE)
        if (self.headset_in.rate, self.headset_out.rate) == rates:
            self._until_switch_s = self._switch_s
        else:
            self._until_switch_s -= duration_s
            if self._until_switch_s <= 0:
                self.headset_in.rate, self.headset_out.rate = rates
        super().flow(duration_s)

    def query_hostapis(self) -> list[dict[str, Any]]:
        self._check()
        kinds = {kind: next(iter(self._able(kind)), -1) for kind in ("input", "output")}
        return [{"name": "Core Audio"} | {f"default_{kind}_device": index for kind, index in kinds.items()}]

    def query_devices(self, kind: str | None = None) -> Any:
        devices = super().query_devices()
        if kind is None:
            return devices
        able = self._able(kind)
        if not able:
            raise PortAudioError("Error querying device -1")
        return devices[able[0]]

    def _able(self, kind: str) -> list[int]:
        return [
            index for index, each in enumerate(self._known) if (each.inputs if kind == "input" else each.outputs) > 0
        ]

    def _open(self, kind: str, settings: dict[str, Any]) -> FakeStream:
        if kind == "input" and self.refuses:
            raise PortAudioError("Error opening RawInputStream: Internal PortAudio error", -9986)
        if kind == "input":
            self._known[settings["device"]].zeros = not self.allowed
        return super()._open(kind, settings)
