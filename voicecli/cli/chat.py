"""`voice chat` and `voice send-text`: a conversation from the command line."""

from typing import Annotated

import typer

from voicecli.audio import EchoMode
from voicecli.cli.options import Choices, Devices, Sleep
from voicecli.cli.standard_input import is_terminal
from voicecli.cli.standard_output import own_stdout
from voicecli.errors import ConfigurationError

__all__ = ["Json", "OutputDevice", "Quiet", "chat", "device_of", "send_text"]

Output = Annotated[
    str | None,
    typer.Option("--output", "-o", metavar="FILE|-", help="Where the reply's sound goes, as WAV."),
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line on standard output for all that happens.")]
_DEVICES = "Microphone and loudspeaker"
Quiet = Annotated[bool, typer.Option("--quiet", "-q", help="Write only the words, and errors.")]
Play = Annotated[
    bool | None,
    typer.Option(
        "--play/--no-play",
        help="Whether an answer to files or text is played; if you say neither: in a terminal, without --output.",
        rich_help_panel=_DEVICES,
    ),
]
OutputDevice = Annotated[
    str | None,
    typer.Option(metavar="NAME|NUMBER", help="Loudspeaker; see list-devices.", rich_help_panel=_DEVICES),
]


def chat(
    *,
    choices: Choices,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="FILE|-", help="What you say, sound or text; several in order."),
    ] = None,
    input_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="The input is raw PCM16 mono at this rate.")
    ] = None,
    output: Output = None,
    as_json: Json = False,
    quiet: Quiet = False,
    play: Play = None,
    input_device: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="Microphone; see list-devices.", rich_help_panel=_DEVICES),
    ] = None,
    output_device: OutputDevice = None,
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
            help="Begin asleep, with nothing connected, until this is said: any word (with the extra local), or alexa, "
            "hey_jarvis, hey_mycroft, okay_nabu (with the extra wake).",
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
    auto_gain_control: Annotated[
        bool,
        typer.Option(
            "--auto-gain-control",
            help="Make a very soft voice louder, by up to 20 dB, while nothing is played.",
            rich_help_panel=_DEVICES,
        ),
    ] = False,
) -> None:
    """Talk with a model, out loud or through files.

    Pipes serve without any option: cat question.wav | voice chat > reply.wav
    """
    from voicecli.cli.destinations import choose_destinations, sound_destination
    from voicecli.cli.run import run_conversation, run_live

    text_only = choices.config.output == "text"
    to_terminal = own_stdout().isatty()
    speaker = device_of(output_device)
    live = not input_ and is_terminal()
    if "wake" in choices.given and not live:
        raise ConfigurationError(
            "wake: a recording, or a pipe, needs no wake word.",
            advice=f"Run `voice chat --wake {wake}` in a terminal, or leave out --wake.",
        )
    if live:
        output = sound_destination(True, to_terminal, output, as_json=as_json, text_only=text_only)
        devices = Devices(device_of(input_device), speaker, echo, auto_gain_control)
        run_live(choices, devices, output, as_json=as_json, quiet=quiet, sleep=_sleep(wake, sleep_after))
        return
    from voicecli.cli.inputs import open_inputs

    try:
        inputs = open_inputs(input_ or ["-"], input_rate, output)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--input-rate") from error
    spoken = any(not isinstance(each, str) for each in inputs)
    destinations = choose_destinations(
        spoken=spoken,
        is_terminal=to_terminal,
        output=output,
        as_json=as_json,
        text_only=text_only,
        quiet=quiet,
        play=play,
    )
    run_conversation(choices.for_recording() if spoken else choices, inputs, destinations, speaker)


def send_text(
    text: Annotated[
        str | None,
        typer.Argument(
            metavar="TEXT", help="What to say, or @FILE. What standard input holds is added to it, or said alone."
        ),
    ] = None,
    *,
    choices: Choices,
    output: Output = None,
    as_json: Json = False,
    quiet: Quiet = False,
    play: Play = None,
    output_device: OutputDevice = None,
) -> None:
    """Say something in writing; the answer comes as text, and is played in a terminal.

    Pipes serve, too: cat notes.txt | voice send-text "Summarise this:"
    """
    from voicecli.cli.destinations import choose_destinations
    from voicecli.cli.inputs import written_text
    from voicecli.cli.run import run_conversation

    destinations = choose_destinations(
        spoken=False,
        is_terminal=own_stdout().isatty(),
        output=output,
        as_json=as_json,
        text_only=choices.config.output == "text",
        quiet=quiet,
        play=play,
    )
    run_conversation(choices, [written_text(text)], destinations, device_of(output_device))


def _sleep(wake_word: str | None, after_s: float) -> Sleep | None:
    """The sleep between conversations. Raises ConfigurationError for a word that cannot be listened for."""
    if not wake_word:  # "" turns off what settings turn on
        return None
    from voicecli.audio.wake.wake_word import check_wake_word

    return Sleep(str(check_wake_word(wake_word)), after_s)


def device_of(name: str | None) -> str | int | None:
    """The device that an option names: a number, or a part of its name."""
    # A number with more digits is no device's; Python refuses to read one with thousands.
    return int(name) if name is not None and name.isdecimal() and len(name) < 10 else name
