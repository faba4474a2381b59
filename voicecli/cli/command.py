"""A command of `voice`, and one that has commands of its own, such as `voice models`."""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from voicecli.errors import ConfigurationError
from voicecli.text import is_valid_text

__all__ = ["PLAIN", "Command", "UsageError", "add_hint", "command_group", "options_of"]

PLAIN: dict[str, Any] = {
    "add_completion": False,
    "pretty_exceptions_enable": False,
    # Rich would take longer to load than all the rest.
    "rich_markup_mode": None,
    "context_settings": {"help_option_names": ["-h", "--help"]},
}
"""What typer is told for all of them: their help is `help.py`'s, their errors are `exit.py`'s."""

# Typer's copy of click is private; its public class leads to what all errors of a command line are.
UsageError: Any = typer.BadParameter.__mro__[1]


class Command(TyperCommand):
    """A command whose help shows the options that people use, and with --help-all the others.

    Attributes:
        rare: the parameters that only --help-all shows.
    """

    rare: frozenset[str] = frozenset()

    def get_params(self, ctx: Any) -> list[Any]:
        parameters: list[Any] = super().get_params(ctx)
        return [*parameters, self._help_all] if self.rare else parameters

    @cached_property
    def _help_all(self) -> Any:
        from voicecli.cli.help import help_all_option

        return help_all_option()

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from voicecli.cli.help import command_help

        formatter.write(command_help(self, ctx, everything=False))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        given = list(args)
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            from voicecli.cli.suggestions import misplaced_option_hint, option_hint, stray_argument_hint

            if option := getattr(error, "option_name", "") if hasattr(error, "possibilities") else "":
                root = ctx.find_root().command
                names = root.list_commands(ctx) if isinstance(root, TyperGroup) else []
                others = {name: options_of(root.get_command(ctx, name)) for name in names if name != self.name}
                hint = option_hint(option, options_of(self)) or misplaced_option_hint(option, others)
                add_hint(error, f"No such option: {option}.", hint)
            elif "unexpected extra argument" in error.message:
                words = [word for word in given if word in error.message]
                message = f"{self.name} takes no argument {' '.join(words)!r}."
                add_hint(error, message, stray_argument_hint(words, self.name or ""))
            raise

    def invoke(self, ctx: Any) -> Any:
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            texts = [text for text in (value if isinstance(value, list | tuple) else [value]) if isinstance(text, str)]
            # Names of files may hold any bytes. Paths are no strings here.
            if all(map(is_valid_text, texts)) or "FILE" in (parameter.metavar or ""):
                continue
            source = ctx.get_parameter_source(parameter.name)
            if source is not None and source.name == "ENVIRONMENT":
                raise ConfigurationError(f"{parameter.envvar}: this is not UTF-8 text.", advice="Set it anew.")
            is_argument = parameter.param_type_name == "argument"
            hint = (parameter.name or "").upper() if is_argument else parameter.opts[0]
            raise typer.BadParameter("this is not UTF-8 text", param_hint=hint, ctx=ctx)
        return super().invoke(ctx)


def command_group(help: str) -> typer.Typer:
    """A command to which functions are added by `@group.command(NAME)`; it shows its help when none is given."""
    return _Group(help=help, no_args_is_help=True, **PLAIN)


class _Group(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        return super().command(name, cls=Command, **options)


def options_of(command: Any) -> list[str]:
    """The options of a command, as they are written."""
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return [name for each in shown for name in (*each.opts, *each.secondary_opts) if name.startswith("-")]


def add_hint(error: Any, message: str, hint: str) -> None:
    """Say in a usage error what is wrong, and what may have been meant."""
    error.message = f"{message} {hint}".strip()
    error.possibilities = None  # the parser's own guesses go by letters alone
