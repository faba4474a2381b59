"""The default devices as the system tells them in this process: by libraries that have C's calls, but are made here."""

import ctypes
import struct
import sys
import threading
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import pytest

from voicecli.audio.devices import core_audio, default_device, winmm
from voicecli.audio.devices.core_audio import CoreAudio
from voicecli.audio.devices.default_device import _Answer, _Looks
from voicecli.audio.devices.host_apis import same_device
from voicecli.audio.devices.listing import Kind
from voicecli.audio.devices.system_lookup import system_sound
from voicecli.audio.devices.system_sound import SystemSoundError
from voicecli.audio.devices.winmm import Winmm

KINDS: tuple[Kind, ...] = ("input", "output")
U32, POINTER = ctypes.c_uint32, ctypes.c_void_p
NO_SUCH_OBJECT = int.from_bytes(b"!obj", "big")


def c_function(result: Any, *arguments: Any) -> Callable[[Callable[..., Any]], Any]:
    """Makes a function that is called as C functions are, by its address."""
    return lambda function: ctypes.CFUNCTYPE(result, *arguments)(function)


def no_other_process(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(default_device, "ask_portaudio", lambda *_: pytest.fail("another process was asked"))


# -- Windows


class WindowsLibrary:
    """winmm, as far as it tells the preferred devices.

    Attributes:
        preferred: the number of the default device of each kind; -1 for none.
        fails: whether its functions do.
    """

    def __init__(self, **names: list[str]) -> None:
        self.names = names
        self.preferred = {"input": 0, "output": 0}
        self.fails = False
        for kind, prefix in (("input", "waveIn"), ("output", "waveOut")):
            setattr(self, f"{prefix}Message", self._message(kind))
            setattr(self, f"{prefix}GetDevCapsW", self._caps(kind))

    def _message(self, kind: str) -> Any:
        @c_function(U32, ctypes.c_size_t, U32, POINTER, POINTER)
        def message(handle: int, number: int, first: int, second: int) -> int:
            if self.fails or (handle, number) != (2**64 - 1, 0x2015):
                return 8  # MMSYSERR_NOTSUPPORTED
            U32.from_address(first).value = self.preferred[kind] & 0xFFFFFFFF
            U32.from_address(second).value = 0
            return 0

        return message

    def _caps(self, kind: str) -> Any:
        @c_function(U32, ctypes.c_size_t, POINTER, U32)
        def caps(number: int, into: int, size: int) -> int:
            if self.fails or number >= len(self.names[kind]):
                return 2  # MMSYSERR_BADDEVICEID
            name = self.names[kind][number].encode("utf-16-le")[:62].ljust(64, b"\0")
            packed = struct.pack("<HHI64sIHH", 1, 100, 0x500, name, 0xFFFFF, 2, 0)
            packed += struct.pack("<I", 0x2C) if kind == "output" else b""
            assert size == len(packed), "as the structures of this kind are long"
            ctypes.memmove(into, packed, size)
            return 0

        return caps


NAMES = {"input": ["Mikrofon (2- Jabra Evolve2 65 für alle)"], "output": ["Speakers", "Kopfhörer (🎧)"]}


def test_windows_tells_its_default_devices_as_mme_cuts_them() -> None:
    library = WindowsLibrary(**NAMES)
    windows = Winmm(library)
    assert windows.default_name("input") == NAMES["input"][0][:31]
    assert same_device(windows.default_name("input"), NAMES["input"][0])
    assert windows.default_name("output") == "Speakers"
    library.preferred["output"] = 1
    assert windows.default_name("output") == "Kopfhörer (🎧)", "asked anew each time"
    library.preferred["output"] = -1
    assert windows.default_name("output") == ""
    assert windows.sample_rate("output", "Speakers") == 0


def test_windows_that_fails_is_told_by_one_kind_of_error() -> None:
    library = WindowsLibrary(**NAMES)
    library.preferred["input"] = 7  # gone meanwhile
    with pytest.raises(SystemSoundError):
        Winmm(library).default_name("input")
    library.fails = True
    with pytest.raises(SystemSoundError):
        Winmm(library).default_name("output")


# -- macOS


class MacLibrary:
    """CoreAudio and CoreFoundation.

    Attributes:
        devices: number, kind, name and rate of each.
        defaults: the number of the default device of each kind; 0 for none.
        held: how many texts have been handed out and not released.
    """

    def __init__(self) -> None:
        self.devices = [(41, "input", "AirPods von Zoë", 24_000.0), (42, "output", "AirPods von Zoë", 48_000.0)]
        self.defaults = {"input": 41, "output": 42}
        self.held = 0
        self._texts: dict[int, str] = {}
        address = ctypes.POINTER(core_audio._Address)

        @c_function(ctypes.c_int32, U32, address, U32, POINTER, ctypes.POINTER(U32), POINTER)
        def get(device: int, asked: Any, _: int, __: int, size: Any, into: int) -> int:
            value = self._property(device, *self._letters(asked))
            if value is None or size[0] < len(value):
                return NO_SUCH_OBJECT
            ctypes.memmove(into, value, len(value))
            size[0] = len(value)
            return 0

        @c_function(ctypes.c_int32, U32, address, U32, POINTER, ctypes.POINTER(U32))
        def get_size(device: int, asked: Any, _: int, __: int, size: Any) -> int:
            value = self._property(device, *self._letters(asked))
            if value is None:
                return NO_SUCH_OBJECT
            size[0] = len(value)
            return 0

        @c_function(ctypes.c_ubyte, POINTER, POINTER, ctypes.c_long, U32)
        def text(number: int, into: int, size: int, encoding: int) -> int:
            value = self._texts[number].encode() + b"\0"
            if encoding != 0x08000100 or size < len(value):
                return 0
            ctypes.memmove(into, value, len(value))
            return 1

        @c_function(None, POINTER)
        def release(number: int) -> None:
            self.held -= 1

        self.audio = SimpleNamespace(AudioObjectGetPropertyData=get, AudioObjectGetPropertyDataSize=get_size)
        self.foundation = SimpleNamespace(CFStringGetCString=text, CFRelease=release)

    @staticmethod
    def _letters(asked: Any) -> tuple[str, str]:
        of = asked.contents
        assert of.element == 0
        return of.selector.to_bytes(4, "big").decode(), of.scope.to_bytes(4, "big").decode()

    def _property(self, device: int, selector: str, scope: str) -> bytes | None:
        if device == 1:
            if selector == "dev#":
                return b"".join(struct.pack("=I", number) for number, *_ in self.devices)
            kind = {"dIn ": "input", "dOut": "output"}.get(selector)
            return None if kind is None else struct.pack("=I", self.defaults[kind])
        found = next((each for each in self.devices if each[0] == device), None)
        if found is None:
            return None
        if selector == "stm#":
            return b"1234" if scope == {"input": "inpt", "output": "outp"}[found[1]] else b""
        if selector == "nsrt":
            return struct.pack("=d", found[3])
        assert selector == "lnam"
        self.held += 1
        self._texts[device] = found[2]
        return struct.pack("@P", device)

    def open(self) -> CoreAudio:
        return CoreAudio(self.audio, self.foundation)


def test_macos_tells_its_default_devices_and_their_rates() -> None:
    library = MacLibrary()
    mac = library.open()
    assert [mac.default_name(kind) for kind in KINDS] == ["AirPods von Zoë"] * 2
    assert [mac.sample_rate(kind, "AirPods von Zoë") for kind in KINDS] == [24_000, 48_000]
    assert mac.sample_rate("input", "another") == 0
    library.devices = [(number, kind, name, 16_000.0) for number, kind, name, _ in library.devices]
    assert [mac.sample_rate(kind, "AirPods von Zoë") for kind in KINDS] == [16_000, 16_000]
    library.defaults["output"] = 0
    assert mac.default_name("output") == ""
    library.devices = []
    assert mac.sample_rate("input", "AirPods von Zoë") == 0
    with pytest.raises(SystemSoundError):
        mac.default_name("input")
    assert library.held == 0, "each text is released"


def test_a_name_that_is_too_long_is_no_name() -> None:
    library = MacLibrary()
    library.devices = [(41, "input", "x" * 5_000, 24_000.0)]
    with pytest.raises(SystemSoundError):
        library.open().default_name("input")
    assert library.held == 0


# -- which of them is asked


@pytest.mark.parametrize("kind", KINDS)
def test_no_process_is_started_where_the_system_answers(monkeypatch: pytest.MonkeyPatch, kind: Kind) -> None:
    no_other_process(monkeypatch)
    looks = _Looks(lambda: Winmm(WindowsLibrary(**NAMES)))
    assert looks.names(kind)[kind] == NAMES[kind][0][:31]
    assert looks.rate(kind, "Speakers") == 0
    looks = _Looks(lambda: MacLibrary().open())
    assert looks.names(kind) == {kind: "AirPods von Zoë"}
    assert looks.rate(kind, "AirPods von Zoë") > 0


class Broken:
    """A SystemSound whose library fails in a way that nobody has thought of."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def default_name(self, kind: Kind) -> str:
        raise self.error

    def sample_rate(self, kind: Kind, name: str) -> int:
        raise self.error


@pytest.mark.parametrize("error", [SystemSoundError("8"), OSError("access violation"), ctypes.ArgumentError()])
def test_another_process_is_asked_where_the_system_fails(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    monkeypatch.setattr(default_device, "_ask", lambda: _Answer({"input": "a"}, {"input": {"a": 16_000}}))
    looks = _Looks(lambda: Broken(error))
    assert looks.system_rate("input", "a") == 0
    assert looks.names("input") == {"input": "a"}
    assert looks.rate("input", "a") == 16_000
    looks = _Looks(lambda: Broken(error))
    assert looks.names("input") == {"input": "a"}


def test_opening_a_device_does_not_wait_for_another_process(monkeypatch: pytest.MonkeyPatch) -> None:
    asked, over = threading.Event(), threading.Event()

    def ask() -> _Answer:
        asked.set()
        assert over.wait(20)
        return _Answer()

    monkeypatch.setattr(default_device, "_ask", ask)
    looks = _Looks(lambda: None)
    asking = threading.Thread(target=looks.names, args=["input"])
    asking.start()
    assert asked.wait(20)
    found: list[int] = []
    opening = threading.Thread(target=lambda: found.append(looks.system_rate("input", "a")))
    opening.start()
    opening.join(10)
    at_once = list(found)
    over.set()
    asking.join()
    opening.join()
    assert at_once == [0]


def lacking(library: Any, missing: str) -> Any:
    delattr(library, missing)
    return library


@pytest.mark.parametrize(
    ("platform", "make"),
    [
        ("darwin", lambda: CoreAudio(lacking(MacLibrary().audio, "AudioObjectGetPropertyData"), None)),
        ("darwin", lambda: CoreAudio(MacLibrary().audio, lacking(MacLibrary().foundation, "CFRelease"))),
        ("win32", lambda: Winmm(lacking(WindowsLibrary(**NAMES), "waveInMessage"))),
        ("win32", lambda: Winmm(lacking(WindowsLibrary(**NAMES), "waveOutGetDevCapsW"))),
        ("win32", lambda: ctypes.CDLL("there is no such library")),
    ],
)
def test_a_library_that_lacks_something_is_not_asked(
    monkeypatch: pytest.MonkeyPatch, platform: str, make: Callable[[], Any]
) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    monkeypatch.setattr(core_audio, "load_core_audio", make)
    monkeypatch.setattr(winmm, "load_winmm", make)
    assert system_sound() is None


@pytest.mark.skipif(sys.platform in {"darwin", "win32"}, reason="the libraries are there")
@pytest.mark.parametrize("platform", ["darwin", "win32", "linux"])
def test_without_the_libraries_nobody_is_asked(monkeypatch: pytest.MonkeyPatch, platform: str) -> None:
    monkeypatch.setattr(sys, "platform", platform)
    assert system_sound() is None
