"""The names of the devices for a completion: found in another process, within a second or not at all."""

import json
import os
import subprocess
import sys

__all__ = ["device_names"]

# A driver that hangs, or a sound server that does not answer, must not hold up whoever types.
_TIMEOUT_S = 1.0
_PROGRAM = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
sys.path[:] = sys.argv[2:]
import sounddevice
devices = list(enumerate(sounddevice.query_devices()))
print(json.dumps({
    kind: [(number, device["name"]) for number, device in devices if device[f"max_{kind}_channels"]]
    for kind in ("input", "output")
}))
"""


def device_names(kind: str) -> list[tuple[int, str]]:
    """Number and name of each device.

    Args:
        kind: "input" or "output".
    """
    if not sys.executable or getattr(sys, "frozen", False):
        return []
    command = [sys.executable, "-I", "-S", "-c", _PROGRAM, str(_TIMEOUT_S), *sys.path]
    try:
        answer = subprocess.run(
            command,
            env={name: value for name, value in os.environ.items() if name != "SD_ENABLE_ASIO"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=True,
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ).stdout
        found = json.loads(answer)[kind]
    except (OSError, ValueError, KeyError, subprocess.SubprocessError):
        return []
    return [(int(number), " ".join(str(name).split())) for number, name in found]
