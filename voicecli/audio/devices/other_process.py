"""Questions to PortAudio in another process: a driver or a sound server that hangs there holds up nobody here."""

import json
import os
import subprocess
import sys
from typing import Any

__all__ = ["ask_portaudio"]

# The program ends itself, also if this process is no more.
_BEGIN = """
import faulthandler, json, sys
faulthandler.dump_traceback_later(float(sys.argv[1]), exit=True)
sys.path[:] = sys.argv[2:]
import sounddevice
"""


def ask_portaudio(program: str, timeout_s: float) -> Any:
    """The JSON that a program prints; None where it prints none in time, or there is no Python to run it.

    Args:
        program: knows `json` and `sounddevice`.
        timeout_s: the longest that it may take, in seconds.
    """
    if not sys.executable or getattr(sys, "frozen", False):  # it would be this program
        return None
    try:
        answer = subprocess.run(
            [sys.executable, "-I", "-S", "-c", _BEGIN + program, str(timeout_s), *sys.path],
            env={name: value for name, value in os.environ.items() if name != "SD_ENABLE_ASIO"},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=timeout_s,
            check=True,
            close_fds=False,  # then no copy of this process is made for it on systems that can do without
            creationflags=getattr(subprocess, "CREATE_NO_WINDOW", 0),
        ).stdout
        return json.loads(answer)
    except (OSError, ValueError, subprocess.SubprocessError):
        return None
