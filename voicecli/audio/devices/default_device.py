"""The default devices of the moment, and their rates: PortAudio itself knows only those of when it was initialised.

It would have to be initialised anew to be asked, which closes every stream. So the system is asked, by its own library
in this process. Where that does not answer, another process asks PortAudio: on Linux that takes 60 to 100 ms of one
core (measured; starting it holds up this process for up to 7 ms, less than a block), on Windows a second and more; it
disturbs no sound, and cannot hang this one.
"""

import logging
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.other_process import ask_portaudio
from voicecli.audio.devices.system_lookup import system_sound
from voicecli.audio.devices.system_sound import SystemSound, SystemSoundError
from voicecli.threads import run_in_thread

__all__ = ["LOOK_EVERY_S", "default_name", "present_rate", "rate_now"]

_log = logging.getLogger(__name__)

LOOK_EVERY_S = 5.0
"""The interval between two looks, in seconds: through another process they take 1 to 2 % of a core."""

_FRESH_S = 4.0  # less than LOOK_EVERY_S: microphone and loudspeaker share an answer, and none gets the same one twice
_TIMEOUT_S = 4.0
_MOST_FAILURES = 3  # in a row; then this computer does not want it

_PROGRAM = """
answer = {"default": {}, "rates": {"input": {}, "output": {}}}
for kind in ("input", "output"):
    try:
        answer["default"][kind] = sounddevice.query_devices(kind=kind)["name"]
        for device in sounddevice.query_devices():
            if device[f"max_{kind}_channels"]:
                answer["rates"][kind].setdefault(device["name"], round(device["default_samplerate"]))
    except (sounddevice.PortAudioError, ValueError):
        answer["default"][kind] = ""
print(json.dumps(answer))
"""


async def default_name(kind: Kind) -> str:
    """The name of the default device; "" when there is none, or it cannot be found out. Takes seconds at most."""
    return (await run_in_thread(lambda: _LOOKS.names(kind))).get(kind, "")


async def present_rate(kind: Kind, name: str) -> int:
    """The rate that the device of this kind and name has now, in Hz; 0 where it is not known. Takes seconds at most."""
    return await run_in_thread(lambda: _LOOKS.rate(kind, name))


def rate_now(kind: Kind, name: str) -> int:
    """The same, at once: 0 where another process would have to be asked."""
    return _LOOKS.system_rate(kind, name)


@dataclass
class _Answer:
    """What another process has found: names of default devices by kind, rates by kind and name."""

    defaults: dict[str, str] = field(default_factory=dict)
    rates: dict[str, dict[str, int]] = field(default_factory=dict)


class _Looks:
    """Asks the system, or another process; of those who want to know at the same time, one.

    Args:
        find: finds what answers for the system; is asked once.
    """

    def __init__(self, find: Callable[[], SystemSound | None] = system_sound) -> None:
        self._lock = threading.Lock()  # held for as long as the system is asked: a moment
        self._asking = threading.Lock()  # held for as long as another process is: seconds
        self._find: Callable[[], SystemSound | None] | None = find
        self._system: SystemSound | None = None
        self._answer = _Answer()
        self._looked_at = float("-inf")
        self._failures = 0

    def names(self, kind: Kind) -> dict[str, str]:
        """The default device of this kind, if it is known; perhaps others. Waits; never raises."""
        with self._lock:
            system = self._found()
            if system is not None:
                try:
                    return {kind: system.default_name(kind)}
                except Exception as error:  # whatever a foreign library does, a conversation goes on beside it
                    self._give_up(error)
        return self._asked().defaults

    def rate(self, kind: Kind, name: str) -> int:
        """The rate of a device in Hz; 0 where it is not known. Waits; never raises."""
        with self._lock:
            answers = self._found() is not None
        # What another process found a moment ago may be of before the rate changed.
        return self.system_rate(kind, name) if answers else self._asked(anew=True).rates.get(kind, {}).get(name, 0)

    def system_rate(self, kind: Kind, name: str) -> int:
        """The same of the system alone: at once."""
        with self._lock:
            system = self._found()
            try:
                return system.sample_rate(kind, name) if system is not None else 0
            except Exception as error:
                self._give_up(error)
                return 0

    def _found(self) -> SystemSound | None:
        if self._find is not None:
            find, self._find = self._find, None
            self._system = find()
        return self._system

    def _give_up(self, error: Exception) -> None:
        expected = isinstance(error, SystemSoundError)
        _log.debug("Another process is asked for the devices: %s", error, exc_info=None if expected else error)
        self._system = None

    def _asked(self, *, anew: bool = False) -> _Answer:
        with self._asking:
            fresh = not anew and time.monotonic() - self._looked_at < _FRESH_S
            if not fresh and self._failures < _MOST_FAILURES:
                self._answer = _ask()
                self._looked_at = time.monotonic()
                self._failures = 0 if self._answer.defaults else self._failures + 1
            return self._answer


_LOOKS = _Looks()


def _ask() -> _Answer:
    told = ask_portaudio(_PROGRAM, _TIMEOUT_S)
    try:
        return _Answer(
            {str(kind): str(name) for kind, name in told["default"].items()},
            {
                str(kind): {str(name): int(rate) for name, rate in rates.items()}
                for kind, rates in told["rates"].items()
            },
        )
    except (AttributeError, KeyError, TypeError, ValueError):  # none came, or it is not ours
        return _Answer()
