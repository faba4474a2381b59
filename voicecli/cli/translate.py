"""`voice translate`: an interpreter for the microphone, a file or a pipe."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicecli.audio import EchoMode
from voicecli.cli.chat import Json, OutputDevice, Quiet, device_of
from voicecli.cli.options import Devices
from voicecli.cli.service_options import ServiceChoices, with_service_options
from voicecli.cli.standard_input import is_terminal
from voicecli.cli.standard_output import own_stdout
from voicecli.errors import ConfigurationError
from voicecli.interpreter import choose_interpreter, language_code
from voicecli.ports import Provider

if TYPE_CHECKING:
    from voicecli.audio.files.source import WavSource

__all__ = ["translate"]

_DEVICES = "Microphone and loudspeaker"
_COMMON = frozenset({"model", "max_cost"})
_OPTIONS = _COMMON | {
    *("api_version", "base_url", "connect_timeout", "debug", "header", "idle_minutes", "keep_speech", "location"),
    *("max_minutes", "noise_reduction", "noise_reduction_strength"),
    *("organization", "project", "reconnects", "transcription_model"),
}
"""Those of the settings that count for an interpreter."""


def _translate(
    *,
    choices: ServiceChoices,
    to: Annotated[
        str | None, typer.Option("--to", metavar="CODE", help="The language to translate to: es, pt-BR, zh ...")
    ] = None,
    input_: Annotated[
        list[str] | None,
        typer.Option("--input", "-i", metavar="FILE|-", help="A recording, or a pipe, instead of the microphone."),
    ] = None,
    input_rate: Annotated[
        int | None, typer.Option(metavar="HZ", help="The input is raw PCM16 mono at this rate.")
    ] = None,
    output: Annotated[
        str | None,
        typer.Option("--output", "-o", metavar="FILE|-", help="Where the translation's sound goes, as WAV."),
    ] = None,
    captions: Annotated[bool, typer.Option("--captions", help="Only text: nothing is played.")] = False,
    as_json: Json = False,
    quiet: Quiet = False,
    input_device: Annotated[
        str | None,
        typer.Option(metavar="NAME|NUMBER", help="Microphone; see list-devices.", rich_help_panel=_DEVICES),
    ] = None,
    output_device: OutputDevice = None,
    echo: Annotated[
        EchoMode,
        typer.Option(
            help="What keeps the translation out of the microphone: auto, aec, gate, half-duplex or off (headphones).",
            metavar="HOW",
            rich_help_panel=_DEVICES,
        ),
    ] = "auto",
) -> None:
    """Translate what is said, live: the microphone, a recording or a pipe, into speech and text.

    Whatever language is spoken is found out. The words of the translation alone go into a pipe.
    """
    from voicecli.cli.live_translation import Plan
    from voicecli.cli.run_translation import run_translation

    assert to is not None
    _check_model(choices)
    to_terminal = own_stdout().isatty()
    if output == "-":
        if as_json or captions:
            other = "--json" if as_json else "--captions"
            raise typer.BadParameter(f"with {other} there is no sound for standard output", param_hint="--output")
        if to_terminal:
            raise typer.BadParameter("this is a terminal; name a file, or pipe it on", param_hint="--output")
    if captions and output is not None:
        raise typer.BadParameter("with --captions there is no sound to write", param_hint="--output")
    if input_ and len(input_) > 1:
        raise typer.BadParameter("one recording is translated at a time", param_hint="--input")
    name = input_[0] if input_ else None if is_terminal() else "-"
    plan = Plan(
        to=language_code(to),
        source=_source(name, input_rate, output) if name is not None else None,
        devices=Devices(device_of(input_device), device_of(output_device), echo),
        output=output,
        plays=not captions and output is None and (name is None or (to_terminal and not as_json)),
        as_json=as_json,
        quiet=quiet,
    )
    run_translation(choices, plan)


def _check(values: Mapping[str, Any]) -> None:
    if not values["to"]:
        raise typer.BadParameter("name the language to translate to, such as --to es", param_hint="--to")
    language_code(values["to"])


def _choose(name: str | None) -> Provider:
    return choose_interpreter(name)[0]


def _offers(provider: Provider) -> bool:
    return provider.interpreter is not None


translate = with_service_options(
    _translate, wanted=_OPTIONS, choose=_choose, offers=_offers, check=_check, common=_COMMON
)


def _check_model(choices: ServiceChoices) -> None:
    """A model for conversations, named on the command line, is a mistake; one of the settings is meant for chat."""
    service, model = choices.provider.interpreter, choices.config.model
    assert service is not None
    names = [each.name for each in service.models]
    if "model" in choices.given and model not in names and model in {each.name for each in choices.provider.models}:
        raise typer.BadParameter(f"{model} does not translate; take {' or '.join(names)}", param_hint="--model")


def _source(name: str, rate: int | None, output: str | None) -> "WavSource":
    from voicecli.cli.inputs import open_inputs

    try:
        (source,) = open_inputs([name], rate, output)
    except ConfigurationError as error:
        raise typer.BadParameter(str(error), param_hint="--input-rate") from error
    if isinstance(source, str):
        raise typer.BadParameter("this is text; sound is translated", param_hint="--input")
    return source
