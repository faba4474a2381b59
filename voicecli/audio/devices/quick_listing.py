"""The names of the devices for a completion: within a second or not at all."""

from voicecli.audio.devices.host_apis import rank
from voicecli.audio.devices.other_process import ask_portaudio

__all__ = ["device_names"]

# A driver that hangs, or a sound server that does not answer, must not hold up whoever types.
_TIMEOUT_S = 1.0
_PROGRAM = """
apis = [api["name"] for api in sounddevice.query_hostapis()]
devices = list(enumerate(sounddevice.query_devices()))
print(json.dumps({
    kind: [
        (number, device["name"], apis[device["hostapi"]])
        for number, device in devices if device[f"max_{kind}_channels"]
    ]
    for kind in ("input", "output")
}))
"""


def device_names(kind: str) -> list[tuple[int, str]]:
    """Number and name of each device; of one that several host APIs of Windows show, those of the best of them.

    Args:
        kind: "input" or "output".
    """
    found = ask_portaudio(_PROGRAM, _TIMEOUT_S)
    devices = found.get(kind, []) if isinstance(found, dict) else []
    best = min((rank(api) for *_, api in devices), default=0)
    return [(int(number), " ".join(str(name).split())) for number, name, api in devices if rank(api) == best]
