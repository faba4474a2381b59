"""Windows' multimedia library, asked for the default devices by ctypes.

It is the oldest of Windows' interfaces to sound, and the only one that needs no COM: it tells the same default devices,
by names that are cut at 31 characters. Constants and structures are those of mmeapi.h and mmddk.h.
"""

import ctypes
from typing import Any

from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.system_sound import SystemSoundError

__all__ = ["Winmm", "load_winmm"]

_MAPPER = 2**64 - 1  # WAVE_MAPPER, as a handle
_PREFERRED_GET = 0x2015  # DRVM_MAPPER_PREFERRED_GET
_NONE = 2**32 - 1
_NAME_UNITS = 32  # MAXPNAMELEN


class _Caps(ctypes.Structure):
    """WAVEOUTCAPSW; WAVEINCAPSW is shorter by the last field. Characters are those of Windows: 16 bits."""

    _fields_ = (
        ("manufacturer", ctypes.c_uint16),
        ("product", ctypes.c_uint16),
        ("version", ctypes.c_uint32),
        ("name", ctypes.c_uint16 * _NAME_UNITS),
        ("formats", ctypes.c_uint32),
        ("channels", ctypes.c_uint16),
        ("reserved", ctypes.c_uint16),
        ("support", ctypes.c_uint32),
    )


_SIZE: dict[Kind, int] = {"input": ctypes.sizeof(_Caps) - 4, "output": ctypes.sizeof(_Caps)}
_PREFIX: dict[Kind, str] = {"input": "waveIn", "output": "waveOut"}


def load_winmm() -> "Winmm":
    """The library of this computer. Raises OSError or AttributeError where it or a function is missing."""
    return Winmm(ctypes.CDLL("winmm"))


class Winmm:
    """The sound devices of Windows: a SystemSound.

    Args:
        library: winmm.

    Raises:
        AttributeError: it lacks a function.
    """

    def __init__(self, library: Any) -> None:
        self._messages: dict[Kind, Any] = {}
        self._caps: dict[Kind, Any] = {}
        for kind, prefix in _PREFIX.items():
            message = self._messages[kind] = getattr(library, f"{prefix}Message")
            message.restype = ctypes.c_uint32
            message.argtypes = (ctypes.c_size_t, ctypes.c_uint32, ctypes.c_void_p, ctypes.c_void_p)
            caps = self._caps[kind] = getattr(library, f"{prefix}GetDevCapsW")
            caps.restype = ctypes.c_uint32
            caps.argtypes = (ctypes.c_size_t, ctypes.c_void_p, ctypes.c_uint32)

    def default_name(self, kind: Kind) -> str:
        """The name of the default device, its first 31 characters; "" when there is none. Raises SystemSoundError."""
        number, flags = ctypes.c_uint32(_NONE), ctypes.c_uint32()
        status = self._messages[kind](_MAPPER, _PREFERRED_GET, ctypes.byref(number), ctypes.byref(flags))
        if status:
            raise SystemSoundError(f"{_PREFIX[kind]}Message answers {status}")
        if number.value == _NONE:
            return ""
        caps = _Caps()
        status = self._caps[kind](number.value, ctypes.byref(caps), _SIZE[kind])
        if status:
            raise SystemSoundError(f"{_PREFIX[kind]}GetDevCapsW answers {status}")
        return bytes(caps.name).decode("utf-16-le", errors="replace").partition("\0")[0]

    def sample_rate(self, kind: Kind, name: str) -> int:
        """0: it does not tell. WASAPI ends a stream whose device changes its format, and converts."""
        return 0
