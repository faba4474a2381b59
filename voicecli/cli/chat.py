"""`voice chat` and `voice send-text`: a conversation from the command line."""

import sys
from typing import Annotated

import typer

from voicecli.audio import EchoMode
from voicecli.cli.options import Choices, Devices, Sleep
from voicecli.cli.standard_output import own_stdout
from voicecli.errors import ConfigurationError
from voicecli.text import LONGEST_TEXT

__all__ = ["chat", "send_text"]

Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE|-", help="Where the reply's sound goes, as WAV."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output for all that happens.")]
_DEVICES = "Microphone and loudspeaker"
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Write only what is said, and errors.")]


def chat(
    *,
    choices: Choices,
    input_: Annotated[
        str | None, typer.Option("--input", "-i", metavar="FILE|-", help="A recording of what you say.")
    ] = None,
    input_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="The input is raw PCM16 mono at this rate, not WAV.")
    ] = None,
    output: Output = None,
    as_json: Json = False,
    quiet: Quiet = False,
    input_device: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="Microphone; see list-devices.", rich_help_panel=_DEVICES),
    ] = None,
    output_device: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="Loudspeaker; see list-devices.", rich_help_panel=_DEVICES),
    ] = None,
    echo: Annotated[
        EchoMode,
        typer.Option(
            help="What keeps the model from hearing itself: auto, aec, gate, half-duplex or off.",
            metavar="HOW",
            rich_help_panel=_DEVICES,
        ),
    ] = "auto",
    wake: Annotated[
        str | None,
        typer.Option(
            metavar="WORD",
            help="Begin asleep, with nothing connected, until this is said: any word (with voicecli[local]), or alexa, "
            "hey_jarvis, hey_mycroft, okay_nabu (with voicecli[wake]).",
            rich_help_panel=_DEVICES,
        ),
    ] = None,
    sleep_after: Annotated[
        float,
        typer.Option(
            min=5,
            max=86_400,
            metavar="SECONDS",
            help="With --wake: fall asleep again when nobody has spoken for so long.",
            rich_help_panel=_DEVICES,
        ),
    ] = 60,
) -> None:
    """Talk with a model, out loud or through files.

    Pipes serve without any option: cat question.wav | voice chat > reply.wav
    """
    live = input_ is None and sys.stdin.isatty()
    output = _output(output, as_json)
    sleep = _sleep(wake, sleep_after, live=live)
    from voicecli.cli.run import run_conversation, run_live

    if live:
        devices = Devices(_device(input_device), _device(output_device), echo)
        run_live(choices, devices, output, as_json=as_json, quiet=quiet, sleep=sleep)
        return
    from voicecli.audio.files.source import WavSource

    try:
        source = WavSource("-" if input_ is None else input_, raw_rate=input_rate)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--input-rate") from error
    run_conversation(choices.for_recording(), source, output, as_json=as_json, quiet=quiet)


def send_text(
    text: Annotated[str, typer.Argument(help="What to say; - reads it from standard input.")],
    *,
    choices: Choices,
    output: Output = None,
    as_json: Json = False,
    quiet: Quiet = False,
) -> None:
    """Say something in writing; the answer comes as text and sound."""
    if text == "-":
        written = sys.stdin.buffer.read(LONGEST_TEXT + 1)
        if len(written) > LONGEST_TEXT:
            told = f"standard input has more than {LONGEST_TEXT} bytes of text, and no model takes as many at once"
            raise typer.BadParameter(told, param_hint="TEXT")
        try:
            text = written.decode("utf-8")
        except UnicodeDecodeError as error:
            raise typer.BadParameter("standard input is not UTF-8 text", param_hint="TEXT") from error
    if not text.strip():
        raise typer.BadParameter("there is nothing to say", param_hint="TEXT")
    output = _output(output, as_json)
    from voicecli.cli.run import run_conversation

    run_conversation(choices, text.strip(), output, as_json=as_json, quiet=quiet)


def _output(output: str | None, as_json: bool) -> str | None:
    """The place for the sound: as told, else a pipe on standard output unless JSON is written there."""
    if output == "-":
        if as_json:
            raise typer.BadParameter("sound and --json cannot both go to standard output", param_hint="--output")
        if own_stdout().isatty():
            raise typer.BadParameter("this is a terminal; name a file, or pipe it on", param_hint="--output")
    if output is None and not as_json and not own_stdout().isatty():
        return "-"
    return output


def _sleep(wake_word: str | None, after_s: float, *, live: bool) -> Sleep | None:
    """The sleep between conversations, as told.

    Raises:
        ConfigurationError: there is none in a recording, or this word cannot be listened for.
    """
    if wake_word is None:
        return None
    if not live:
        raise ConfigurationError(
            "wake: a recording, or a pipe, needs no wake word.",
            advice=f"Run `voice chat --wake {wake_word}` in a terminal, or leave out --wake.",
        )
    from voicecli.audio.wake.wake_word import check_wake_word

    return Sleep(str(check_wake_word(wake_word)), after_s)


def _device(name: str | None) -> str | int | None:
    # A number with more digits is no device's; Python refuses to read one with thousands.
    return int(name) if name is not None and name.isdecimal() and len(name) < 10 else name
