"""Names of the devices behind a sound server: to PortAudio they are all "default" or "pulse" on Linux."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Sequence

from voicecli.audio.devices.listing import Kind
from voicecli.threads import run_in_thread

__all__ = ["real_names"]

_STAND_INS = frozenset({"default", "pulse", "pipewire", "sysdefault"})
# A sound server that answers does so within 20 ms; one that hangs must not hold up a conversation.
_TIMEOUT_S = 0.5
_PULSE: dict[Kind, tuple[str, str]] = {"input": ("Default Source", "sources"), "output": ("Default Sink", "sinks")}
_PIPEWIRE: dict[Kind, str] = {"input": "@DEFAULT_AUDIO_SOURCE@", "output": "@DEFAULT_AUDIO_SINK@"}


async def real_names(devices: dict[Kind, str]) -> dict[Kind, str]:
    """The devices' own names, where they are told by a sound server's.

    Args:
        devices: names as PortAudio has them; only those that stand for a sound server are asked for.

    Returns:
        a name for each that is known. Takes a second at most.
    """
    kinds: list[Kind] = [kind for kind, name in devices.items() if name in _STAND_INS]
    if not kinds or not sys.platform.startswith("linux"):
        return {}
    try:
        async with asyncio.timeout(2 * _TIMEOUT_S):
            return await run_in_thread(lambda: _ask(kinds))
    except TimeoutError:
        return {}


def _ask(kinds: Sequence[Kind]) -> dict[Kind, str]:
    defaults = _run("pactl", "info")
    names = {kind: _pulse_name(kind, defaults) if defaults else _pipewire_name(kind) for kind in kinds}
    return {kind: name for kind, name in names.items() if name}


def _pulse_name(kind: Kind, defaults: str) -> str:
    title, listed = _PULSE[kind]
    default = re.search(rf"^{title}: (.+)$", defaults, re.MULTILINE)
    if default is None:
        return ""
    entry = rf"^\s*Name: {re.escape(default[1])}\n\s*Description: (.+)$"
    found = re.search(entry, _run("pactl", "list", listed), re.MULTILINE)
    return found[1].strip() if found else ""


def _pipewire_name(kind: Kind) -> str:
    found = re.search(r'node\.description = "(.+)"', _run("wpctl", "inspect", _PIPEWIRE[kind]))
    return found[1] if found else ""


def _run(*command: str) -> str:
    """The words of the program; "" where it is not installed, fails, or does not answer."""
    try:
        return subprocess.run(
            command,
            env={**os.environ, "LC_ALL": "C.UTF-8"},  # the titles in English
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            timeout=_TIMEOUT_S,
            check=True,
        ).stdout.decode(errors="replace")
    except (OSError, subprocess.SubprocessError):
        return ""
