"""The options that every conversation takes, and the settings they make."""

import functools
import inspect
import re
import typing
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from voicecli.audio import EchoMode
from voicecli.cli.exit import ExitStatus
from voicecli.cli.keeping import Keeping, look_up
from voicecli.cli.layers import Layers, declared_names, own_entries, provider_of_settings
from voicecli.cli.setting_options import option_parameter, switched_off
from voicecli.cli.standard_output import expect_json_lines, keep
from voicecli.config import RealtimeConfig, VADMode
from voicecli.errors import ConfigurationError, RealtimeError
from voicecli.ports import Provider
from voicecli.providers import PROVIDERS, choose_provider, find_provider, is_built_in
from voicecli.providers.plugins import load_plugin
from voicecli.settings.entries import entries_of
from voicecli.settings.layers import Chosen
from voicecli.settings.loading import TAKEN
from voicecli.settings.options import Option, make_config, setting_options
from voicecli.text_files import read_text_file
from voicecli.user_folders import expanded

if TYPE_CHECKING:
    from voicecli.mcp.config import MCPServer

__all__ = [
    "Choices",
    "Devices",
    "MCPConfigOption",
    "MCPOption",
    "Sleep",
    "ToolsOption",
    "chosen_plugin",
    "conversation_parameters",
    "environment_variables",
    "named_by_options",
    "with_conversation_options",
]


@dataclass(frozen=True, slots=True)
class Choices:
    """All that was chosen: on the command line, by a profile, in the environment, or in the settings file.

    Attributes:
        tools: the files whose functions are offered to the model, and "builtin".
        servers: the MCP servers whose tools are.
        vad_given: whether the user said who finds the turns.
        given: the parameters of all options that stand on the command line.
        foreign: those of them that are another provider's, and whose they are.
        notes: what else has no effect, as sentences.
        keeping: what is kept of the conversation, and which one it continues.
        record: the directory for recordings, or None.
    """

    provider: Provider
    config: RealtimeConfig
    tools: Sequence[str]
    vad_given: bool
    given: frozenset[str] = frozenset()
    foreign: Mapping[str, str] = field(default_factory=dict)
    notes: Sequence[str] = ()
    servers: "Sequence[MCPServer]" = ()
    keeping: Keeping = field(default_factory=Keeping)
    record: Path | None = None

    def for_recording(self) -> "Choices":
        """A recording goes in as fast as it is taken, which only turns found here can follow, by their silences.

        A full-duplex model hears it as it is spoken, and finds the turns itself.
        """
        config = replace(self.config, turn_model="silence")
        finds = VADMode.SERVER if self.provider.capabilities_of(config).full_duplex else VADMode.CLIENT
        return replace(self, config=config if self.vad_given else replace(config, vad_mode=finds))


@dataclass(frozen=True, slots=True)
class Devices:
    """Devices, by number or a part of their name, and what is done about echo and soft voices."""

    microphone: str | int | None = None
    speaker: str | int | None = None
    echo: EchoMode = "auto"
    auto_gain_control: bool = False


@dataclass(frozen=True, slots=True)
class Sleep:
    """Sleep between conversations.

    Attributes:
        wake_word: begins one.
        after_s: how long neither side speaks before it ends, in seconds.
    """

    wake_word: str
    after_s: float


ToolsOption = Annotated[
    list[str] | None,
    typer.Option(
        metavar="FILE.py|builtin",
        help="Offer this Python file's public functions to the model, or builtin: the time, and a calculator; can be "
        "given several times.",
    ),
]
MCPOption = Annotated[
    list[str] | None,
    typer.Option(metavar="COMMAND|URL", help="Offer the tools of this MCP server; can be given several times."),
]
MCPConfigOption = Annotated[
    list[Path] | None,
    typer.Option(metavar="FILE", help="Offer those of the servers in this file, such as other programs' mcp.json."),
]


def _conversation(
    *,
    provider: Annotated[
        str | None,
        typer.Option(
            "--provider",
            "-p",
            envvar="VOICE_PROVIDER",
            metavar="NAME",
            help=f"{', '.join(provider.name for provider in PROVIDERS)}, or one that is installed. Without it, the "
            "first of these that is set up.",
        ),
    ] = None,
    system_file: Annotated[
        Path | None, typer.Option(help="The file that holds the system prompt.", metavar="FILE")
    ] = None,
    profile: Annotated[
        str | None,
        typer.Option(metavar="NAME", help="Take the settings of [profiles.NAME] in the settings file; see `config`."),
    ] = None,
    tools: ToolsOption = None,
    mcp: MCPOption = None,
    mcp_config: MCPConfigOption = None,
    record: Annotated[
        Path | None,
        typer.Option(
            metavar="FOLDER",
            help="Record the conversation in a file there: you on the left, the assistant on the right.",
        ),
    ] = None,
    continue_: Annotated[
        str | None,
        typer.Option(
            "--continue", metavar="[ID]", help="Go on with a conversation of `voice logs`, the last one without its id."
        ),
    ] = None,
    log: Annotated[
        bool, typer.Option("--log/--no-log", help="Keep the conversation on this machine; see `voice logs`.")
    ] = True,
    logs_keep_days: Annotated[
        int,
        typer.Option(
            metavar="DAYS", min=0, max=36_500, help="Delete kept conversations that are older; 0 deletes none."
        ),
    ] = 0,
    logs_max_mb: Annotated[
        int,
        typer.Option(
            metavar="MB",
            min=0,
            max=1_000_000,
            help="Delete the oldest of the kept conversations when they take more room; 0 deletes none.",
        ),
    ] = 500,
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
    fixed = conversation_parameters(command)
    options = setting_options(providers, taken=_option_names(fixed) | TAKEN)
    made = [option_parameter(option) for option in options]
    own = own_entries(fixed)
    entries = own | {option.name: entry for option, entry in zip(options, entries_of(options), strict=True)}
    both_ways = {f"no_{option.name}" for option in options if option.switches_both_ways} | _option_names(fixed)
    switches = [name for name, entry in entries.items() if entry.kind is bool]
    off = [switched_off(name, entries[name].name) for name in switches if f"no_{name}" not in both_ways]

    @functools.wraps(command)
    def wrapper(ctx: typer.Context, **values: Any) -> ExitStatus:
        # Before providers and tools are loaded, which may print.
        keep()
        chosen: dict[str, Chosen] = {}
        with named_by_options(ctx, options, chosen):
            layers = Layers(entries, providers)
            given = frozenset(name for name in ctx.params if _source(ctx, name) == "COMMANDLINE")
            chosen |= layers.values(values.pop("profile"), provider_given="provider" in given)
            for name in entries:
                if values.pop(f"no_{name}", None):
                    values[name] = False
                elif name in chosen and name not in given:
                    values[name] = chosen[name].value
                else:
                    chosen.pop(name, None)
            if values.get("as_json"):
                expect_json_lines()
            for_options = {parameter.name: values.pop(parameter.name) for parameter in made}
            file = values.pop("system_file")
            if file and _rank("system_file", given, chosen) <= _rank("system", given, chosen):
                place = chosen["system_file"].place if "system_file" in chosen else ""
                for_options["system"] = _system_prompt(file, place, text_given="system" in given)
            provider = _provider(values.pop("provider"))
            tools = values.pop("tools")
            servers = _servers(values.pop("mcp"), values.pop("mcp_config"))
            record = values.pop("record")
            keeping = Keeping(
                values.pop("log"),
                values.pop("logs_keep_days"),
                values.pop("logs_max_mb"),
                look_up(values.pop("continue_")),
                quiet=bool(values.get("quiet")),
            )
            choices = Choices(
                provider,
                replace(make_config(options, for_options, provider), prices=layers.prices),
                tuple(tools or ()),
                vad_given=for_options["vad"] is not None,
                given=given,
                foreign={
                    option.name: ", ".join(owner.name for owner in option.owners)
                    for option in options
                    if option.owners and provider not in option.owners and option.name in given
                },
                notes=tuple(layers.notes),
                servers=servers,
                keeping=keeping,
                record=expanded(str(record)) if record else None,
            )
            return command(choices=choices, **values)

    wrapper.__doc__ = f"{inspect.cleandoc(command.__doc__ or '')}\n\n{_billed_by_the_minute(providers)}".strip()
    context = inspect.Parameter("ctx", inspect.Parameter.POSITIONAL_OR_KEYWORD)
    parameters = [each.replace(kind=each.KEYWORD_ONLY) for each in (*fixed.values(), *made, *off)]
    # Typer reads both.
    wrapper.__annotations__ = {"ctx": typer.Context} | {each.name: each.annotation for each in parameters}
    wrapper.__signature__ = inspect.Signature([context, *parameters])  # type: ignore[attr-defined]
    rare = {option.name for option in options if not _is_common(option)}
    rare |= {"auto_gain_control", "logs_keep_days", "logs_max_mb", "mcp_config"}
    wrapper.rare = frozenset(rare)  # type: ignore[attr-defined]
    wrapper.variables = list(environment_variables(providers))  # type: ignore[attr-defined]
    return wrapper


def conversation_parameters(command: Callable[..., object]) -> dict[str, inspect.Parameter]:
    """A conversation's parameters that no setting is made of: the command's own, and then those that each has."""
    hints = typing.get_type_hints(command, include_extras=True) | typing.get_type_hints(
        _conversation, include_extras=True
    )
    parameters = inspect.signature(command).parameters | inspect.signature(_conversation).parameters
    return {
        name: parameter.replace(annotation=hints[name]) for name, parameter in parameters.items() if name != "choices"
    }


def chosen_plugin(command: Any, arguments: Sequence[str]) -> Provider | None:
    """The provider that arguments or settings name, if a package brings it: only then are its options known.

    Raises:
        ConfigurationError: it cannot be used.
    """
    context = command.make_context(
        command.name, list(arguments), resilient_parsing=True, ignore_unknown_options=True, allow_extra_args=True
    )
    given = _source(context, "provider") == "COMMANDLINE"
    name = context.params["provider"] if given else provider_of_settings(context.params.get("profile"))
    if not name or is_built_in(name):
        return None
    return load_plugin(name)


@contextmanager
def named_by_options(
    ctx: typer.Context, options: Sequence[Option] = (), chosen: Mapping[str, Chosen] | None = None
) -> Iterator[None]:
    """Tell what is wrong with a setting by the name under which the user knows it.

    Settings are known by what stands before the colon ("client_vad.hangover_ms: 5 is not possible."), as all of
    voicecli writes it.

    Args:
        options: those that make settings; any other setting is known by the parameter of its name.
        chosen: the values, by parameter, that do not stand on the command line: known by their place.

    Raises:
        typer.BadParameter: a value on the command line is wrong.
        ConfigurationError: a value from elsewhere is, or a package is missing.
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
        elsewhere = (chosen or {}).get(option.name or "")
        name = elsewhere.place if elsewhere else option.opts[0]
        raise ConfigurationError(f"{name}: {wrong}", advice=error.advice) from error


def _rank(name: str, given: Collection[str], chosen: Mapping[str, Chosen]) -> int:
    """The place that a parameter's value has among those that decide: 0 comes first."""
    if name in given:
        return 0
    return 1 + ("profile", "environment", "file").index(chosen[name].source) if name in chosen else 4


def _is_common(option: Option) -> bool:
    """True for an option that many people use, and for all of a provider's that was installed and is named."""
    return any(
        target.described.common or (target.owner is not None and not is_built_in(target.owner.name))
        for target in option.targets
    )


def _billed_by_the_minute(providers: Sequence[Provider]) -> str:
    """The models that cost money while nobody speaks, in a sentence; "" for none."""
    by_price: dict[float, list[str]] = {}
    for model in (model for provider in providers for model in provider.models):
        if model.prices is not None and model.prices.session_minute:
            by_price.setdefault(model.prices.session_minute, []).append(model.name)
    listed = "; ".join(f"{', '.join(names)} (${price:g})" for price, names in by_price.items())
    return f"Billed by the minute, also while nobody speaks: {listed}." if listed else ""


def environment_variables(providers: Iterable[Provider]) -> Iterator[tuple[str, str]]:
    """Environment variables of the conversation, and what they are for: the providers' keys first."""
    for provider in providers:
        if provider.key_variables:
            name, *others = provider.key_variables
            also = f" (or {', '.join(others)})" if others else ""
            yield name, f"The key for {provider.name}{also}; `voice keys set {provider.name}` stores one."
    yield "VOICE_...", "Any option: VOICE_MODEL for --model. `voice config show` tells what is set."


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
        for name in declared_names(option)
    }
    return {*parameters, *declared, "help"}


def _system_prompt(file: Path | str, place: str, *, text_given: bool) -> str:
    """The text of --system-file, as --system would take it.

    Args:
        place: where the settings name it; "" for the command line.
    """
    if text_given:
        raise typer.BadParameter("give either this or --system", param_hint="--system-file")
    try:
        text = read_text_file(str(file))
    except ConfigurationError as error:
        if place:
            raise ConfigurationError(f"{place}: {error.message}", advice=error.advice) from error
        raise typer.BadParameter(str(error), param_hint="--system-file") from error
    return f"@{text}" if text.startswith("@") else text


def _servers(texts: Sequence[str] | None, files: Sequence[Path | str] | None) -> "Sequence[MCPServer]":
    if not texts and not files:
        return ()
    from voicecli.cli.mcp_servers import chosen_servers

    return chosen_servers(texts or (), [Path(file) for file in files or ()])


def _provider(name: str | None) -> Provider:
    if not name:
        return choose_provider()
    try:
        return find_provider(name)
    except ConfigurationError as error:
        raise ConfigurationError(f"provider: {error.message}", advice=error.advice) from error
