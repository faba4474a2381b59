"""Opening a stream of a device in a format that it takes, and what its refusal means."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from voicecli.audio.devices.listing import NOUN, Device, Kind
from voicecli.audio.devices.portaudio import describe
from voicecli.errors import AudioDeviceError

__all__ = ["BLOCK_MS", "Callback", "DeviceFormat", "open_stream"]

BLOCK_MS = 10
"""The length of a block, in milliseconds.

Measured through PulseAudio on two cores. With 10 ms blocks "low" latency is a buffer of 20 ms: silence comes 44 to
54 ms after `clear()`, and nothing is missed until other programs want both cores; 60 ms then suffice. 20 ms blocks
cannot do with less than 40 ms, and silence takes 80 to 95 ms.
"""

_INVALID_RATE, _INVALID_CHANNELS = -9997, -9998
_BUSY, _INVALID_DEVICE = -9985, -9996


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
                )
            except portaudio.PortAudioError as error:
                refusal = error
                if _code(error) not in {_INVALID_RATE, _INVALID_CHANNELS}:
                    raise _refused(kind, device.name, error) from error
                continue
            try:
                raw.start()
            except portaudio.PortAudioError as error:
                raw.close(ignore_errors=True)
                raise _refused(kind, device.name, error) from error
            return raw, opened
    assert refusal is not None
    raise _refused(kind, device.name, refusal) from refusal


def _code(error: Exception) -> int:
    return error.args[1] if len(error.args) > 1 and isinstance(error.args[1], int) else 0


def _refused(kind: Kind, name: str, error: Exception) -> AudioDeviceError:
    noun, code = NOUN[kind], _code(error)
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
        return AudioDeviceError(
            f"The {noun} {name!r} may not be used: {text}.",
            advice="Allow it: macOS: System Settings, Privacy & Security, Microphone; Windows: Settings, Privacy, "
            'Microphone; Linux: add yourself to the group "audio", and log in again.',
        )
    return AudioDeviceError(
        f"The {noun} {name!r} cannot be opened: {text}.",
        advice="Choose another device: `voice list-devices`; or restart the sound server.",
    )
