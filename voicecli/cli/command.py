"""Commands, and groups of them: their help, and hints for what they do not know."""

import re
from collections.abc import Callable
from functools import cached_property
from itertools import pairwise
from typing import Any

import typer
from typer.core import TyperCommand, TyperGroup
from typer.models import CommandFunctionType

from voicecli.errors import ConfigurationError
from voicecli.text import is_valid_text

__all__ = [
    "OPTIONAL_FILE",
    "PLAIN",
    "Command",
    "UsageError",
    "add_hint",
    "command_group",
    "options_of",
    "unknown_option",
]

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

OPTIONAL_FILE = "[FILE|DIR]"
"""The metavar of an option that takes the name of a file, or none, which is given as ""."""

_FILES = ("FILE", "builtin|FILE", "[FILE")
"""How the help begins to tell of options that take the name of a file, whose bytes need not be text."""


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

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        from voicecli.cli.help import usage_pieces

        return usage_pieces(self)

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from voicecli.cli.help import command_help

        formatter.write(command_help(self, ctx, everything=False))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        given = list(args)
        try:
            return super().parse_args(ctx, _completed(self, args))
        except UsageError as error:
            from voicecli.cli.suggestions import misplaced_option_hint, option_hint, stray_argument_hint

            if option := unknown_option(error):
                hint = option_hint(option, options_of(self)) or misplaced_option_hint(option, _neighbours(self, ctx))
                add_hint(error, f"No such option: {option}.", hint)
            elif extra := re.search(r"unexpected extra argument\S* \((.*)\)", error.message, re.DOTALL):
                words = [word for word in given if f" {word} " in f" {extra[1]} "]
                # Of a text, the first word was taken for the whole.
                several = any(each.param_type_name == "argument" for each in self.params) and self.name != "send-text"
                message = f"{ctx.command_path} takes no {'second ' if several else ''}argument {' '.join(words)!r}."
                hint = stray_argument_hint(words, self.name or "")
                optional = _optional(self)
                if pair := next((two for two in pairwise(given) if two[0] in optional and two[1] in words), None):
                    hint = f"{pair[1]!r} is no id for {pair[0]}: `voice logs` lists them."
                add_hint(error, message, hint)
            elif "requires an argument" in error.message:
                name = getattr(error, "option_name", "")
                found = next((each for each in self.params if name in each.opts), None)
                if found is not None:
                    add_hint(error, f"{name} needs a value:", f"{name} {found.metavar or 'VALUE'}")
            raise

    def invoke(self, ctx: Any) -> Any:
        for parameter in self.params:
            value = ctx.params.get(parameter.name)
            texts = [text for text in (value if isinstance(value, list | tuple) else [value]) if isinstance(text, str)]
            # Names of files may hold any bytes. Paths are no strings here.
            if all(map(is_valid_text, texts)) or (parameter.metavar or "").startswith(_FILES):
                continue
            source = ctx.get_parameter_source(parameter.name)
            if source is not None and source.name == "ENVIRONMENT":
                raise ConfigurationError(f"{parameter.envvar}: this is not UTF-8 text.", advice="Set it anew.")
            is_argument = parameter.param_type_name == "argument"
            hint = (parameter.name or "").upper().rstrip("_") if is_argument else parameter.opts[0]
            raise typer.BadParameter("this is not UTF-8 text", param_hint=hint, ctx=ctx)
        return super().invoke(ctx)


class _Group(TyperGroup):
    """A command that has commands of its own, such as `voice models`.

    Attributes:
        default: the one of them that is meant where none is named; "" for none.
    """

    default = ""

    def collect_usage_pieces(self, ctx: Any) -> list[str]:
        return ["COMMAND", "..."]

    def format_help(self, ctx: Any, formatter: Any) -> None:
        from voicecli.cli.help import command_help

        formatter.write(command_help(self, ctx, everything=False))

    def parse_args(self, ctx: Any, args: list[str]) -> Any:
        if self.default and (not args or (args[0].startswith("-") and args[0] not in ctx.help_option_names)):
            args = [self.default, *args]
        try:
            return super().parse_args(ctx, args)
        except UsageError as error:
            if option := unknown_option(error):
                from voicecli.cli.suggestions import misplaced_option_hint, option_hint

                known = {f"{ctx.info_name} {name}": options_of(each) for name, each in self.commands.items()}
                hint = misplaced_option_hint(option, known) or option_hint(option, options_of(self))
                add_hint(error, f"No such option: {option}.", hint)
            raise

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        if args and args[0] not in self.commands and not args[0].startswith("-"):
            from voicecli.cli.suggestions import subcommand_hint

            hint = subcommand_hint(args[0], self.commands, ctx.info_name)
            ctx.fail(f"{ctx.info_name} has no command {args[0]!r}. {hint}")
        return super().resolve_command(ctx, args)


def command_group(help: str, *, default: str = "") -> typer.Typer:
    """A command to which functions are added by `@group.command(NAME)`.

    Args:
        default: the name of the one that runs when none is given; "" to show the help then.
    """
    group = type("_Group", (_Group,), {"default": default}) if default else _Group
    return _Typer(cls=group, help=help, no_args_is_help=True, **PLAIN)


class _Typer(typer.Typer):
    def command(self, name: str | None = None, **options: Any) -> Callable[[CommandFunctionType], CommandFunctionType]:
        return super().command(name, cls=Command, **options)


def options_of(command: Any) -> list[str]:
    """The options of a command, as they are written."""
    shown = [each for each in command.params if not getattr(each, "hidden", False)]
    return [name for each in shown for name in (*each.opts, *each.secondary_opts) if name.startswith("-")]


def unknown_option(error: Any) -> str:
    """The option that this error is about, if that does not exist; else ""."""
    return getattr(error, "option_name", "") if hasattr(error, "possibilities") else ""


def add_hint(error: Any, message: str, hint: str) -> None:
    """Replace what the error of a command line says."""
    error.message = f"{message} {hint}".strip()
    error.possibilities = None  # the parser's own guesses go by letters alone


def _optional(command: Any, metavar: str = "[ID]") -> set[str]:
    """The options that take an id, or whatever else the metavar says, or none."""
    return {name for each in command.params if each.metavar == metavar for name in each.opts if name.startswith("-")}


def _completed(command: Any, args: list[str]) -> list[str]:
    """The arguments, where an option that takes a value or none has none: with what that means."""
    optional = _optional(command)
    if files := _optional(command, OPTIONAL_FILE):
        args = _with_files(args, files)
    if not optional.intersection(args):
        return args
    from voicecli.history.ids import LATEST, may_be_id

    takes_words = any(each.param_type_name == "argument" for each in command.params)
    completed, options_end = list[str](), args.index("--") if "--" in args else len(args)
    for place, word in enumerate(args):
        completed.append(word)
        following = next(iter(args[place + 1 : options_end]), "-")
        lacks_id = following.startswith("-") or (takes_words and not may_be_id(following))
        if place < options_end and word in optional and lacks_id:
            completed.append(LATEST)
    return completed


def _with_files(args: list[str], optional: set[str]) -> list[str]:
    completed, options_end = list[str](), args.index("--") if "--" in args else len(args)
    for place, word in enumerate(args):
        completed.append(word)
        following = next(iter(args[place + 1 : options_end]), "--")
        if place < options_end and word in optional and following.startswith("-") and following != "-":
            completed.append("")
    return completed


def _neighbours(command: Any, ctx: Any) -> dict[str, list[str]]:
    """The options of the commands beside this one; each by its name, with that of the group it is in."""
    if ctx.parent is None:
        return {}
    group = ctx.parent.command
    before = "" if ctx.parent.parent is None else f"{ctx.parent.info_name} "
    others = [name for name in group.list_commands(ctx.parent) if name != command.name]
    return {f"{before}{name}": options_of(group.get_command(ctx.parent, name)) for name in others}
