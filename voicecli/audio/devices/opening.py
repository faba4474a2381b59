"""Opening a stream of a device in a format that it takes, and what its refusal means."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from voicecli.audio.devices.advice import MICROPHONE_PERMISSION, permission, restart_sound
from voicecli.audio.devices.host_apis import DIRECTSOUND, MME, WASAPI, WDM_KS
from voicecli.audio.devices.listing import NOUN, Device, Kind
from voicecli.audio.devices.portaudio import describe
from voicecli.errors import AudioDeviceError

__all__ = ["BLOCK_MS", "Callback", "DeviceFormat", "open_first", "open_stream"]

BLOCK_MS = 10
"""The length of a block, in milliseconds.

Measured through PulseAudio on two cores. With 10 ms blocks "low" latency is a buffer of 20 ms: silence comes 44 to
54 ms after `clear()`, and nothing is missed until other programs want both cores; 60 ms then suffice. 20 ms blocks
cannot do with less than 40 ms, and silence takes 80 to 95 ms.
"""

_INVALID_RATE, _INVALID_CHANNELS = -9997, -9998
_BUSY, _INVALID_DEVICE = -9985, -9996
_INTERNAL, _HOST_ERROR = -9986, -9999
# What Windows answers where desktop apps may not use the microphone: MME by its undefined error, the others by
# E_ACCESSDENIED.
_DENIED = {MME: {1}, WASAPI: {-2147024891}, DIRECTSOUND: {-2147024891}, WDM_KS: {-2147024891}}


@dataclass(frozen=True, slots=True)
class DeviceFormat:
    """The format a device was opened in: PCM16, interleaved.

    Attributes:
        name: of the device.
        sample_rate: in Hz.
        channels: how many.
    """

    name: str
    sample_rate: int
    channels: int


Callback = Callable[[Any, int, Any, Any], None]
"""PortAudio's callback: buffer, frames, times, flags."""


class _NotAllowedError(AudioDeviceError):
    """This program may not use the microphone."""


def open_first(
    portaudio: Any,
    devices: Sequence[Device],
    kind: Kind,
    sample_rate: int,
    *,
    latency: str | float,
    make_callback: Callable[[DeviceFormat], Callback],
    on_finished: Callable[[], None],
) -> tuple[Any, DeviceFormat, Device]:
    """Open and start a stream of the first of these devices that can be had, as `open_stream` does.

    Raises:
        AudioDeviceError: none can be. It tells of the first, or that this program may use no microphone.
    """
    refusals: list[AudioDeviceError] = []
    for device in devices:
        try:
            raw, opened = open_stream(
                portaudio,
                device,
                kind,
                sample_rate,
                latency=latency,
                make_callback=make_callback,
                on_finished=on_finished,
            )
        except AudioDeviceError as error:
            refusals.append(error)
        else:
            return raw, opened, device
    raise next((error for error in refusals if isinstance(error, _NotAllowedError)), refusals[0])


def open_stream(
    portaudio: Any,
    device: Device,
    kind: Kind,
    sample_rate: int,
    *,
    latency: str | float,
    make_callback: Callable[[DeviceFormat], Callback],
    on_finished: Callable[[], None],
) -> tuple[Any, DeviceFormat]:
    """Open and start a stream.

    `sample_rate` and one channel are tried first, as the device or what stands before it may convert; then the device's
    own rate, then two channels.

    Args:
        latency: as PortAudio takes it: "low", or in seconds.
        make_callback: makes the callback for the format.
        on_finished: is called when the stream has ended.

    Raises:
        AudioDeviceError: it cannot be opened.
    """
    stream = portaudio.RawInputStream if kind == "input" else portaudio.RawOutputStream
    refusal: Exception | None = None
    # Windows itself converts to its mixer's format then, and goes on to when that changes.
    extra = {"extra_settings": portaudio.WasapiSettings(auto_convert=True)} if device.host_api == WASAPI else {}
    for channels in dict.fromkeys((1, min(2, device.channels(kind)))):
        for rate in dict.fromkeys((sample_rate, device.sample_rate)):
            opened = DeviceFormat(device.name, rate, channels)
            try:
                raw = stream(
                    samplerate=rate,
                    blocksize=rate * BLOCK_MS // 1000,
                    device=device.number,
                    channels=channels,
                    dtype="int16",
                    latency=latency,
                    callback=make_callback(opened),
                    finished_callback=on_finished,
                    **extra,
                )
            except portaudio.PortAudioError as error:
                refusal = error
                if _code(error) not in {_INVALID_RATE, _INVALID_CHANNELS}:
                    raise _refused(kind, device, error) from error
                continue
            try:
                raw.start()
            except portaudio.PortAudioError as error:
                raw.close(ignore_errors=True)
                raise _refused(kind, device, error) from error
            return raw, opened
    assert refusal is not None
    raise _refused(kind, device, refusal) from refusal


def _code(error: Exception) -> int:
    return error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0


def _refused(kind: Kind, device: Device, error: Exception) -> AudioDeviceError:
    noun, name, code = NOUN[kind], device.name, _code(error)
    if kind == "input" and _is_denied(device.host_api, error):
        windows = device.host_api in _DENIED
        who = "Windows keeps desktop apps from using" if windows else "macOS seems to keep this terminal from using"
        return _NotAllowedError(
            f"{who} the microphone {name!r}.",
            advice=f"Allow it in {MICROPHONE_PERMISSION['win32' if windows else 'darwin']}",
        )
    if code == _BUSY:
        return AudioDeviceError(
            f"The {noun} {name!r} is in use by another program, or was taken away.",
            advice="Close the other program, or choose another device: `voice list-devices`.",
        )
    if code == _INVALID_DEVICE:
        return AudioDeviceError(
            f"The {noun} {name!r} is not there any more.", advice="Choose another device: `voice list-devices`."
        )
    text = describe(error)
    if "permission" in text.casefold() or "denied" in text.casefold():
        return AudioDeviceError(f"The {noun} {name!r} may not be used: {text}.", advice=f"Allow it: {permission()}")
    return AudioDeviceError(
        f"The {noun} {name!r} cannot be opened: {text}.",
        advice=f"Choose another device: `voice list-devices`; or what makes the sound is stuck. {restart_sound()}",
    )


def _is_denied(host_api: str, error: Exception) -> bool:
    """True when it is the system's answer to a program that may not use the microphone."""
    if host_api == "Core Audio":
        return _code(error) == _INTERNAL  # what it is about (-66748) PortAudio tells on stderr only
    host_error = error.args[2] if len(error.args) > 2 else (None, 0, "")
    return _code(error) == _HOST_ERROR and _signed(host_error[1]) in _DENIED.get(host_api, ())


def _signed(number: int) -> int:
    """An error of Windows as a number of 32 bits with a sign, in whichever way it was told."""
    return number - 2**32 if number >= 2**31 else number
