"""`voice transcribe`: captions of recordings, pipes and the microphone."""

import os
import stat
from dataclasses import dataclass, replace
from typing import Annotated

import typer

from voicecli.cli.caption_files import CaptionTarget, choose_targets
from voicecli.cli.chat import device_of
from voicecli.cli.command import OPTIONAL_FILE
from voicecli.cli.devices import InputDevice
from voicecli.cli.exit import ExitStatus
from voicecli.cli.standard_input import is_terminal
from voicecli.cli.standard_output import keep

__all__ = ["transcribe"]

_STDIN = "-"


def transcribe(
    ctx: typer.Context,
    files: Annotated[
        list[str] | None,
        typer.Argument(metavar="[FILE]...", help="Recordings; - for standard input. Without any: the microphone."),
    ] = None,
    *,
    srt: Annotated[
        str | None,
        typer.Option(metavar=OPTIONAL_FILE, help="Write SRT there; without a name, beside each recording."),
    ] = None,
    vtt: Annotated[str | None, typer.Option(metavar=OPTIONAL_FILE, help="The same as WebVTT.")] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="One JSON object a line on standard output, for each caption.")
    ] = False,
    languages: Annotated[
        list[str] | None,
        typer.Option("--language", metavar="CODES", help="What is spoken, such as en,de; else that is found out."),
    ] = None,
    keywords: Annotated[
        list[str] | None,
        typer.Option("--keyword", metavar="WORD", help="A name or term that is likely; can be given several times."),
    ] = None,
    prompt: Annotated[str, typer.Option(metavar="TEXT", help="What it is about.")] = "",
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            metavar="NAME",
            help="Have this provider transcribe, on its servers. Without it nothing is sent or paid for, whatever the "
            "settings say: the offline engine listens.",
        ),
    ] = None,
    model: Annotated[str | None, typer.Option("--model", "-m", metavar="NAME", help="The provider's model.")] = None,
    profile: Annotated[
        str | None, typer.Option(metavar="NAME", help="Take key and address from this profile of the settings file.")
    ] = None,
    channels: Annotated[bool, typer.Option("--channels", help="Each channel of a recording is a speaker.")] = False,
    once: Annotated[
        bool, typer.Option("--once", help="Write down one utterance from the microphone, and end: dictation.")
    ] = False,
    input_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="The input is raw PCM16 mono at this rate.")
    ] = None,
    input_device: InputDevice = None,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Write only the words, and errors.")] = False,
) -> ExitStatus:
    """Write down what is said: text, captions with times, or dictation.

    It works on this machine, in English; nothing leaves it unless --provider is given.
    """
    keep()
    request = _request(files, once=once)
    options = {"--srt": srt, "--vtt": vtt}
    if once and (given := [name for name, value in options.items() if value is not None] + ["--json"] * as_json):
        raise typer.BadParameter(f"with {given[0]} there is more than the words", param_hint="--once")
    if channels and request.live:
        raise typer.BadParameter("a microphone has one; this is for recordings", param_hint="--channels")
    if input_rate is not None and request.live:
        raise typer.BadParameter("the microphone says its own", param_hint="--input-rate")
    if input_rate is not None and channels:
        raise typer.BadParameter("raw input is mono", param_hint="--channels")
    targets = _targets(srt, vtt, request, as_json=as_json)

    spoken = _several(languages, "--language")

    from voicecli.cli.live_transcription import run_live, run_once
    from voicecli.cli.options import named_by_options
    from voicecli.cli.prepare import prepare_transcriber
    from voicecli.cli.transcription import Sound, run_files
    from voicecli.transcriber import Transcriber, choose_transcriber
    from voicecli.voice import read_settings

    with named_by_options(ctx):
        chosen, _ = choose_transcriber(provider)
        config = replace(read_settings(chosen.name, profile), model=model)
        transcriber = Transcriber(
            chosen, config=config, languages=spoken, keywords=tuple(keywords or ()), prompt=prompt
        )
        device = device_of(input_device)
        prepare_transcriber(transcriber, quiet=quiet)
        if once:
            run_once(transcriber, device, quiet=quiet)
        elif request.live:
            run_live(transcriber, device, targets[0], as_json=as_json, quiet=quiet)
        else:
            sound = Sound(input_rate, channels)
            return run_files(transcriber, request.names, targets, sound, as_json=as_json, quiet=quiet)
    return ExitStatus.OK


@dataclass(frozen=True, slots=True)
class _Request:
    """What is to be transcribed: files by their names; none where it is live."""

    names: list[str]

    @property
    def live(self) -> bool:
        return not self.names


def _request(files: list[str] | None, *, once: bool) -> _Request:
    names = list(files or ())
    if once:
        if names:
            raise typer.BadParameter("it listens to the microphone, not to files", param_hint="--once")
        return _Request([])  # also where standard input is no terminal, as under a hot key
    if names.count(_STDIN) > 1:
        raise typer.BadParameter("standard input can be read only once", param_hint="FILE")
    if not names and not is_terminal():
        names = [_STDIN]
    return _Request(names)


def _targets(srt: str | None, vtt: str | None, request: _Request, *, as_json: bool) -> list[list[CaptionTarget]]:
    """The files for each input."""
    inputs = [None if name == _STDIN or _is_pipe(name) else name for name in request.names] or [None]
    found: list[list[CaptionTarget]] = [[] for _ in inputs]
    taken: list[str] = ["--json"] * as_json  # who writes to standard output
    for form, value in (("srt", srt), ("vtt", vtt)):
        if value is None:
            continue
        for place, target in enumerate(choose_targets("srt" if form == "srt" else "vtt", value, inputs)):
            found[place].append(target)
        taken += [f"--{form}"] * (value == "-")
    if len(taken) > 1:
        raise typer.BadParameter(f"{taken[0]} writes to standard output already", param_hint=taken[1])
    if srt and srt not in ("-",) and srt == vtt and len({each.path for row in found for each in row}) < 2:
        raise typer.BadParameter("this is the file of --srt, too", param_hint="--vtt")
    return found


def _is_pipe(name: str) -> bool:
    try:
        return stat.S_ISFIFO(os.stat(name).st_mode)
    except (OSError, ValueError):
        return False


def _several(values: list[str] | None, option: str) -> tuple[str, ...]:
    """The parts between commas, of an option that can be given several times."""
    parts = [part.strip() for value in values or () for part in value.split(",")]
    if not all(parts):
        raise typer.BadParameter("give codes, such as en,de", param_hint=option)
    return tuple(parts)
