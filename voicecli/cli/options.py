"""The options that every conversation takes, and the settings they make."""

import functools
import inspect
import re
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Annotated, Any

import typer

from voicecli.audio import EchoMode
from voicecli.cli.exit import ExitStatus
from voicecli.cli.setting_options import Option, make_config, setting_options
from voicecli.cli.standard_output import keep
from voicecli.config import RealtimeConfig, Setting, VADMode
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.ports import Provider
from voicecli.providers import PROVIDERS, choose_provider, find_provider, is_built_in
from voicecli.providers.plugins import load_plugin

__all__ = ["Choices", "Devices", "chosen_plugin", "named_by_options", "with_conversation_options"]


@dataclass(frozen=True, slots=True)
class Choices:
    """All that was chosen on the command line.

    Attributes:
        tools: the file whose functions are offered to the model.
        vad_given: whether the user said who finds the turns.
        given: the parameters of all options that stand on the command line.
        foreign: those of them that are another provider's, and whose they are.
    """

    provider: Provider
    config: RealtimeConfig
    tools: Path | None
    vad_given: bool
    given: frozenset[str] = frozenset()
    foreign: Mapping[str, str] = field(default_factory=dict)

    def for_recording(self) -> "Choices":
        """A recording goes in as fast as it is taken, which only turns found here can follow."""
        if self.vad_given:
            return self
        return replace(self, config=replace(self.config, vad_mode=VADMode.CLIENT))


@dataclass(frozen=True, slots=True)
class Devices:
    """Devices, by number or a part of their name, and the measure against echo."""

    microphone: str | int | None = None
    speaker: str | int | None = None
    echo: EchoMode = "auto"


def _conversation(
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            envvar="VOICE_PROVIDER",
            metavar="NAME",
            help=f"{', '.join(provider.name for provider in PROVIDERS)}, or one that is installed; the first of these "
            "that is set up without it.",
        ),
    ] = None,
    tools: Annotated[
        Path | None, typer.Option(help="Offer this Python file's public functions to the model.", metavar="FILE.py")
    ] = None,
) -> None:
    """The options that no setting is made of."""


def with_conversation_options(
    command: Callable[..., ExitStatus], providers: Sequence[Provider] = PROVIDERS
) -> Callable[..., ExitStatus]:
    """Give a command, after its own parameters, those of a conversation; it gets what they make as `choices`.

    What is wrong with a setting is told by the option's name.

    Args:
        providers: those whose own settings have options.
    """
    own = dict(inspect.signature(command).parameters)
    own.pop("choices")
    hints = typing.get_type_hints(command, include_extras=True) | typing.get_type_hints(
        _conversation, include_extras=True
    )
    fixed = {name: parameter.replace(annotation=hints[name]) for name, parameter in own.items()}
    for name, parameter in inspect.signature(_conversation).parameters.items():
        fixed[name] = parameter.replace(annotation=hints[name])
    options = setting_options(providers, taken=_option_names(fixed))
    made = [parameter for option in options for parameter in option.parameters()]

    @functools.wraps(command)
    def wrapper(ctx: typer.Context, **values: Any) -> ExitStatus:
        # Before providers and tools are loaded, which may print.
        keep()
        with named_by_options(ctx, options):
            given = frozenset(name for name in ctx.params if _source(ctx, name) == "COMMANDLINE")
            for_options = {parameter.name: values.pop(parameter.name) for parameter in made}
            provider = _provider(values.pop("provider"))
            choices = Choices(
                provider,
                make_config(options, for_options, provider),
                values.pop("tools"),
                vad_given=for_options["vad"] is not None,
                given=given,
                foreign={
                    option.name: ", ".join(owner.name for owner in option.owners)
                    for option in options
                    if option.owners and provider not in option.owners and option.name in given
                },
            )
            return command(choices=choices, **values)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [parameter.replace(kind=parameter.KEYWORD_ONLY) for parameter in (*fixed.values(), *made)]
    # Typer reads both.
    wrapper.__annotations__ = {"ctx": typer.Context} | {each.name: each.annotation for each in parameters}
    wrapper.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    wrapper.rare = frozenset(option.name for option in options if not _is_common(option))  # type: ignore[attr-defined]
    wrapper.variables = list(_variables(providers))  # type: ignore[attr-defined]
    return wrapper


def chosen_plugin(command: Any, arguments: Sequence[str]) -> Provider | None:
    """The provider that these arguments, or the environment, name, if a package brings it: its options are known
    only then.

    Raises:
        ConfigurationError: it cannot be used.
    """
    context = command.make_context(
        command.name, list(arguments), resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True
    )
    name = context.params.get("provider")
    if not name or is_built_in(name):
        return None
    return load_plugin(name)


@contextmanager
def named_by_options(ctx: typer.Context, options: Sequence[Option] = ()) -> Iterator[None]:
    """Tell what is wrong with a setting by the name under which the user knows it.

    Settings are known by what stands before the colon ("client_vad.hangover_ms: 5 is not possible."), as all of
    voicecli writes it.

    Args:
        options: those that make settings; any other setting is known by the parameter of its name.

    Raises:
        typer.BadParameter: a value on the command line is wrong.
        ConfigurationError: a value from the environment is, or a package is missing.
    """
    try:
        yield
    except RealtimeError as error:
        by_name = {option.name: option for option in ctx.command.params if option.name}
        settings = by_name | {
            target.path: by_name[option.name]
            for option in options
            for target in option.targets
            if option.name in by_name
        }
        # A single word may be meant as one ("the voice"), so that only those are replaced which none would write.
        long = sorted((re.escape(setting) for setting in settings if not setting.isalpha()), key=len, reverse=True)
        error.advice = re.sub(rf"\b({'|'.join(long)})\b", lambda found: settings[found[0]].opts[0], error.advice)
        setting, colon, wrong = error.message.partition(": ")
        option = settings.get(setting) or settings.get(setting.partition(".")[0])
        if not isinstance(error, ConfigurationError) or not colon or option is None:
            raise
        source = _source(ctx, option.name)
        if source == "COMMANDLINE" and not isinstance(error.__cause__, ImportError):
            raise typer.BadParameter(f"{wrong} {error.advice}".strip(), param_hint=option.opts[0]) from error
        name = option.envvar if source == "ENVIRONMENT" else option.opts[0]
        raise ConfigurationError(f"{name}: {wrong}", advice=error.advice) from error


def _is_common(option: Option) -> bool:
    """True for an option that many people use, and for all of a provider's that was installed and is named."""
    return any(
        target.described.common or (target.owner is not None and not is_built_in(target.owner.name))
        for target in option.targets
    )


def _variables(providers: Sequence[Provider]) -> Iterator[tuple[str, str]]:
    """Environment variables of the conversation, and what they are for: the providers' keys first."""
    for provider in providers:
        yield from provider.variables
    for provider in providers:
        for own in fields(provider.settings):
            described = Setting.of(own)
            if described is not None and described.secret:
                yield f"VOICE_{own.name.upper()}", f"{described.help} ({provider.name})".strip()


def _source(ctx: typer.Context, name: str | None) -> str:
    """The source of a parameter's value: "COMMANDLINE", "ENVIRONMENT" or "DEFAULT"."""
    source = ctx.get_parameter_source(name or "")
    return source.name if source is not None else "DEFAULT"


def _option_names(parameters: Mapping[str, inspect.Parameter]) -> set[str]:
    """The names that the command's own options have on a command line, written as those of parameters."""
    declared = {
        name.lstrip("-").replace("-", "_")
        for parameter in parameters.values()
        for option in getattr(parameter.annotation, "__metadata__", ())
        for name in getattr(option, "param_decls", None) or ()
    }
    return {*parameters, *declared, "help"}


def _provider(name: str | None) -> Provider:
    if not name:
        return choose_provider()
    try:
        return find_provider(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"provider: {error.message}", advice=error.advice) from error
