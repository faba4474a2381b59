"""The commands, put together. A command's module is imported when it runs: `voice --help` imports none."""

import inspect
from importlib import import_module
from typing import TYPE_CHECKING, Any

import typer
from typer.core import TyperGroup

from voicecli._version import __version__
from voicecli.cli.command import PLAIN, Command, UsageError, add_hint, options_of, unknown_option

if TYPE_CHECKING:
    from voicecli.ports import Provider

__all__ = ["COMMANDS", "app", "load_command"]

COMMANDS = {
    "chat": ("chat", "Talk with a model, out loud or through files."),
    "send-text": ("chat", "Say something in writing; the answer comes as text, and is played in a terminal."),
    "transcribe": ("transcribe", "Write down what is said: text, captions with times, or dictation."),
    "translate": (
        "translate",
        "Translate what is said, live: the microphone, a recording or a pipe, into speech and text.",
    ),
    "replay": ("replay", "Replay a recorded session, without network or key, and tell where its events differ today."),
    "setup": ("setup", "Choose who answers, store the key, and try the microphone: three questions."),
    "logs": ("logs", "Show, search and delete the conversations that are kept on this machine."),
    "config": ("config", "Show and change the settings."),
    "keys": ("keys", "Store and remove keys of providers."),
    "doctor": ("doctor", "Look for what is wrong or missing: installation, sound, keys, settings, folders, terminal."),
    "list-devices": ("devices", "Show microphones and loudspeakers, and which are used when none is chosen."),
    "test-audio": ("devices", "Record 3 seconds, play them back, measure the echo, and say what could be better."),
    "list-providers": ("lists", "Show the providers, and which are set up."),
    "list-models": ("lists", "Show the models of a provider, or of all."),
    "list-voices": ("lists", "Show the voices of a provider, or of all."),
    "list-tools": ("tools", "Show the tools that the model may call, after starting the servers that have them."),
    "models": ("models", "Download language models and voices for the offline engine."),
    "cache": ("cache", "Show or clear the files that can be fetched or made again."),
}
"""Name -> the module it is in, and the first line of its help."""


def load_command(name: str, plugin: "Provider | None" = None) -> Any:
    """The command of that name, from its module.

    Args:
        plugin: a provider that a package brings, whose options a conversation is to have, too.
    """
    function = getattr(import_module(f"voicecli.cli.{COMMANDS[name][0]}"), name.replace("-", "_"))
    if isinstance(function, typer.Typer):  # it has commands of its own
        return typer.main.get_command(function)
    if "choices" in inspect.signature(function).parameters:
        from voicecli.cli.options import with_conversation_options
        from voicecli.providers import PROVIDERS

        function = with_conversation_options(function, PROVIDERS if plugin is None else (*PROVIDERS, plugin))
    single = typer.Typer(**PLAIN)
    single.command(name, cls=Command)(function)
    command = typer.main.get_command(single)
    if hasattr(function, "rare"):
        command.rare, command.variables = function.rare, function.variables  # type: ignore[attr-defined]
    return command


class _Commands(TyperGroup):
    def list_commands(self, ctx: Any) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: Any, cmd_name: str) -> Any:
        return load_command(cmd_name) if cmd_name in COMMANDS else None

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        # They take a word after them, or none, which options cannot.
        name, _, shell = args[0].partition("=") if args else ("", "", "")
        if name in _COMPLETION_OPTIONS:
            from voicecli.cli.completion_scripts import run_option

            run_option(name, shell or next(iter(args[1:2]), None))
            raise typer.Exit
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if option := unknown_option(error):
                from voicecli.cli.suggestions import misplaced_option_hint, option_hint

                known = {name: options_of(load_command(name)) for name in COMMANDS}
                hint = misplaced_option_hint(option, known) or option_hint(option, options_of(self))
                add_hint(error, f"No such option: {option}.", hint)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in COMMANDS and not args[0].startswith("-"):
            from voicecli.cli.suggestions import command_hint

            ctx.fail(f"There is no command {args[0]!r}. {command_hint(args[0], COMMANDS)}")
        name, command, rest = super().resolve_command(ctx, args)
        if command is not None and any(parameter.name == "provider" for parameter in command.get_params(ctx)):
            from voicecli.cli.options import chosen_plugin
            from voicecli.cli.standard_output import diverted

            with diverted():
                plugin = chosen_plugin(command, rest)
            if plugin is not None:
                command = load_command(args[0], plugin)
        return name, command, rest

    def format_options(self, ctx: Any, formatter: Any) -> None:
        super().format_options(ctx, formatter)
        with formatter.section("Completion"):
            formatter.write_dl([(f"{name} [SHELL]", text) for name, text in _COMPLETION_OPTIONS.items()])
        with formatter.section("Commands"):
            formatter.write_dl([(name, line) for name, (_, line) in COMMANDS.items()])

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Nothing: it would load every command; `format_options` lists them."""


app = typer.Typer(
    cls=_Commands,
    name="voice",
    help="Talk with speech-to-speech models, over the network or offline.",
    epilog="Exit codes: 0 ok, 1 defect, 2 usage, 3 configuration or key, 4 connection or provider, 5 audio device, "
    "6 no speech in the input, 7 a limit, 130 Ctrl-C.",
    no_args_is_help=True,
    **PLAIN,
)


_COMPLETION_OPTIONS = {
    "--install-completion": "Have this shell complete commands, options and their values, or the one that is named.",
    "--show-completion": "Print the script for that.",
}


def _version(value: bool) -> None:
    if value:
        typer.echo(f"voicecli {__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=False)
def _root(
    version: bool = typer.Option(False, "--version", "-V", callback=_version, is_eager=True, help="Show the version."),
) -> None:
    pass
