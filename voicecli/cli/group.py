"""Commands that have commands of their own, such as `voice models list`."""

import typer

from voicecli.cli.command import Group

__all__ = ["command_group"]


def command_group(help: str) -> typer.Typer:
    """A command to which functions are added by `@group.command(NAME)`; it shows its help when none is given."""
    return typer.Typer(
        cls=Group,
        help=help,
        no_args_is_help=True,
        add_completion=False,
        pretty_exceptions_enable=False,
        rich_markup_mode=None,
        context_settings={"help_option_names": ["-h", "--help"]},
    )
