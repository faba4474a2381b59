"""The default devices of the moment: PortAudio itself knows only those of when it was initialised.

It would have to be initialised anew to be asked, which closes every stream. So another process is asked: that
takes 60 to 100 ms of one core (measured on Linux; starting it holds up this process for up to 7 ms, less than a block),
disturbs no sound, and cannot hang this one.
"""

import threading
import time

from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.other_process import ask_portaudio
from voicecli.threads import run_in_thread

__all__ = ["LOOK_EVERY_S", "default_name", "keeps_its_device"]

LOOK_EVERY_S = 5.0
"""The interval between two looks, in seconds: they take 1 to 2 % of a core."""

_FRESH_S = 4.0  # less than LOOK_EVERY_S: microphone and loudspeaker share an answer, and none gets the same one twice
_TIMEOUT_S = 4.0
_MOST_FAILURES = 3  # in a row; then this computer does not want it

# PortAudio's names of the host APIs whose streams stay with the device they were opened on, and which anybody may ask.
# ALSA, JACK and sound servers lead a stream to the new default by themselves. ASIO loads drivers that belong to one
# process at a time, and WDM-KS has no default; these two, and unknown ones, are left alone.
_KEEPING = frozenset({"Core Audio", "MME", "Windows DirectSound", "Windows WASAPI"})

_PROGRAM = """
names = {}
for kind in ("input", "output"):
    try:
        names[kind] = sounddevice.query_devices(kind=kind)["name"]
    except (sounddevice.PortAudioError, ValueError):
        names[kind] = ""
print(json.dumps(names))
"""


def keeps_its_device(host_api: str) -> bool:
    """True when a stream of this host API (PortAudio's name) stays with its device though the default changes."""
    return host_api in _KEEPING


async def default_name(kind: Kind) -> str:
    """The name of the default device; "" when there is none, or it cannot be found out. Takes seconds at most."""
    return (await run_in_thread(_LOOKS.names)).get(kind, "")


class _Looks:
    """Asks another process; of those who want to know at the same time, one."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._names: dict[str, str] = {}
        self._looked_at = float("-inf")
        self._failures = 0

    def names(self) -> dict[str, str]:
        """The default device of each kind that is known. Waits; never raises."""
        with self._lock:
            if time.monotonic() - self._looked_at >= _FRESH_S and self._failures < _MOST_FAILURES:
                self._names = _ask()
                self._looked_at = time.monotonic()
                self._failures = 0 if self._names else self._failures + 1
            return self._names


_LOOKS = _Looks()


def _ask() -> dict[str, str]:
    names = ask_portaudio(_PROGRAM, _TIMEOUT_S)
    return {str(kind): str(name) for kind, name in names.items()} if isinstance(names, dict) else {}
