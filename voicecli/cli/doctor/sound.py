"""Sound: PortAudio, microphone and loudspeaker, and what is done to the sound."""

import asyncio
import shutil
from collections.abc import Iterator
from typing import TYPE_CHECKING

from voicecli.cli.doctor.area import Scope
from voicecli.cli.layers import device_of_settings
from voicecli.errors import AudioDeviceError, ConfigurationError
from voicecli.finding import Finding, Verdict
from voicecli.install import missing_packages

if TYPE_CHECKING:
    from voicecli.audio.devices.listing import Device, Kind

__all__ = ["look_at_sound"]

_RATE = 24_000
_LISTEN_S = 1.0
_NAMES: "dict[Kind, str]" = {"input": "Microphone", "output": "Loudspeaker"}
_OTHERWISE = "Otherwise choose another: voice config set input-device NAME"


def look_at_sound(scope: Scope) -> Iterator[Finding]:
    """Look at PortAudio and the devices: they are listed, and opened only where `scope.listen` says so."""
    from voicecli.audio.devices import listing

    try:
        yield Finding("PortAudio", listing.portaudio_version().removeprefix("PortAudio ").partition(",")[0])
        devices = listing.list_devices()
    except AudioDeviceError as error:
        yield Finding("PortAudio", error.message, "fail", error.advice)
    else:
        yield from _devices(devices)
        if scope.listen and devices:
            yield from asyncio.run(_listen())
    yield _echo()
    yield _decoder()


def _devices(devices: "list[Device]") -> Iterator[Finding]:
    from voicecli.audio.devices.listing import choose_device, shown_devices
    from voicecli.audio.devices.sound_server import real_names

    chosen: dict[Kind, Device] = {}
    for kind in _NAMES:
        wanted = _wanted(kind)
        try:
            chosen[kind] = choose_device(devices, kind, wanted)
        except AudioDeviceError as error:
            # A computer without one may be as it should be; one that was chosen should be there.
            verdict: Verdict = "warn" if wanted is None else "fail"
            told = "none was found" if wanted is None else "the one that is set cannot be chosen"
            yield Finding(_NAMES[kind], error.message, verdict, error.advice, shared=told)
    names = asyncio.run(real_names({kind: device.name for kind, device in chosen.items()}))
    for kind, device in chosen.items():
        others = sum(each.channels(kind) > 0 for each in shown_devices(devices)) - 1
        channels = device.channels(kind)
        told = f"{device.host_api}, {device.sample_rate} Hz, {channels} channel{'' if channels == 1 else 's'}"
        told += f"; {others} more" if others else ""
        known = names.get(kind)
        name = f"{known} ({device.name})" if known else device.name
        yield Finding(_NAMES[kind], f"{name}; {told}", shared=told)


def _wanted(kind: "Kind") -> str | None:
    try:
        return device_of_settings(f"{kind}-device")
    except ConfigurationError:  # told among the settings
        return None


async def _listen() -> list[Finding]:
    """Open both devices, and record for a second."""
    from voicecli.audio.devices.advice import silence
    from voicecli.audio.devices.microphone import Microphone
    from voicecli.audio.devices.speaker import Speaker
    from voicecli.audio.probe import measure_recording
    from voicecli.cli.devices import Recording

    found = []
    speaker = Speaker(_RATE, device=_wanted("output"))
    try:
        await speaker.open()
        found.append(Finding("Opened", "the loudspeaker"))
    except AudioDeviceError as error:
        found.append(Finding("Opened", error.message, "fail", error.advice, shared="the loudspeaker cannot be opened"))
    finally:
        await speaker.aclose()
    microphone = Microphone(_RATE, device=_wanted("input"))
    recording = Recording(microphone)
    listening: asyncio.Task[None] | None = None
    try:
        await microphone.open()
        listening = asyncio.create_task(recording.listen())
        heard = measure_recording(await recording.after(0, _LISTEN_S), _RATE)
    except AudioDeviceError as error:
        told = "the microphone cannot be opened, or delivers nothing"
        return [*found, Finding("Opened", error.message, "fail", error.advice, shared=told)]
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        await microphone.aclose()
    if heard.silent:
        fix = f"{silence()} {_OTHERWISE}"
        return [*found, Finding("Level", "the microphone delivers digital silence", "fail", fix)]
    told = f"{heard.noise_floor:.0f} to {heard.level:.0f} dB of full scale, over a second"
    return [*found, Finding("Level", f"{told}; voice test-audio measures more")]


def _echo() -> Finding:
    if missing_packages(["pywebrtc_audio"]):
        told = "a gate: there is no canceller for this platform, or its package is missing"
        return Finding("Echo", told, "warn", "Use headphones, or interrupt loudly.")
    return Finding("Echo", "is cancelled")


def _decoder() -> Finding:
    if shutil.which("ffmpeg"):
        return Finding("Sound files", "all that ffmpeg reads, too")
    return Finding("Sound files", "WAV, FLAC, OGG, MP3 and AIFF; for M4A, AAC and WebM install ffmpeg")
