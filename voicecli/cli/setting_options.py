"""Typer's parameters for the options that settings make."""

import inspect
from typing import Annotated, Any

import typer

from voicecli.settings.options import Option

__all__ = ["option_parameter", "switched_off", "written"]


def option_parameter(option: Option) -> inspect.Parameter:
    """The parameter that lets typer offer an option; None when it is not given."""
    described = option.described
    name = written(option.name)
    declared = typer.Option(
        f"{name}/--no-{name[2:]}" if option.switches_both_ways else name,
        *([f"-{described.short}"] if described.short else []),
        help=option.help,
        metavar=described.metavar,
        show_default=_shown_default(option),
        rich_help_panel=", ".join(owner.title for owner in option.owners) or described.group or None,
    )
    return _parameter(option.name, option.type, declared)


def switched_off(name: str, option: str) -> inspect.Parameter:
    """The hidden `--no-OPTION` of a switch, which on the command line undoes what file or environment chose."""
    return _parameter(f"no_{name}", bool, typer.Option(f"--no-{option}", hidden=True))


def written(name: str) -> str:
    """An option as it is written on a command line."""
    return f"--{name.replace('_', '-')}"


def _shown_default(option: Option) -> str | bool:
    default = option.default
    if option.switches:
        return option.entry if default is True else False
    return False if default is None or default in ("", ()) else str(getattr(default, "value", default))


def _parameter(name: str, kind: Any, option: Any) -> inspect.Parameter:
    return inspect.Parameter(
        name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=Annotated[kind | None, option]
    )
