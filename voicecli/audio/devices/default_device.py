"""The default devices of the moment: PortAudio itself knows only those of when it was initialised.

It would have to be initialised anew to be asked, which closes every stream. So another process is asked: that
takes 60 to 100 ms of one core (measured on Linux; starting it holds up this process for up to 7 ms, less than a block),
disturbs no sound, and cannot hang this one.
"""

import json
import os
import subprocess
import sys
import threading
import time

from voicecli.audio.devices.listing import Kind
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

# The program ends itself, also if this process is no more.
_PROGRAM = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
sys.path[:] = sys.argv[2:]
import sounddevice
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
    if not sys.executable or getattr(sys, "frozen", False):  # there is no Python to be run: it would be this program
        return {}
    environment = {name: value for name, value in os.environ.items() if name != "SD_ENABLE_ASIO"}
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(_TIMEOUT_S), *sys.path]
    try:
        answer = subprocess.run(
            command,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=True,
            close_fds=False,  # then no copy of this process is made for it on systems that can do without
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ).stdout
        names = json.loads(answer)
    except (OSError, ValueError, subprocess.SubprocessError):
        return {}
    return {str(kind): str(name) for kind, name in names.items()} if isinstance(names, dict) else {}
