"""Core Audio of macOS, asked for the default devices and their rates by ctypes.

The constants are four letters each, as in CoreAudio/AudioHardware.h.
"""

import ctypes
from typing import Any

from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.system_sound import SystemSoundError

__all__ = ["CoreAudio", "load_core_audio"]

_FRAMEWORKS = "/System/Library/Frameworks"
_SYSTEM = 1  # kAudioObjectSystemObject
_UTF8 = 0x08000100
_NAME_BYTES = 1024
_MOST_DEVICES = 256


class _Address(ctypes.Structure):
    """AudioObjectPropertyAddress."""

    _fields_ = (
        ("selector", ctypes.c_uint32),
        ("scope", ctypes.c_uint32),
        ("element", ctypes.c_uint32),
    )


def _code(letters: str) -> int:
    return int.from_bytes(letters.encode("ascii"), "big")


_DEFAULT: dict[Kind, str] = {"input": "dIn ", "output": "dOut"}
_SCOPE: dict[Kind, str] = {"input": "inpt", "output": "outp"}
_GLOBAL, _NAME, _RATE, _DEVICES, _STREAMS = "glob", "lnam", "nsrt", "dev#", "stm#"


def load_core_audio() -> "CoreAudio":
    """Core Audio of this computer. Raises OSError or AttributeError where a library or a function is missing."""
    return CoreAudio(
        ctypes.CDLL(f"{_FRAMEWORKS}/CoreAudio.framework/CoreAudio"),
        ctypes.CDLL(f"{_FRAMEWORKS}/CoreFoundation.framework/CoreFoundation"),
    )


class CoreAudio:
    """The sound devices of macOS: a SystemSound.

    Args:
        audio: the library CoreAudio.
        foundation: the library CoreFoundation.

    Raises:
        AttributeError: one of them lacks a function.
    """

    def __init__(self, audio: Any, foundation: Any) -> None:
        pointer, size = ctypes.c_void_p, ctypes.c_uint32
        address = ctypes.POINTER(_Address)
        self._get = audio.AudioObjectGetPropertyData
        self._get.restype = ctypes.c_int32
        self._get.argtypes = (size, address, size, pointer, ctypes.POINTER(size), pointer)
        self._get_size = audio.AudioObjectGetPropertyDataSize
        self._get_size.restype = ctypes.c_int32
        self._get_size.argtypes = (size, address, size, pointer, ctypes.POINTER(size))
        self._text = foundation.CFStringGetCString
        self._text.restype = ctypes.c_ubyte
        self._text.argtypes = (pointer, pointer, ctypes.c_long, size)
        self._release = foundation.CFRelease
        self._release.restype = None
        self._release.argtypes = (pointer,)

    def default_name(self, kind: Kind) -> str:
        """The name of the default device; "" when there is none. Raises SystemSoundError."""
        device = ctypes.c_uint32()
        self._read(_SYSTEM, _DEFAULT[kind], _GLOBAL, device)
        return self._name(device.value) if device.value else ""

    def sample_rate(self, kind: Kind, name: str) -> int:
        """The rate of the device of this kind and name, in Hz; 0 where it is not known."""
        try:
            for device in self._devices():
                if self._size(device, _STREAMS, _SCOPE[kind]) and self._name(device) == name:
                    rate = ctypes.c_double()
                    self._read(device, _RATE, _GLOBAL, rate)
                    return round(rate.value)
        except SystemSoundError:  # a device that has just gone; the next look is at another list
            pass
        return 0

    def _devices(self) -> list[int]:
        count = min(self._size(_SYSTEM, _DEVICES, _GLOBAL) // 4, _MOST_DEVICES)
        if not count:
            return []
        devices = (ctypes.c_uint32 * count)()
        filled = self._read(_SYSTEM, _DEVICES, _GLOBAL, devices) // 4  # one may have gone meanwhile
        return list(devices)[:filled]

    def _name(self, device: int) -> str:
        text = ctypes.c_void_p()
        self._read(device, _NAME, _GLOBAL, text)
        if not text.value:
            return ""
        try:
            characters = ctypes.create_string_buffer(_NAME_BYTES)
            if not self._text(text, characters, _NAME_BYTES, _UTF8):
                raise SystemSoundError("a name that is no text, or too long")
            return characters.value.decode(errors="replace")
        finally:
            self._release(text)

    def _size(self, device: int, selector: str, scope: str) -> int:
        """The bytes of a property; 0 where the device has none."""
        size = ctypes.c_uint32()
        address = _Address(_code(selector), _code(scope), 0)
        failed = self._get_size(device, ctypes.byref(address), 0, None, ctypes.byref(size))
        return 0 if failed else size.value

    def _read(self, device: int, selector: str, scope: str, into: Any) -> int:
        """Read a property; how many bytes it had. Raises SystemSoundError."""
        address, size = _Address(_code(selector), _code(scope), 0), ctypes.c_uint32(ctypes.sizeof(into))
        status = self._get(device, ctypes.byref(address), 0, None, ctypes.byref(size), ctypes.byref(into))
        if status:
            raise SystemSoundError(f"Core Audio answers {status} to {selector!r} of {device}")
        return size.value
