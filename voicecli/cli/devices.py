"""`voice list-devices`, `voice test-audio`."""

# ruff: noqa: PT028 - test_audio is a command, no test

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicecli.cli.exit import ExitStatus
from voicecli.cli.finding_lines import finding_lines
from voicecli.cli.lists import JsonObjectOption, JsonOption
from voicecli.cli.standard_output import columns
from voicecli.cli.table import show_table
from voicecli.errors import AudioDeviceError
from voicecli.finding import Finding
from voicecli.pcm16 import PcmFormat
from voicecli.threads import run_in_thread

if TYPE_CHECKING:
    from voicecli.audio.devices.microphone import Microphone

__all__ = ["Recording", "list_devices", "show_checks", "test_audio"]

_RATE = 24_000
_AUDIO = PcmFormat(_RATE)
_QUIET_S = 2.0
_RECORD_S = 3.0
_LISTEN_S = 1.6  # for the chirp: 0.4 s, and up to a second on its way
_DEVICE_TIMEOUT_S = 5.0  # with a device that delivers nothing: by then it was opened anew several times


def _given_or_set(parameter: typer.CallbackParam, value: str | None) -> str | None:
    """The device of the command line, else that of the settings."""
    if value is not None:
        return value
    from voicecli.cli.layers import device_of_settings

    return device_of_settings((parameter.name or "").replace("_", "-"))


InputDevice = Annotated[
    str | None,
    typer.Option(
        "--input-device", metavar="NAME|NUMBER", callback=_given_or_set, help="The microphone; see list-devices."
    ),
]
OutputDevice = Annotated[
    str | None,
    typer.Option(
        "--output-device", metavar="NAME|NUMBER", callback=_given_or_set, help="The loudspeaker; see list-devices."
    ),
]


AllOption = Annotated[
    bool,
    typer.Option(
        "--all", help="On Windows also what only stands for the default device, and the parts of drivers (WDM-KS)."
    ),
]


def list_devices(show_all: AllOption = False, as_json: JsonOption = False) -> None:
    """Show microphones and loudspeakers, and which are used when none is chosen."""
    from voicecli.audio.devices import listing

    devices = listing.list_devices()
    rows = [
        {
            "number": device.number,
            "name": device.name,
            "system": device.host_api,
            "inputs": device.input_channels,
            "outputs": device.output_channels,
            "rate": device.sample_rate,
            "default input": device.default_input,
            "default output": device.default_output,
            "default": device.default_input or device.default_output,
        }
        for device in (devices if show_all else listing.shown_devices(devices))
    ]
    shown = ("number", "name", "system", "inputs", "outputs", "rate", "default input", "default output")
    show_table(shown, rows, as_json)
    if not rows:
        from voicecli.audio.devices.advice import no_device

        typer.echo(
            f"No sound device was found. {no_device()} Without one: voice chat --input FILE --output FILE.", err=True
        )


def test_audio(
    input_device: InputDevice = None,
    output_device: OutputDevice = None,
    as_json: JsonObjectOption = False,
) -> None:
    """Record 3 seconds, play them back, measure the echo, and say what could be better."""
    from voicecli.audio.devices.stderr_guard import quiet_stderr

    with quiet_stderr():  # sound libraries complain on the terminal
        figures, checks = asyncio.run(_measure(input_device, output_device))
    if as_json:
        advice = [check.fix for check in checks if check.fix] or ["All is well."]
        told = {"checks": [check.told() for check in checks], "advice": advice}
        typer.echo(json.dumps(figures | told, indent=2))
    else:
        show_checks(checks)
    if any(check.verdict == "fail" for check in checks):
        raise typer.Exit(ExitStatus.AUDIO)


def show_checks(checks: Sequence[Finding]) -> None:
    """Write a line for each check: its verdict, and below it what to do."""
    width = columns() if sys.stdout.isatty() else sys.maxsize
    for line in finding_lines(checks, width, max(len(check.name) for check in checks)):
        typer.echo(line)
    bad = [check for check in checks if check.verdict != "ok"]
    better = f"{len(bad)} thing{'' if len(bad) == 1 else 's'} could be better."
    fails = any(check.verdict == "fail" for check in bad)
    typer.echo(f"\n{'It does not work like this.' if fails else better if bad else 'All is well.'}")


async def _measure(input_device: str | None, output_device: str | None) -> tuple[dict[str, Any], list[Finding]]:
    """The figures, and what they mean."""
    from voicecli.audio.background import false_starts
    from voicecli.audio.devices.microphone import Microphone
    from voicecli.audio.devices.sound_server import real_names
    from voicecli.audio.devices.speaker import Speaker
    from voicecli.audio.echo.control import make_echo_control
    from voicecli.audio.probe import chirp, find_chirp, judge, measure_recording
    from voicecli.audio.vad_engines import has_silero

    lost: set[str] = set()

    def tell(code: str, message: str) -> None:
        device, _, what = code.partition("_")
        if what == "lost":
            lost.add(device)
        elif what in {"back", "changed"}:
            lost.discard(device)
        if code not in {
            "microphone_silent",
            "microphone_heard",
        }:  # the verdict tells it, of what is heard while somebody speaks
            typer.echo(message, err=True)

    microphone = Microphone(_RATE, device=input_device, on_notice=tell)
    speaker = Speaker(_RATE, device=output_device, on_notice=tell)
    recording = Recording(microphone)
    listening: asyncio.Task[None] | None = None
    try:
        await speaker.open()
        await microphone.open()
        listening = asyncio.create_task(recording.listen())
        typer.echo(f"Be quiet for {_QUIET_S:.0f} seconds ...", err=True)
        background = await recording.after(len(recording.audio), _QUIET_S)
        typer.echo(f"Speak for {_RECORD_S:.0f} seconds, with a pause ...", err=True)
        voice = await recording.after(len(recording.audio), _RECORD_S)
        typer.echo("That was you:", err=True)
        speaker.write(voice, "voice")
        speaker.end()
        await speaker.drain()
        if "loudspeaker" in lost:
            raise AudioDeviceError(
                f"The loudspeaker {speaker.device!r} takes no sound.",
                advice="Is it switched on and connected? Otherwise choose another with --output-device; "
                "`voice list-devices` shows them.",
            )
        typer.echo("And now a chirp.", err=True)
        begin = recording.mark()
        speaker.write(chirp(_RATE), "chirp")
        speaker.end()
        written = time.perf_counter()
        answer = await recording.after(begin, _LISTEN_S)
    finally:
        if listening is not None:
            listening.cancel()
            await asyncio.wait([listening])
        await microphone.aclose()
        await speaker.aclose()
    delay_ms = (recording.begun - written) * 1000 + _AUDIO.duration_ms(
        begin
    )  # from writing the chirp to where `answer` begins
    recorded, echo = measure_recording(voice, _RATE), find_chirp(answer, _RATE)
    round_trip_ms = None if echo is None else round(echo.delay_ms + delay_ms, 1)
    names = await real_names({"input": microphone.device, "output": speaker.device})
    devices = [
        Finding("Microphone", names.get("input", microphone.device)),
        Finding("Loudspeaker", names.get("output", speaker.device)),
    ]
    checks = judge(
        recorded,
        echo,
        round_trip_ms,
        starts=await run_in_thread(lambda: false_starts(background, _RATE)),
        cancels=make_echo_control("auto", _RATE).active == "aec",
        silero=has_silero(),
    )
    figures = {
        "input_device": microphone.device,
        "output_device": speaker.device,
        "level_dbfs": round(recorded.level, 1),
        "noise_floor_dbfs": round(recorded.noise_floor, 1),
        "clipped": round(recorded.clipped, 5),
        "echo_db": None if echo is None else round(echo.gain_db, 1),
        "round_trip_ms": round_trip_ms,
    }
    return figures, [*devices, *checks]


class Recording:
    """The sound that the microphone has recorded so far.

    Attributes:
        begun: when its first sample could be had at the earliest, by `time.perf_counter`, reckoned back from what
            came since the latest `mark`.
    """

    def __init__(self, microphone: "Microphone") -> None:
        self.audio = bytearray()
        self.begun = float("inf")
        self._microphone = microphone
        self._more = asyncio.Event()

    async def listen(self) -> None:
        async for chunk in self._microphone:
            self.audio += chunk
            self.begun = min(self.begun, time.perf_counter() - _AUDIO.duration_ms(len(self.audio)) / 1000)
            self._more.set()

    def mark(self) -> int:
        """The present end, in bytes. From now on `begun` goes by what comes.

        Sound that a device has lost has no place here: what follows it came later than its place tells.
        """
        self.begun = float("inf")
        return len(self.audio)

    async def after(self, begin: int, seconds: float) -> bytes:
        """The recording from byte `begin` on, of this length, as soon as it is there.

        Raises:
            AudioDeviceError: the microphone delivers nothing.
        """
        end = begin + _AUDIO.size(seconds * 1000)
        while len(self.audio) < end:
            self._more.clear()
            try:
                async with asyncio.timeout(_DEVICE_TIMEOUT_S):
                    await self._more.wait()
            except TimeoutError:
                raise AudioDeviceError(
                    f"The microphone {self._microphone.device!r} delivers nothing.",
                    advice="Is it switched on and connected, and may this terminal use it? Otherwise choose another "
                    "with --input-device; `voice list-devices` shows them.",
                ) from None
        return bytes(self.audio[begin:end])
