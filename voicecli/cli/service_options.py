"""The options of commands that use a service of a provider, rather than talk with it: those of its settings that count
there. Profile, environment and settings file choose values for them as for `voice chat`."""

import functools
import inspect
import typing
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any

import typer

from voicecli.cli.layers import Layers, own_entries
from voicecli.cli.options import environment_variables, named_by_options
from voicecli.cli.setting_options import option_parameter, switched_off
from voicecli.cli.standard_output import expect_json_lines, keep
from voicecli.config import RealtimeConfig
from voicecli.ports import Provider
from voicecli.providers import PROVIDERS
from voicecli.settings.entries import entries_of
from voicecli.settings.layers import Chosen
from voicecli.settings.loading import TAKEN
from voicecli.settings.options import make_config, setting_options

__all__ = ["ServiceChoices", "with_service_options"]


@dataclass(frozen=True, slots=True)
class ServiceChoices:
    """All that was chosen: on the command line, by a profile, in the environment, or in the settings file.

    Attributes:
        given: the parameters of all options that stand on the command line.
        foreign: those of them that are another provider's, and whose they are.
        notes: what else has no effect, as sentences.
    """

    provider: Provider
    config: RealtimeConfig
    given: frozenset[str] = frozenset()
    foreign: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()


def _service(
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            envvar="VOICE_PROVIDER",
            metavar="NAME",
            help="Without it, the first that is set up and has this.",
        ),
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Take the settings of [profiles.NAME] in the settings file; see `config`."),
    ] = None,
) -> None:
    """The options that no setting is made of."""


def with_service_options(
    command: Callable[..., Any],
    *,
    wanted: Collection[str],
    choose: Callable[[str | None], Provider],
    offers: Callable[[Provider], bool],
    check: Callable[[Mapping[str, Any]], None] = lambda values: None,
    common: Collection[str] = (),
) -> Callable[..., Any]:
    """Give a command, after its own parameters, these options; it gets what they make as `choices`.

    Args:
        wanted: the names of the settings' options that it has.
        choose: the provider of that name, or without one. Raises ConfigurationError.
        offers: whether a provider has the service.
        check: looks at the values of the command's own parameters before a provider is asked for. Raises
            ConfigurationError, or a usage error.
        common: those of `wanted` that its short help shows.
    """
    fixed = {**_parameters(command), **_parameters(_service)}
    options = setting_options(PROVIDERS, taken=TAKEN)
    offered = [option for option in options if option.name in wanted]
    made = [option_parameter(option) for option in offered]
    own = own_entries(fixed)
    entries = own | {option.name: entry for option, entry in zip(options, entries_of(options), strict=True)}
    switches = [name for name, entry in own.items() if entry.kind is bool and entry.default is not True]
    off = [switched_off(name, own[name].name) for name in switches if f"no_{name}" not in fixed]

    @functools.wraps(command)
    def wrapper(ctx: typer.Context, **values: Any) -> Any:
        keep()  # before providers are loaded, which may print
        chosen: dict[str, Chosen] = {}
        with named_by_options(ctx, options, chosen):
            layers = Layers(entries, PROVIDERS)
            given = frozenset(name for name in ctx.params if _on_command_line(ctx, name))
            found = layers.values(values.pop("profile"), provider_given="provider" in given)
            chosen |= {name: value for name, value in found.items() if name in values}
            for name, value in chosen.items():
                if name not in given:
                    values[name] = value.value
            for name in switches:
                if values.pop(f"no_{name}", None):
                    values[name] = False
            if values.get("as_json"):
                expect_json_lines()
            for_options = {parameter.name: values.pop(parameter.name) for parameter in made}
            name = values.pop("provider")
            check(values)
            provider = choose(name)
            choices = ServiceChoices(
                provider,
                replace(make_config(options, for_options, provider), prices=layers.prices),
                given=given,
                foreign={
                    option.name: ", ".join(owner.name for owner in option.owners)
                    for option in offered
                    if option.owners and provider not in option.owners and option.name in given
                },
                notes=tuple(layers.notes),
            )
            return command(choices=choices, **values)

    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [each.replace(kind=each.KEYWORD_ONLY) for each in (*fixed.values(), *made, *off)]
    # Typer reads both.
    wrapper.__annotations__ = {"ctx": typer.Context} | {each.name: each.annotation for each in parameters}
    wrapper.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    wrapper.rare = frozenset(option.name for option in offered if option.name not in common)  # type: ignore[attr-defined]
    wrapper.variables = list(environment_variables(filter(offers, PROVIDERS)))  # type: ignore[attr-defined]
    return wrapper


def _parameters(function: Callable[..., object]) -> dict[str, inspect.Parameter]:
    hints = typing.get_type_hints(function, include_extras=True)
    parameters = inspect.signature(function).parameters
    return {name: each.replace(annotation=hints[name]) for name, each in parameters.items() if name != "choices"}


def _on_command_line(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"
